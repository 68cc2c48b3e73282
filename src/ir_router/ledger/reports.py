"""The reports about a case: the requests, and the content of the version that is being published.

The content is stored before it is published. After a crash, the next run therefore publishes the same bytes. The parts
are in a partition of their own, and are deleted after the publication.
"""

from __future__ import annotations

import gzip
from typing import Any

from ir_router import clock
from ir_router.ledger import keys, table
from ir_router.ledger.table import Row

# DynamoDB allows 400 KB for a row.
_PART_BYTES = 300_000
_KEPT_SECONDS = 30 * 86_400


def get(case_id: str) -> Row:
    """Return the row of a case: `requested_at`, `requested_by`, `answered_at`, `version`, `pending`, `final`."""
    return table.get(keys.report(case_id)) or {}


def request(case_id: str, at: float, by: str) -> None:
    """Request a report, in the name of a user."""
    table.update(keys.report(case_id), "SET requested_at = :at, requested_by = :by", at=at, by=by)


def save(case_id: str, **values: Any) -> None:
    """Set attributes of the row; None removes one."""
    table.assign(keys.report(case_id), **values)


def store(case_id: str, name: str, content: bytes) -> int:
    """Store a content under a name, and return the number of its parts."""
    packed = gzip.compress(content, mtime=0)
    expires_at = int(clock.now()) + _KEPT_SECONDS
    parts = [packed[start : start + _PART_BYTES] for start in range(0, len(packed), _PART_BYTES)]
    for number, part in enumerate(parts):
        table.put(keys.report_part(case_id, f"{name}#{number:04d}"), {"part": part, "expires_at": expires_at})
    return len(parts)


def load(case_id: str, name: str, parts: int) -> bytes:
    """Return a stored content of so many parts."""
    rows = [table.get(keys.report_part(case_id, f"{name}#{number:04d}")) or {} for number in range(parts)]
    return gzip.decompress(b"".join(bytes(row["part"]) for row in rows))


def erase(case_id: str) -> None:
    """Delete the stored contents of a case."""
    for row in list(table.query(keys.report_part(case_id).pk)):
        table.delete(keys.Key(row["PK"], row["SK"]))
