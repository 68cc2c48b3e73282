"""Back off from a case that cannot be synchronised, and report the failure once.

A failing case does not stop the others. Transient failures (no response, a server error) are retried at every poll.
Failures that an operator must fix are retried with growing pauses of at most one hour.
"""

from __future__ import annotations

import random

from botocore.exceptions import BotoCoreError, ClientError

from ir_router import clock
from ir_router.deadline import Deadline
from ir_router.errors import IrRouterError, NotConfiguredError, error_id
from ir_router.ledger import leases
from ir_router.ledger.leases import Lease
from ir_router.observability import logger, measure
from ir_router.slack.error_codes import meaning_of
from ir_router.sync import channel, comment_claims, failure_alerts, failures
from ir_router.sync.case_sync import LONGEST_SLICE_SECONDS, SLICE_SECONDS
from ir_router.sync.channel import ChannelUnavailableError
from ir_router.sync.comment_reading import ReadingTooSlowError

# Retried at each poll, even if a run that waited for responses ended half a minute after the poll that started it.
_TRANSIENT_BACK_OFF = 15.0
_FIRST_BACK_OFF = 30.0
_LONGEST_BACK_OFF = 3600.0
# After an operator's fix, all cases continue within minutes.
_LONGEST_BACK_OFF_OF_THE_APP = 300.0
# Shorter outages are not reported.
_REPORTED_AFTER_FAILURES = 3


def record(lease: Lease, error: Exception, deadline: Deadline) -> None:
    """End the lease with the time of the next retry, and report a persistent failure once.

    Raises LeaseLostError if another run has taken the lease.
    """
    error = channel.as_unavailable(error, lease.row)
    count = int(lease.row.get("failures") or 0) + 1
    since = float(lease.row.get("failing_since") or clock.now())
    details: dict[str, object] = {**failures.log_fields(error), "failures": count}
    if isinstance(error, IrRouterError):
        details["reason"] = str(error)
    logger.error("case.sync_failed", extra=details)
    measure("CaseSyncFailed")
    if isinstance(error, NotConfiguredError):
        # Users of the case cannot fix a missing configuration; the poller waits for it.
        leases.release_unfinished(lease, next_try=clock.now() + _TRANSIENT_BACK_OFF)
        return
    if count >= _REPORTED_AFTER_FAILURES or (_needs_operator(error) and not (count == 1 and _may_be_explained(error))):
        _report(lease, error, since, deadline)
    more: dict[str, object] = {"channel_away_since": since} if isinstance(error, ChannelUnavailableError) else {}
    if isinstance(error, ReadingTooSlowError):
        more["slice_seconds"] = min(2 * float(lease.row.get("slice_seconds") or SLICE_SECONDS), LONGEST_SLICE_SECONDS)
    next_try = clock.now() + _pause(error, count)
    cause = {"failing_reason": _reason(error), "failing_fix": _fix(error)}  # for the verification
    leases.release_unfinished(lease, next_try=next_try, failures=count, failing_since=since, **more, **cause)


def _pause(error: Exception, count: int) -> float:
    jitter = random.uniform(0.8, 1.2)  # noqa: S311
    if _is_transient(error) and not isinstance(error, ReadingTooSlowError):
        return _TRANSIENT_BACK_OFF * jitter
    longest = _LONGEST_BACK_OFF_OF_THE_APP if meaning_of(error).about == "app" else _LONGEST_BACK_OFF
    return min(longest, _FIRST_BACK_OFF * 2.0 ** min(count - 1, 10) * jitter)


def _is_transient(error: Exception) -> bool:
    if isinstance(error, ClientError | BotoCoreError):
        return True
    return isinstance(error, IrRouterError) and not _needs_operator(error)


def _needs_operator(error: Exception) -> bool:
    return comment_claims.is_permanent(error) or isinstance(error, ChannelUnavailableError)


def _may_be_explained(error: Exception) -> bool:
    """Whether an event of Slack may still arrive that explains the error, such as the deletion of the channel."""
    return isinstance(error, ChannelUnavailableError) and error.reason == "not visible"


def _report(lease: Lease, error: Exception, since: float, deadline: Deadline) -> None:
    name = f"sync-{int(since)}{_subject(error)}"
    failure = failures.Failure(
        name=name,
        what=f"This case and its Slack channel are out of sync: {_reason(error)}.",
        fix=_fix(error),
        retried=True,
        error_id=failures.first_error_id(lease.case_id, name, error_id("sync-error")),
        transient=not _needs_operator(error),
        of_case=True,
    )
    failure_alerts.post(lease.case_id, str(lease.row.get("slackChannelId") or ""), failure, deadline)
    failures.report(lease.case_id, str(lease.row.get("slackChannelId") or ""), failure, deadline)


def _subject(error: Exception) -> str:
    """Return the part of the report's name that differs if the reader must do something else than before."""
    if isinstance(error, ChannelUnavailableError):
        return f"-{error.reason.replace(' ', '-')}"
    return f"-{meaning_of(error).about}" if _needs_operator(error) else ""


def _reason(error: Exception) -> str:
    if isinstance(error, IrRouterError):
        return ": ".join(filter(None, (str(error), meaning_of(error).words)))
    if isinstance(error, ClientError | BotoCoreError):
        return "AWS does not respond to ir-router"
    return "ir-router had an unexpected error"


def _fix(error: Exception) -> str:
    if isinstance(error, ChannelUnavailableError):
        return error.fix
    fix = meaning_of(error).fix or "Contact the operators of ir-router and quote the error ID."
    return f"{fix} No data is lost."
