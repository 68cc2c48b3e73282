"""`make demo`: run the main jobs on the local cloud and check each effect in Slack, AWS and the case."""
