"""Groups of repeated events: the first event is handled, and one summary reports the others of the following hour.

The attributes that its events share name the group. The group's row names the execution that opened it. A second row
counts events for the reporter: the execution that waits for an hour and then sends the summary.

An execution can take over a group of alerts whose opener ended before its summary. It also takes over the counter, so
that the summary includes the events that were counted for the opener. `reported` marks a counter whose number was read
for a summary. No event is added to it afterwards.
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


def last(group: str) -> Row | None:
    """Return the newest row of the group, whether the group is open or not."""
    return table.get(_key(group))


def counter_of(row: Row) -> str:
    """Return the execution that names the counter of the group: the opener, or the first of those it replaces."""
    return str(row.get("counted_in", row["execution"]))


def opening(group: str, execution: str, previous: Row | None, *, takes_over: bool) -> list[TransactWriteItemTypeDef]:
    """Return the opening of the group for an execution as items of a transaction.

    The transaction fails if the group has a newer row than `previous`, or if the counter to take over was reported.

    Args:
        group: Name of the group.
        execution: The execution that opens the group.
        previous: The group's row, as `last` returned it.
        takes_over: Whether the execution continues the counter of `previous`.
    """
    now = clock.now()
    kept = int(now) + _KEPT_SECONDS
    row: Row = {"execution": execution, "until": now + SECONDS, "expires_at": kept}
    if previous is None:
        return [table.put_item(_key(group), row, "attribute_not_exists(PK)")]
    items: list[TransactWriteItemTypeDef] = []
    if takes_over:
        counter = counter_of(previous)
        row["counted_in"] = counter
        taken = "SET reported_by = :execution, expires_at = :kept"
        items.append(table.update_item(_counter(counter), taken, _NOT_REPORTED, execution=execution, kept=kept))
        if counter != execution:
            pointer = "SET counted_in = :counter, expires_at = :kept"
            items.append(table.update_item(_counter(execution), pointer, counter=counter, kept=kept))
    condition = "execution = :opener AND #until = :until"
    values = {"opener": previous["execution"], "until": previous["until"]}
    return [*items, table.put_item(_key(group), row, condition, **values)]


def annotate(group: str, opener: str, expression: str, **values: Any) -> Row:
    """Update the group's row if `opener` opened the group. Raises ConditionFailedError otherwise."""
    return table.update(_key(group), expression, "execution = :opener", opener=opener, **values)


def count(reporter: str, execution: str, caller: str | None = None) -> None:
    """Count the event of `execution` for `reporter`, once however often this is called.

    Args:
        reporter: The execution that names the counter.
        execution: The execution of the event.
        caller: The event's caller, for the summary. The row keeps a limited number of callers.

    Raises:
        TransactionFailedError: The number was reported, and the event is not counted.
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
                table.update_item(_counter(reporter), expression, _NOT_REPORTED, **values),
            ]
        )
    except TransactionFailedError as error:
        if error.reasons[0] != "ConditionalCheckFailed":
            raise


def counting(reporter: str, case_id: str) -> TransactWriteItemTypeDef:
    """Return the counting of one more event as an item of a transaction. `case_id` may be empty."""
    return table.update_item(_counter(reporter), f"{_ONE_MORE}, case_id = :case_id", case_id=case_id, **_one_more())


def adding(reporter: str, events: int, callers: Set[str], known: Set[str]) -> TransactWriteItemTypeDef:
    """Return the counting of several events as an item of a transaction, which fails after the number was reported.

    Args:
        reporter: The execution that names the counter.
        events: The number of events.
        callers: Their callers.
        known: The callers that the row has. The row keeps a limited number of callers.
    """
    values = {**_one_more(), "one": events}
    some = some_more(callers, known)
    if not some:
        return table.update_item(_counter(reporter), _ONE_MORE, _NOT_REPORTED, **values)
    expression = _ONE_MORE.replace("events :one", "events :one, callers :callers")
    return table.update_item(_counter(reporter), expression, _NOT_REPORTED, callers=some, **values)


def some_more(callers: Set[str], known: Set[str]) -> set[str]:
    """Return the callers that a row with the `known` ones can take in addition."""
    return set(sorted(callers - known)[: max(0, _KEPT_CALLERS - len(known))])


def counted(reporter: str) -> Row | None:
    """Return the counter with this name, or None: `events` without the opener's one, and `case_id` if it was given."""
    return table.get(_counter(reporter))


def reported(reporter: str) -> Row:
    """Return the counter of a reporter for its summary, to which no event is added from now on.

    `events` excludes the event of the execution that names the counter. `taken_over` is whether this is another one.
    The row is empty if another execution reports the counter. A repeated call returns the same number.
    """
    counter = str((counted(reporter) or {}).get("counted_in", reporter))
    expression = "SET reported = :reported, reported_by = :reporter, expires_at = :kept"
    condition = "attribute_not_exists(reported_by) OR reported_by = :reporter"
    kept = int(clock.now()) + _KEPT_SECONDS
    try:
        row = table.update(_counter(counter), expression, condition, reported=True, reporter=reporter, kept=kept)
    except ConditionFailedError:
        return {}
    return {"events": 0, "taken_over": counter != reporter, **row}


_NOT_REPORTED = "attribute_not_exists(reported)"
_ONE_MORE = "ADD events :one SET expires_at = :expires_at"


def _one_more() -> dict[str, Any]:
    return {"one": 1, "expires_at": int(clock.now()) + _KEPT_SECONDS}


def _key(group: str) -> keys.Key:
    return keys.deduplication(f"ALERT#{group}")


def _counter(reporter: str) -> keys.Key:
    return keys.deduplication(f"COUNT#{name_of(reporter)}")


def _mark(execution: str) -> keys.Key:
    return keys.deduplication(f"COUNTED#{name_of(execution)}")
