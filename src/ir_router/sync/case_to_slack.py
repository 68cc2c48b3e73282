"""Flow 1: a hint that a case may have changed; the whole case is read and the channel made to match.

The steps run in order: channel, notice, topic, members, field changes, comments, attachments. Each can be repeated; one
that fails does not stop those that do not need it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from ir_router import clock
from ir_router.cases import changes
from ir_router.cases.imports import is_ours
from ir_router.deadline import Deadline, LambdaContext, enforced, of_invocation
from ir_router.errors import (
    InvalidInputError,
    IrRouterError,
    LeaseLostError,
    NotConfiguredError,
    OutOfTimeError,
    RefusedError,
    RetryLaterError,
    error_id,
)
from ir_router.ledger import keys, leases, table
from ir_router.ledger.leases import Lease
from ir_router.observability import correlate, logger, measure
from ir_router.settings import settings
from ir_router.slack import messages
from ir_router.sync import (
    approvals,
    attachments,
    channel,
    comments,
    failures,
    fields,
    hints,
    members,
    posting,
    system_comments,
)
from ir_router.sync.channel import ChannelUnavailableError
from ir_router.sync.run import ClaimHeldError, Run, begin

# A slice: a crash delays a case by at most this and the settling time. A call begun in time ends before it.
SLICE_SECONDS = 60
_RESERVE_SECONDS = 12
_LONGEST_BACK_OFF = 3600.0
_FIRST_BACK_OFF = 30.0
# An outage shorter than this many tries is nobody's business.
_TOLD_AFTER_FAILURES = 3


def handle(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """An EventBridge event of source `security-ir` or `aws.security-ir`."""
    detail = event.get("detail")
    detail = detail if isinstance(detail, Mapping) else {}
    return synchronise(case_id_of(event), context, detail.get("rowDigest"))


def case_id_of(event: Mapping[str, Any]) -> str:
    """The case that an event is about: from its detail, else from the ARN in `resources`."""
    detail = event.get("detail")
    case_id = detail.get("caseId") if isinstance(detail, Mapping) else None
    if not case_id:
        arns = event.get("resources") or [""]
        case_id = str(arns[0]).rpartition("case/")[2]
    if not isinstance(case_id, str) or not case_id:
        raise InvalidInputError("The event names no case: neither detail.caseId nor a case ARN in resources.")
    return case_id


def synchronise(case_id: str, context: LambdaContext, row_digest: str | None = None) -> dict[str, Any]:
    """Reconcile a case with its channel.

    Returns `{"case_id", "outcome"}`: `synced`, `held` (another run works on it), `deferred` (back-off), `continues`,
    `waiting` (a claim or a rate limit), `failed`, `lost`, `unknown case`, `not imported`.
    """
    correlate(case_id)
    row = leases.add_hint(case_id)
    if float(row.get("next_try") or 0) > clock.now():
        return _outcome(case_id, "deferred")
    deadline = of_invocation(context, reserve=_RESERVE_SECONDS, at_most=SLICE_SECONDS)
    lease = leases.take(case_id, until=deadline.settle_after)
    if lease is None:
        return _outcome(case_id, "held")
    with enforced(deadline):
        try:
            return _outcome(case_id, _work(lease, deadline, row_digest))
        except LeaseLostError:
            return _outcome(case_id, "lost")
        except OutOfTimeError:
            leases.release_unfinished(lease, next_try=clock.now())
            hints.publish([hints.Hint(case_id, "CaseUpdated")])
            return _outcome(case_id, "continues")
        except RetryLaterError as error:
            leases.release_unfinished(lease, next_try=clock.now() + error.seconds)
            return _outcome(case_id, "waiting")
        except ClaimHeldError as error:
            leases.release_unfinished(lease, next_try=error.until)
            return _outcome(case_id, "waiting")
        except IrRouterError as error:
            _record_failure(lease, error, deadline)
            return _outcome(case_id, "failed")
        except Exception as error:
            # A fault of ours: the case gets its back-off, and the invocation counts as failed.
            _record_failure(lease, error, deadline)
            raise


def _work(lease: Lease, deadline: Deadline, row_digest: str | None) -> str:
    while True:
        try:
            run = begin(lease, deadline)
        except RefusedError as error:
            if error.code == "ResourceNotFoundException" and "slackChannelId" not in lease.row:
                table.delete(keys.case(lease.case_id), "fence = :fence", fence=lease.fence)
                return "unknown case"
            raise
        imported = bool(run.channel_id) or _is_ours(run)
        if imported:
            _reconcile(run)
        released = leases.release_synced(
            lease,
            row_digest=row_digest or changes.row_digest(changes.row_of(run.case)),
            fingerprint=changes.fingerprint(run.case, run.comments),
            severity=run.severity,
            closed=run.case.is_closed or None,
            due_at=min(run.revisit_at, default=None) if imported else None,
            failing_since=None,
        )
        if released:
            return "synced" if imported else "not imported"
        # Another hint came while we worked: what it is about may not be in what we read.
        row_digest = None
        leases.look_again(lease)


def _is_ours(run: Run) -> bool:
    poller = table.get(keys.poller())
    created = run.case.created_date.timestamp() if run.case.created_date else clock.now()
    first_poll = float(poller["first_poll_at"]) if poller else None
    return is_ours(created, run.case.is_closed, first_poll, settings().initial_import)


def _reconcile(run: Run) -> None:
    found = channel.ensure(run)
    _notice(run)
    steps: list[Callable[[], None]] = [
        lambda: _announce(run, str(found.get("name", ""))),
        lambda: fields.set_topic(run, found),
        lambda: members.synchronise(run),
        lambda: fields.tell_changes(run),
        lambda: comments.resume_open_claims(run),
        lambda: comments.synchronise(run),
        lambda: attachments.synchronise(run),
        lambda: attachments.resume_slack_files(run),
        lambda: approvals.synchronise(run),
    ]
    problems: list[Exception] = []
    for step in steps:
        try:
            step()
        except (LeaseLostError, OutOfTimeError):
            raise
        except IrRouterError as error:
            logger.warning("a step failed", extra={"reason": str(error)})
            problems.append(error)
    if problems:
        # What only needs time comes last: a failure that stays must not hide behind it.
        raise min(problems, key=lambda error: isinstance(error, ClaimHeldError | RetryLaterError))


def _notice(run: Run) -> None:
    claim = run.claim(keys.note(run.case_id, "notice"))
    if claim is not None:
        message = messages.notice(run.case, run.severity, settings().region)
        posting.post(run.slack, run.channel_id, claim, message)
    fields.remember(run)


def _announce(run: Run, name: str) -> None:
    """Say on the case where people talk about it."""
    if run.is_done(system_comments.key_of(run.case_id, "channel")):
        return
    text = f"Slack channel #{name} was created for this case. Messages and files there are copied here, and back."
    system_comments.write(run.case_id, "channel", text)


def _record_failure(lease: Lease, error: Exception, deadline: Deadline) -> None:
    """Give the case its own back-off, and tell people once when the failure stays."""
    count = int(lease.row.get("failures") or 0) + 1
    since = float(lease.row.get("failing_since") or clock.now())
    pause = min(_LONGEST_BACK_OFF, _FIRST_BACK_OFF * 2 ** (count - 1)) * random.uniform(0.8, 1.2)  # noqa: S311
    logger.error("a case could not be synchronised", extra={"reason": type(error).__name__, "failures": count})
    measure("CaseSyncFailed")
    if count >= _TOLD_AFTER_FAILURES or _is_permanent(error):
        name = f"sync-{int(since)}"
        failure = failures.Failure(
            name=name,
            what=f"This case and its Slack channel are not in step: {_reason(error)}.",
            mend=_mend(error),
            retried=True,
            error_id=failures.first_error_id(lease.case_id, name, error_id("sync-error")),
        )
        failures.tell(lease.case_id, str(lease.row.get("slackChannelId") or ""), failure, deadline)
    leases.release_unfinished(lease, next_try=clock.now() + pause, failures=count, failing_since=since)


def _is_permanent(error: Exception) -> bool:
    return isinstance(error, RefusedError | NotConfiguredError | ChannelUnavailableError)


def _reason(error: Exception) -> str:
    if isinstance(error, RefusedError):
        return f"{error.service} answers {error.code} to {error.operation}"
    if isinstance(error, IrRouterError):
        return str(error)
    return "an unexpected error of the integration"


def _mend(error: Exception) -> str:
    if isinstance(error, ChannelUnavailableError):
        how = "unarchive the channel" if error.reason == "archived" else "invite the app to the channel again"
        return f"To mend it, {how}; what was missed is then brought over."
    if isinstance(error, NotConfiguredError):
        return "To mend it, finish the set-up as the message says."
    return "Ask whoever operates the integration, with the error id; nothing is lost."


def _outcome(case_id: str, outcome: str) -> dict[str, Any]:
    logger.info("case handled", extra={"outcome": outcome})
    return {"case_id": case_id, "outcome": outcome}
