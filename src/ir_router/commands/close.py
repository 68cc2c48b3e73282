"""`/security-ir close`: ask for confirmation, because a closed case cannot be reopened. The button closes the case.

The message about the end of an incident has a button that asks in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ir_router import clock
from ir_router.cases import status, timeline
from ir_router.cases.models import Case
from ir_router.commands import changing, confirmation, execution, rendering
from ir_router.commands.command import Answer, Command, of_interaction
from ir_router.commands.confirmation import Confirmation
from ir_router.errors import RefusedError
from ir_router.security_ir import gateway as security_ir
from ir_router.slack.text import shorten
from ir_router.sync.life_cycle import CLOSE_OFFER

CONFIRMATION = Confirmation(
    name="close",
    confirm=("close_confirm", "Close case"),
    keep=("close_keep", "Keep it open"),
    kept_name="keep-open",
    done="closed",
    asked="asked_to_close",
)
_TITLE_LENGTH = 200


def execute_command(command: Command) -> Answer:
    """Answer with a confirmation: the case's title and status, and two buttons."""
    case = changing.case_to_change(command, as_watcher=False)
    if case.is_closed:
        return Answer(rendering.already_closed(case))
    question = _question(case)
    return Answer(question, CONFIRMATION.blocks(command, case, question))


def handle_interaction(payload: Mapping[str, Any], context: Any) -> None:
    """Handle a pressed button of the confirmation, or "Close this case", which asks as the sub-command does."""
    if payload["actions"][0]["action_id"] != CLOSE_OFFER:
        CONFIRMATION.handle(payload, context, _close)
        return
    command = of_interaction(payload, "close", str(payload["trigger_id"]), context)
    confirmation.note_case(command)
    execution.execute(command, _ask, attempted="update")


def _ask(command: Command) -> Answer:
    CONFIRMATION.require_case(command)
    return execute_command(command)


def _close(command: Command) -> Answer:
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
