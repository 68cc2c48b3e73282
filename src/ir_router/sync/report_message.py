"""The Slack message about a report: its summary and where it is. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ir_router.report.page import duration
from ir_router.slack.messages import Message, context, sections
from ir_router.slack.text import quoted

_LINE_LENGTH = 400
_MOST_LINES = 5
_PAST = {"approve": "Approved", "deny": "Denied", "release": "Released"}
_TIMES = {
    "contain": "event to containment",
    "ask": "containment to request",
    "decide": "request to decision",
    "close": "opening to closing",
}


def message(report: Mapping[str, Any], record: Mapping[str, Any], where: str) -> Message:
    """Return the message.

    Args:
        report: The content of the report.
        record: Its audit record.
        where: Where the files are, in Slack's markup.
    """
    by = f", requested by {quoted(str(report['requested_by']), _LINE_LENGTH)}" if report["requested_by"] else ""
    head = f"📄 Report {report['version']} about this case is complete{by}"
    times = ", ".join(
        f"{_TIMES[one['time_to']]} {duration(int(one['seconds']))}" for one in report["durations"][:_MOST_LINES]
    )
    decided = [
        f"{_PAST.get(str(one['decision']), 'Not decided')}{_by(one['by'])}: {one['information'].get('headline') or ''}"
        for one in report["decisions"]
    ]
    lines = [
        f"*{head}*",
        where,
        *([f"*Times*  {quoted(times, _LINE_LENGTH)}"] if times else []),
        *_listed("Decisions", decided),
        *_listed("Open follow-ups", report["follow_ups"]),
    ]
    counts = ", ".join(
        [
            _count(len(report["timeline"]), "event"),
            _count(len(report["evidence"]), "file"),
            _count(len(report["audit"]["records"]), "audit record"),
        ]
    )
    small = f"{counts} · `ir-router report verify FILE --record {record['hash']}` checks the file"
    text = f"{head}. {_count(len(report['follow_ups']), 'open follow-up')}."
    return Message(text=text, blocks=[*sections(lines), context(small)])


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _by(name: object) -> str:
    return f" by {name}" if name else ""


def _listed(title: str, found: list[str]) -> list[str]:
    if not found:
        return []
    shown = [f"• {quoted(one, _LINE_LENGTH)}" for one in found[:_MOST_LINES]]
    more = [f"• and {len(found) - _MOST_LINES} more in the report"] if len(found) > _MOST_LINES else []
    return [f"*{title}* ({len(found)})", *shown, *more]
