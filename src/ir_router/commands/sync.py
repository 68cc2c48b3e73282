"""`/security-ir sync`: compare case and channel now."""

from __future__ import annotations

from ir_router.commands.command import Answer, Command
from ir_router.errors import RefusedError
from ir_router.sync import hints


def run(command: Command) -> Answer:
    """Leave a hint that the case may have changed: its synchronisation reads the whole case and mends the channel."""
    if hints.publish([hints.Hint(command.case_id, "CaseUpdated")]):
        raise RefusedError("EventBridge", "PutEvents", "entry refused")
    return Answer(
        "🔄 Case and channel are being compared\n"
        "What is missing here appears within a minute; nothing appears when both agree already"
    )
