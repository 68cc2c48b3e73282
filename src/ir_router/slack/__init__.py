"""Gateway to Slack, and the door through which Slack comes in."""
