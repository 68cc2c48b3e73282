"""`/security-ir close`: ask for confirmation, because a closed case cannot be reopened. The button closes the case.

The message about the end of an incident has a button that asks in the same way.

The button of the confirmation names the command that asked, which only the ledger, Slack and the user know. Every
holder of the bot token can post a message with such a button, but cannot read the one that the user sees.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ir_router import clock, observability
from ir_router.cases import status, timeline
from ir_router.cases.models import Case
from ir_router.commands import changing, execution, people, rendering
from ir_router.commands.command import Answer, Command, NotPermittedError, case_of, of_interaction
from ir_router.errors import InvalidInputError, RefusedError
from ir_router.ledger import keys, table
from ir_router.security_ir import gateway as security_ir
from ir_router.slack.messages import plain
from ir_router.slack.text import shorten
from ir_router.sync.life_cycle import CLOSE_OFFER

CONFIRM, KEEP = "close_confirm", "close_keep"
_TITLE_LENGTH = 200
# The attribute of a command's row with the case and the user that its buttons are for.
_ASKED = "asked_to_close"


def execute_command(command: Command) -> Answer:
    """Answer with a confirmation: the case's title and status, and two buttons."""
    case = changing.case_to_change(command, as_watcher=False)
    if case.is_closed:
        return Answer(rendering.already_closed(case))
    question = _question(case)
    return Answer(question, confirmation_blocks(command, case, question))


def confirmation_blocks(command: Command, case: Case, text: str) -> list[dict[str, Any]]:
    """Return a text with the buttons that close the case or keep it open, for the user of the command."""
    command.first(_ASKED, {"case_id": case.case_id, "user_id": command.user_id})
    return [
        plain(text),
        {
            "type": "actions",
            "elements": [
                button(CONFIRM, "Close case", command.id) | {"style": "danger"},
                button(KEEP, "Keep it open", command.id),
            ],
        },
    ]


def handle_interaction(payload: Mapping[str, Any], context: Any) -> None:
    """Handle a pressed button of the confirmation. Two presses close the case once."""
    action = payload["actions"][0]
    if action["action_id"] == CLOSE_OFFER:
        _ask(payload, context)
        return
    action_id, asked_by = str(action["action_id"]), str(action.get("value") or "")
    container = payload.get("container") or {}
    pressed = f"{action_id}:{container.get('channel_id', '')}:{container.get('message_ts', '')}"
    command = of_interaction(payload, "close" if action_id == CONFIRM else "keep-open", pressed, context)
    command.replaces = True
    command.case_id = case_of(command.channel_id)
    if command.case_id:
        observability.correlate(command.case_id)
    execution.execute(
        command, lambda command: _close(command, asked_by) if action_id == CONFIRM else _keep(), attempted="update"
    )


def _ask(payload: Mapping[str, Any], context: Any) -> None:
    """Ask for confirmation after a press of "Close this case", as the sub-command does."""
    command = of_interaction(payload, "close", str(payload["trigger_id"]), context)
    command.case_id = case_of(command.channel_id)
    if command.case_id:
        observability.correlate(command.case_id)
    execution.execute(command, _confirm, attempted="update")


def _confirm(command: Command) -> Answer:
    if not command.case_id:
        raise InvalidInputError("This channel no longer belongs to a case, so nothing was closed")
    return execute_command(command)


def _keep() -> Answer:
    return Answer("", removes=True)


def _close(command: Command, asked_by: str) -> Answer:
    if not command.case_id:
        raise InvalidInputError("This channel no longer belongs to a case, so nothing was closed")
    require_asked(command, asked_by, _ASKED, "Case not closed", "/security-ir close")
    case = changing.case_to_change(command, as_watcher=False)
    was_closed = bool(command.first("was_closed", case.is_closed))
    if was_closed:
        return Answer(rendering.already_closed(case), replaces=True)
    command.changes = True
    if not case.is_closed:
        changing.record_user(command, timeline.STATUS, "Closed")
        # Before the call, because AWS accepts no comments on a closed case. So it must be true if AWS rejects the call.
        changing.write_comment(command, f"{command.identity} is closing this case from Slack.")
        _close_once(command)
    changing.notify_synchronisation(command)
    return Answer(rendering.closed(command.case_id, command.by, clock.utc_now()), replaces=True)


def require_asked(command: Command, asked_by: str, name: str, refusal: str, instead: str) -> None:
    """Raise NotPermittedError, and record it, unless the user's own command asked for this change of this case.

    Args:
        command: The pressed button.
        asked_by: The id of the command, as the button names it.
        name: The attribute of the command's row with the case and the user.
        refusal: The beginning of the error message.
        instead: The command to type.
    """
    row = table.get(keys.command(asked_by)) if asked_by else None
    if (row or {}).get(name) == {"case_id": command.case_id, "user_id": command.user_id}:
        return
    people.record_refusal(command, "unknown_message")
    raise NotPermittedError(f"{refusal}: ir-router does not know this button. Run {instead}")


def _close_once(command: Command) -> None:
    try:
        security_ir.close_case(command.case_id)
    except RefusedError:
        # botocore repeats a call after a lost answer. The second call then finds the case closed by the first.
        if not security_ir.get_case(command.case_id).is_closed:
            raise


def _question(case: Case) -> str:
    return (
        f"Close case {case.case_id}? A closed case cannot be reopened.\n"
        f"Title: {shorten(case.title, _TITLE_LENGTH)}\nStatus: {status.shown(case.case_status)}"
    )


def button(action_id: str, text: str, command_id: str) -> dict[str, Any]:
    """Return a button of a confirmation, which names the command that asked."""
    return {
        "type": "button",
        "action_id": action_id,
        "text": {"type": "plain_text", "text": text},
        "value": command_id,
    }
