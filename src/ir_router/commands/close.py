"""`/security-ir close`: asks first, since a closed case cannot be reopened; the button closes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ir_router import clock, observability
from ir_router.cases import status
from ir_router.cases.models import Case
from ir_router.commands import changing, execution, rendering, timeline
from ir_router.commands.command import Answer, Command, case_of, of_interaction
from ir_router.errors import InvalidInputError, RefusedError
from ir_router.security_ir import gateway as security_ir
from ir_router.slack.messages import section
from ir_router.slack.text import escape, shorten

CONFIRM, KEEP = "close_confirm", "close_keep"
_TITLE_LENGTH = 200


def run(command: Command) -> Answer:
    """Ask for confirmation."""
    case = changing.case_to_change(command)
    if case.is_closed:
        return Answer(rendering.already_closed(case))
    question = _question(case)
    return Answer(question, confirmation_blocks(case, question))


def confirmation_blocks(case: Case, text: str) -> list[dict[str, Any]]:
    """A text with the buttons that close the case or leave it."""
    return [
        section(escape(text)),
        {
            "type": "actions",
            "elements": [
                _button(CONFIRM, "Close case", case.case_id) | {"style": "danger"},
                _button(KEEP, "Keep it open", case.case_id),
            ],
        },
    ]


def handle(payload: Mapping[str, Any], context: Any) -> None:
    """A button of the question was pressed; pressed twice, it closes once."""
    action_id = str(payload["actions"][0]["action_id"])
    container = payload.get("container") or {}
    pressed = f"{action_id}:{container.get('channel_id', '')}:{container.get('message_ts', '')}"
    command = of_interaction(payload, "close" if action_id == CONFIRM else "keep-open", pressed, context)
    command.replaces = True
    command.case_id = case_of(command.channel_id)
    if command.case_id:
        observability.correlate(command.case_id)
    work = _close if action_id == CONFIRM else _keep
    execution.execute(command, work, attempted="update")


def _keep(_command: Command) -> Answer:
    return Answer("", removes=True)


def _close(command: Command) -> Answer:
    if not command.case_id:
        raise InvalidInputError("This channel belongs to no case any more; nothing was closed")
    case = changing.case_to_change(command)
    was_closed = bool(command.first("was_closed", case.is_closed))
    if was_closed:
        return Answer(rendering.already_closed(case), replaces=True)
    command.changes = True
    if not case.is_closed:
        changing.remember_person(command, timeline.STATUS, "Closed")
        # Before the call, since a closed case takes no comments; true also when AWS refuses to close.
        changing.write_comment(command, f"Closing asked for by {command.real_name} from Slack.")
        _close_once(command)
    changing.tell_synchronisation(command)
    return Answer(rendering.closed(command.case_id, command.by, clock.utc_now()), replaces=True)


def _close_once(command: Command) -> None:
    try:
        security_ir.close_case(command.case_id)
    except RefusedError:
        # botocore repeats a call whose answer was lost; the second one then finds the case closed by the first.
        if not security_ir.get_case(command.case_id).is_closed:
            raise


def _question(case: Case) -> str:
    return (
        f"Close case {case.case_id}? A closed case cannot be reopened.\n"
        f"Title: {shorten(case.title, _TITLE_LENGTH)}\nStatus: {status.shown(case.case_status)}"
    )


def _button(action_id: str, text: str, case_id: str) -> dict[str, Any]:
    return {
        "type": "button",
        "action_id": action_id,
        "text": {"type": "plain_text", "text": text},
        "value": case_id,
    }
