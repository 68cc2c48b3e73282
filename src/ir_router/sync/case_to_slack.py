"""Flow 1: after a hint that a case may have changed, read the complete case and update its channel.

The steps run in order: channel, notice, topic, members, field changes, comments, attachments. Each step can be
repeated. A failed step does not stop steps that do not depend on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal

from botocore.exceptions import BotoCoreError, ClientError

from ir_router import clock
from ir_router.cases import fingerprints, followed_fields
from ir_router.cases.fingerprints import Reading
from ir_router.cases.ids import is_case_id
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
    activity,
    approvals,
    archiving,
    attachments,
    awaited,
    back_off,
    bookmarks,
    catch_up,
    channel,
    comment_reading,
    comments,
    failures,
    fields,
    findings,
    hints,
    life_cycle,
    members,
    posting,
    report,
    retention,
    system_comments,
    workflow_case,
)
from ir_router.sync.case_sync import NEW_CASE_SLICE_SECONDS, SLICE_SECONDS, CaseSync, ClaimHeldError, begin
from ir_router.sync.channel import ChannelUnavailableError
from ir_router.sync.comment_reading import ReadingTooSlowError

Outcome = Literal[
    "continues", "deferred", "erased", "failed", "held", "lost", "not imported", "synced", "unknown case", "waiting"
]

_RESERVE_SECONDS = 12
# AWS's event for an edited comment does not name the comment.
_COMMENT_EDITED = "Case Comment Updated"
# Error codes of GetCase for a case that does not exist in this account.
_NO_SUCH_CASE = frozenset({"ResourceNotFoundException", "ValidationException"})


def handle(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Synchronise the case of an EventBridge event with the source `security-ir` or `aws.security-ir`."""
    detail = event.get("detail")
    detail = detail if isinstance(detail, Mapping) else {}
    compares_comments = bool(detail.get("compareComments")) or event.get("detail-type") == _COMMENT_EDITED
    return synchronise(case_id_of(event), context, detail.get("rowDigest"), compares_comments=compares_comments)


def case_id_of(event: Mapping[str, Any]) -> str:
    """Return the case id from an event's detail, else from the ARN in `resources`.

    Raises InvalidInputError if there is no case id, or an invalid one.
    """
    detail = event.get("detail")
    case_id = detail.get("caseId") if isinstance(detail, Mapping) else None
    if not case_id:
        arns = event.get("resources") or [""]
        case_id = str(arns[0]).rpartition("case/")[2]
    if not is_case_id(case_id):
        raise InvalidInputError("The event has neither a valid detail.caseId nor a case ARN in resources.")
    return str(case_id)


def synchronise(
    case_id: str, context: LambdaContext, row_digest: str | None = None, *, compares_comments: bool = False
) -> dict[str, Any]:
    """Reconcile a case with its channel.

    Args:
        case_id: The case.
        context: Lambda's context, which limits the run.
        row_digest: The digest of the ListCases row that the poller saw, if the poller sent the hint.
        compares_comments: Whether an old comment may have been edited.

    Returns:
        `{"case_id", "outcome"}`. Outcomes are `synced`, `held` (another run has the lease), `deferred` (back-off),
        `continues` (in a new run), `waiting` (for a claim or a rate limit), `failed`, `lost` (the lease), `erased` (its
        retention has ended), `unknown case` and `not imported`.

    Raises:
        RunEndedError: The hard deadline passed.
        Exception: Unexpected errors are raised after the case's back-off was stored.
    """
    correlate(case_id)
    row = leases.add_hint(case_id, compares_comments=compares_comments)
    if float(row.get("next_try") or 0) > clock.now():
        # The hint is kept: the poller publishes the case again after the back-off.
        return _outcome(case_id, "deferred")
    usual = SLICE_SECONDS if row.get("channel_id") else NEW_CASE_SLICE_SECONDS
    slice_seconds = max(float(row.get("slice_seconds") or 0), usual)
    deadline = of_invocation(context, reserve=_RESERVE_SECONDS, at_most=slice_seconds)
    lease = leases.take(case_id, until=deadline.settle_after)
    if lease is None:
        return _outcome(case_id, "held")
    try:
        with enforced(deadline):
            return _outcome(case_id, _run(lease, deadline, row_digest))
    except LeaseLostError:
        return _outcome(case_id, "lost")


def _run(lease: Lease, deadline: Deadline, row_digest: str | None) -> Outcome:
    """Synchronise the case, and end the lease in every outcome. Raises LeaseLostError."""
    try:
        return _work(lease, deadline, row_digest)
    except ReadingTooSlowError as error:
        # The report may use the time in which no new work starts.
        back_off.record(lease, error, replace(deadline, soft=deadline.hard))
        return "failed"
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
        # Another function makes one of the effects; the next poll finds it done.
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


def _work(lease: Lease, deadline: Deadline, row_digest: str | None) -> Outcome:
    while True:
        deadline.check()
        if retention.is_erased(lease):
            if retention.leave(lease, row_digest):
                return "erased"
            leases.refresh_hints(lease)
            continue
        try:
            sync = begin(lease, deadline)
        except RefusedError as error:
            if error.code in _NO_SUCH_CASE and "slackChannelId" not in lease.row:
                leases.delete(lease)
                return "unknown case"
            raise
        if retention.is_due(sync):
            if retention.erase(sync, row_digest or fingerprints.row_digest(sync.case)):
                return "erased"
            leases.refresh_hints(lease)
            continue
        poller = table.get(keys.poller()) if not sync.channel_id else None
        imported = bool(sync.channel_id) or _is_ours(sync, poller)
        if imported:
            _reconcile(sync)
        elif poller is None:
            # Before the first poll it is unknown whether the case is newer than the deployment. The poll sees the hint.
            leases.release_unfinished(lease, next_try=clock.now())
            return "waiting"
        read = sync.reading.to_store() if sync.are_comments_copied else {}
        released = leases.release_synced(
            lease,
            **read,
            row_digest=row_digest or fingerprints.row_digest(sync.case),
            fingerprint=fingerprints.fingerprint(_reading(sync)) if imported else None,
            severity=sync.severity,
            closed=sync.case.is_closed or None,
            due_at=_due_at(sync, {**lease.row, **read}, imported=imported),
            channel_id=sync.channel_id or None,
        )
        if released:
            return "synced" if imported else "not imported"
        # Another hint arrived during this run, and the data read may lack its change.
        row_digest = None
        leases.refresh_hints(lease)


def _due_at(sync: CaseSync, row: Row, *, imported: bool) -> float | None:
    """Return when the case must be synchronised again, even if nothing changes. `row` has the values to store."""
    if not imported:
        return retention.NEVER if sync.case.is_closed else None
    end = retention.ends_at(sync) if sync.case.is_closed else comment_reading.next_at(row)
    return min([*sync.revisit_at, *([end] if end is not None else [])], default=None)


def _reading(sync: CaseSync) -> Reading:
    return Reading(sync.case, members.response_team(), sync.comments, sync.tags, sync.findings)


def _is_ours(sync: CaseSync, poller: Row | None) -> bool:
    created = sync.case.created_date.timestamp() if sync.case.created_date else clock.now()
    first_poll = float(poller["first_poll_at"]) if poller else None
    return is_ours(created, sync.case.is_closed, first_poll, settings().initial_import)


def _reconcile(sync: CaseSync) -> None:
    try:
        with sync.ends_open_claim():
            found = channel.ensure(sync)
    except ChannelUnavailableError as error:
        if sync.case.is_closed:
            # Users archive the channel of a closed case, so there is no one to announce the closing to.
            logger.info("channel.unavailable: the case is closed", extra={"reason": error.reason})
            return
        comments.resume_open_claims(sync)  # the case still accepts comments from earlier messages
        raise
    with sync.ends_open_claim():
        _notice(sync)
    steps: list[Callable[[], None]] = [
        lambda: _announce(sync, str(found.get("name", ""))),
        lambda: fields.set_topic(sync, found),
        lambda: members.synchronise(sync),
        lambda: fields.announce_changes(sync),
        lambda: comments.resume_open_claims(sync),
        lambda: comments.synchronise(sync),
        lambda: findings.synchronise(sync),
        lambda: attachments.synchronise(sync),
        lambda: attachments.resume_slack_files(sync),
        lambda: approvals.synchronise(sync),
        lambda: awaited.synchronise(sync),
        lambda: catch_up.synchronise(sync),
        lambda: life_cycle.synchronise(sync),
        lambda: activity.synchronise(sync),
        lambda: report.synchronise(sync),
        lambda: bookmarks.synchronise(sync),
        lambda: archiving.synchronise(sync),
    ]
    problems: list[Exception] = []
    for step in steps:
        try:
            with sync.ends_open_claim():
                step()
        except OutOfTimeError:
            raise
        except (IrRouterError, ClientError, BotoCoreError) as error:
            if isinstance(error, LeaseLostError) and not isinstance(error, ClaimLostError):
                raise
            logger.warning("case.sync_step_failed", extra=failures.log_fields(error))
            problems.append(error)
    if problems:
        # Errors that only need time come last, so that they cannot hide a persistent failure.
        raise min(problems, key=lambda error: isinstance(error, ClaimHeldError | ClaimLostError | RetryLaterError))


def _notice(sync: CaseSync) -> None:
    key = keys.note(sync.case_id, "notice")
    claim = sync.claim(key, fields=followed_fields.values(sync.case, sync.tags))
    # The notice shows the case as it was when the notice was claimed. Later changes are announced after it.
    shown = (claim.row if claim is not None else sync.rows[key.sk])["fields"]
    if claim is not None:
        case = workflow_case.for_notice(followed_fields.with_values(sync.case, shown), sync.tags)
        message = messages.notice(case, shown[followed_fields.SEVERITY.attribute], settings().region)
        posting.post(sync.slack, sync.channel_id, claim, message)
    fields.remember(sync, shown)


def _announce(sync: CaseSync, name: str) -> None:
    """Name the channel in a comment on the case, unless the case is closed and accepts no comments."""
    if sync.case.is_closed or sync.is_done(system_comments.key_of(sync.case_id, "channel")):
        return
    text = f"Slack channel #{name} was created for this case. Messages and files are copied in both directions."
    system_comments.write(sync.case_id, "channel", text)


def _outcome(case_id: str, outcome: Outcome) -> dict[str, Any]:
    logger.info("case.sync_ended", extra={"outcome": outcome})
    return {"case_id": case_id, "outcome": outcome}
