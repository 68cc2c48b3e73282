"""The creators of keys in the Slack message of an approval request: notes, buttons and the form. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ir_router.ledger import creators
from ir_router.ledger.approvals import STATED
from ir_router.slack.messages import section
from ir_router.slack.text import escape, shorten, slack_date

BUTTON = "creator_contain"
FORM = "creator_contain"
# Slack allows 25 elements in a block; a person can compare a few.
MOST = 5

_NOTE_LENGTH = 600
_NAME_LENGTH = 55
_SEPARATOR = "/"

Row = Mapping[str, Any]


def lines(row: Row) -> list[str]:
    """Return one line for each creator: its active credentials, or the result of the requested containment."""
    denied = row.get("decision") == "deny"
    found = creators.of(row).items()
    return [_line(row, name, one) for name, one in found if not denied or creators.requested(row, name)]


def buttons(row: Row) -> list[dict[str, Any]]:
    """Return a button for each creator whose containment an analyst can request."""
    return [_button(row, name, one) for name, one in list(creators.offered(row).items())[:MOST]]


def parse_button_value(value: str) -> tuple[str, str]:
    """Return the ids of the approval request and of the creator."""
    approval_id, _, creator_id = value.partition(_SEPARATOR)
    return approval_id, creator_id


def form(origin: str, offer: creators.Offer) -> dict[str, Any]:
    """Return the form that shows the effect before the containment. Slack returns the hidden `origin` with it."""
    return {
        "type": "modal",
        "callback_id": FORM,
        "private_metadata": origin,
        "title": _plain("Contain the creator"),
        "submit": _plain("Contain"),
        "close": _plain("Cancel"),
        "blocks": [section(f"{_short(offer['note'])}\n*Contain*  {_short(offer.get('does', ''))}")],
    }


def _line(row: Row, creator_id: str, offer: creators.Offer) -> str:
    request = creators.requested(row, creator_id)
    if request is None:
        return f"*Creator*  {_short(offer['note'])}"
    analyst = request["analyst"]
    who = f"{_short(str(analyst['name']))}{STATED.get(str(analyst.get('via')), '')}"
    at = float(request["requested_at"])
    when = slack_date(at, f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC")
    became = creators.result(row, creator_id) or "ir-router has not reported the result yet."
    return f"*Creator*  {who} requested the containment of {_short(offer['who'])}, {when}: {_short(became)}"


def _button(row: Row, creator_id: str, offer: creators.Offer) -> dict[str, Any]:
    return {
        "type": "button",
        "action_id": f"{BUTTON}_{creator_id}",
        "text": _plain(f"Contain {shorten(' '.join(offer['who'].split()), _NAME_LENGTH)} too ..."),
        "value": f"{row['approval_id']}{_SEPARATOR}{creator_id}",
    }


def _short(text: str) -> str:
    return escape(shorten(" ".join(text.split()), _NOTE_LENGTH, "in the audit"))


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text}
