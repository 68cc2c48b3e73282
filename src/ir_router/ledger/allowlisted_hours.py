"""Hourly counts of the events that the allowlist silenced, one row for each hour and entry.

After the hour, one audit record has the count. It names the ids of the events by a digest: the sum of the first 12
bytes of the SHA-256 of each id, modulo 2^96. A sum does not depend on the order, and DynamoDB adds it in the
transaction that claims the events. An auditor computes it from the ids in CloudTrail.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Set
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ir_router import clock
from ir_router.ledger import audit, groups, keys, table
from ir_router.ledger.keys import Key
from ir_router.ledger.table import TransactionFailedError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

_ACTOR = "ir-router workflow"
_HOUR = 3600
# DynamoDB's numbers have 38 digits, enough for the sum of a billion such values.
_DIGEST_BYTES = 12
# A batch that began in the hour may count until its function times out.
_STILL_COUNTING_SECONDS = 120
_KEPT_SECONDS = 90 * 86_400


def callers(entry: str) -> set[str]:
    """Return the callers that this hour's row of the entry has."""
    return set((table.get(_key(entry, clock.now())) or {}).get("callers", ()))


def adding(
    entry: str, reason: str, ids: Iterable[str], callers: Set[str], known: Set[str], detections: Set[str]
) -> TransactWriteItemTypeDef:
    """Return the counting of events in this hour as an item of a transaction.

    Args:
        entry: The entry of the allowlist that matched the events.
        reason: The reason of the entry.
        ids: The ids of the events.
        callers: Their callers.
        known: The callers that the row has. The row keeps a limited number of callers.
        detections: The ids of the detections that matched.
    """
    now = clock.now()
    parts = [_part(event_id) for event_id in ids]
    sets = {"callers": groups.some_more(callers, known), "detections": set(detections)}
    given: dict[str, Any] = {name: values for name, values in sets.items() if values}
    return table.update_item(
        _key(entry, now),
        f"ADD events :events, ids_sum :ids_sum{''.join(f', {name} :{name}' for name in given)} "
        "SET allowed_by = :allowed_by, because = :because, started = :started, expires_at = :expires_at",
        events=len(parts),
        ids_sum=sum(parts),
        allowed_by=entry,
        because=reason,
        started=_hour(now),
        expires_at=int(now) + _KEPT_SECONDS,
        **given,
    )


def record_ended() -> int:
    """Write one audit record for each row of an hour that has ended, and delete the row. Return their number."""
    latest = _hour(clock.now() - _HOUR - _STILL_COUNTING_SECONDS)
    written = 0
    for row in list(table.query(keys.allowlisted_hour("", "").pk)):
        if row["started"] > latest:
            continue
        details = {
            "entry": row["allowed_by"],
            "reason": row["because"],
            "hour": row["started"],
            "events": row["events"],
            "ids_digest": digest_of_sum(int(row["ids_sum"])),
            "callers": sorted(row.get("callers", ())),
            "detections": sorted(row.get("detections", ())),
        }
        # If another run has recorded the row, or a late batch has changed it, the condition fails.
        deletion = table.delete_item(Key(row["PK"], row["SK"]), "events = :events", events=row["events"])
        try:
            audit.append("events_allowlisted", _ACTOR, details, together_with=[deletion])
        except TransactionFailedError:
            continue
        written += 1
    return written


def digest(ids: Iterable[str]) -> str:
    """Return the digest of a set of event ids, in any order."""
    return digest_of_sum(sum(_part(event_id) for event_id in ids))


def digest_of_sum(total: int) -> str:
    """Return the digest of a sum, in hexadecimal."""
    return f"{total % 2 ** (8 * _DIGEST_BYTES):0{2 * _DIGEST_BYTES}x}"


def _part(event_id: str) -> int:
    return int.from_bytes(hashlib.sha256(event_id.encode()).digest()[:_DIGEST_BYTES], "big")


def _key(entry: str, at: float) -> Key:
    return keys.allowlisted_hour(_hour(at), groups.name_of(entry))


def _hour(at: float) -> str:
    """Return the beginning of the hour of a time, as ISO 8601 in UTC."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H}:00Z"
