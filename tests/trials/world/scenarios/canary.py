"""The marker in all text that users write in the scenarios."""

from __future__ import annotations

CANARY = "heron-5c41f7d2"
"""It is in message texts, comments, titles, descriptions and file names, and may not appear in any log."""
