"""Show approval requests in the case's channel and in the security channel, and keep the messages current.

Level-triggered: an event is only a hint, and the message always shows the current state of the approval's row. The row
is read again after each change. With several concurrent runs, the last one to write has seen the newest state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ir_router import aws, clock, observability, paging
from ir_router.cases.changes import digest
from ir_router.deadline import Deadline, LambdaContext, of_invocation
from ir_router.errors import IrRouterError, RefusedError, error_id
from ir_router.ledger import approvals, claims, keys, mentions, security_channel, table, urgent
from ir_router.ledger.keys import Key
from ir_router.ledger.table import Row
from ir_router.observability import logger, measure
from ir_router.settings import settings
from ir_router.slack import error_codes
from ir_router.slack.gateway import Slack
from ir_router.slack.messages import Message, mentioning
from ir_router.sync import (
    activity,
    approval_message,
    approval_places,
    approval_tampering,
    approver_set,
    approvers,
    failures,
    life_cycle,
    posting,
    request_people,
    security_channel_made,
    urgent_messages,
)
from ir_router.sync.approval_places import Place, Places
from ir_router.sync.case_sync import CaseSync, ClaimHeldError

_HOUR_IN_MINUTES = 60
_RESERVE_SECONDS = 10
_SLICE_SECONDS = 120
_ROUNDS = 5
# A decision that has not reached the workflow after this time is delivered again.
_REDELIVERED_SECONDS = 60
# If the assignee of a request has not decided after this time, the other approvers are notified.
_OWNER_SECONDS = 1_800
# Errors of one approval or one channel, which must not stop the others. botocore's come from the ledger or Lambda.
_ERRORS = (IrRouterError, ClientError, BotoCoreError)


def handle(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Show the approval that an event ApprovalRequested, ApprovalDecided or ApprovalTimedOut names.

    ApprovalMessageChanged names one whose messages another holder of the bot token may have changed or imitated.
    """
    deadline = of_invocation(context, reserve=_RESERVE_SECONDS, at_most=_SLICE_SECONDS)
    approval_id = str(event["detail"]["approval_id"])
    observability.correlate(approval_id)
    if event.get("detail-type") == approval_tampering.DETAIL_TYPE:
        approval_tampering.check(event["detail"], deadline, show)
        return {"approval_id": approval_id}
    try:
        shown = show(approval_id, deadline)
    except _ERRORS:
        urgent.keep(approval_id)  # the poller shows a closed request too, after Lambda's last retry
        raise
    logger.info("approval.shown", extra={"approval_id": approval_id, "places": shown})
    return {"approval_id": approval_id, "places": shown}


def show(approval_id: str, deadline: Deadline) -> int:
    """Update the messages of an approval to its row, and return the number of channels that show it.

    A case channel that does not exist yet shows the approval later (`synchronise`). The first error is raised after
    all channels were tried.
    """
    if (known := approvals.get(approval_id)) is not None:
        activity.watch(known)  # first, because it does not wait for Slack
    places, row = _show(approval_id, approval_places.of, deadline)
    # The next update of the message repeats the search for the approvers.
    if row is not None:
        life_cycle.note(row)
    if row is not None and approver_set.is_frozen(row):
        approvals.note_shown(approval_id, _shown_as(row, [place.channel_id for place in places]))
    return len(places)


def synchronise(sync: CaseSync) -> None:
    """Show the case's open approvals in its channel, as a step of the synchronisation.

    The poller takes care of the security channel, so that errors there do not hold up a case.
    """
    for approval_id in approvals.open_ids(sync.case_id):
        _show(approval_id, approval_places.in_case_channel, sync.deadline)


def poll(open_ids: Sequence[str], channels: Mapping[str, str], shows: str, deadline: Deadline) -> None:
    """Process the open approvals: deliver decisions, update messages, send reminders.

    An approval that fails does not stop the others.

    Args:
        open_ids: The ids of the open approvals.
        channels: The channels of the cases by case id.
        shows: The id of the security channel; empty while there is none.
        deadline: The end of this invocation.
    """
    ages: list[float] = []
    if open_ids and not shows:
        security_channel_made.ensure(Slack(deadline))
        shows = security_channel.known_id()
    for row in approvals.rows_of(open_ids):
        approval_id = str(row["approval_id"])
        try:
            if approvals.is_open(row):
                ages.append(clock.now() - float(row["created_at"]))
            if row["state"] == approvals.DECIDED:
                _redeliver(row)
            elif row["state"] == approvals.PENDING:
                _page_without_owner(row)
                _remind(row, deadline)
                _remind_others(row, deadline)
            case_channel = channels.get(str(row.get("case_id") or ""), "")
            is_shown = row.get("shown_as") == _shown_as(row, [case_channel, shows])
            if not is_shown and (approvals.is_open(row) or urgent.current(row) or urgent.is_unshown(row)):
                show(approval_id, deadline)
            elif not approvals.is_open(row) and urgent.is_kept(row):
                urgent.end(row)
        except _ERRORS as error:
            logger.error("approval.poll_failed", extra={"approval_id": approval_id, "reason": _reason(error)})
    if ages:
        measure("OpenApprovals", len(ages))
        measure("OldestApprovalSeconds", max(ages), "Seconds")


def _show(approval_id: str, places: Places, deadline: Deadline) -> tuple[list[Place], Row | None]:
    """Update the messages in these places. Returns the places, and the row that they show."""
    slack = Slack(deadline)
    row = approvals.get(approval_id)
    if row is None:
        return [], None
    approver_set.freeze(slack, row)
    row = approvals.get(approval_id) or row
    if "mentions" not in row:
        _freeze_mentions(slack, row)
        row = approvals.get(approval_id) or row
    security_channel_made.ensure(slack)
    for _ in range(_ROUNDS):
        found = list(places(row))
        _each(_security_first(found), partial(_show_in, row=row, slack=slack, deadline=deadline), row, deadline)
        again = approvals.get(approval_id)
        if again is None:
            break
        before, row = row, again
        if approval_message.message(row) == approval_message.message(before):
            if post := urgent_messages.poster(slack, row, partial(_take, deadline=deadline)):
                _each(found, post, row, deadline)
            if approval_message.has_outcome(row):
                _each(found, partial(_announce, row=row, slack=slack, deadline=deadline), row, deadline)
            return found, row
    return found, None


def _shown_as(row: Row, channels: Iterable[str]) -> str:
    """Return the digest of an approval's message and of the channels that show it."""
    wanted = approval_message.message(row)
    shown = [wanted.text, wanted.blocks, [channel for channel in channels if channel]]
    return digest([*shown, names] if (names := urgent_messages.names(row)) else shown)


def _each(places: Iterable[Place], work: Callable[[Place], None], row: Row, deadline: Deadline) -> None:
    """Do the work in each place, report a security channel that cannot be used, and raise the first error."""
    problems: list[Exception] = []
    for place in places:
        try:
            work(place)
        except _ERRORS as error:
            logger.warning("approval.not_shown", extra={"channel": place.channel_id, "reason": _reason(error)})
            if isinstance(error, RefusedError) and not place.is_of_case:
                mentions.move_to_case(str(row["approval_id"]))
                _report_security_channel(row, place.channel_id, error, deadline)
            problems.append(error)
    if problems:
        raise problems[0]


def _report_security_channel(row: Row, channel_id: str, error: RefusedError, deadline: Deadline) -> None:
    """Report once on the case, and in its channel, that the security channel cannot show the request."""
    if not row.get("case_id"):
        measure("FailuresTold")
        logger.error("approval.security_channel_unavailable", extra={"channel": channel_id, "code": error.code})
        return
    case_id = str(row["case_id"])
    name = f"security-channel-{channel_id}"
    if (table.get(keys.note(case_id, f"failure-{name}")) or {}).get("state") == "done":
        return
    meaning = error_codes.meaning(error.code)
    cause = ": ".join(filter(None, (str(error), meaning.words)))
    failure = failures.Failure(
        name=name,
        what=f"The security channel ({channel_id}) cannot show approval requests: {cause}.",
        fix=f"{meaning.fix} Until then, decide in the channel of this case.".strip(),
        retried=True,
        error_id=failures.first_error_id(case_id, name, error_id("sync-error")),
        transient=False,
    )
    case_channel = str((table.get(keys.case(case_id)) or {}).get("slackChannelId") or "")
    failures.report(case_id, case_channel, failure, deadline)


def _reason(error: Exception) -> str:
    """Return the message of ir-router's own errors. For others return the type: their text may be sensitive."""
    return str(error) if isinstance(error, IrRouterError) else type(error).__name__


def _show_in(place: Place, row: Row, slack: Slack, deadline: Deadline) -> None:
    taken = _take(place.key, deadline)
    if isinstance(taken, claims.Claim):
        row = approvals.get(str(row["approval_id"])) or row  # the security channel may have rejected its message
    wanted = _mentioning(place, row, approval_message.message(row))
    shown = digest([wanted.text, wanted.blocks])
    if isinstance(taken, claims.Claim):
        if place.is_of_case:
            approvers.invite_configured(slack, place.channel_id)
        posting.post(slack, place.channel_id, taken, wanted, keeps_version=True, shown=shown)
        return
    known = taken.row
    while known.get("shown") != shown or _is_elsewhere(place, known):
        ts = str(known["ts"])
        version = None if _is_elsewhere(place, known) else _edit(place, known, wanted, slack)
        if version is not None:
            versions = approval_places.versions_with(known, version)
            known = table.update(place.key, "SET shown = :shown, versions = :versions", shown=shown, versions=versions)
            continue
        again = _take(place.instead_of(ts), deadline)
        if isinstance(again, claims.Claim):
            posting.post(slack, place.channel_id, again, wanted, keeps_version=True, shown=shown)
        posted = table.get(place.instead_of(ts)) or {}
        current = {name: posted.get(name) for name in ("channel_id", "ts", "shown", "versions")}
        sets = ", ".join(f"{name} = :{name}" for name in current)
        known = table.update(place.key, f"SET {sets}", **current)


def _announce(place: Place, row: Row, slack: Slack, deadline: Deadline) -> None:
    """Post the end of the request in the security channel once. A case's channel has its own (`life_cycle`)."""
    if place.is_of_case:
        return
    if taken := _take_with_link(place.outcome(), place, slack, deadline):
        claim, link = taken
        posting.post(slack, place.channel_id, claim, approval_message.outcome(row, link))


def _freeze_mentions(slack: Slack, row: Row) -> None:
    """Store the mentions of the messages about an open request, once its approvers are known."""
    waits = "approvers" in settings().mention and "approvers" not in row
    if row["state"] != approvals.PENDING or waits:
        return
    try:
        mentions.freeze(str(row["approval_id"]), approvers.mentions(slack, row))
    except IrRouterError as error:
        logger.warning("approval.mentions_unknown: the next update retries", extra={"reason": str(error)})


def _mentioning(place: Place, row: Row, message: Message, assignee: Sequence[str] = ()) -> Message:
    """Add the mentions to a message about an open request, in one of the channels that show it.

    A reminder mentions the `assignee` of the request instead of the approvers.

    Users are in several of these channels, and their phones should ring once: for the security channel, which exists
    before that of the case.
    """
    mentioned: Sequence[str] = row.get("mentions") or ()
    shown = assignee if assignee and mentioned else mentioned
    if not shown or row["state"] != approvals.PENDING:
        return message
    rings = not place.is_of_case or bool(row.get("mentions_in_case")) or not security_channel.known_id()
    return mentioning(shown, message) if rings else message


def _is_elsewhere(place: Place, known: Row) -> bool:
    """Whether the message is in an earlier security channel. A case's channel keeps its messages under a new id."""
    return not place.is_of_case and known["channel_id"] != place.channel_id


def _edit(place: Place, known: Row, wanted: Message, slack: Slack) -> str | None:
    """Update a posted message and return its version, or None if a new message must replace it."""
    channel_id = str(known["channel_id"])
    try:
        return posting.replace(slack, channel_id, str(known["ts"]), wanted)
    except RefusedError as error:
        # If the place is another channel by now, errors of the former channel do not count.
        if error.code not in posting.CANNOT_BE_EDITED and channel_id == place.channel_id:
            raise
        logger.warning("approval.message_not_editable: a new message replaces it", extra={"code": error.code})
        return None


def _take(key: Key, deadline: Deadline) -> claims.Claim | claims.Done:
    """Return the claim, or its confirmed row. Raises ClaimHeldError."""
    taken = claims.take(key, settle_after=deadline.settle_after)
    if isinstance(taken, claims.Held):
        raise ClaimHeldError(taken.until)
    return taken


def _take_with_link(key: Key, place: Place, slack: Slack, deadline: Deadline) -> tuple[claims.Claim, str] | None:
    """Return the claim of a message about a request and the link to the request, or None if the message is there.

    The link is read first: after a claim, a question without an answer delays the message by a quarter of an hour.
    Raises ClaimHeldError.
    """
    if (table.get(key) or {}).get("state") == "done":
        return None
    link = _permalink(slack, place)
    taken = _take(key, deadline)
    return (taken, link) if isinstance(taken, claims.Claim) else None


def _remind(row: Row, deadline: Deadline) -> None:
    """Send the reminder that is due. After an outage only the latest one is sent."""
    minutes = settings().reminder_minutes
    waited = (clock.now() - float(row["created_at"])) / 60
    due = sum(waited >= after for after in minutes)
    if due <= int(row.get("reminders_sent", 0)):
        return
    slack = Slack(deadline)
    after = minutes[due - 1]
    ago = f"{after / 60:g} h" if after >= _HOUR_IN_MINUTES else f"{after:g} min"

    def post(place: Place) -> None:
        if taken := _take_with_link(place.reminder(due), place, slack, deadline):
            claim, link = taken
            message = approval_message.reminder(row, ago, link)
            current = approvals.get(str(row["approval_id"])) or row
            assignee = request_people.mentions_of_assignee(current)
            posting.post(slack, place.channel_id, claim, _mentioning(place, current, message, assignee))

    _each(_security_first(approval_places.of(row)), post, row, deadline)
    table.update(keys.approval(str(row["approval_id"])), "SET reminders_sent = :due", due=due)


def _remind_others(row: Row, deadline: Deadline) -> None:
    """Notify the other approvers once if the assignee of a request has not decided in time."""
    assigned_at = float((row.get("assignee") or {}).get("at") or clock.now())
    if clock.now() < assigned_at + _OWNER_SECONDS or float(row.get("others_told_for") or 0) == assigned_at:
        return
    slack = Slack(deadline)

    def post(place: Place) -> None:
        if taken := _take_with_link(place.overdue(assigned_at), place, slack, deadline):
            claim, link = taken
            message = approval_message.overdue(row, link)
            posting.post(slack, place.channel_id, claim, _mentioning(place, row, message))

    _each(_security_first(approval_places.of(row)), post, row, deadline)
    table.update(keys.approval(str(row["approval_id"])), "SET others_told_for = :at", at=assigned_at)


def _page_without_owner(row: Row) -> None:
    """Page once if no approver has become the assignee of a request in time."""
    minutes = settings().page_after_minutes
    if "assignee" in row or "paged" in row or clock.now() < float(row["created_at"]) + 60 * minutes:
        return
    headline = f"Approval request without an assignee for {minutes:g} min: {row['headline']}"
    decide = 'Approve or deny it in Slack, or press "I\'m on it".'
    text = "\n".join([f"{headline}.", str(row["what"]), decide, f"Approval: {row['approval_id']}"])
    paging.page(f"{row['approval_id']}/no-owner", headline, text)
    table.update(keys.approval(str(row["approval_id"])), "SET paged = :paged", paged=True)


def _permalink(slack: Slack, place: Place) -> str:
    """Return the link to the request in a channel; empty if it is not there."""
    posted = table.get(place.key) or {}
    if posted.get("channel_id") != place.channel_id:
        return ""
    try:
        found = slack.read("chat.getPermalink", channel=place.channel_id, message_ts=str(posted["ts"]))
    except RefusedError as error:
        logger.warning("approval.no_permalink", extra={"code": error.code})
        return ""
    return str(found["permalink"])


def _security_first(places: Iterable[Place]) -> list[Place]:
    """Return the places with the security channel first, which mentions users: it exists before the case's channel."""
    return sorted(places, key=lambda place: place.is_of_case)


def _redeliver(row: Row) -> None:
    if clock.now() - float(row["decided_at"]) < _REDELIVERED_SECONDS:
        return
    logger.warning("approval.delivery_retried", extra={"approval_id": row["approval_id"]})
    payload = {"approval_id": row["approval_id"], "decision": row["decision"], "analyst": row["analyst"]}
    aws.invoke_later(settings().require("approval_function"), payload)
