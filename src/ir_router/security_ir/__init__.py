"""Calls to AWS Security Incident Response."""
