"""ir-router: Slack, AWS Security Incident Response and IAM joined by one Lambda package."""

__version__ = "0.2.0"
