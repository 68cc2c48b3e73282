"""The form that opens a case, as a Slack view. Pure. `forms` parses and validates its input."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ir_router.cases.limits import TITLE_LIMIT, WATCHER_LIMIT
from ir_router.commands import forms
from ir_router.commands.forms import CaseForm

# Slack's limit (https://api.slack.com/reference/block-kit/block-elements). AWS allows 8,000 characters.
_TEXT_LENGTH = 3_000
TITLE = {"type": "plain_text", "text": "Open a security case"}


def view(form: CaseForm, origin: Mapping[str, str]) -> dict[str, Any]:
    """Return the view with the form that opens a case.

    Args:
        form: The initial values.
        origin: Hidden values that Slack returns with the submission.
    """
    severities = (*forms.SEVERITIES, forms.NO_SEVERITY)
    return {
        "type": "modal",
        "callback_id": forms.CREATE_CASE,
        "private_metadata": json.dumps(origin),
        "title": TITLE,
        "submit": _plain("Open case"),
        "close": _plain("Cancel"),
        "blocks": [
            _input(forms.TITLE, "Title", _text(form.title[:TITLE_LIMIT], TITLE_LIMIT)),
            _input(
                forms.DESCRIPTION,
                "Description",
                _text(form.description[:_TEXT_LENGTH], _TEXT_LENGTH) | {"multiline": True},
                hint="Describe what you saw and where, and the actions taken so far.",
            ),
            _input(forms.KIND, "Type", _select(forms.KINDS, form.kind or forms.KINDS[0])),
            _input(forms.SEVERITY, "Severity", _select(severities, form.severity or forms.NO_SEVERITY)),
            _input(
                forms.START,
                "Start time",
                {"type": "datetimepicker"} | ({"initial_date_time": form.start} if form.start else {}),
            ),
            _input(
                forms.ACCOUNTS,
                "Affected AWS accounts",
                _text(" ".join(form.accounts)[:_TEXT_LENGTH], _TEXT_LENGTH),
                hint="12 digits each, separated by spaces or commas.",
                optional=True,
            ),
            _input(
                forms.WATCHERS,
                "Watchers",
                {"type": "multi_users_select", "max_selected_items": WATCHER_LIMIT}
                | ({"initial_users": list(form.watchers)} if form.watchers else {}),
                hint="AWS notifies them of changes, and ir-router invites them to the case channel.",
                optional=True,
            ),
        ],
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
