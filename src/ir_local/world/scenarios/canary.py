"""A word that stands in all that people write in the scenarios."""

from __future__ import annotations

CANARY = "heron-5c41f7d2"
"""In message texts, comments, titles, descriptions and file names; no log may ever have it."""
