"""Parse and validate the input of forms, field by field. Pure.

The webhook calls `errors`, so that Slack shows a mistake under its field while the form stays open. Import nothing
heavy here. Shapes: https://api.slack.com/reference/interaction-payloads/views
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from ir_router import clock
from ir_router.cases.limits import ACCOUNT_LIMIT, DESCRIPTION_LIMIT, TITLE_LIMIT, WATCHER_LIMIT
from ir_router.slack.text import is_blank, one_line

CREATE_CASE = "create_case"

# Block ids of the form that opens a case. The one element of each block has the same action id.
TITLE, DESCRIPTION, KIND, SEVERITY, START = "title", "description", "type", "severity", "start"
ACCOUNTS, WATCHERS = "accounts", "watchers"

KINDS = ("Security Incident", "Investigation")
SEVERITIES = ("Critical", "High", "Medium", "Low")
NO_SEVERITY = "Not set"
# Clocks differ, so a start time slightly in the future is valid.
_CLOCK_SKEW_SECONDS = 300

_SEPARATORS = re.compile(r"[\s,;]+")


@dataclass(frozen=True)
class CaseForm:
    """The input of the form that opens a case.

    `start` is in seconds since the epoch, `accounts` as typed, and `watchers` are Slack user ids.
    """

    title: str = ""
    description: str = ""
    kind: str = ""
    severity: str = ""
    start: int | None = None
    accounts: tuple[str, ...] = ()
    watchers: tuple[str, ...] = ()


def errors(payload: Mapping[str, object]) -> dict[str, str]:
    """Return the errors of a submitted form as block id -> message; empty if it is valid or has no rules."""
    if _mapping(payload.get("view")).get("callback_id") != CREATE_CASE:
        return {}
    return case_errors(read_case(payload))


def case_errors(form: CaseForm) -> dict[str, str]:
    """Return the errors of the form that opens a case, by CreateCase's limits, as block id -> message."""
    checks = {
        TITLE: _length(form.title, "title", TITLE_LIMIT),
        DESCRIPTION: _length(form.description, "description", DESCRIPTION_LIMIT),
        KIND: None if form.kind in KINDS else "Choose a case type.",
        SEVERITY: None if form.severity in ("", NO_SEVERITY, *SEVERITIES) else "Choose a severity.",
        START: _start(form.start),
        ACCOUNTS: _accounts(form.accounts),
        WATCHERS: None if len(form.watchers) <= WATCHER_LIMIT else f"A case can have at most {WATCHER_LIMIT} watchers.",
    }
    return {block: message for block, message in checks.items() if message}


def read_case(payload: Mapping[str, object]) -> CaseForm:
    """Parse the form. A value that is missing or has an unexpected shape becomes empty."""
    state = _mapping(_mapping(payload.get("view")).get("state"))
    values = _mapping(state.get("values"))

    def element(block: str) -> Mapping[str, object]:
        return _mapping(_mapping(values.get(block)).get(block))

    start = element(START).get("selected_date_time")
    return CaseForm(
        title=one_line(_text(element(TITLE).get("value"))),
        description=_text(element(DESCRIPTION).get("value")).strip(),
        kind=_text(_mapping(element(KIND).get("selected_option")).get("value")),
        severity=_text(_mapping(element(SEVERITY).get("selected_option")).get("value")),
        start=start if isinstance(start, int) and not isinstance(start, bool) else None,
        accounts=tuple(word for word in _SEPARATORS.split(_text(element(ACCOUNTS).get("value"))) if word),
        watchers=_texts(element(WATCHERS).get("selected_users")),
    )


def text_of(payload: Mapping[str, object], block: str) -> str:
    """Return the text of a block's text field, whose action id is the block id; empty without input."""
    values = _mapping(_mapping(_mapping(payload.get("view")).get("state")).get("values"))
    return _text(_mapping(_mapping(values.get(block)).get(block)).get("value"))


def selected_of(payload: Mapping[str, object], block: str) -> str:
    """Return the value of a block's select menu, whose action id is the block id; empty without a choice."""
    values = _mapping(_mapping(_mapping(payload.get("view")).get("state")).get("values"))
    return _text(_mapping(_mapping(_mapping(values.get(block)).get(block)).get("selected_option")).get("value"))


def origin_of(payload: Mapping[str, object]) -> dict[str, str]:
    """Return the `origin` that was passed to the form (its `private_metadata`); empty if it cannot be parsed."""
    try:
        origin = json.loads(_text(_mapping(payload.get("view")).get("private_metadata")) or "{}")
    except (ValueError, RecursionError):
        return {}
    return {name: value for name, value in _mapping(origin).items() if isinstance(value, str)}


def _length(text: str, name: str, limit: int) -> str | None:
    if is_blank(text):
        return f"Give the case a {name}."
    if len(text) > limit:
        return f"The {name} has {len(text)} characters; AWS Security Incident Response allows at most {limit}."
    return None


def _start(start: int | None) -> str | None:
    if start is None:
        return "Enter when the incident began. An estimate is enough."
    if start > clock.now() + _CLOCK_SKEW_SECONDS:
        return f"This time is in the future. It is now {datetime.fromtimestamp(clock.now(), UTC):%Y-%m-%d %H:%M} UTC."
    return None


def _accounts(accounts: tuple[str, ...]) -> str | None:
    wrong = [word for word in accounts if not (word.isascii() and word.isdigit() and len(word) == 12)]
    if wrong:
        return f"{wrong[0][:40]} is not an account id. Enter 12 digits, including leading zeros."
    if len(accounts) > ACCOUNT_LIMIT:
        return f"A case can have at most {ACCOUNT_LIMIT} accounts."
    return None


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: object) -> tuple[str, ...]:
    return tuple(dict.fromkeys(item for item in value if isinstance(item, str))) if isinstance(value, list) else ()
