"""State "Keep Containment": no decision was taken. The principal stays contained until somebody releases it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ir_router.ledger import containments
from ir_router.ledger.containments import Lock
from ir_router.workflow import remediation
from ir_router.workflow.incident import ActionTaken, Principal
from ir_router.workflow.remediation import RemediationResult


def handle(task: Mapping[str, Any], context: Any) -> RemediationResult:
    """Mark the containment as kept: the next event for the principal asks for a decision again."""
    return remediation.for_each_principal(task, context, "keep", _keep)


def _keep(lock: Lock, _principal: Principal) -> tuple[list[ActionTaken], str]:
    lock.save(phase=containments.KEPT)
    return [], "the containment stays until someone releases it"
