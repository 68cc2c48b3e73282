"""The Slack message of an alert in the security channel. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ir_router import links
from ir_router.settings import settings
from ir_router.slack.messages import Message, console_link, context, section, sections
from ir_router.slack.text import escape, linked, shorten

OPEN_CASE = "alert_open_case"

_URL = re.compile(r"[!-;=?-{}~]{1,500}", re.ASCII)
_LINE_LENGTH = 400
_COMMAND_LENGTH = 2_500
# The lines that end each text of an alert. The small print has a link instead.
_FINDING = "Console: "
# The beginnings of subjects that require no action (`workflow/wording_subjects.py`).
_NO_ACTION = ("DONE: ", "NO ACTION: ")
_IDS = ("Event: ", "Execution: ", "Workflow: ", "Case: ", "IAM: ", _FINDING)


def message(name: str, row: Mapping[str, Any], case_channel: str) -> Message:
    """Return the message of an alert.

    Args:
        name: The name of the alert's row, for its button.
        row: The alert's row.
        case_channel: The id of the channel of its case, or an empty string.
    """
    head = f"{_emoji(row)} {_line(str(row['subject']))}"
    urls = links.principals(row.get("principals") or ())
    blocks = sections([f"*{linked(head, urls)}*", *(linked(_line(line), urls) for line in body(row))])
    allow = str(row.get("allow") or "")
    if 0 < len(allow) <= _COMMAND_LENGTH:  # a command that is cut would mislead
        blocks.append(section(f"If you expect such calls, add the caller to the allowlist:\n```{escape(allow)}```"))
    if not row.get("case_id"):
        blocks.append({"type": "actions", "block_id": "alert", "elements": [_open_case(name)]})
    return Message(text=head, blocks=[*blocks, context(_small_print(row, case_channel))])


def body(row: Mapping[str, Any]) -> list[str]:
    """Return the lines between the subject and the ids, without those that repeat the subject."""
    subject = str(row["subject"])
    lines = [line for line in str(row["text"]).splitlines() if line.strip() and not line.startswith(_IDS)]
    return [line for line in lines if line.rstrip(".") != subject.rstrip(".")]


def _open_case(name: str) -> dict[str, Any]:
    text = {"type": "plain_text", "text": "Open a case ..."}
    return {"type": "button", "action_id": OPEN_CASE, "text": text, "value": name}


def _small_print(row: Mapping[str, Any], case_channel: str) -> str:
    parts = [escape(str(row["severity"]))]
    if case_id := str(row.get("case_id") or ""):
        parts.append(f"<{console_link(case_id, settings().region)}|Case {escape(case_id)}>")
        parts += [f"<#{case_channel}>"] if case_channel else []
    if url := links.execution(str(row.get("execution") or "")):
        parts.append(f"<{escape(url)}|Workflow>")
    parts += [f"<{escape(url)}|Finding>" for url in _finding(str(row["text"]))]
    return " · ".join(parts)


def _emoji(row: Mapping[str, Any]) -> str:
    """Return the emoji of an alert: of the required action, and then of the severity, which is that of the event."""
    if str(row["subject"]).startswith(_NO_ACTION):
        return "✅"
    return "🚨" if row["severity"] == "CRITICAL" else "⚠️"


def _finding(text: str) -> list[str]:
    """Return the URL of a finding of GuardDuty, from the line that the workflow wrote."""
    urls = [line.removeprefix(_FINDING) for line in text.splitlines() if line.startswith(f"{_FINDING}https://")]
    return [url for url in urls if _URL.fullmatch(url)][:1]


def _line(text: str) -> str:
    return escape(shorten(" ".join(text.split()), _LINE_LENGTH, "in the e-mail"))
