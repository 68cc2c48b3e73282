"""The /security-ir command: one module for each sub-command."""
