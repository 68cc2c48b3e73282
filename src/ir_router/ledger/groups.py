"""Groups of repeated events: the first event is handled, and one summary reports the others of the following hour.

The attributes that its events share name the group. The group's row names the execution that opened it. A second row
counts events for the reporter: the execution that waits for an hour and then sends the summary.
"""

from __future__ import annotations

import hashlib
from collections.abc import Set
from typing import TYPE_CHECKING, Any

from ir_router import clock
from ir_router.ledger import keys, table
from ir_router.ledger.table import ConditionFailedError, Row, TransactionFailedError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

SECONDS = 3600
# A reporter may start at the end of the hour, so the rows live long enough for its hour and its retries.
_KEPT_CALLERS = 20
_KEPT_SECONDS = 2 * SECONDS + 86_400


def name_of(*alike: str) -> str:
    """Return the name of the group whose events share these values."""
    return hashlib.sha256("|".join(alike).encode()).hexdigest()[:24]


def enter(group: str, execution: str, *, instead_of: str | None = None) -> Row:
    """Return the row of the open group, and open the group if there is none.

    Args:
        group: Name of the group.
        execution: The execution that enters the group.
        instead_of: An execution whose group is no longer valid.
    """
    now = clock.now()
    row: Row = {"execution": execution, "until": now + SECONDS, "expires_at": int(now) + _KEPT_SECONDS}
    condition = "attribute_not_exists(PK) OR #until <= :now"
    values: dict[str, Any] = {"now": now}
    if instead_of is not None:
        row["instead_of"] = instead_of
        condition += " OR execution = :instead_of"
        values["instead_of"] = instead_of
    try:
        table.put(_key(group), row, condition, **values)
    except ConditionFailedError as conflict:
        return conflict.row
    return row


def find(group: str) -> Row | None:
    """Return the row of the group if the group is open, else None."""
    row = table.get(_key(group))
    return row if row is not None and row["until"] > clock.now() else None


def opening(group: str, execution: str) -> TransactWriteItemTypeDef:
    """Return the opening of the group for an execution as an item of a transaction, which fails if it is open."""
    now = clock.now()
    row: Row = {"execution": execution, "until": now + SECONDS, "expires_at": int(now) + _KEPT_SECONDS}
    return table.put_item(_key(group), row, "attribute_not_exists(PK) OR #until <= :now", now=now)


def annotate(group: str, opener: str, expression: str, **values: Any) -> Row:
    """Update the group's row if `opener` opened the group. Raises ConditionFailedError otherwise."""
    return table.update(_key(group), expression, "execution = :opener", opener=opener, **values)


def count(reporter: str, execution: str, caller: str | None = None) -> None:
    """Count the event of `execution` for `reporter`, once however often this is called.

    Args:
        reporter: The execution that sends the summary.
        execution: The execution of the event.
        caller: The event's caller, for the summary. The row keeps a limited number of callers.
    """
    values = _one_more()
    expression = _ONE_MORE
    if caller and len((counted(reporter) or {}).get("callers", ())) < _KEPT_CALLERS:
        values["callers"] = {caller}
        expression = _ONE_MORE.replace("events :one", "events :one, callers :callers")
    counted_once: Row = {"expires_at": int(clock.now()) + _KEPT_SECONDS}
    try:
        table.transact(
            [
                table.put_item(_mark(execution), counted_once, "attribute_not_exists(PK)"),
                table.update_item(_counter(reporter), expression, **values),
            ]
        )
    except TransactionFailedError as error:
        if error.reasons[0] != "ConditionalCheckFailed":
            raise


def counting(reporter: str, case_id: str) -> TransactWriteItemTypeDef:
    """Return the counting of one more event as an item of a transaction. `case_id` may be empty."""
    return table.update_item(_counter(reporter), f"{_ONE_MORE}, case_id = :case_id", case_id=case_id, **_one_more())


def adding(reporter: str, events: int, callers: Set[str], known: Set[str]) -> TransactWriteItemTypeDef:
    """Return the counting of several events as an item of a transaction.

    Args:
        reporter: The execution that sends the summary.
        events: The number of events.
        callers: Their callers.
        known: The callers that the row has. The row keeps a limited number of callers.
    """
    values = {**_one_more(), "one": events}
    some = some_more(callers, known)
    if not some:
        return table.update_item(_counter(reporter), _ONE_MORE, **values)
    expression = _ONE_MORE.replace("events :one", "events :one, callers :callers")
    return table.update_item(_counter(reporter), expression, callers=some, **values)


def some_more(callers: Set[str], known: Set[str]) -> set[str]:
    """Return the callers that a row with the `known` ones can take in addition."""
    return set(sorted(callers - known)[: max(0, _KEPT_CALLERS - len(known))])


def counted(reporter: str) -> Row | None:
    """Return the reporter's counter, or None: `events` without the first one, and `case_id` if it was given."""
    return table.get(_counter(reporter))


_ONE_MORE = "ADD events :one SET expires_at = :expires_at"


def _one_more() -> dict[str, Any]:
    return {"one": 1, "expires_at": int(clock.now()) + _KEPT_SECONDS}


def _key(group: str) -> keys.Key:
    return keys.deduplication(f"ALERT#{group}")


def _counter(reporter: str) -> keys.Key:
    return keys.deduplication(f"COUNT#{name_of(reporter)}")


def _mark(execution: str) -> keys.Key:
    return keys.deduplication(f"COUNTED#{name_of(execution)}")
