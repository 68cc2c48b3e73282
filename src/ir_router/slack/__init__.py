"""Requests to Slack and requests from Slack."""
