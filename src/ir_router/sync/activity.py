"""Show the calls of contained credentials on the case and in its channel, from CloudTrail.

A step of the case's synchronisation, so that the lease of the case makes each result appear once. A containment does
not wait for it. A run reads one slice, and the poll starts the run with the next slice. -workflow reads the histories
of member accounts (`workflow/member_activity.py`) and stores the calls with those of this account.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ir_router import clock, cloudtrail, paging, trail_search
from ir_router.cases import activity as numbers
from ir_router.cases import comments, structured_fields
from ir_router.cases.activity import Activity
from ir_router.cases.changes import digest
from ir_router.cases.models import Case
from ir_router.errors import RefusedError, RetryLaterError, UncertainError, error_id
from ir_router.ledger import activity as stored
from ir_router.ledger import keys, leases, member_activity
from ir_router.ledger.table import Row
from ir_router.observability import logger
from ir_router.report import activity_page
from ir_router.security_ir import gateway as security_ir
from ir_router.settings import settings
from ir_router.sync import activity_message, activity_result, failures, own_attachments, posting, system_comments
from ir_router.sync.case_sync import CaseSync
from ir_router.trail_search import Progress

# After the newest containment. The first result must be there within two minutes; the poll runs once a minute.
# CloudTrail shows a call up to 15 minutes late, and an attacker goes on.
READ_AFTER_SECONDS = (30, 900, 3_600)
_SLICE_SECONDS = 20
# A run that has less time left leaves the slice to the next run.
_NEEDED_SECONDS = 15
_RETRIED_SECONDS = 60
# -workflow reads once a minute, and then publishes a hint.
_MEMBERS_AGAIN_SECONDS = 20
_LONGEST_WAIT_FOR_MEMBERS_SECONDS = 900
_NAME = "activity"
# Of the API (botocore's model, `ThreatActorIpList`).
_MOST_ADDRESSES = 200


def watch(approval: Row) -> None:
    """Begin to read the calls of the credentials that an approval request is about, unless it has begun."""
    case_id = str(approval.get("case_id") or "")
    if not case_id or not approval.get("credentials") or not stored.watch(case_id, approval["credentials"]):
        return
    # Before the first run, so that the first result has these calls too.
    credentials = (stored.get(case_id) or {})["credentials"]
    if elsewhere := activity_result.elsewhere(credentials, str(approval["execution"]).split(":")[4]):
        member_activity.want(case_id, elsewhere, activity_result.since(credentials), clock.now())
    leases.add_hint(case_id)  # the next poll starts the run


def synchronise(sync: CaseSync) -> None:
    """Read a slice of the calls if a reading is due, and publish its result when the reading is finished."""
    row = sync.row(keys.activity(sync.case_id))
    if row is None or not row.get("credentials") or sync.case.is_closed:
        return
    due = clock.now() if "progress" in row else _due_at(row)
    is_due = due is not None and due <= clock.now()
    if due is not None and not is_due:
        sync.revisit(due)
    if not is_due and not _has_arrived(sync, row):
        return
    if sync.deadline.remaining() < _NEEDED_SECONDS:
        sync.revisit(clock.now())
        return
    if is_due:
        _read(sync, row)
    else:
        _publish_late(sync, row)


def _has_arrived(sync: CaseSync, row: Row) -> bool:
    """Return whether -workflow has read the calls that the last result lacks."""
    if "awaited" not in row or not (member := member_activity.get(sync.case_id)):
        return False
    if member_activity.is_done(member, float(row["awaited"])):
        return True
    # The hint of -workflow can be lost.
    sync.revisit(clock.now() + _LONGEST_WAIT_FOR_MEMBERS_SECONDS)
    return False


def _publish_late(sync: CaseSync, row: Row) -> None:
    """Publish the last result with the calls that arrived after it."""
    account = sync.case.case_arn.split(":")[4]
    published = _publish(sync, row, activity_result.ended(row, account), account, complete=True)
    stored.save(sync.case_id, **published, awaited=None)


def _due_at(row: Row) -> float | None:
    """Return when the next reading is due, or None."""
    if float(row.get("requested_at") or 0) > float(row.get("answered_at") or 0):
        return clock.now()
    newest = _newest(row)
    done = int(row.get("readings") or 0) if row.get("readings_of") == newest else 0
    return newest + READ_AFTER_SECONDS[done] if done < len(READ_AFTER_SECONDS) else None


def _newest(row: Row) -> float:
    return max(float(one["contained_at"]) for one in row["credentials"])


def _read(sync: CaseSync, row: Row) -> None:
    account = sync.case.case_arn.split(":")[4]
    progress = Progress.from_row(row["progress"]) if "progress" in row else _begin(sync, row, account)
    until = clock.now() + min(_SLICE_SECONDS, sync.deadline.remaining() - _NEEDED_SECONDS / 2)
    try:
        finished = trail_search.read(sync.case_id, progress, until, _history, _saved(sync.case_id))
    except (RetryLaterError, UncertainError) as error:
        logger.warning("activity.retried: the poll continues", extra={"reason": str(error)})
        sync.revisit(clock.now() + _RETRIED_SECONDS)
        return
    except RefusedError as error:
        _report(sync, row, error)
        trail_search.limit(progress, f"the calls in account {account} were not all read ({failures.cause(error)})")
        _finish(sync, row, progress, _awaited(sync.case_id, row, progress), {})
        return
    awaited = None
    if finished:
        _hand_over(sync.case_id, row, progress)
        awaited = _awaited(sync.case_id, row, progress)
    if awaited is not None and clock.now() - awaited <= _LONGEST_WAIT_FOR_MEMBERS_SECONDS:
        finished = False
        sync.revisit(clock.now() + _MEMBERS_AGAIN_SECONDS)
    elif not finished:
        sync.revisit(clock.now())
    if not finished and row.get("published"):
        # A query of CloudTrail Lake can take minutes, and a page must not wait for it.
        _page(sync.case_id, activity_result.of_pass(sync.case_id, row, progress, account, complete=False))
        return
    published = _publish(sync, row, progress, account, complete=finished)
    if finished:
        _finish(sync, row, progress, awaited, published)
    elif published:
        stored.save(sync.case_id, **published)


def _begin(sync: CaseSync, row: Row, account: str) -> Progress:
    """Return a new pass, after the reading in member accounts was requested."""
    credentials = row["credentials"]
    elsewhere = activity_result.elsewhere(credentials, account)
    own = [one for one in credentials if one["account"] == account]
    progress = trail_search.begin(own, activity_result.since(credentials), row, only=account)
    # The request of `watch` is for the first pass.
    wanted_at = float(member_activity.get(sync.case_id).get("wanted_at") or 0)
    if activity_result.are_read_elsewhere(row, progress) and ("readings_of" in row or wanted_at < _newest(row)):
        member_activity.want(sync.case_id, elsewhere, activity_result.since(credentials), progress.end)
    stored.save(sync.case_id, progress=progress.to_row())
    return progress


def _hand_over(case_id: str, row: Row, progress: Progress) -> None:
    """Let -workflow read the calls of sessions in other accounts, or name these accounts without an organisation."""
    found = {key: (progress.sessions[key], account) for key, account in progress.elsewhere.items()}
    if not found:
        return
    if settings().organization_id is None:
        for account in sorted(set(progress.elsewhere.values())):
            trail_search.limit(
                progress, f"the calls in account {account} were not read (ir-router has no access to it)"
            )
        return
    known = member_activity.get(case_id).get("handed_over") or {}
    if not found.keys() <= known.keys():
        elsewhere = activity_result.elsewhere(row["credentials"], progress.only)
        member_activity.want(
            case_id, elsewhere, activity_result.since(row["credentials"]), clock.now(), {**known, **found}
        )


def _saved(case_id: str) -> Callable[[Progress], None]:
    return lambda progress: stored.save(case_id, progress=progress.to_row())


def _history(_account: str) -> cloudtrail.EventHistory:
    return cloudtrail.EventHistory()


def _awaited(case_id: str, row: Row, progress: Progress) -> float | None:
    """Return the time of the request that -workflow has not finished, or None."""
    member = member_activity.get(case_id) if activity_result.are_read_elsewhere(row, progress) else {}
    return None if member_activity.is_finished(member) else float(member["wanted_at"])


def _report(sync: CaseSync, row: Row, error: RefusedError) -> None:
    """Report that CloudTrail cannot be read: once, and once for each request by a user.

    This does not hold up the synchronisation of the case.
    """
    name = f"{_NAME}-{int(row.get('requested_at') or 0)}"
    failure = failures.Failure(
        name=name,
        what=f"ir-router cannot read the calls of the contained credentials: {failures.cause(error)}.",
        fix="Check that no policy denies cloudtrail:LookupEvents to the function -sync, then type "
        "/security-ir activity.",
        retried=False,
        error_id=failures.first_error_id(sync.case_id, name, error_id("sync-error")),
        transient=False,
    )
    failures.report(sync.case_id, sync.channel_id, failure, sync.deadline)


def _finish(sync: CaseSync, row: Row, progress: Progress, awaited: float | None, published: Mapping[str, Any]) -> None:
    """End the pass: schedule the next one, and keep where this one ended.

    One write has all of it. Between two, a run that dies leaves a request that is shown but not answered, and the next
    run would show the result again.

    Args:
        sync, row, progress: The run, the case's row and the pass.
        awaited: The time of the request to -workflow whose calls the result lacks, or None.
        published: The values of `_publish`.
    """
    newest = _newest(row)
    requested = float(row.get("requested_at") or 0)
    is_requested = requested > float(row.get("answered_at") or 0)
    done = int(row.get("readings") or 0) if row.get("readings_of") == newest else 0
    passed = sum(newest + seconds <= progress.end for seconds in READ_AFTER_SECONDS)
    values: dict[str, Any] = {
        "read_to": progress.read_to,
        "sessions": progress.sessions,
        "elsewhere": progress.elsewhere,
        "limited": progress.limited,
        "lost": progress.lost,
        "read_at": progress.end,
        "readings_of": newest,
        "readings": max(done, passed),
        "answered_at": requested if is_requested else None,
    }
    values = {name: value for name, value in values.items() if value is not None}
    stored.save(sync.case_id, **published, **values, progress=None, awaited=awaited)
    if due := _due_at({**row, **values}):
        sync.revisit(due)
    if awaited is not None:
        sync.revisit(clock.now() + _LONGEST_WAIT_FOR_MEMBERS_SECONDS)


def _publish(sync: CaseSync, row: Row, progress: Progress, account: str, *, complete: bool) -> dict[str, Any]:
    """Show the result if it differs from the last one, or if a user requested it.

    Returns:
        The values of the row that the caller saves: none if nothing was shown. Until then a repeated run shows the
        result under the same number, and so once.
    """
    found = activity_result.of_pass(sync.case_id, row, progress, account, complete=complete)
    is_requested = complete and float(row.get("requested_at") or 0) > float(row.get("answered_at") or 0)
    is_last = complete and progress.end >= _newest(row) + READ_AFTER_SECONDS[-1]
    # A complete result follows an incomplete one even with the same calls: only it has the attachments.
    part = [] if complete else ["incomplete"]
    shown_as = digest([[call.event_id for call in found.calls], list(found.scope.limited), *part])
    if not is_requested and (shown_as == row.get("shown_as") or not (found.calls or is_last)):
        return {}
    _page(sync.case_id, found)
    number = int(row.get("published") or 0) + 1
    contents = {
        f"{_NAME}-{number}.csv": numbers.csv_text(found),
        f"{_NAME}-{number}.html": activity_page.render(sync.case_id, found),
    }
    files = " and ".join(contents)
    steps: list[Callable[[], object]] = [
        lambda: _post(sync, number, found, files),
        lambda: _comment(sync, found, files),
        lambda: _attach(sync, found, contents),
        lambda: _update_fields(sync.case, row, found),
    ]
    for step in steps:
        try:
            step()
        except RefusedError as error:
            if error.service != own_attachments.SERVICE:
                raise
            # A full or closed case does not hold up the rest of the result.
            logger.warning("activity.step_rejected", extra={"reason": str(error)})
    logger.info("activity.published", extra={"number": number, "calls": len(found.calls)})
    return {"published": number, "shown_as": shown_as}


def _page(case_id: str, found: Activity) -> None:
    """Page once for a case if a call succeeded although the containment was in effect."""
    escaped = found.escaped
    if not escaped:
        return
    newest = max(escaped, key=lambda call: call.at)
    headline = f"Calls of contained credentials succeeded in case {case_id}. You must act by hand now."
    text = "\n".join(
        [
            headline,
            f"Calls so far: {len(escaped)}.",
            f"The newest: {newest.service} {newest.name} in {newest.region} by {newest.caller}.",
            "The channel of the case has the list and the commands that undo lasting effects.",
        ]
    )
    paging.page(f"{case_id}/escaped-calls", headline, text)


def _post(sync: CaseSync, number: int, found: Activity, files: str) -> None:
    # After a crash, the first slice and the complete reading can have the same number.
    name = f"{_NAME}-{number}" if found.scope.complete else f"{_NAME}-{number}-incomplete"
    claim = sync.claim(keys.note(sync.case_id, name))
    if claim is not None:
        posting.post(sync.slack, sync.channel_id, claim, activity_message.message(found, files))


def _comment(sync: CaseSync, found: Activity, files: str) -> None:
    """Write the case's only comment about the activity, or replace its text."""
    text = comments.at_most(comments.part_length(), numbers.comment(found, files))
    system_comments.write(sync.case_id, _NAME, text)
    system_comments.rewrite(sync.case_id, _NAME, text)


def _attach(sync: CaseSync, found: Activity, contents: Mapping[str, str]) -> None:
    """Attach every call. The synchronisation of attachments then shares the files in the channel."""
    if not found.calls or not found.scope.complete:
        return
    for name, content in contents.items():
        own_attachments.attach(sync, name, content.encode("utf-8", "replace"))


def _update_fields(case: Case, row: Row, found: Activity) -> None:
    """Add the addresses, services and Regions of the calls since the first suspicious one to the case's fields."""
    since = activity_result.since(row["credentials"])
    calls = [call for call in found.calls if call.at >= since]
    known = {one.get("ipAddress") for one in case.threat_actor_ip_addresses}
    actors: dict[str, dict[str, str]] = {}
    for call in calls:
        if (actor := structured_fields.threat_actor(call.address, call.agent)) and actor["ipAddress"] not in known:
            actors[actor["ipAddress"]] = actor
    services = {one.service for one in calls if structured_fields.is_service(one.service)}
    regions = {one.region for one in calls if structured_fields.is_region(one.region)}
    fields: dict[str, Any] = {
        "threatActorIpAddressesToAdd": list(actors.values())[: max(0, _MOST_ADDRESSES - len(known))],
        "impactedServicesToAdd": sorted(services - {*case.impacted_services}),
        "impactedAwsRegionsToAdd": [
            {"region": one} for one in sorted(regions - {item.get("region", "") for item in case.impacted_aws_regions})
        ],
    }
    wanted = {name: value for name, value in fields.items() if value}
    if wanted:
        security_ir.update_case(case.case_id, **wanted)
