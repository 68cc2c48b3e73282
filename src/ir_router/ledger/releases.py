"""The releases of the containments of an approval request that has ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ir_router import clock
from ir_router.ledger import keys, table
from ir_router.ledger.approvals import DELIVERED, EXPIRED, principals_of
from ir_router.ledger.table import ConditionFailedError


def note(approval_id: str, principal: str, released_by: str) -> bool:
    """Record that the containment of a principal was released. Return False for an unknown approval."""
    try:
        table.update(
            keys.approval(approval_id),
            "ADD released :principal SET released_by = :by, released_at = :now",
            "attribute_exists(PK)",
            principal={principal},
            by=released_by,
            now=clock.now(),
        )
    except ConditionFailedError:
        return False
    return True


def releasable(row: Mapping[str, Any]) -> list[str]:
    """Return the ARNs of the principals whose containment is still in place after the end of the request.

    Empty while the workflow waits or carries out the decision, after a denial, and for a request for permission.
    """
    approved = row["state"] == DELIVERED and row.get("decision") == "approve" and bool(row.get("result"))
    if row["kind"] != "remediate" or not (approved or row["state"] == EXPIRED):
        return []
    released = set(row.get("released") or ())
    return [arn for arn in principals_of(row) if arn not in released]
