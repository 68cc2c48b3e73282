"""Gateway to AWS Security Incident Response."""
