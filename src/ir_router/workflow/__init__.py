"""Containment and approval: flow 3, one function for each state."""
