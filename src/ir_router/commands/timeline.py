"""The answer of `incident-details`: the key events of a case, and counts. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ir_router.cases import status
from ir_router.cases.models import Case, CaseEdit
from ir_router.cases.timeline import Moment, statuses_of
from ir_router.commands import rendering
from ir_router.slack.text import shorten

SHOWN_EVENTS = 10
_LINE_LENGTH = 150


@dataclass(frozen=True)
class Counts:
    """The numbers of comments by origin, without system comments, and of attachments."""

    from_aws: int
    from_slack: int
    attachments: int


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
