"""Groups of alerts: an opener that ended without its summary holds no group, and the next event takes its place.

A group is open while its opener runs: the opener has sent the group's alert, or will, and sends the count after an
hour. Only Step Functions knows whether an execution runs. One that was refused does not exist, one that fails for the
size of its event runs no further state, and another may be stopped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from ir_router import aws, clock
from ir_router.errors import UncertainError
from ir_router.ledger import groups, table
from ir_router.ledger.table import Row, TransactionFailedError

_TRIES = 6
# Step Functions limits DescribeExecution to about 15 calls a second, and a batch of the intake can have 100 groups:
# https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html. The events that are counted for an opener
# that ended meanwhile stay in its counter, which the next opener continues.
_KEPT_SECONDS = 30
_MOST_KEPT = 1_000
# The intake opens a group before it starts the opener, and DescribeExecution is eventually consistent:
# https://docs.aws.amazon.com/step-functions/latest/apireference/API_DescribeExecution.html
_STARTING_SECONDS = 60
_states: dict[str, tuple[str, float]] = {}
"""Executions that were running or had succeeded, with the time (seconds since the epoch) until which this counts."""
_refused: dict[str, float] = {}
"""Openers whose start failed in this process, with the time until which this counts."""


@dataclass(frozen=True)
class Group:
    """The state of a group.

    Attributes:
        row: Its newest row.
        is_open: Whether its opener alerts about it and sends the count.
        unreported: Whether the row's opener ended without the count, so that the next opener continues its counter.
    """

    row: Row | None
    is_open: bool = False
    unreported: bool = False


def find(group: str) -> Group:
    """Return the state of the group. Raises ClientError if it cannot be read: an unknown opener silences nothing."""
    row = groups.last(group)
    if row is None or (groups.counted(groups.counter_of(row)) or {}).get("reported"):
        return Group(row)
    state = _state(row["execution"])
    if state == "SUCCEEDED":  # it sends the count first. Versions before 0.2.0 did not mark the counter
        return Group(row)
    if state != "RUNNING" and not (state is None and _starts(row)):
        return Group(row, unreported=True)
    return Group(row, is_open=row["until"] > clock.now())


def enter(group: str, execution: str) -> Row:
    """Return the row of the open group. Open the group for the execution if there is none."""
    for _ in range(_TRIES):
        row = groups.last(group)
        if row is not None and row["execution"] == execution:
            if row["until"] > clock.now():
                return row
            found = Group(row, unreported=True)
        else:
            found = find(group)
        if found.row is not None and found.is_open:
            return found.row
        try:
            table.transact(groups.opening(group, execution, found.row, takes_over=found.unreported))
        except TransactionFailedError:
            continue
    raise UncertainError("DynamoDB", "entering a group", "other executions changed it")


def has_alerted(counter: str) -> bool:
    """Return whether an execution has sent the first alert of a group that needs several events, or is about to."""
    row = groups.find(_alerted(counter))
    return row is not None and _alerts(row)


def alerts(counter: str, execution: str) -> bool:
    """Return whether this execution sends the first alert of a group that needs several events."""
    row = groups.enter(_alerted(counter), execution)
    if row["execution"] != execution and not _alerts(row):
        row = groups.enter(_alerted(counter), execution, instead_of=row["execution"])
    return bool(row["execution"] == execution)


def note_start(opener: str, *, refused: bool) -> None:
    """Remember the result of the start of an opener, which Step Functions may show later."""
    if refused:
        _keep(_refused, opener, clock.now() + _STARTING_SECONDS)
        return
    _refused.pop(opener, None)
    _keep(_states, opener, ("RUNNING", clock.now() + _KEPT_SECONDS))


def forget() -> None:
    """Drop the kept states of openers. Each simulated process begins without them."""
    _states.clear()
    _refused.clear()


def _starts(row: Row) -> bool:
    """Return whether the opener of the group may be about to start."""
    opened_at = float(row["until"]) - groups.SECONDS
    return clock.now() < opened_at + _STARTING_SECONDS and _refused.get(row["execution"], 0.0) < clock.now()


def _state(execution: str) -> str | None:
    state, until = _states.get(execution, ("", 0.0))
    if until > clock.now():
        return state
    found = status(execution)
    if found in ("RUNNING", "SUCCEEDED"):
        _keep(_states, execution, (found, clock.now() + _KEPT_SECONDS))
    return found


def _keep(kept: dict[str, Any], name: str, value: object) -> None:
    if len(kept) >= _MOST_KEPT:
        kept.clear()
    kept[name] = value


def status(execution: str) -> str | None:
    """Return the status of an execution, or None for one that does not exist.

    The status needs no permission on the encryption key:
    https://docs.aws.amazon.com/step-functions/latest/apireference/API_DescribeExecution.html
    """
    client = aws.client("stepfunctions")
    try:
        return client.describe_execution(executionArn=execution, includedData="METADATA_ONLY")["status"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ExecutionDoesNotExist":
            return None
        raise


def _alerts(row: Row) -> bool:
    return _state(str(row["execution"])) in ("RUNNING", "SUCCEEDED")


def _alerted(counter: str) -> str:
    return groups.name_of("alerted", counter)
