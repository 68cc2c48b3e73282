"""The releases of the containments of an approval request that has ended."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ir_router import clock
from ir_router.ledger import keys, table
from ir_router.ledger.approvals import DELIVERED, EXPIRED, principals_of
from ir_router.ledger.containments import Lock
from ir_router.ledger.table import TransactionFailedError


def end(lock: Lock, approval_id: str, released_by: str) -> None:
    """Clear the containment, and record in its approval request that the principal was released, in one write.

    With two writes, a run that died between them would leave a containment that no retry clears.

    Raises:
        ContainmentBusyError: The lock is lost.
    """
    noted = table.update_item(
        keys.approval(approval_id),
        "ADD released :principal SET released_by = :by, released_at = :now",
        "attribute_exists(PK)",
        principal={lock.principal},
        by=released_by,
        now=clock.now(),
    )
    try:
        table.transact([lock.clearing(), noted])
    except TransactionFailedError:  # the request has expired, or the lock is lost
        lock.clear()


def releasable(row: Mapping[str, Any]) -> list[str]:
    """Return the ARNs of the principals whose containment is still in place after the end of the request.

    Empty while the workflow waits or carries out the decision, after a denial, and for a request for permission.
    """
    approved = row["state"] == DELIVERED and row.get("decision") == "approve" and bool(row.get("result"))
    if row["kind"] != "remediate" or not (approved or row["state"] == EXPIRED):
        return []
    released = set(row.get("released") or ())
    return [arn for arn in principals_of(row) if arn not in released]


def earlier(row: Mapping[str, Any], principal: str = "") -> str:
    """Return a sentence about who released and when; empty if a principal was not released.

    Args:
        row: The approval request.
        principal: The ARN of one principal. Empty: all principals of the request.
    """
    released = set(row.get("released") or ())
    if not released or not released >= ({principal} if principal else set(principals_of(row))):
        return ""
    by, at = row["released_by"], datetime.fromtimestamp(float(row["released_at"]), UTC)
    # The row has only the last release.
    who = f" by {by}" if len(released) == 1 else f". The last release of this request was by {by}"
    return f"Already released{who}, {at:%Y-%m-%d %H:%M:%S} UTC."
