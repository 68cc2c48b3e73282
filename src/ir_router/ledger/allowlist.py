"""The dynamic entries of the allowlist: value, reason, who added it, until when.

An entry and the audit record of its change are one write: neither is there without the other.
"""

from __future__ import annotations

from collections.abc import Iterator

from ir_router import clock
from ir_router.ledger import audit, keys, table
from ir_router.ledger.table import Row, TransactionFailedError

KINDS = ("ip", "principal")


def add(kind: str, value: str, reason: str, added_by: str, expires_at: int | None) -> Row:
    """Write an entry, or replace it. `expires_at` in seconds since the epoch, None for ever."""
    row: Row = {"kind": kind, "value": value, "reason": reason, "added_by": added_by, "added_at": int(clock.now())}
    if expires_at is not None:
        row["expires_at"] = expires_at
    entry = table.put_item(keys.allowlist(kind, value), row)
    audit.append("allowlist_added", added_by, row, together_with=[entry])
    return row


def remove(kind: str, value: str, reason: str, removed_by: str) -> bool:
    """Delete an entry; False when there is none."""
    details = {"kind": kind, "value": value, "reason": reason}
    entry = table.delete_item(keys.allowlist(kind, value), "attribute_exists(PK)")
    try:
        audit.append("allowlist_removed", removed_by, details, together_with=[entry])
    except TransactionFailedError:
        return False
    return True


def entries() -> Iterator[Row]:
    """All entries that have not expired (DynamoDB deletes expired ones late)."""
    now = clock.now()
    for kind in KINDS:
        for row in table.query(keys.allowlist(kind, "").pk):
            if row.get("expires_at", now + 1) > now:
                yield row
