"""The people of an approval request in its Slack message: its assignee, and the first of two who decide. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ir_router.ledger import two_people
from ir_router.ledger.approvals import DECIDED, DELIVERED, EXPIRED, PENDING, STATED
from ir_router.slack.text import escape, one_line, shorten, slack_date

ASSIGN, WITHDRAW = "request_assign", "request_withdraw"

_NAMES = {"approve": "Approvals", "deny": "Denials"}
_NAME_LENGTH = 80

Row = Mapping[str, Any]


def lines(row: Row) -> list[str]:
    """Return who is on it, and who approved, denied or released so far, if that needs two people."""
    if row["state"] != PENDING:
        return _released(row)
    found = []
    if assignee := row.get("assignee"):
        found.append(f"*On it*  {name_of(assignee)}, since {_at(assignee['at'])}")
    current = two_people.current(row)
    for decision, label in _NAMES.items():
        if (number := two_people.required(row, decision)) < 2:
            continue
        given = [one for one in current if one["decision"] == decision]
        by = "".join(f": {name_of(one['analyst'])}, {_at(one['at'])}" for one in given)
        found.append(f"*{label}*  {len(given)} of {number} people{by}")
    outdated = [one for one in row.get("votes") or () if one not in current]
    texts = (
        f"*Outdated*  events joined after {name} decided. {name} must decide again."
        for name in (name_of(one["analyst"]) for one in outdated)
    )
    return [*found, *texts]


def buttons(row: Row) -> list[dict[str, Any]]:
    """Return the button of the assignee, and the one that withdraws the first of two decisions."""
    found = []
    if row["state"] not in (DECIDED, DELIVERED, EXPIRED):
        found.append(_button(row, ASSIGN, "Take over" if row.get("assignee") else "I'm on it"))
    if (row["state"] == PENDING and row.get("votes")) or _released(row):
        given = row.get("votes" if row["state"] == PENDING else "release_votes") or ()
        newest = max(float(one["at"]) for one in given)
        found.append(_button(row, WITHDRAW, "Withdraw", f"/{newest!r}"))
    return found


def mentions_of_assignee(row: Row) -> list[str]:
    """Return the mention of the request's assignee; none without one, or without a known Slack account."""
    user_id = (row.get("assignee") or {}).get("slack_user_id")
    return [f"<@{user_id}>"] if user_id else []


def name_of(analyst: Mapping[str, Any]) -> str:
    """Return the name of an analyst, for the message."""
    return escape(plain_name_of(analyst))


def plain_name_of(analyst: Mapping[str, Any]) -> str:
    """Return the name of an analyst as plain text. A name that nothing verifies states its source."""
    name = shorten(one_line(str(analyst.get("name", "an unnamed analyst"))), _NAME_LENGTH)
    return f"{name}{STATED.get(str(analyst.get('via')), '')}"


def _released(row: Row) -> list[str]:
    """Return one line for each release that waits for a second person."""
    done = set(row.get("released") or ())
    found = []
    for one in row.get("release_votes") or ():
        waits = [arn for arn in one["principals"] if arn not in done and not two_people.is_released_by_enough(row, arn)]
        if waits:
            names = escape(shorten(", ".join(arn.rpartition("/")[2] for arn in waits), _NAME_LENGTH))
            found.append(f"*Release*  1 of 2 people: {name_of(one['analyst'])}, {_at(one['at'])}, of {names}")
    return found


def _button(row: Row, action_id: str, text: str, more: str = "") -> dict[str, Any]:
    label = {"type": "plain_text", "text": text}
    return {"type": "button", "action_id": action_id, "text": label, "value": f"{row['approval_id']}{more}"}


def _at(seconds: float) -> str:
    return slack_date(float(seconds), f"{datetime.fromtimestamp(float(seconds), UTC):%Y-%m-%d %H:%M:%S} UTC")
