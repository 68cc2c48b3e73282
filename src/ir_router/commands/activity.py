"""`/security-ir activity`: read the calls of the contained credentials now."""

from __future__ import annotations

from ir_router import clock
from ir_router.commands.command import Answer, Command
from ir_router.errors import RefusedError
from ir_router.ledger import activity
from ir_router.security_ir import gateway as security_ir
from ir_router.sync import hints


def execute_command(command: Command) -> Answer:
    """Request a reading of CloudTrail. The synchronisation of the case makes it and posts the result."""
    if security_ir.get_case(command.case_id).is_closed:
        return Answer("This case is closed, so ir-router reads no further activity for it.")
    if not activity.request(command.case_id, command.first("requested_at", clock.now())):
        return Answer("ir-router has contained no credentials in this case, so there is no activity to show.")
    if hints.publish([hints.Hint(command.case_id, "CaseUpdated")]):
        raise RefusedError("EventBridge", "PutEvents", "entry refused")
    return Answer("🔎 ir-router is reading CloudTrail. The result appears in this channel within two minutes.")
