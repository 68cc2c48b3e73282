"""Report persistent failures once on the case and once in the channel, with the error id that is in the logs."""

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
from ir_router.slack.error_codes import meaning_of
from ir_router.slack.gateway import Slack
from ir_router.sync import posting, system_comments

# A failure within this time after a reported one counts as the same outage.
_OUTAGE_SECONDS = 900


@dataclass(frozen=True)
class Failure:
    """A failure to report.

    Attributes:
        name: Identifies the failure, so that it is reported once (letters, digits, `._:-`).
        what: A sentence that names the missing effect and its cause.
        fix: A sentence with the action for the reader; may be empty.
        retried: Whether ir-router retries it.
        error_id: The id under which the log has the error.
        transient: Whether the failure may end without a fix.
        of_case: Whether the complete case is out of sync, not only one message or file.
    """

    name: str
    what: str
    fix: str
    retried: bool
    error_id: str
    transient: bool
    of_case: bool = False


def log_fields(error: BaseException) -> dict[str, str]:
    """Return the loggable facts of an unexpected error: its type and where it was raised.

    The error's message and a traceback could contain texts, names and addresses of users.
    """
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{PurePath(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "unknown"
    own = [frame for frame in frames if "ir_router" in frame.filename]
    line = f"{PurePath(own[-1].filename).name}:{own[-1].lineno}" if own else where
    return {"error": type(error).__name__, "raised_at": where, "called_at": line}


def cause(error: BaseException) -> str:
    """Return the cause for a report, for example `Slack rejected the request (ratelimited)`."""
    if isinstance(error, RefusedError):
        words = meaning_of(error).words
        rejected = f"{error.service} rejected the request ({': '.join(filter(None, (error.code, error.detail)))})"
        return ": ".join(filter(None, (rejected, words)))
    if isinstance(error, RetryLaterError):
        return f"{error.service} rejected the request ({error.code})"
    return "there was no response in time"


def report(case_id: str, channel_id: str, failure: Failure, deadline: Deadline) -> None:
    """Report a failure once on the case and once in the channel.

    If a report fails, it is repeated with the next failure. An outage first fails a message or file and then its case;
    only the first of the two is reported.

    Args:
        case_id: The case.
        channel_id: The case's channel, or an empty string without one.
        failure: The failure.
        deadline: The end of this invocation.
    """
    logger.error("sync.failed", extra={"case_id": case_id, "failure": failure.name, "error_id": failure.error_id})
    if failure.transient and not _is_reported_for_outage(case_id, of_case=failure.of_case):
        return
    retry = "ir-router retries this automatically." if failure.retried else "ir-router does not retry this."
    sentence = f"{failure.what} {retry} {failure.fix} Error ID: {failure.error_id}"
    try:
        system_comments.write(case_id, f"failure-{failure.name}", sentence)
    except IrRouterError as error:
        logger.warning("sync.report_on_case_failed", extra={"reason": type(error).__name__})
    if not channel_id:
        return
    try:
        _post(case_id, channel_id, failure, deadline)
    except IrRouterError as error:
        logger.warning("sync.report_in_channel_failed", extra={"reason": type(error).__name__})


def _is_reported_for_outage(case_id: str, *, of_case: bool) -> bool:
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
        message = messages.failure(failure.what, failure.retried, failure.fix, failure.error_id)
        posting.post(Slack(deadline), channel_id, taken, message)


def first_error_id(case_id: str, name: str, error_id: str) -> str:
    """Return the id of this failure's first occurrence, so that the case, the channel and the log show the same one.

    The first occurrence is also counted in the metric FailuresTold, so that one failure raises one alarm.
    """
    key = keys.note(case_id, f"failing-{name}")
    row = table.update(key, "SET error_id = if_not_exists(error_id, :error_id)", error_id=error_id)
    if row["error_id"] == error_id:
        measure("FailuresTold")
    return str(row["error_id"])
