"""The task "list_approvals" of the function security-incident-approval-handler."""

from __future__ import annotations

from typing import Any

from ir_router.ledger import approvals
from ir_router.workflow import wording_decisions, wording_two_people

_SHOWN = (
    "approval_id",
    "kind",
    "state",
    "severity",
    "headline",
    "what",
    "done",
    "approve_does",
    "deny_does",
    "principal",
    "listed",
    "case_id",
    "execution",
)


def pending() -> dict[str, Any]:
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
            | ({"people": people} if (people := wording_two_people.so_far(row)) else {})
            for row in rows
        ]
    }
