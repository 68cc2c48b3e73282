"""ir-router: Slack, AWS Security Incident Response and IAM joined by one Lambda package."""
