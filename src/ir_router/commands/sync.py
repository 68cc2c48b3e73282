"""`/security-ir sync`: compare case and channel now."""

from __future__ import annotations

from ir_router.commands import changing
from ir_router.commands.command import Answer, Command


def run(command: Command) -> Answer:
    """Leave a hint that the case may have changed: its synchronisation reads the whole case and mends the channel."""
    changing.tell_synchronisation(command)
    return Answer(
        "🔄 Case and channel are being compared\n"
        "What is missing here appears within a minute; nothing appears when both agree already"
    )
