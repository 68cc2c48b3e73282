"""`/security-ir sync`: synchronise case and channel now."""

from __future__ import annotations

from ir_router.commands.command import Answer, Command
from ir_router.errors import RefusedError
from ir_router.sync import hints


def execute_command(command: Command) -> Answer:
    """Publish a hint that the case may have changed. Its synchronisation then reads the complete case."""
    if hints.publish([hints.Hint(command.case_id, "CaseUpdated", compares_comments=True)]):
        raise RefusedError("EventBridge", "PutEvents", "entry refused")
    return Answer("🔄 Syncing the case with this channel. Missing updates appear within a minute.")
