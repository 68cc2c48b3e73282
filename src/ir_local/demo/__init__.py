"""`make demo`: both main jobs on the local cloud, each claim checked from the other side."""
