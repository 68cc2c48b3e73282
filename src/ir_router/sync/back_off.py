"""A case that cannot be synchronised: its own back-off, and what people are told of it, once.

It stops no other case. What may be over in a moment (no answer, a server error) is tried at every poll; what needs
somebody to mend something is tried ever more rarely, at least once an hour.
"""

from __future__ import annotations

import random

from botocore.exceptions import BotoCoreError, ClientError

from ir_router import clock
from ir_router.deadline import Deadline
from ir_router.errors import IrRouterError, NotConfiguredError, RefusedError, error_id
from ir_router.ledger import leases
from ir_router.ledger.leases import Lease
from ir_router.observability import logger, measure
from ir_router.sync import comment_claims, failures
from ir_router.sync.channel import ChannelUnavailableError

# Tried at each poll, also when a run that waited for answers ended half a minute after its own.
_TRANSIENT_BACK_OFF = 15.0
_FIRST_BACK_OFF = 30.0
_LONGEST_BACK_OFF = 3600.0
# An outage shorter than this many tries is nobody's business.
_TOLD_AFTER_FAILURES = 3


def record(lease: Lease, error: Exception, deadline: Deadline) -> None:
    """End the lease with the time of the next try, and tell people once when the failure stays.

    Raises LeaseLostError when the lease is another's.
    """
    count = int(lease.row.get("failures") or 0) + 1
    since = float(lease.row.get("failing_since") or clock.now())
    details: dict[str, object] = {**failures.described(error), "failures": count}
    if isinstance(error, IrRouterError):
        details["reason"] = str(error)
    logger.error("a case could not be synchronised", extra=details)
    measure("CaseSyncFailed")
    if isinstance(error, NotConfiguredError):
        # Nobody on the case can do anything about it; the poller waits until it is configured.
        leases.release_unfinished(lease, next_try=clock.now() + _TRANSIENT_BACK_OFF)
        return
    if count >= _TOLD_AFTER_FAILURES or _needs_somebody(error):
        _tell(lease, error, since, deadline)
    away: dict[str, object] = {"channel_away_since": since} if isinstance(error, ChannelUnavailableError) else {}
    next_try = clock.now() + _pause(error, count)
    leases.release_unfinished(lease, next_try=next_try, failures=count, failing_since=since, **away)


def _pause(error: Exception, count: int) -> float:
    jitter = random.uniform(0.8, 1.2)  # noqa: S311
    if _may_be_over_soon(error):
        return _TRANSIENT_BACK_OFF * jitter
    return min(_LONGEST_BACK_OFF, _FIRST_BACK_OFF * 2.0 ** min(count - 1, 10) * jitter)


def _may_be_over_soon(error: Exception) -> bool:
    if isinstance(error, ClientError | BotoCoreError):
        return True
    return isinstance(error, IrRouterError) and not _needs_somebody(error)


def _needs_somebody(error: Exception) -> bool:
    return comment_claims.is_permanent(error) or isinstance(error, ChannelUnavailableError)


def _tell(lease: Lease, error: Exception, since: float, deadline: Deadline) -> None:
    name = f"sync-{int(since)}"
    failure = failures.Failure(
        name=name,
        what=f"This case and its Slack channel are not in step: {_reason(error)}.",
        mend=_mend(error),
        retried=True,
        error_id=failures.first_error_id(lease.case_id, name, error_id("sync-error")),
        passing=not _needs_somebody(error),
        of_case=True,
    )
    failures.tell(lease.case_id, str(lease.row.get("slackChannelId") or ""), failure, deadline)


def _reason(error: Exception) -> str:
    if isinstance(error, RefusedError):
        return f"{error.service} answers {error.code} to {error.operation}"
    if isinstance(error, IrRouterError):
        return str(error)
    if isinstance(error, ClientError | BotoCoreError):
        return "AWS gives no answer to the integration"
    return "an unexpected error of the integration"


def _mend(error: Exception) -> str:
    if isinstance(error, ChannelUnavailableError):
        how = "unarchive the channel" if error.reason == "archived" else "invite the app to the channel again"
        return f"To mend it, {how}; what was missed is then brought over."
    return "Ask whoever operates the integration, with the error id; nothing is lost."
