"""The tasks "list_approvals" and "verify_audit"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ir_router.ledger import approvals, audit_verification
from ir_router.workflow import wording_decisions

_SHOWN = (
    "approval_id",
    "kind",
    "state",
    "severity",
    "headline",
    "what",
    "approve_does",
    "deny_does",
    "principal",
    "listed",
    "case_id",
    "execution",
)


def list_approvals(_task: Mapping[str, Any], _context: Any) -> dict[str, Any]:
    """Return the pending approval requests, oldest first, without their tokens: only the queue has those."""
    rows = sorted(approvals.open_approvals(), key=lambda row: float(row["created_at"]))
    return {
        "approvals": [
            {name: row[name] for name in _SHOWN if name in row}
            | {
                "joined_events": int(row.get("joined_events", 0)),
                "asked_at": wording_decisions.at(row["created_at"]),
                "decide_by": wording_decisions.at(row["decide_by"]),
            }
            for row in rows
        ]
    }


def verify_audit(_task: Mapping[str, Any], _context: Any) -> dict[str, Any]:
    """Verify the chain of the audit log. If it is broken, `verified` is False and `broken` names the first bad link."""
    result = audit_verification.verify()
    broken = asdict(result.broken) if result.broken else None
    return {
        "verified": broken is None,
        "records": result.records,
        "first_at": result.first_at,
        "last_at": result.last_at,
        "broken": broken,
    }
