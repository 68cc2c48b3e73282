"""Failures that stay: told once on the case and once in the channel, with the id that is in the logs."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from pathlib import PurePath

from ir_router import clock
from ir_router.deadline import Deadline
from ir_router.errors import IrRouterError, RefusedError, RetryLaterError
from ir_router.ledger import claims, keys, table
from ir_router.ledger.table import ConditionFailedError
from ir_router.observability import logger, measure
from ir_router.slack import messages
from ir_router.slack.gateway import Slack
from ir_router.sync import posting, system_comments

# What fails within this time of the last try that was told of is taken to be the same outage.
_OUTAGE_SECONDS = 900


@dataclass(frozen=True)
class Failure:
    """`name` makes it this one failure (letters, digits, `._:-`); `what`, `mend` are sentences for people.

    `passing`: it may be over by itself. `of_case`: the case as a whole is not in step, not one message or file.
    """

    name: str
    what: str
    mend: str
    retried: bool
    error_id: str
    passing: bool
    of_case: bool = False


def described(error: BaseException) -> dict[str, str]:
    """What a log line may hold of an error that nobody expected: its type and where it was raised.

    Its message and a traceback may hold texts, names and addresses.
    """
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{PurePath(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "unknown"
    ours = [frame for frame in frames if "ir_router" in frame.filename]
    line = f"{PurePath(ours[-1].filename).name}:{ours[-1].lineno}" if ours else where
    return {"error": type(error).__name__, "raised_at": where, "called_at": line}


def cause(error: BaseException) -> str:
    """Who refuses what, for people: `Slack answers ratelimited`."""
    if isinstance(error, RefusedError | RetryLaterError):
        return f"{error.service} answers {error.code}"
    return "no answer came in time"


def tell(case_id: str, channel_id: str, failure: Failure, deadline: Deadline) -> None:
    """Tell people once. What cannot be told now is told when it fails again; the log never fails.

    An outage fails a message or file and then the case that would carry it over: people hear of the first of the two.
    """
    logger.error("a failure stays", extra={"case_id": case_id, "failure": failure.name, "error_id": failure.error_id})
    if failure.passing and not _stands_for_the_outage(case_id, of_case=failure.of_case):
        return
    again = "It is tried again by itself." if failure.retried else "It is not tried again by itself."
    sentence = f"{failure.what} {again} {failure.mend} Error ID: {failure.error_id}"
    try:
        system_comments.write(case_id, f"failure-{failure.name}", sentence)
    except IrRouterError as error:
        logger.warning("a failure could not be told on the case", extra={"reason": type(error).__name__})
    if not channel_id:
        return
    try:
        _post(case_id, channel_id, failure, deadline)
    except IrRouterError as error:
        logger.warning("a failure could not be told in the channel", extra={"reason": type(error).__name__})


def _stands_for_the_outage(case_id: str, *, of_case: bool) -> bool:
    try:
        table.update(
            keys.note(case_id, "outage"),
            "SET of_case = :of_case, told_at = :now",
            "attribute_not_exists(told_at) OR told_at < :over OR of_case = :of_case",
            of_case=of_case,
            now=clock.now(),
            over=clock.now() - _OUTAGE_SECONDS,
        )
    except ConditionFailedError:
        return False
    return True


def _post(case_id: str, channel_id: str, failure: Failure, deadline: Deadline) -> None:
    taken = claims.take(keys.note(case_id, f"failure-{failure.name}"), settle_after=deadline.settle_after)
    if isinstance(taken, claims.Claim):
        message = messages.failure(failure.what, failure.retried, failure.mend, failure.error_id)
        posting.post(Slack(deadline), channel_id, taken, message)


def first_error_id(case_id: str, name: str, error_id: str) -> str:
    """The id under which this failure was first logged: the case, the channel and the logs must show the same one.

    The first time is measured as well: one failure, one alarm.
    """
    key = keys.note(case_id, f"failing-{name}")
    row = table.update(key, "SET error_id = if_not_exists(error_id, :error_id)", error_id=error_id)
    if row["error_id"] == error_id:
        measure("FailuresTold")
    return str(row["error_id"])
