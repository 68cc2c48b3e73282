"""The form that opens a case, as Slack shows it. Pure. What was filled in is read and checked by `forms`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ir_router.cases.limits import TITLE_LIMIT, WATCHER_LIMIT
from ir_router.commands import forms
from ir_router.commands.forms import CaseForm
from ir_router.slack.messages import section
from ir_router.slack.text import escape

# Slack's own limit of a text field; AWS takes 8,000 characters (https://api.slack.com/reference/block-kit/block-elements).
_TEXT_LENGTH = 3_000


def view(form: CaseForm, origin: Mapping[str, str]) -> dict[str, Any]:
    """The form, filled with what is known. `origin` comes back with the submission, and nobody sees it."""
    severities = (*forms.SEVERITIES, forms.NO_SEVERITY)
    return {
        "type": "modal",
        "callback_id": forms.CREATE_CASE,
        "private_metadata": json.dumps(origin),
        "title": _plain("Open a security case"),
        "submit": _plain("Open case"),
        "close": _plain("Cancel"),
        "blocks": [
            _input(forms.TITLE, "Title", _text(form.title[:TITLE_LIMIT], TITLE_LIMIT)),
            _input(
                forms.DESCRIPTION,
                "Description",
                _text(form.description[:_TEXT_LENGTH], _TEXT_LENGTH) | {"multiline": True},
                hint="What was seen, where, and what was done about it so far.",
            ),
            _input(forms.KIND, "Type", _select(forms.KINDS, form.kind or forms.KINDS[0])),
            _input(forms.SEVERITY, "Severity", _select(severities, form.severity or forms.NO_SEVERITY)),
            _input(
                forms.START,
                "Began",
                {"type": "datetimepicker"} | ({"initial_date_time": form.start} if form.start else {}),
            ),
            _input(
                forms.ACCOUNTS,
                "AWS accounts concerned",
                _text(" ".join(form.accounts)[:_TEXT_LENGTH], _TEXT_LENGTH),
                hint="12 digits each, separated by spaces or commas.",
                optional=True,
            ),
            _input(
                forms.WATCHERS,
                "Watchers",
                {"type": "multi_users_select", "max_selected_items": WATCHER_LIMIT}
                | ({"initial_users": list(form.watchers)} if form.watchers else {}),
                hint="They hear of changes from AWS and are invited to the case's channel.",
                optional=True,
            ),
        ],
    }


def refusal(text: str) -> dict[str, Any]:
    """What takes the form's place for somebody who may not open cases."""
    return {
        "type": "modal",
        "title": _plain("Open a security case"),
        "close": _plain("Close"),
        "blocks": [section(escape(text))],
    }


def _input(
    block: str, label: str, element: dict[str, Any], *, hint: str = "", optional: bool = False
) -> dict[str, Any]:
    return {
        "type": "input",
        "block_id": block,
        "label": _plain(label),
        "element": {**element, "action_id": block},
        "optional": optional,
        **({"hint": _plain(hint)} if hint else {}),
    }


def _text(initial: str, length: int) -> dict[str, Any]:
    return {"type": "plain_text_input", "max_length": length} | ({"initial_value": initial} if initial else {})


def _select(values: tuple[str, ...], initial: str) -> dict[str, Any]:
    options = {value: {"text": _plain(value), "value": value} for value in values}
    return {"type": "static_select", "options": list(options.values()), "initial_option": options[initial]}


def _plain(text: str) -> dict[str, str]:
    return {"type": "plain_text", "text": text}
