"""The assignee of an approval request: the user who pressed "I'm on it"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ir_router import clock
from ir_router.ledger import approvals, keys, table
from ir_router.ledger.table import ConditionFailedError


def assign(approval_id: str, analyst: Mapping[str, Any], pressed_at: float | None) -> bool:
    """Make an analyst the assignee of a pending request, in place of one who pressed earlier.

    Args:
        approval_id: The request's id.
        analyst: The analyst.
        pressed_at: The time of the press, in seconds since the epoch. A retry has that of its first attempt. None: now.

    Returns:
        Whether anything changed.
    """
    at = clock.now() if pressed_at is None else min(pressed_at, clock.now())
    known = {name: analyst[name] for name in ("name", "slack_user_id", "via") if analyst.get(name)}
    try:
        table.update(
            keys.approval(approval_id),
            "SET assignee = :assignee",
            "#state = :pending AND (attribute_not_exists(assignee) "
            "OR (NOT assignee.slack_user_id = :who AND assignee.#at < :pressed_at))",
            pending=approvals.PENDING,
            assignee={**known, "at": at},
            pressed_at=at,
            who=str(analyst.get("slack_user_id", "")),
        )
    except ConditionFailedError:
        return False
    return True
