"""Pace the creation of channels: at most 20 a minute in the workspace, and urgent cases first.

Slack allows about 20 calls a minute (tier 2: https://docs.slack.dev/apis/web-api/rate-limits). A token bucket in the
ledger holds two tokens and gains one each SECONDS_A_CHANNEL, so that no minute has more than 20 calls.

A run first reserves a turn in the queue of its kind, which bounds the number of waiting runs, and then takes a token at
its turn. While an urgent case waits, the others leave it the token. A run reserves only a turn for which it has the
time: a turn that its case cannot use would be lost for all cases.
"""

from __future__ import annotations

import random
from typing import Any

from ir_router import clock
from ir_router.errors import OutOfTimeError, RetryLaterError
from ir_router.ledger import keys, leases, table
from ir_router.ledger.table import ConditionFailedError, Row
from ir_router.sync.case_sync import CaseSync

# 18.5 channels a minute.
SECONDS_A_CHANNEL = 3.25
# A run waits for at most this time, and a poll comes each minute. The queue is therefore never empty in between.
LONGEST_WAIT_SECONDS = 75
_URGENT = frozenset({"CRITICAL", "HIGH"})
_TRIES = 20
# From a turn until the channel is created: two further tokens and the call.
_NEEDED_SECONDS = 8


def is_urgent(severity: str) -> bool:
    """Whether cases of this severity get their channel first."""
    return severity.upper() in _URGENT


def wait(sync: CaseSync) -> None:
    """Wait until the case may create a channel.

    From then on the case counts as one without a channel, also if it had one: its runs may wait longer, and the poller
    starts the cases that wait in their order.

    Raises:
        RetryLaterError: Too many cases wait. The poller starts the case again, urgent cases first.
        OutOfTimeError: The run's time is used up. The next run has the time of a new case.
    """
    urgent = is_urgent(sync.severity)
    try:
        sync.deadline.check()
        turn = _reserve("urgent_at" if urgent else "usual_at", _usable(sync))
        sync.deadline.wait(max(0.0, turn - clock.now()))
        while seconds := _take(urgent=urgent):
            sync.deadline.wait(seconds)
    except (RetryLaterError, OutOfTimeError) as error:
        is_short = "channel_id" in sync.lease.row
        leases.save(sync.lease, severity=sync.severity, channel_id=None)
        if is_short and isinstance(error, RetryLaterError) and error.seconds <= _gained(sync):
            raise OutOfTimeError("the next run has the time to wait for the channel") from error
        raise


def _usable(sync: CaseSync) -> float:
    """Return how long the run can wait for its turn."""
    return min(LONGEST_WAIT_SECONDS, max(0.0, sync.deadline.remaining() - _NEEDED_SECONDS))


def _gained(sync: CaseSync) -> float:
    """Return how much longer the next run can wait."""
    return LONGEST_WAIT_SECONDS - _usable(sync)


def _reserve(queue: str, usable: float = LONGEST_WAIT_SECONDS) -> float:
    """Reserve the next turn of a queue, and return its time.

    Raises RetryLaterError if it does not come within `usable` seconds. Nothing is reserved then.
    """
    row = table.get(keys.channel_pace()) or {}
    for _ in range(_TRIES):
        now = clock.now()
        # The usual cases come after the urgent ones, and no turn comes before its token.
        last = max(float(row.get(name) or 0) for name in (queue, "urgent_at", "next_at"))
        # The second token is for the run that comes late.
        turn = max(last - SECONDS_A_CHANNEL, now)
        if turn - now > usable:
            raise _throttled(turn - now - usable)
        try:
            _set(row, queue, max(last, now) + SECONDS_A_CHANNEL)
        except ConditionFailedError as conflict:
            row = conflict.row
        else:
            return turn
    raise _throttled(random.uniform(1, 5))  # noqa: S311


def _take(*, urgent: bool) -> float:
    """Take a token and return 0, or return the seconds to wait."""
    row = table.get(keys.channel_pace()) or {}
    for _ in range(_TRIES):
        now = clock.now()
        next_at = float(row.get("next_at") or 0)
        allowed = next_at - SECONDS_A_CHANNEL
        if not urgent:
            allowed = max(allowed, float(row.get("urgent_at") or 0) - SECONDS_A_CHANNEL)
        if allowed > now:
            return allowed - now + random.uniform(0.01, 0.1)  # noqa: S311
        try:
            _set(row, "next_at", max(next_at, now) + SECONDS_A_CHANNEL)
        except ConditionFailedError as conflict:
            row = conflict.row
        else:
            return 0.0
    return random.uniform(0.5, 1.5)  # noqa: S311


def _set(row: Row, name: str, value: float) -> None:
    """Set an attribute of the bucket if it is still as in `row`. Raises ConditionFailedError."""
    before: dict[str, Any] = {"before": row[name]} if name in row else {}
    condition = f"{name} = :before" if before else f"attribute_not_exists({name})"
    table.update(keys.channel_pace(), f"SET {name} = :value", condition, value=value, **before)


def _throttled(seconds: float) -> RetryLaterError:
    return RetryLaterError("Slack", "conversations.create", "ratelimited", seconds)
