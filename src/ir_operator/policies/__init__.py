"""The IAM policies of the people who deploy, operate, decide and audit."""
