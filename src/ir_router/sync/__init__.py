"""Synchronise cases and Slack channels in both directions: flows 1 and 2."""
