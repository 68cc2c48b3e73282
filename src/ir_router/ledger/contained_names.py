"""The ARN that identifies a principal in the ledger: one for each unique id of IAM.

A user can be renamed, and another principal can take the name. The first containment of an id stores the ARN of that
moment, and all later events about the id use the same rows, lock and limit. If the rows of that ARN belong to another
principal, the id follows it after `#`, which no name in IAM contains. Rows of earlier versions have the ARN alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from ir_router.ledger import containments, keys, table
from ir_router.ledger.containments import Lock
from ir_router.ledger.table import ConditionFailedError, Row


@contextmanager
def locked(
    arn: str, unique_id: str | None, until: float, take_over: Callable[[str], Lock | None] = lambda _: None
) -> Iterator[Lock]:
    """Hold the lock of a principal, as `containments.locked` does. `lock.principal` is its ARN in the ledger.

    Args:
        arn: The current ARN of the principal.
        unique_id: Its unique id in IAM, if it is known.
        until: Hard end of the invocation plus the settling time, in seconds since the epoch.
        take_over: Returns the lock of an ARN in the ledger if this run holds it already.

    Raises:
        ContainmentBusyError: Another run holds the lock.
    """
    stored = _stored(unique_id, arn) if unique_id else arn
    held = take_over(stored)
    with containments.locked(stored, until) if held is None else containments.holding(held) as lock:
        if not _is_of_another(lock.row, unique_id):
            yield lock
            return
    separate = f"{arn}#{unique_id}"
    table.put(keys.contained_name(str(unique_id)), {"arn": separate})
    with containments.locked(separate, until) as lock:
        yield lock


def row_of(arn: str, unique_id: str | None) -> Row | None:
    """Return the containment's row of the principal that has this ARN and this unique id now, or None."""
    row = containments.get(arn) if arn else None
    if unique_id is None or (row and "incident" in row and not _is_of_another(row, unique_id)):
        return row
    named = table.get(keys.contained_name(unique_id))
    if named is None:
        return None if row is None or _is_of_another(row, unique_id) else row
    return containments.get(str(named["arn"]))


def row_of_caller(arn: str, unique_id: str | None) -> Row | None:
    """Return the row of the caller of an event, or None. An unknown id counts as that of the ARN's owner."""
    named = table.get(keys.contained_name(unique_id)) if unique_id else None
    known = str(named["arn"]) if named else arn
    return containments.get(known) if known else None


def arn_of(row: Row) -> str:
    """Return the ARN in the key of a containment's row."""
    return str(row["PK"]).partition("#")[2]


def rename(row: Row, name: str) -> None:
    """Store the principal's new name in its row. Has no effect if its incident has ended."""
    with suppress(ConditionFailedError):
        table.update(
            keys.containment(arn_of(row)),
            "SET principal = :principal",
            "incident = :incident",
            principal={**row["principal"], "name": name},
            incident=row["incident"],
        )


def _stored(unique_id: str, arn: str) -> str:
    return str(table.update(keys.contained_name(unique_id), "SET arn = if_not_exists(arn, :arn)", arn=arn)["arn"])


def _is_of_another(row: Row, unique_id: str | None) -> bool:
    """Whether the row has an incident of a principal with another unique id."""
    known = (row.get("principal") or {}).get("id")
    return "incident" in row and None not in (known, unique_id) and known != unique_id
