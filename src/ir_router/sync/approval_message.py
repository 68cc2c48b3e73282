"""An approval as Slack shows it: what is asked, what each answer does, and in its place what became of it. Pure.

Texts come from the approval's row; what events and people said in them is escaped.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ir_router.ledger.approvals import DECIDED, DELIVERED, EXPIRED, STATED
from ir_router.slack.messages import Message, context, section, sections
from ir_router.slack.text import escape, shorten, slack_date

APPROVE, DENY = "approval_approve", "approval_deny"
REASON_FORM, REASON = "approval_reason", "reason"
REASON_LENGTH = 1_000

# Escaping makes a character five at the most; five such lines fit into a message.
_LINE_LENGTH = 400
_CONFIRM_LENGTH = 300
# In a button's value between the approval's id and how many events had joined.
_JOINED = "/"
_NOT_CONTAINED = "NOT contained; without an answer nothing is done"
_PAST = {"approve": "Approved", "deny": "Denied"}

Row = Mapping[str, Any]


def message(row: Row) -> Message:
    """The message for the approval as it stands now."""
    head = _head(row)
    done = [str(done) for done in row["done"]]
    if row.get("seconds_from_event") is not None:
        done.append(f"{_duration(float(row['seconds_from_event']))} after the event")
    label = "Not contained" if is_permission(row) else "Done"
    lines = [f"*{head}*", f"*What*  {_line(row['what'])}", f"*{label}*  {_line(' · '.join(done))}"]
    lines += _joined(row)
    blocks: list[dict[str, Any]] = []
    if _is_open(row):
        lines += [f"*Approve*  {_line(row['approve_does'])}", f"*Deny*  {_line(row['deny_does'])}"]
        blocks.append({"type": "actions", "block_id": "approval", "elements": [_approve(row), _deny(row)]})
    elif row.get("notes"):
        lines.append(f"*Reason*  {_line(row['notes'])}")
    text = f"{head}. {_line(row['what'])}"
    if _is_open(row):
        text += f" Approve {_line(row['approve_does'])} Deny {_line(row['deny_does'])}"
    return Message(text=text, blocks=[*sections(lines), *blocks, context(_small_print(row))])


def is_permission(row: Row) -> bool:
    """Whether it is asked if somebody shall be contained, who is not: beyond the hourly limit."""
    return str(row["kind"]) == "contain"


def reminder(row: Row, waited: str) -> Message:
    """Nobody has decided yet, `waited` (`1 h`) after it was asked; the question itself is further up."""
    until = f"Approve or deny by {_at(row['decide_by'])}"
    without = f"{_NOT_CONTAINED}. {until}." if is_permission(row) else f"{until}, or the containment stays as it is."
    asked = f"Still waiting for a decision, {waited} after it was asked: {_line(row['headline'])}"
    text = f"{asked}{' ' if is_permission(row) else '. '}{without} The buttons are further up."
    return Message(text=text, blocks=[section(text), context(_small_print(row))])


def reason_form(origin: str, row: Row) -> dict[str, Any]:
    """The form that asks why it is denied. `origin` comes back with the submission, and nobody sees it."""
    title, submit = ("Do not contain", "Do not contain") if is_permission(row) else ("Deny and restore", "Deny")
    return {
        "type": "modal",
        "callback_id": REASON_FORM,
        "private_metadata": origin,
        "title": _plain(title),
        "submit": _plain(submit),
        "close": _plain("Cancel"),
        "blocks": [
            section("\n".join([f"*{_line(row['headline'])}*", *_joined(row), f"Deny {_line(row['deny_does'])}"])),
            {
                "type": "input",
                "block_id": REASON,
                "label": _plain("Reason"),
                "hint": _plain("It is kept in the audit and on the case."),
                "element": {
                    "type": "plain_text_input",
                    "action_id": REASON,
                    "multiline": True,
                    "max_length": REASON_LENGTH,
                },
            },
        ],
    }


def pressed(value: str) -> tuple[str, int | None]:
    """Of a button's value the approval's id, and how many events had joined; None in messages of earlier versions."""
    approval_id, _, joined = value.partition(_JOINED)
    return approval_id, int(joined) if joined.isascii() and joined.isdigit() and len(joined) < 10 else None


def asked_now(row: Row) -> str:
    """A button's value: the approval's id, and how many events have joined the incident that is asked about."""
    return f"{row['approval_id']}{_JOINED}{int(row.get('joined_events', 0))}"


def _joined(row: Row) -> list[str]:
    count = int(row.get("joined_events", 0))
    if not count:
        return []
    last = _line((row.get("last_joined") or {}).get("what", ""))
    return [f"*Joined*  {count} more {'event' if count == 1 else 'events'} of the same principal; last: {last}"]


def _head(row: Row) -> str:
    headline = _line(row["headline"])
    state = row["state"]
    if state == DECIDED:
        return f"Recorded, on its way to the workflow: {row['decision']} by {_who(row)} - {headline}"
    if state == DELIVERED:
        result = f" - {_line(row['result'])}" if row.get("result") else f" - {headline}, being carried out"
        return f"{_PAST[row['decision']]} by {_who(row)}, {_at(row.get('decided_at') or row['received_at'])}{result}"
    if state == EXPIRED:
        kept = "the containment stays until someone releases it"
        if is_permission(row):
            kept = f"{_line(row.get('who', 'it'))} was NOT contained"
        return f"Not decided: {_line(str(row.get('why', '')))} - {headline}; {kept}"
    free = f" {_NOT_CONTAINED}" if is_permission(row) else ""
    return f"🔐 Approval needed by {_at(row['decide_by'])} - {headline}{free}"


def _is_open(row: Row) -> bool:
    return row["state"] not in (DECIDED, DELIVERED, EXPIRED)


def _who(row: Row) -> str:
    analyst = row.get("analyst") or {}
    return f"{_line(str(analyst.get('name', 'somebody')))}{STATED.get(str(analyst.get('via')), '')}"


def _small_print(row: Row) -> str:
    parts = [f"case {escape(str(row['case_id']))}"] if row.get("case_id") else []
    parts += [f"{escape(str(row['severity']))}: {escape(str(row['title']))}", f"event {escape(str(row['event_id']))}"]
    parts += [f"execution {escape(str(row['execution_name']))}", f"approval {row['approval_id']}"]
    return " · ".join(parts)


def _approve(row: Row) -> dict[str, Any]:
    confirm = {
        "title": _plain("Approve?"),
        "text": _plain(shorten(f"This {row['approve_does']}", _CONFIRM_LENGTH)),
        "confirm": _plain("Approve"),
        "deny": _plain("Not yet"),
    }
    return _button(row, APPROVE, "Approve ...", "danger") | {"confirm": confirm}


def _deny(row: Row) -> dict[str, Any]:
    # Its confirmation is the form that asks for the reason.
    return _button(row, DENY, "Deny ...", None)


def _button(row: Row, action_id: str, text: str, style: str | None) -> dict[str, Any]:
    return {
        "type": "button",
        "action_id": action_id,
        "text": _plain(text),
        "value": asked_now(row),
        **({"style": style} if style else {}),
    }


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text}


def _duration(seconds: float) -> str:
    return f"{round(seconds)} s" if seconds < 120 else f"{round(seconds / 60)} min"


def _line(text: str) -> str:
    return escape(shorten(" ".join(str(text).split()), _LINE_LENGTH, "in the audit"))


def _at(seconds: float) -> str:
    return slack_date(float(seconds), f"{datetime.fromtimestamp(float(seconds), UTC):%Y-%m-%d %H:%M:%S} UTC")
