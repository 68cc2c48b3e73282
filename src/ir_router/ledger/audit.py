"""The audit: records chained by hash, so that a changed, removed or inserted record is detected.

Each record contains the hash of the previous one. The transaction that writes a record also advances the head (month,
sequence and hash of the newest record). Concurrent writers therefore cannot fork the chain: the slower one finds that
the head has moved and retries. The last sequence and hash of each month are kept for ever, even after its records
expire. Each record's hash is also logged at every log level, as evidence outside the table.

The audit needs GetItem, PutItem and Query in DynamoDB, but neither UpdateItem nor DeleteItem.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from ir_router import clock
from ir_router.errors import IrRouterError
from ir_router.ledger import keys, table
from ir_router.ledger.table import Row, TransactionFailedError
from ir_router.settings import settings

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

# A logger of its own, because `log_level` may silence the other one. It logs only ids and hashes.
_witness = Logger(service="ir-router-audit", level="INFO", log_uncaught_exceptions=False)

_TRIES = 25
_HEAD = frozenset({"month", "sequence", "chain_hash", "record_expires_at"})
_DAY = 86_400
_ONCE_DAYS = 30
# Attributes that the hash does not cover.
_NOT_HASHED = frozenset({"PK", "SK", "hash"})


class AuditContendedError(IrRouterError):
    """Too many concurrent writers. Nothing was written."""


class AuditDamagedError(IrRouterError):
    """The chain has no usable head. Nothing was written. Restore row `AUDIT#head` with point-in-time recovery."""


@dataclass(frozen=True)
class Record:
    """The position and hash of a written record. `month` is `yyyy-mm`."""

    month: str
    sequence: int
    hash: str


def append(
    action: str,
    actor: str,
    details: Mapping[str, Any],
    *,
    once: str | None = None,
    together_with: Sequence[TransactWriteItemTypeDef] = (),
) -> Record | None:
    """Write one record.

    Args:
        action: The recorded action, for example `key_deleted`.
        actor: Who did it.
        details: JSON values. They contain no tokens, secrets or message text.
        once: Name of the fact. A second call with the same name writes nothing and returns None.
        together_with: Further items of the same transaction, written with the record or not at all.

    Raises:
        TransactionFailedError: A condition of `together_with` failed. Its reasons come first, in their order.
        AuditContendedError: Too many concurrent writers.
        AuditDamagedError: The head is incomplete.
    """
    for attempt in range(_TRIES):
        head = table.get(keys.audit_head())
        if head is not None and not head.keys() >= _HEAD:
            raise AuditDamagedError(
                "the audit's head (row AUDIT#head) lacks attributes; nothing was written; "
                "run verify_audit and restore the row"
            )
        row = _next(head, action, actor, details)
        items = [*together_with, *_items(head, row)]
        if once is not None:
            items.append(_once(once))
        try:
            table.transact(items)
        except TransactionFailedError as failure:
            if "ConditionalCheckFailed" in failure.reasons[: len(together_with)]:
                raise
            if once is not None and failure.reasons[-1] == "ConditionalCheckFailed":
                return None
            # The head moved, or another transaction holds it: read it again.
            clock.sleep(random.uniform(0.005, 0.03) * min(attempt + 1, 10))  # noqa: S311
            continue
        _witness.info(
            "audit", extra={"audit": action, "month": row["month"], "sequence": row["sequence"], "hash": row["hash"]}
        )
        return Record(row["month"], row["sequence"], row["hash"])
    raise AuditContendedError("too many concurrent writers; the record was not written")


def digest(row: Mapping[str, Any]) -> str:
    """Return the hash of a record: SHA-256 over its JSON with sorted names, without the hash itself."""
    covered = {name: value for name, value in row.items() if name not in _NOT_HASHED}
    text = json.dumps(covered, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _next(head: Row | None, action: str, actor: str, details: Mapping[str, Any]) -> Row:
    now = clock.utc_now()
    month = f"{now:%Y-%m}"
    if head and head["month"] > month:
        month = head["month"]  # a writer with a slow clock around midnight
    row: Row = {
        "month": month,
        "sequence": head["sequence"] + 1 if head and head["month"] == month else 1,
        "at": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "action": action,
        "actor": actor,
        # As text, because DynamoDB may return a number in another form than the one that was hashed.
        "details": json.dumps(details, sort_keys=True, ensure_ascii=False),
        "previous": head["chain_hash"] if head else None,
        "previous_expires_at": head["record_expires_at"] if head else None,
        "expires_at": int(now.timestamp()) + settings().audit_retention_days * _DAY,
    }
    return {**row, "hash": digest(row)}


def _items(head: Row | None, row: Row) -> list[TransactWriteItemTypeDef]:
    record = table.put_item(keys.audit_record(row["month"], row["sequence"]), row, "attribute_not_exists(PK)")
    # Head and closings never expire: they have no `expires_at`, which the table's TTL reads.
    new_head = {
        "month": row["month"],
        "sequence": row["sequence"],
        "chain_hash": row["hash"],
        "record_expires_at": row["expires_at"],
    }
    if head is None:
        return [record, table.put_item(keys.audit_head(), new_head, "attribute_not_exists(PK)")]
    items = [record, table.put_item(keys.audit_head(), new_head, "chain_hash = :before", before=head["chain_hash"])]
    if head["month"] != row["month"]:
        closing = {name: head[name] for name in new_head}
        items.append(table.put_item(keys.audit_closing(head["month"]), closing, "attribute_not_exists(PK)"))
    return items


def _once(name: str) -> TransactWriteItemTypeDef:
    key = keys.audit_once(hashlib.sha256(name.encode()).hexdigest()[:32])
    return table.put_item(key, {"expires_at": int(clock.now()) + _ONCE_DAYS * _DAY}, "attribute_not_exists(PK)")
