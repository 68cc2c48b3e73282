"""What is said at once, while the command runs. Pure; the internet-facing door calls it."""

from __future__ import annotations

from collections.abc import Mapping

from ir_router.commands import parser
from ir_router.commands.catalogue import SUB_COMMANDS

_UNKNOWN = "⏳ One moment…"


def text(form: Mapping[str, str]) -> str:
    """The ephemeral answer to a slash command's form; the outcome follows at its `response_url`."""
    entry = SUB_COMMANDS.get(parser.parse(form.get("text", "")).name)
    return entry.progress if entry else _UNKNOWN
