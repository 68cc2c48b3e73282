"""State "Re-enable Key, Remove Deny Policy": denied. The principal is restored exactly as it was found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ir_router.ledger.containments import Lock
from ir_router.workflow import remediation
from ir_router.workflow.incident import Principal
from ir_router.workflow.remediation import Done, RemediationResult


def handle(task: Mapping[str, Any], context: Any) -> RemediationResult:
    """Restore, verify, and forget the incident."""
    return remediation.for_each_principal(task, context, _deny)


def _deny(lock: Lock, principal: Principal) -> Done:
    earlier = "sealed_keys" in lock.row
    actions = remediation.restore(lock, principal)
    remediation.forget(lock, actions)
    return Done(actions, "an earlier approved containment stays until someone releases it" if earlier else "")
