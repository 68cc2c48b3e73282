"""Cases and Slack in step: flows 1 and 2."""
