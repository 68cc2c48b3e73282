"""`/security-ir status`."""

from __future__ import annotations

from ir_router.commands import rendering
from ir_router.commands.command import Answer, Command
from ir_router.security_ir import gateway as security_ir


def execute_command(command: Command) -> Answer:
    """Show the case's current status and details."""
    case = security_ir.get_case(command.case_id)
    severity = security_ir.severity(case)
    return Answer(rendering.case_status(case, severity))
