"""Events that repeat: the first of a group is acted upon, those of the hour after it are counted, and told once.

A group is named by what makes its events alike. Its row says who opened it; a counter's row belongs to the execution
that waits for an hour and then tells the count.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from ir_router import clock
from ir_router.ledger import keys, table
from ir_router.ledger.table import ConditionFailedError, Row, TransactionFailedError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

SECONDS = 3600
# Whoever tells the count may have come at the hour's end; the rows outlive it by enough for retries.
_KEPT_SECONDS = 2 * SECONDS + 86_400


def name_of(*alike: str) -> str:
    """The name of the group of all events that are alike in this."""
    return hashlib.sha256("|".join(alike).encode()).hexdigest()[:24]


def enter(group: str, execution: str, *, instead_of: str | None = None) -> Row:
    """The group that is open; opened by this execution (`execution`) when there was none.

    `instead_of` is an execution whose group counts no more.
    """
    now = clock.now()
    row: Row = {"execution": execution, "until": now + SECONDS, "expires_at": int(now) + _KEPT_SECONDS}
    condition = "attribute_not_exists(PK) OR #until <= :now"
    values: dict[str, Any] = {"now": now}
    if instead_of is not None:
        condition += " OR execution = :instead_of"
        values["instead_of"] = instead_of
    try:
        table.put(_key(group), row, condition, **values)
    except ConditionFailedError as conflict:
        return conflict.row
    return row


def annotate(group: str, opener: str, expression: str, **values: Any) -> Row:
    """Update the row of the group as long as `opener` opened it. Raises ConditionFailedError when it did not."""
    return table.update(_key(group), expression, "execution = :opener", opener=opener, **values)


def count(teller: str, execution: str) -> None:
    """One more event, that of this execution, told by `teller`. A repetition counts no more."""
    counted_once: Row = {"expires_at": int(clock.now()) + _KEPT_SECONDS}
    try:
        table.transact(
            [
                table.put_item(_mark(execution), counted_once, "attribute_not_exists(PK)"),
                table.update_item(_counter(teller), _ONE_MORE, **_one_more()),
            ]
        )
    except TransactionFailedError as error:
        if error.reasons[0] != "ConditionalCheckFailed":
            raise


def counting(teller: str, case_id: str) -> TransactWriteItemTypeDef:
    """One more event, as a part of a transaction. `case_id` is that of the first; empty when it has none."""
    return table.update_item(_counter(teller), f"{_ONE_MORE}, case_id = :case_id", case_id=case_id, **_one_more())


def counted(teller: str) -> Row | None:
    """What `teller` has to tell: `events`, without the one that opened the group, and `case_id` if one was given."""
    return table.get(_counter(teller))


_ONE_MORE = "ADD events :one SET expires_at = :expires_at"


def _one_more() -> dict[str, Any]:
    return {"one": 1, "expires_at": int(clock.now()) + _KEPT_SECONDS}


def _key(group: str) -> keys.Key:
    return keys.deduplication(f"ALERT#{group}")


def _counter(teller: str) -> keys.Key:
    return keys.deduplication(f"COUNT#{name_of(teller)}")


def _mark(execution: str) -> keys.Key:
    return keys.deduplication(f"COUNTED#{name_of(execution)}")
