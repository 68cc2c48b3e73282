"""The button "Contain ... too": show the effect in a form, and pass the request to the approval function.

The users who may decide about the approval request may also contain the creator of the key.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ir_router.commands import approval_buttons, execution, forms, modals
from ir_router.commands.command import Answer, Command, NotPermittedError, of_interaction
from ir_router.errors import InvalidInputError
from ir_router.ledger import approvals, creators
from ir_router.ledger.approvals import AnswerStatus
from ir_router.ledger.table import Row
from ir_router.sync import creator_offers

_NAME = "contain_creator"


def handle_interaction(payload: Mapping[str, Any], context: Any) -> None:
    """Handle the pressed button or the submitted form."""
    if payload.get("type") == "view_submission":
        origin = forms.origin_of(payload)
        known = {name: origin[name] for name in ("channel_id", "response_url") if name in origin}
        command = of_interaction(payload, _NAME, str(payload["view"]["id"]), context, **known)
        value = origin.get("value", "")
        execution.execute(command, lambda command: _contain(command, value), attempted="update")
        return
    value = str(payload["actions"][0].get("value") or "")
    message_ts = str(payload["container"].get("message_ts") or "")
    command = of_interaction(payload, _NAME, str(payload.get("trigger_id")), context)
    execution.execute(command, lambda command: _show(command, value, message_ts), attempted="update")


def _show(command: Command, value: str, message_ts: str) -> Answer | None:
    """Open the form first, because a `trigger_id` expires after 3 s, and then check whether the user may decide."""
    row, creator_id = _request(value)
    approval_buttons.require_posted(command, row, message_ts)
    if creators.requested_row(row, creator_id) is not None:
        return _contain(command, value)  # the answer names the earlier request
    offer = creators.offered(row).get(creator_id)
    if offer is None:
        raise InvalidInputError("Nothing was contained: the request no longer offers this. Its message shows why.")
    origin = {"value": value, "channel_id": command.channel_id, "response_url": command.response_url}
    form = creator_offers.form(json.dumps(origin), offer)
    view_id = modals.open_form(command, form, "Press the button again")
    try:
        approval_buttons.require_approver(command, row)
    except NotPermittedError as error:
        modals.show_refusal(command, view_id, form["title"], f"❌ {error}")
        raise
    return None


def _contain(command: Command, value: str) -> Answer | None:
    row, creator_id = _request(value)
    approval_buttons.require_approver(command, row)
    answer = approval_buttons.invoke(
        {
            "approval_id": row["approval_id"],
            "decision": creators.CONTAIN,
            "creator": creator_id,
            "analyst": approval_buttons.analyst(command),
            "request_id": command.id,
        }
    )
    status: AnswerStatus = answer["status"]
    if status == "not_allowed":  # the approval function has recorded it in the audit
        raise NotPermittedError(str(answer["message"]))
    # The message shows it moments later, so an answer would repeat it.
    shown = status == "creator_requested" or (status == "creator_requested_before" and _is_own(command, value))
    return None if shown else Answer(str(answer["message"]))


def _is_own(command: Command, value: str) -> bool:
    """Whether this is a retry, and the recorded request is the user's own, made since the first attempt."""
    row, creator_id = _request(value)
    requested = creators.requested(creators.requested_row(row, creator_id) or row, creator_id) or {}
    is_own = requested.get("analyst", {}).get("slack_user_id") == command.user_id
    return command.is_repeated and is_own and float(requested["requested_at"]) >= command.began_at


def _request(value: str) -> tuple[Row, str]:
    approval_id, creator_id = creator_offers.parse_button_value(value)
    row = approvals.get(approval_id) if approval_id else None
    if row is None:
        raise InvalidInputError("Nothing was contained: this approval request no longer exists.")
    return row, creator_id
