"""Approve and Deny in Slack: who pressed, may they decide, and the decision handed to the approval function.

Approvers are the configured people, e-mail addresses and user groups, or else the membership's response team. The owner
of the contained credentials is refused by the approval function, whoever lists them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ir_router import aws, observability
from ir_router.commands import execution, forms, people, permissions
from ir_router.commands.command import Answer, Command, NotPermittedError, of_interaction
from ir_router.errors import InvalidInputError, RefusedError, UncertainError
from ir_router.ledger import approvals, audit
from ir_router.ledger.table import Row
from ir_router.observability import logger
from ir_router.settings import settings
from ir_router.slack.messages import section
from ir_router.slack.text import escape
from ir_router.sync import approval_message, members

_NOT_PERMITTED = (
    "Only approvers may decide about containments: the people of the variable slack_approvers, or without it the "
    "incident response team of AWS Security Incident Response. Ask one of them."
)
# The message itself shows these moments later; saying it twice would only be noise.
_SHOWN_ELSEWHERE = frozenset({"approved", "denied"})


def handle(payload: Mapping[str, Any], context: Any) -> None:
    """A button of an approval was pressed, or the form with the reason was submitted."""
    if payload.get("type") == "view_submission":
        origin = forms.origin_of(payload)
        known = {name: origin[name] for name in ("channel_id", "response_url") if name in origin}
        command = of_interaction(payload, "deny", str(payload["view"]["id"]), context, **known)
        reason, pressed = forms.text_of(payload, approval_message.REASON), origin.get("approval_id", "")
        execution.execute(command, lambda command: _deny(command, pressed, reason.strip()), attempted="update")
        return
    action = payload["actions"][0]
    pressed = str(action.get("value") or "")
    approve = action["action_id"] == approval_message.APPROVE
    command = of_interaction(payload, "approve" if approve else "deny", str(payload.get("trigger_id")), context)
    if approve:
        execution.execute(command, lambda command: _decide(command, pressed, "approve", ""), attempted="update")
    else:
        execution.execute(command, lambda command: _ask_reason(command, pressed), attempted="update")


def _ask_reason(command: Command, pressed: str) -> None:
    """Open the form at once, since a `trigger_id` lives 3 s; then see whether the person may decide.

    The form shows the question as it is now, with the events that joined since the message was posted.
    """
    row, _seen = _approval(pressed)
    origin = {
        "approval_id": approval_message.asked_now(row),
        "channel_id": command.channel_id,
        "response_url": command.response_url,
    }
    form = approval_message.reason_form(json.dumps(origin), row)
    try:
        view = command.slack.post("views.open", trigger_id=command.trigger_id, view=form)["view"]
    except RefusedError as error:
        if "trigger" not in error.code:
            raise
        raise InvalidInputError("The form could not be opened in time. Press Deny again.") from error
    try:
        _require_approver(command, row)
    except NotPermittedError as error:
        refusal = {
            "type": "modal",
            "title": form["title"],
            "close": {"type": "plain_text", "text": "Close"},
            "blocks": [section(escape(f"❌ {error}"))],
        }
        command.slack.read("views.update", view_id=str(view["id"]), view=refusal)
        raise


def _deny(command: Command, pressed: str, reason: str) -> Answer | None:
    if not reason:
        raise InvalidInputError("Nothing was decided: say why it is denied.")
    return _decide(command, pressed, "deny", reason)


def _decide(command: Command, pressed: str, decision: str, reason: str) -> Answer | None:
    row, seen = _approval(pressed)
    approval_id = str(row["approval_id"])
    _require_approver(command, row)
    user = command.names.user(command.user_id)
    analyst = {
        "slack_user_id": command.user_id,
        "email": str((user.get("profile") or {}).get("email") or ""),
        "name": command.real_name,
    }
    answer = _invoke(
        {
            "approval_id": approval_id,
            "decision": decision,
            "analyst": analyst,
            "notes": reason,
            "joined_events": seen,
            "request_id": command.id,
        }
    )
    status = str(answer["status"])
    logger.info("decision handed over", extra={"approval_id": approval_id, "status": status})
    if status == "not_allowed":  # the approval function has left it in the audit
        raise NotPermittedError(str(answer["message"]))
    if status == "events_joined":
        raise InvalidInputError(str(answer["message"]))
    own = answer.get("slack_user_id") == command.user_id and answer.get("decision") == decision
    if status in _SHOWN_ELSEWHERE or (command.is_repeated and status == "already_decided" and own):
        return None
    return Answer(str(answer["message"]))


def _approval(pressed: str) -> tuple[Row, int | None]:
    """The approval, and how many events had joined in the question that was answered."""
    approval_id, seen = approval_message.pressed(pressed)
    row = approvals.get(approval_id) if approval_id else None
    if row is None:
        raise InvalidInputError("This approval is not known any more; nothing was decided.")
    observability.correlate(approval_id)
    return row, seen


def _require_approver(command: Command, row: Row) -> None:
    """Raises NotPermittedError, and leaves it in the audit, when the person is no approver."""
    approvers = settings().approvers
    decision = permissions.decide(
        people.requester(command, approvers),
        watchers=(),
        response_team=() if approvers else [person.email for person in members.response_team()],
        editors=approvers,
    )
    if decision.allowed:
        return
    details = {
        "approval_id": row["approval_id"],
        "execution": row["execution"],
        "reason": decision.reason.value,
        "slack_user_id": command.user_id,
    }
    audit.append("decision_refused", command.real_name, details, once=f"command/{command.id}")
    raise NotPermittedError(_NOT_PERMITTED)


def _invoke(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The approval function's answer. Raises UncertainError when there is none; asking again does no harm."""
    try:
        answer = aws.client("lambda").invoke(
            FunctionName=settings().require("approval_function"), Payload=json.dumps(payload).encode()
        )
        body = json.loads(answer["Payload"].read())
    except (BotoCoreError, ClientError, ValueError) as error:
        raise UncertainError("Lambda", "Invoke", type(error).__name__) from error
    if answer.get("FunctionError") or not isinstance(body, dict) or "status" not in body:
        raise UncertainError("Lambda", "Invoke", str(answer.get("FunctionError") or "no answer"))
    return body
