"""The buttons Approve and Deny: open a form, check that the user may decide, and pass on the decision.

A button counts only in a message that ir-router posted for its approval. The form shows the facts of the ledger,
because another holder of the bot token can change the message. Its submission is passed to the approval function.

Approvers are the configured users, e-mail addresses and user groups, or else the membership's response team. The
approval function rejects the owner of the contained credentials, even if a list names them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from ir_router import aws, json_text, observability
from ir_router.commands import execution, forms, modals, people, permissions
from ir_router.commands.command import Answer, Command, NotPermittedError, of_interaction
from ir_router.errors import InvalidInputError, UncertainError
from ir_router.ledger import approvals, audit, two_people
from ir_router.ledger.approvals import AnswerStatus
from ir_router.ledger.table import Row
from ir_router.observability import logger
from ir_router.settings import settings
from ir_router.slack import identity
from ir_router.sync import approval_message, approval_places, approval_tampering, approver_set, members

_NAMED = 10
# The alias shows the approval function that Slack's signature confirms the user. Only -slack may invoke it.
_ALIAS = "slack"
_ADDED_LATER = (
    "Decision not recorded: you became an approver after this request was made. Ask a user who was an approver then."
)
# The approval's message shows these outcomes moments later, so an answer would repeat them.
_SHOWN_ELSEWHERE: frozenset[AnswerStatus] = frozenset({"approved", "denied", "first_recorded"})


class _Pressed(NamedTuple):
    """A pressed button: its decision, its value, and the `ts` of its message."""

    decision: approvals.Answer
    value: str
    message_ts: str


def handle_interaction(payload: Mapping[str, Any], context: Any) -> None:
    """Handle a pressed button of an approval request, or the submitted form of a decision."""
    if payload.get("type") == "view_submission":
        _submitted(payload, context)
        return
    action = payload["actions"][0]
    pressed = _Pressed(
        decision="approve" if action["action_id"] == approval_message.APPROVE else "deny",
        value=str(action.get("value") or ""),
        message_ts=str(payload["container"].get("message_ts") or ""),
    )
    command = of_interaction(payload, pressed.decision, str(payload.get("trigger_id")), context)
    execution.execute(command, lambda command: _press(command, pressed), attempted="update")


def _submitted(payload: Mapping[str, Any], context: Any) -> None:
    origin = forms.origin_of(payload)
    known = {name: origin[name] for name in ("channel_id", "response_url") if name in origin}
    decision: approvals.Answer = (
        "approve" if payload["view"].get("callback_id") == approval_message.APPROVE_FORM else "deny"
    )
    command = of_interaction(payload, decision, str(payload["view"]["id"]), context, **known)
    value = origin.get("approval_id", "")
    if decision == "approve":
        execution.execute(command, lambda command: _decide(command, value, "approve", ""), attempted="update")
        return
    reason = forms.text_of(payload, approval_message.REASON).strip()
    execution.execute(command, lambda command: _deny(command, value, reason), attempted="update")


def _press(command: Command, pressed: _Pressed) -> Answer | None:
    """Open the form first, because a `trigger_id` expires after 3 s, and then check whether the user may decide.

    The form shows the approval request as it is now, including events that joined after the message was posted.
    """
    row, _seen = _approval(pressed.value)
    require_posted(command, row, pressed.message_ts)
    if row["state"] != approvals.PENDING:
        return _decide(command, pressed.value, pressed.decision, "")  # the answer names the earlier decision
    if has_acted_since(command, row, "votes"):
        return None
    origin = {
        "approval_id": approval_message.button_value(row),
        "channel_id": command.channel_id,
        "response_url": command.response_url,
    }
    make = approval_message.approve_form if pressed.decision == "approve" else approval_message.reason_form
    form = make(json.dumps(origin), row)
    view_id = modals.open_form(command, form, f"Press {pressed.decision.capitalize()} again")
    try:
        require_approver(command, row)
    except NotPermittedError as error:
        modals.show_refusal(command, view_id, form["title"], f"❌ {error}")
        raise
    return None


def has_acted_since(command: Command, row: Row, name: two_people.Votes) -> bool:
    """Whether this is a retry, and the user has decided or released since the first attempt, as the first of two."""
    return command.is_repeated and two_people.has_own(row, name, command.user_id, command.began_at)


def require_posted(command: Command, row: Row, message_ts: str) -> None:
    """Raise NotPermittedError, and record and report it, unless ir-router posted the message for this approval."""
    if approval_places.is_posted(row, command.channel_id, message_ts):
        return
    details = {
        "approval_id": row["approval_id"],
        "execution": row["execution"],
        "reason": "unknown_message",
        "channel_id": command.channel_id,
        "message_ts": message_ts,
        "slack_user_id": command.user_id,
    }
    audit.append("decision_refused", command.identity, details, once=f"command/{command.id}")
    approval_tampering.publish(str(row["approval_id"]), command.channel_id, message_ts)
    command.case_id = str(row.get("case_id") or "")
    where = f"in the channel of case {command.case_id}" if command.case_id else "in the security channel"
    raise NotPermittedError(
        "Decision not recorded: ir-router does not know this message as an approval request. Use the approval request "
        f"{where}. If it appeared seconds ago, press the button again in a minute."
    )


def _deny(command: Command, pressed: str, reason: str) -> Answer | None:
    if not reason:
        raise InvalidInputError("Decision not recorded: enter a reason to deny.")
    return _decide(command, pressed, "deny", reason)


def _decide(command: Command, pressed: str, decision: approvals.Answer, reason: str) -> Answer | None:
    row, seen = _approval(pressed)
    approval_id = str(row["approval_id"])
    require_approver(command, row)
    answer = invoke(
        {
            "approval_id": approval_id,
            "decision": decision,
            "analyst": analyst(command),
            "notes": reason,
            "joined_events": seen,
            "request_id": command.id,
        }
    )
    status: AnswerStatus = answer["status"]
    shown = {"approval_id": approval_id, "status": status}
    logger.info("approval.decision_sent: the approval function answered", extra=shown)
    if status == "not_allowed":  # the approval function has recorded it in the audit
        raise NotPermittedError(str(answer["message"]))
    if status in ("events_joined", "same_person"):
        raise InvalidInputError(str(answer["message"]))
    by = (answer.get("slack_user_id"), answer.get("first_slack_user_id"))
    own = command.user_id in by and answer.get("decision") == decision
    if status in _SHOWN_ELSEWHERE or (command.is_repeated and status == "already_decided" and own):
        return None
    return Answer(str(answer["message"]))


def analyst(command: Command) -> dict[str, str]:
    """Return the user as the approval function expects an analyst."""
    user = command.names.user(command.user_id)
    return {
        "slack_user_id": command.user_id,
        "email": identity.confirmed_email(user) or "",
        "name": command.real_name,
    }


def _approval(pressed: str) -> tuple[Row, int | None]:
    """Return the approval, and how many joined events the pressed message showed."""
    approval_id, seen = approval_message.parse_button_value(pressed)
    row = approvals.get(approval_id) if approval_id else None
    if row is None:
        raise InvalidInputError("Decision not recorded: this approval request no longer exists.")
    observability.correlate(approval_id)
    return row, seen


def require_approver(command: Command, row: Row) -> None:
    """Raise NotPermittedError, and record it in the audit, unless the user is an approver."""
    requester, decision = approver_decision(command)
    is_later = decision.allowed and not approver_set.is_frozen_approver(row, command.user_id, requester.email)
    if decision.allowed and not is_later:
        return
    details = {
        "approval_id": row["approval_id"],
        "execution": row["execution"],
        "reason": "added_later" if is_later else decision.reason.value,
        "slack_user_id": command.user_id,
    }
    audit.append("decision_refused", command.identity, details, once=f"command/{command.id}")
    raise NotPermittedError(_ADDED_LATER if is_later else _not_permitted(command))


def approver_decision(command: Command) -> tuple[permissions.Requester, permissions.Decision]:
    """Return the user's data, and whether the user is an approver now."""
    approvers = settings().approvers
    requester = people.requester(command, approvers)
    decision = permissions.decide(
        requester,
        watchers=(),
        response_team=() if approvers else [person.email for person in members.response_team()],
        editors=approvers,
    )
    return requester, decision


def _not_permitted(command: Command) -> str:
    """Return the refusal with the names of the approvers."""
    chosen = settings().approvers
    team = [] if chosen else [person.name or person.email for person in members.response_team()]
    who = [_name(command, one) for one in chosen] or team
    more = f" and {len(who) - _NAMED} more" if len(who) > _NAMED else ""
    source = "slack_approvers" if chosen else "the incident response team of AWS Security Incident Response"
    listed = f"Ask one of them: {', '.join(who[:_NAMED])}{more}." if who else "The list is empty: ask your operators."
    return f"Decision not recorded: only approvers can decide. Approvers are the users of {source}. {listed}"


def _name(command: Command, approver: str) -> str:
    if "@" in approver:
        return approver
    if approver.startswith("S"):
        return f"@{command.names.group(approver)}"
    return command.names.real_name(approver)


def invoke(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return the approval function's answer. Raises UncertainError without one; a repeated call is harmless."""
    try:
        answer = aws.client("lambda").invoke(
            FunctionName=f"{settings().require('approval_function')}:{_ALIAS}", Payload=json.dumps(payload).encode()
        )
        body = json_text.parsed(answer["Payload"].read())
    except (BotoCoreError, ClientError, ValueError) as error:
        raise UncertainError("Lambda", "Invoke", type(error).__name__) from error
    if answer.get("FunctionError") or not isinstance(body, dict) or "status" not in body:
        raise UncertainError("Lambda", "Invoke", str(answer.get("FunctionError") or "no answer"))
    return body
