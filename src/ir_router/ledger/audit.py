"""The audit: records chained by hash, so that a changed, removed or inserted record is detected.

Each record contains the hash of the previous one. The transaction that writes a record also advances the head (month,
sequence and hash of the newest record). Concurrent writers therefore cannot fork the chain: the slower one finds that
the head has moved and retries. The last sequence and hash of each month are kept for ever, even after its records
expire. Each record's hash is also logged at every log level, as evidence outside the table.

One head takes about 40 records a second. So a writer that others keep overtaking moves to another of 16 chains. Chain 0
is the main chain. The order across chains can be proved: a record of another chain contains the newest hash of the main
chain that its writer knows (`after`), and `tie` writes the newest hash of each other chain into the main chain.

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
from ir_router.ledger.keys import Key
from ir_router.ledger.table import Row, TransactionFailedError
from ir_router.settings import settings

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

# A logger of its own, because `log_level` may silence the other one. It logs only ids and hashes.
_witness = Logger(service="ir-router-audit", level="INFO", log_uncaught_exceptions=False)

MAIN = 0
CHAINS = 16
TIED = "chains_tied"
_TRIES = 25
# Parallel states of one execution often meet once or twice. A writer that loses more often moves to another chain.
_TRIES_IN_A_CHAIN = 3
# A process reads the head of the main chain at least this often, so that `after` is recent.
_MAIN_READ_SECONDS = 60
_HEAD = frozenset({"month", "sequence", "chain_hash", "record_expires_at"})
# DynamoDB's reason for an item whose condition holds.
_HELD = "None"
_DAMAGED = "the audit's row {row} {fault}; nothing was written; run verify_audit and restore the row"
_DAY = 86_400
_ONCE_DAYS = 30
# Attributes that the hash does not cover.
_NOT_HASHED = frozenset({"PK", "SK", "hash"})


class AuditContendedError(IrRouterError):
    """Too many concurrent writers. Nothing was written."""


class AuditDamagedError(IrRouterError):
    """A chain has no usable head. Nothing was written. Restore its row `AUDIT#head` with point-in-time recovery."""


@dataclass(frozen=True)
class Position:
    """The position and hash of a record in its chain. `month` is `yyyy-mm`."""

    month: str
    sequence: int
    hash: str

    def __str__(self) -> str:
        """Return the position as records contain it."""
        return f"{self.month} {self.sequence} {self.hash}"

    @classmethod
    def read(cls, text: str) -> Position:
        """Return the position that `str` gave. Raises ValueError."""
        month, sequence, chain_hash = text.split(" ")
        return cls(month, int(sequence), chain_hash)


@dataclass(frozen=True)
class Record(Position):
    """The position of a written record, and its chain."""

    chain: int


@dataclass
class _Writer:
    """The chain of this process, and the newest record of the main chain that it has seen."""

    chain: int = MAIN
    main: Position | None = None
    main_read_at: float = 0.0


_writer = _Writer()


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
        chain = _writer.chain
        head = _head(chain)
        row = _next(chain, head, action, actor, details)
        items = [*together_with, *_items(chain, head, row)]
        if once is not None:
            items.append(_once(once, chain, row))
        try:
            table.transact(items)
        except TransactionFailedError as failure:
            if "ConditionalCheckFailed" in failure.reasons[: len(together_with)]:
                raise
            if once is not None and failure.reasons[-1] == "ConditionalCheckFailed":
                return None
            # The head moved, or another transaction holds it: read it again, or leave the chain to the others.
            if attempt + 1 >= _TRIES_IN_A_CHAIN and failure.reasons[len(together_with) + 1 :][:1] != [_HELD]:
                _writer.chain = random.randrange(CHAINS)  # noqa: S311
            _wait(attempt)
            continue
        return _written(chain, row)
    raise AuditContendedError("too many concurrent writers; the record was not written")


def recorded(once: str) -> Row | None:
    """Return the record that `append` wrote with this `once`, or None. The mark is kept for 30 days."""
    mark = table.get(_once_key(once)) or {}
    if "sequence" not in mark:
        return None
    return table.get(keys.audit_record(mark["month"], mark["sequence"], mark["chain"]))


def tie() -> Record | None:
    """Write the newest hash of each other chain into the main chain.

    Returns:
        The record, or None if no other chain has a new record.

    Raises:
        AuditContendedError: Too many concurrent writers.
        AuditDamagedError: The head of a chain is missing or incomplete.
    """
    before: dict[str, str] = (table.get(keys.audit_tied()) or {}).get("heads", {})
    heads = {str(chain): str(position_of(head)) for chain in range(1, CHAINS) if (head := _head(chain))}
    if lost := sorted(before.keys() - heads.keys()):
        raise AuditDamagedError(_DAMAGED.format(row=keys.audit_head(int(lost[0])).pk, fault="is missing"))
    new = {name: position for name, position in heads.items() if before.get(name) != position}
    if not new:
        return None
    mark = table.put_item(keys.audit_tied(), {"heads": heads})
    for attempt in range(_TRIES):
        head = _head(MAIN)
        row = _next(MAIN, head, TIED, "ir-router", {"heads": new})
        try:
            table.transact([*_items(MAIN, head, row), mark])
        except TransactionFailedError:
            _wait(attempt)
            continue
        return _written(MAIN, row)
    raise AuditContendedError("too many concurrent writers; the chains were not tied")


def heads_of(tie: Mapping[str, Any]) -> dict[int, Position]:
    """Return the newest record of each chain that a record of `tie` names."""
    heads: dict[str, str] = json.loads(tie["details"])["heads"]
    return {int(name): Position.read(position) for name, position in heads.items()}


def position_of(head: Mapping[str, Any]) -> Position:
    """Return the position of the record that a head or a closing names."""
    return Position(head["month"], int(head["sequence"]), head["chain_hash"])


def forget() -> None:
    """Let this process begin in the main chain, as a new one does."""
    _writer.chain, _writer.main, _writer.main_read_at = MAIN, None, 0.0


def digest(row: Mapping[str, Any]) -> str:
    """Return the hash of a record: SHA-256 over its JSON with sorted names, without the hash itself."""
    covered = {name: value for name, value in row.items() if name not in _NOT_HASHED}
    text = json.dumps(covered, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _head(chain: int) -> Row | None:
    head = table.get(keys.audit_head(chain))
    if head is not None and not head.keys() >= _HEAD:
        raise AuditDamagedError(_DAMAGED.format(row=keys.audit_head(chain).pk, fault="lacks attributes"))
    if chain == MAIN and head is not None:
        _writer.main, _writer.main_read_at = position_of(head), clock.now()
    return head


def _next(chain: int, head: Row | None, action: str, actor: str, details: Mapping[str, Any]) -> Row:
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
    if chain != MAIN:
        row |= {"chain": chain, "after": _after()}
    return {**row, "hash": digest(row)}


def _after() -> str | None:
    """Return the newest record of the main chain that this process knows."""
    if clock.now() - _writer.main_read_at > _MAIN_READ_SECONDS:
        _head(MAIN)
    return str(_writer.main) if _writer.main else None


def _items(chain: int, head: Row | None, row: Row) -> list[TransactWriteItemTypeDef]:
    """Return the writes of a record: first the record, then the head, then the closing of the month before."""
    key = keys.audit_record(row["month"], row["sequence"], chain)
    record = table.put_item(key, row, "attribute_not_exists(PK)")
    # Head and closings never expire: they have no `expires_at`, which the table's TTL reads.
    new_head = {
        "month": row["month"],
        "sequence": row["sequence"],
        "chain_hash": row["hash"],
        "record_expires_at": row["expires_at"],
    }
    place = keys.audit_head(chain)
    if head is None:
        return [record, table.put_item(place, new_head, "attribute_not_exists(PK)")]
    items = [record, table.put_item(place, new_head, "chain_hash = :before", before=head["chain_hash"])]
    if head["month"] != row["month"]:
        closing = {name: head[name] for name in new_head}
        items.append(table.put_item(keys.audit_closing(head["month"], chain), closing, "attribute_not_exists(PK)"))
    return items


def _written(chain: int, row: Row) -> Record:
    place = {"month": row["month"], "sequence": row["sequence"], "hash": row["hash"]}
    _witness.info("audit", extra={"audit": row["action"], "chain": chain, **place})
    return Record(chain=chain, **place)


def _wait(attempt: int) -> None:
    clock.sleep(random.uniform(0.005, 0.03) * min(attempt + 1, 10))  # noqa: S311


def _once(name: str, chain: int, row: Row) -> TransactWriteItemTypeDef:
    place = {"month": row["month"], "sequence": row["sequence"], "chain": chain}
    mark = {**place, "expires_at": int(clock.now()) + _ONCE_DAYS * _DAY}
    return table.put_item(_once_key(name), mark, "attribute_not_exists(PK)")


def _once_key(name: str) -> Key:
    return keys.audit_once(hashlib.sha256(name.encode()).hexdigest()[:32])
