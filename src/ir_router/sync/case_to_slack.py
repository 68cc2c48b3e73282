"""Flow 1: a hint that a case may have changed; the whole case is read and the channel made to match.

The steps run in order: channel, notice, topic, members, field changes, comments, attachments. Each can be repeated; one
that fails does not stop those that do not need it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ir_router import clock
from ir_router.cases import changes
from ir_router.cases.imports import is_ours
from ir_router.deadline import Deadline, LambdaContext, enforced, of_invocation
from ir_router.errors import (
    InvalidInputError,
    IrRouterError,
    LeaseLostError,
    OutOfTimeError,
    RefusedError,
    RetryLaterError,
)
from ir_router.ledger import keys, leases, table
from ir_router.ledger.claims import ClaimLostError
from ir_router.ledger.leases import Lease
from ir_router.ledger.table import Row
from ir_router.observability import correlate, logger
from ir_router.settings import settings
from ir_router.slack import messages
from ir_router.sync import (
    approvals,
    attachments,
    back_off,
    catch_up,
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
from ir_router.sync.run import SLICE_SECONDS, ClaimHeldError, Run, begin

_RESERVE_SECONDS = 12
# botocore's model of `security-ir`: a case's id; the length is ours.
_CASE_ID = re.compile(r"\d{10,32}.{0,96}")
# GetCase's answers when there is no such case in this account.
_NO_SUCH_CASE = frozenset({"ResourceNotFoundException", "ValidationException"})


def handle(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """An EventBridge event of source `security-ir` or `aws.security-ir`."""
    detail = event.get("detail")
    detail = detail if isinstance(detail, Mapping) else {}
    return synchronise(case_id_of(event), context, detail.get("rowDigest"))


def case_id_of(event: Mapping[str, Any]) -> str:
    """The case that an event is about: from its detail, else from the ARN in `resources`.

    Raises InvalidInputError when there is none, or one that no case can have.
    """
    detail = event.get("detail")
    case_id = detail.get("caseId") if isinstance(detail, Mapping) else None
    if not case_id:
        arns = event.get("resources") or [""]
        case_id = str(arns[0]).rpartition("case/")[2]
    if not isinstance(case_id, str) or not _CASE_ID.fullmatch(case_id):
        raise InvalidInputError("The event names no case: neither detail.caseId nor a case ARN in resources.")
    return case_id


def synchronise(case_id: str, context: LambdaContext, row_digest: str | None = None) -> dict[str, Any]:
    """Reconcile a case with its channel.

    Returns `{"case_id", "outcome"}`: `synced`, `held` (another run works on it), `deferred` (back-off), `continues`,
    `waiting` (a claim or a rate limit), `failed`, `lost`, `unknown case`, `not imported`.
    Raises what is a fault of ours, after the case has its back-off, and RunEndedError.
    """
    correlate(case_id)
    row = leases.add_hint(case_id)
    if float(row.get("next_try") or 0) > clock.now():
        # The hint is kept: the poller publishes the case again when its time has come.
        return _outcome(case_id, "deferred")
    deadline = of_invocation(context, reserve=_RESERVE_SECONDS, at_most=SLICE_SECONDS)
    lease = leases.take(case_id, until=deadline.settle_after)
    if lease is None:
        return _outcome(case_id, "held")
    try:
        with enforced(deadline):
            return _outcome(case_id, _run(lease, deadline, row_digest))
    except LeaseLostError:
        return _outcome(case_id, "lost")


def _run(lease: Lease, deadline: Deadline, row_digest: str | None) -> str:
    """Work, and end the lease whatever comes of it. Raises LeaseLostError."""
    try:
        return _work(lease, deadline, row_digest)
    except OutOfTimeError:
        leases.release_unfinished(lease, next_try=clock.now())
        hints.publish([hints.Hint(lease.case_id, "CaseUpdated")])
        return "continues"
    except RetryLaterError as error:
        leases.release_unfinished(lease, next_try=clock.now() + error.seconds)
        return "waiting"
    except ClaimHeldError as error:
        leases.release_unfinished(lease, next_try=error.until)
        return "waiting"
    except ClaimLostError:
        # Another function makes one of the effects: the next poll finds it made.
        leases.release_unfinished(lease, next_try=clock.now())
        return "waiting"
    except LeaseLostError:
        raise
    except (IrRouterError, ClientError, BotoCoreError) as error:
        back_off.record(lease, error, deadline)
        return "failed"
    except Exception as error:
        back_off.record(lease, error, deadline)
        raise


def _work(lease: Lease, deadline: Deadline, row_digest: str | None) -> str:
    while True:
        deadline.check()
        try:
            run = begin(lease, deadline)
        except RefusedError as error:
            if error.code in _NO_SUCH_CASE and "slackChannelId" not in lease.row:
                table.delete(keys.case(lease.case_id), "fence = :fence", fence=lease.fence)
                return "unknown case"
            raise
        poller = table.get(keys.poller()) if not run.channel_id else None
        imported = bool(run.channel_id) or _is_ours(run, poller)
        if imported:
            _reconcile(run)
        elif poller is None:
            # Whether it is newer than the deployment is known from the first poll on, which takes the hint up.
            leases.release_unfinished(lease, next_try=clock.now())
            return "waiting"
        released = leases.release_synced(
            lease,
            row_digest=row_digest or changes.row_digest(changes.row_of(run.case)),
            fingerprint=changes.fingerprint(run.case, run.comments, members.response_team()) if imported else None,
            severity=run.severity,
            closed=run.case.is_closed or None,
            due_at=min(run.revisit_at, default=None) if imported else None,
            failing_since=None,
            channel_away_since=None,
        )
        if released:
            return "synced" if imported else "not imported"
        # Another hint came while we worked: what it is about may not be in what we read.
        row_digest = None
        leases.look_again(lease)


def _is_ours(run: Run, poller: Row | None) -> bool:
    created = run.case.created_date.timestamp() if run.case.created_date else clock.now()
    first_poll = float(poller["first_poll_at"]) if poller else None
    return is_ours(created, run.case.is_closed, first_poll, settings().initial_import)


def _reconcile(run: Run) -> None:
    try:
        found = channel.ensure(run)
    except ChannelUnavailableError as error:
        if run.case.is_closed:
            # People archive the channel when all is over; nobody is left to show the closing to.
            logger.info("the channel of a closed case cannot be used", extra={"reason": error.reason})
            return
        comments.resume_open_claims(run)  # the case still takes what was said
        raise
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
        lambda: catch_up.synchronise(run),
    ]
    problems: list[Exception] = []
    for step in steps:
        try:
            step()
        except OutOfTimeError:
            raise
        except (IrRouterError, ClientError, BotoCoreError) as error:
            if isinstance(error, LeaseLostError) and not isinstance(error, ClaimLostError):
                raise
            logger.warning("a step failed", extra=failures.described(error))
            problems.append(error)
    if problems:
        # What only needs time comes last: a failure that stays must not hide behind it.
        raise min(problems, key=lambda error: isinstance(error, ClaimHeldError | ClaimLostError | RetryLaterError))


def _notice(run: Run) -> None:
    key = keys.note(run.case_id, "notice")
    claim = run.claim(key, fields=changes.followed_fields(run.case, run.severity))
    # As the case was when the notice was claimed: what has changed since an earlier run's claim is told after it.
    shown = (claim.row if claim is not None else run.rows[key.sk])["fields"]
    if claim is not None:
        case = changes.with_followed_fields(run.case, shown)
        message = messages.notice(case, shown["slackChannelCaseSeverity"], settings().region)
        posting.post(run.slack, run.channel_id, claim, message)
    fields.remember(run, shown)


def _announce(run: Run, name: str) -> None:
    """Say on the case where people talk about it, unless it is closed: then it takes no comment, and nobody talks."""
    if run.case.is_closed or run.is_done(system_comments.key_of(run.case_id, "channel")):
        return
    text = f"Slack channel #{name} was created for this case. Messages and files there are copied here, and back."
    system_comments.write(run.case_id, "channel", text)


def _outcome(case_id: str, outcome: str) -> dict[str, Any]:
    logger.info("case handled", extra={"outcome": outcome})
    return {"case_id": case_id, "outcome": outcome}
