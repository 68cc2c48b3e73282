"""`incident-details`: the key events of a case in order, with names. Pure.

AWS documents neither the actions nor the messages of ListCaseEdits. An edit is described by the statuses in its message
or, without any, by its action.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ir_router.cases import followed_fields, status
from ir_router.cases.models import Case, CaseEdit
from ir_router.commands import rendering
from ir_router.slack.text import shorten

SHOWN_EVENTS = 10
STATUS, TITLE = followed_fields.STATUS.attribute, followed_fields.TITLE.attribute
DESCRIPTION = followed_fields.DESCRIPTION.attribute
# Largest difference between a change from Slack and its edit on the case: two clocks and the duration of the call.
_SAME_CHANGE = timedelta(minutes=2)

_STATUS = re.compile("|".join(map(re.escape, status.STATUSES)))
_LINE_LENGTH = 150


@dataclass(frozen=True)
class Moment:
    """An event on the case. `by` is the user's name, if it is known."""

    at: datetime
    what: str
    by: str | None = None


@dataclass(frozen=True)
class SlackChange:
    """A change that a user made from Slack. `field` is the ledger's attribute; `value` is the new value."""

    at: datetime
    field: str
    value: str
    by: str


@dataclass(frozen=True)
class Counts:
    """The numbers of comments by origin, without system comments, and of attachments."""

    from_aws: int
    from_slack: int
    attachments: int


def statuses_of(edit: CaseEdit) -> list[str]:
    """Return the statuses in the message of an edit of the status, in its order: old status, new status."""
    message = (edit.message or "").replace("Eradication, and", "Eradication and")  # as AWS's pages spell it
    return _STATUS.findall(message) if "status" in f"{edit.action} {message}".casefold() else []


def key_events(
    case: Case, edits: Iterable[CaseEdit], changes: Sequence[SlackChange], steps: Iterable[Moment]
) -> list[Moment]:
    """Return creation, status and title changes, closing and the workflow's steps, oldest first, each once.

    Args:
        case: The case.
        edits: The case's history.
        changes: The changes made from Slack, which name the users of edits.
        steps: The steps of its containment.
    """
    events = [Moment(case.created_date, "Case created")] if case.created_date else []
    events += [event for edit in edits if (event := _of_edit(edit, changes))]
    if case.closed_date and not any(event.what == "Case closed" for event in events):
        events.append(Moment(case.closed_date, "Case closed", _who(changes, case.closed_date, STATUS, "Closed")))
    return sorted((*events, *steps), key=lambda event: event.at)


def _of_edit(edit: CaseEdit, changes: Sequence[SlackChange]) -> Moment | None:
    at, action = edit.event_timestamp, (edit.action or "").strip()
    words = f"{action} {edit.message or ''}".casefold()
    if at is None or "created" in action.casefold() or "comment" in action.casefold():
        return None
    named = statuses_of(edit)
    if "closed" in action.casefold() or named[-1:] == ["Closed"]:
        return Moment(at, "Case closed", _who(changes, at, STATUS, "Closed"))
    if named:
        return Moment(at, f"Status updated to {status.shown(named[-1])}", _who(changes, at, STATUS, named[-1]))
    if "title" in words:
        return Moment(at, "Title updated", _who(changes, at, TITLE, None))
    if "managed" in words or "resolver" in words:
        return Moment(at, action or "Resolver changed")
    return None


def _who(changes: Sequence[SlackChange], at: datetime, field: str, value: str | None) -> str | None:
    """Return the user whose change from Slack is the edit at that moment."""
    near = [
        change
        for change in changes
        if change.field == field and value in (None, change.value) and abs(change.at - at) <= _SAME_CHANGE
    ]
    return min(near, key=lambda change: abs(change.at - at)).by if near else None


def summary(
    case: Case, severity: str, now: datetime, edits: Sequence[CaseEdit], events: Sequence[Moment], counts: Counts
) -> str:
    """Return the answer to `incident-details`."""
    lines = [
        "📊 Case Summary",
        f"Case ID: {case.case_id}",
        f"Title: {case.title}",
        f"Status: {_statuses(case, edits)}",
        f"Severity: {severity}",
    ]
    if case.created_date:
        lines.append(f"Duration: {rendering.duration(((case.closed_date or now) - case.created_date).total_seconds())}")
    lines += ["", "Key Events:", *_event_lines(events), ""]
    origins = f"{counts.from_aws} from AWS Security IR, {counts.from_slack} from Slack"
    lines += [
        f"Comments: {counts.from_aws + counts.from_slack} total ({origins})",
        f"Attachments: {rendering.files(counts.attachments)}",
        f"Watchers: {rendering.people(len(case.watchers))}",
    ]
    return "\n".join(lines)


def _statuses(case: Case, edits: Sequence[CaseEdit]) -> str:
    """Return the previous status, if there was another one, and the current one."""
    shown = status.shown(case.case_status)
    earlier = [name for edit in edits for name in statuses_of(edit) if name != case.case_status]
    return f"{status.shown(earlier[-1])} → {shown}" if earlier else shown


def _event_lines(events: Sequence[Moment]) -> list[str]:
    """Return lines for the newest events, with dates if they are of several days."""
    newest = [(event.at.astimezone(UTC), event) for event in events[-SHOWN_EVENTS:]]
    days = {at.date() for at, _ in newest}
    form = "%H:%M" if len(days) < 2 else "%Y-%m-%d %H:%M"
    lines = [
        f"• {at:{form}} - {shorten(event.what, _LINE_LENGTH)}{f' ({event.by})' if event.by else ''}"
        for at, event in newest
    ]
    if len(events) > len(newest):
        lines.insert(0, f"• … {len(events) - len(newest)} earlier")
    return lines or ["• None recorded"]
