"""State "Re-enable Key, Remove Deny Policy": after a denial, restore the principal exactly as it was found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ir_router.ledger.containments import Lock
from ir_router.workflow import remediation
from ir_router.workflow.incident import Principal
from ir_router.workflow.remediation import Done, RemediationResult


def run_task(task: Mapping[str, Any], context: Any) -> RemediationResult:
    """Restore the principal, verify it and end the incident."""
    return remediation.for_each_principal(task, context, _deny)


def _deny(lock: Lock, principal: Principal) -> Done:
    earlier = "sealed_keys" in lock.row
    actions = remediation.restore(lock, principal)
    done = Done(actions, "the containment that was approved earlier stays until you release it" if earlier else "")
    remediation.forget(lock, done)
    return done
