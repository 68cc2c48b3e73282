"""State "Re-enable Key, Remove Deny Policy": after a denial, restore the principal exactly as it was found.

Keys that others restricted meanwhile stay disabled (`workflow/third_parties.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ir_router.ledger.containments import Lock
from ir_router.workflow import remediation, wording, wording_gaps
from ir_router.workflow.incident import Principal
from ir_router.workflow.remediation import Done, RemediationResult


def run_task(task: Mapping[str, Any], context: Any) -> RemediationResult:
    """Restore the principal, verify it and end the incident."""
    return remediation.for_each_principal(task, context, _deny)


def _deny(lock: Lock, principal: Principal) -> Done:
    notes = (
        ["the containment that was approved earlier stays until you release it"] if "sealed_keys" in lock.row else []
    )
    restored = remediation.restore(lock, principal)
    stays = wording_gaps.stays_disabled(restored.held)
    notes += [f"{stays}; to enable it too, release {wording.name_of(principal)}"] if stays else []
    done = Done(restored.actions, "; ".join(notes), held=bool(restored.held))
    remediation.forget(lock, done)
    return done
