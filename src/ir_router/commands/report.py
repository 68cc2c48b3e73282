"""`/security-ir report`: make the report about the case now."""

from __future__ import annotations

from ir_router import clock
from ir_router.commands import changing
from ir_router.commands.command import Answer, Command
from ir_router.errors import RefusedError
from ir_router.ledger import reports
from ir_router.sync import hints


def execute_command(command: Command) -> Answer:
    """Request a report. The synchronisation of the case makes it and posts its summary."""
    changing.case_to_change(command)
    command.changes = True
    reports.request(command.case_id, command.first("requested_at", clock.now()), command.identity)
    if hints.publish([hints.Hint(command.case_id, "CaseUpdated")]):
        raise RefusedError("EventBridge", "PutEvents", "entry refused")
    return Answer("📄 ir-router is making the report. Its summary appears in this channel within two minutes.")
