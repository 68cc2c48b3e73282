"""The buttons "I'm on it" and "Withdraw" of an approval request. Only approvers may use them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ir_router.commands import approval_buttons, execution
from ir_router.commands.command import Answer, Command, NotPermittedError, of_interaction
from ir_router.errors import InvalidInputError
from ir_router.ledger import approvals
from ir_router.sync import request_people

# The time of the newest decision that the message showed.
_TIME = re.compile(r"\d{1,12}(\.\d{1,9})?", re.ASCII)
_DECISIONS = {request_people.ASSIGN: "assign", request_people.WITHDRAW: "withdraw"}


def handle_interaction(payload: Mapping[str, Any], context: Any) -> None:
    """Handle a pressed button."""
    action = payload["actions"][0]
    decision = _DECISIONS.get(action["action_id"])
    if decision is None:
        return  # not a button of this module
    approval_id, _, until = str(action.get("value") or "").partition("/")
    message_ts = str(payload["container"].get("message_ts") or "")
    command = of_interaction(payload, decision, str(payload.get("trigger_id")), context)
    more = {"until": float(until)} if _TIME.fullmatch(until) else {}
    request = {"decision": decision, "approval_id": approval_id, **more}
    execution.execute(command, lambda command: _press(command, request, message_ts), attempted="update")


def _press(command: Command, request: Mapping[str, Any], message_ts: str) -> Answer | None:
    approval_id = request["approval_id"]
    row = approvals.get(approval_id) if approval_id else None
    if row is None:
        raise InvalidInputError("Nothing was changed: this approval request no longer exists.")
    approval_buttons.require_posted(command, row, message_ts)
    approval_buttons.require_approver(command, row)
    who = {"analyst": approval_buttons.analyst(command), "request_id": command.id}
    answer = approval_buttons.invoke({**request, **who, "pressed_at": command.began_at})
    status: approvals.AnswerStatus = answer["status"]
    if status == "not_allowed":  # the approval function has recorded it in the audit
        raise NotPermittedError(str(answer["message"]))
    if status in ("assigned", "withdrawn"):
        return None  # the approval request shows it
    return Answer(str(answer["message"]))
