"""`/security-ir help`."""

from __future__ import annotations

from ir_router.commands import rendering
from ir_router.commands.command import Answer, Command


def execute_command(command: Command) -> Answer:  # noqa: ARG001 - every sub-command has this shape
    """List all sub-commands."""
    return Answer(rendering.help_text())
