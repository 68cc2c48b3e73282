"""The assignee of an approval request: the user who pressed "I'm on it"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ir_router import clock
from ir_router.ledger import approvals, keys, table
from ir_router.ledger.table import ConditionFailedError


def assign(approval_id: str, analyst: Mapping[str, Any]) -> bool:
    """Make an analyst the assignee of a pending request. A later one takes over. Return whether anything changed."""
    known = {name: analyst[name] for name in ("name", "slack_user_id", "via") if analyst.get(name)}
    try:
        table.update(
            keys.approval(approval_id),
            "SET assignee = :assignee",
            "#state = :pending AND (attribute_not_exists(assignee) OR NOT assignee.slack_user_id = :who)",
            pending=approvals.PENDING,
            assignee={**known, "at": clock.now()},
            who=str(analyst.get("slack_user_id", "")),
        )
    except ConditionFailedError:
        return False
    return True
