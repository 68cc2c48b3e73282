"""The allowlist entries that operators add at runtime.

One transaction writes an entry together with the audit record of its change.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, get_args

from ir_router import clock
from ir_router.ledger import audit, keys, table
from ir_router.ledger.table import Row, TransactionFailedError

Kind = Literal["ip", "principal"]
KINDS: Sequence[Kind] = get_args(Kind)


def add(kind: Kind, value: str, reason: str, added_by: str, expires_at: int | None) -> Row:
    """Add or replace an entry and return its row.

    Args:
        kind: One of KINDS.
        value: IP address, CIDR block or principal.
        reason: Why the entry exists.
        added_by: Name of the operator.
        expires_at: Seconds since the epoch; None for an entry that never expires.
    """
    row: Row = {"kind": kind, "value": value, "reason": reason, "added_by": added_by, "added_at": int(clock.now())}
    if expires_at is not None:
        row["expires_at"] = expires_at
    entry = table.put_item(keys.allowlist(kind, value), row)
    audit.append("allowlist_added", added_by, row, together_with=[entry])
    return row


def remove(kind: Kind, value: str, reason: str, removed_by: str) -> bool:
    """Delete an entry. Return False when it does not exist."""
    details = {"kind": kind, "value": value, "reason": reason}
    entry = table.delete_item(keys.allowlist(kind, value), "attribute_exists(PK)")
    try:
        audit.append("allowlist_removed", removed_by, details, together_with=[entry])
    except TransactionFailedError:
        return False
    return True


def entries() -> Iterator[Row]:
    """Yield the entries that have not expired. DynamoDB deletes expired ones late."""
    now = clock.now()
    for kind in KINDS:
        for row in table.query(keys.allowlist(kind, "").pk):
            if row.get("expires_at", now + 1) > now:
                yield row
