"""The key events of a case in order, with names. Pure.

AWS documents neither the actions nor the messages of ListCaseEdits. An edit is described by the statuses in its message
or, without any, by its action.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ir_router.cases import followed_fields, status
from ir_router.cases.models import Case, CaseEdit

STATUS, TITLE = followed_fields.STATUS.attribute, followed_fields.TITLE.attribute
DESCRIPTION = followed_fields.DESCRIPTION.attribute
# Largest difference between a change from Slack and its edit on the case: two clocks and the duration of the call.
_SAME_CHANGE = timedelta(minutes=2)

_STATUS = re.compile("|".join(map(re.escape, status.STATUSES)))


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
