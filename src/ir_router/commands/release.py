"""`/security-ir release` and the button "Release": lift a containment that is still in place after its request ended.

The rules are those of a decision: only approvers at the time of the request may release, and no owner.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ir_router.commands import approval_buttons, execution, forms, modals
from ir_router.commands.command import Answer, Command, NotPermittedError, of_interaction
from ir_router.errors import InvalidInputError
from ir_router.ledger import approvals, releases
from ir_router.ledger.approvals import AnswerStatus
from ir_router.ledger.table import Row
from ir_router.sync import approval_message, approval_places

_NAME = "release"
_NOTHING = (
    "Nothing can be released here: no containment of this case is in place, or its approval request is still open. "
    "Decide about an open request with its buttons."
)


def execute_command(command: Command) -> Answer | None:
    """Open the form for the containments of the case that are in place."""
    rows = [approvals.get(approval_id) for approval_id in approval_places.of_case(command.case_id)]
    found = [row for row in rows if row is not None and releases.releasable(row)]
    if not found:
        return Answer(_nothing([row for row in rows if row is not None]))
    newest_first = sorted(found, key=lambda row: float(row["created_at"]), reverse=True)
    _open(command, newest_first, "Send the command again")
    return None


def _nothing(rows: Sequence[Row]) -> str:
    """Return why no containment of the case can be released: the last release, unless a request is still open."""
    before = [row for row in rows if releases.earlier(row)]
    if not before or any(row["state"] in (approvals.PENDING, approvals.DECIDED) for row in rows):
        return _NOTHING
    return releases.earlier(max(before, key=lambda row: float(row["released_at"])))


def handle_interaction(payload: Mapping[str, Any], context: Any) -> None:
    """Handle the pressed button or the submitted form."""
    if payload.get("type") == "view_submission":
        origin = forms.origin_of(payload)
        known = {name: origin[name] for name in ("channel_id", "response_url") if name in origin}
        command = of_interaction(payload, _NAME, str(payload["view"]["id"]), context, **known)
        chosen = forms.selected_of(payload, approval_message.PRINCIPAL)
        reason = forms.text_of(payload, approval_message.REASON).strip()
        execution.execute(command, lambda command: _release(command, chosen, reason), attempted="update")
        return
    value = str(payload["actions"][0].get("value") or "")
    message_ts = str(payload["container"].get("message_ts") or "")
    command = of_interaction(payload, _NAME, str(payload.get("trigger_id")), context)
    execution.execute(command, lambda command: _press(command, value, message_ts), attempted="update")


def _press(command: Command, value: str, message_ts: str) -> Answer | None:
    row = _request(approval_message.parse_button_value(value)[0])
    approval_buttons.require_posted(command, row, message_ts)
    if not releases.releasable(row):
        if earlier := releases.earlier(row):
            return None if _has_released_since(command, row) else Answer(earlier)
        raise InvalidInputError("Nothing was released: this request left nothing contained.")
    _open(command, [row], "Press the button again")
    return None


def _has_released_since(command: Command, row: Row) -> bool:
    """Whether this is a retry, and its user has released since the first attempt and so has an answer."""
    is_own = f"({command.user_id})" in str(row["released_by"])
    return command.is_repeated and is_own and float(row["released_at"]) >= command.began_at


def _open(command: Command, rows: Sequence[Row], again: str) -> None:
    """Open the form first, because a `trigger_id` expires after 3 s, and then check whether the user may release."""
    if all(approval_buttons.has_acted_since(command, row, "release_votes") for row in rows):
        return
    origin = {"channel_id": command.channel_id, "response_url": command.response_url}
    form = approval_message.release_form(json.dumps(origin), rows, command.plain_argument)
    view_id = modals.open_form(command, form, again)
    try:
        approval_buttons.require_approver(command, rows[0])
    except NotPermittedError as error:
        modals.show_refusal(command, view_id, form["title"], f"❌ {error}")
        raise


def _release(command: Command, chosen: str, reason: str) -> Answer | None:
    approval_id, number = approval_message.parse_button_value(chosen)
    row = _request(approval_id)
    approval_buttons.require_approver(command, row)
    if not reason:
        raise InvalidInputError("Nothing was released: enter a reason.")
    principals = approvals.principals_of(row)
    principal = principals[number] if number is not None and number < len(principals) else ""
    answer = approval_buttons.invoke(
        {
            "approval_id": row["approval_id"],
            "decision": _NAME,
            "principal": principal,
            "analyst": approval_buttons.analyst(command),
            "notes": reason,
            "request_id": command.id,
        }
    )
    status: AnswerStatus = answer["status"]
    if status == "not_allowed":  # the approval function has recorded it in the audit
        raise NotPermittedError(str(answer["message"]))
    if status == "not_releasable":
        raise InvalidInputError(str(answer["message"]))
    return Answer(str(answer["message"]))


def _request(approval_id: str) -> Row:
    row = approvals.get(approval_id) if approval_id else None
    if row is None:
        raise InvalidInputError("Nothing was released: this approval request no longer exists.")
    return row
