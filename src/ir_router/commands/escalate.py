"""`/security-ir escalate`: ask for confirmation, and then hand a self-managed case over to AWS.

The buttons of the confirmation follow the rules of `close`: only the user whose command asked can use them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ir_router import observability
from ir_router.cases.models import Case
from ir_router.commands import changing, close, execution
from ir_router.commands.command import Answer, Command, case_of, of_interaction
from ir_router.errors import InvalidInputError, RefusedError
from ir_router.security_ir import gateway as security_ir
from ir_router.slack.messages import plain
from ir_router.slack.text import shorten

CONFIRM, KEEP = "escalate_confirm", "escalate_keep"
_AWS = "AWS"
_TITLE_LENGTH = 200
_ASKED = "asked_to_escalate"
# AWS has fewer places for supported cases than for self-managed ones.
_FULL = "ServiceQuotaExceededException"


def execute_command(command: Command) -> Answer:
    """Answer with a confirmation that lists the data that AWS sees."""
    case = changing.open_case_to_change(command, as_watcher=False)
    if case.resolver_type == _AWS:
        return Answer("AWS already handles this case.")
    command.first(_ASKED, {"case_id": case.case_id, "user_id": command.user_id})
    question = _question(case)
    buttons = [
        close.button(CONFIRM, "Hand over to AWS", command.id) | {"style": "danger"},
        close.button(KEEP, "Keep it self-managed", command.id),
    ]
    return Answer(question, [plain(question), {"type": "actions", "elements": buttons}])


def handle_interaction(payload: Mapping[str, Any], context: Any) -> None:
    """Handle a pressed button of the confirmation. Two presses escalate the case once."""
    action = payload["actions"][0]
    action_id, asked_by = str(action["action_id"]), str(action.get("value") or "")
    container = payload.get("container") or {}
    pressed = f"{action_id}:{container.get('channel_id', '')}:{container.get('message_ts', '')}"
    command = of_interaction(payload, "escalate" if action_id == CONFIRM else "keep-self-managed", pressed, context)
    command.replaces = True
    command.case_id = case_of(command.channel_id)
    if command.case_id:
        observability.correlate(command.case_id)
    if action_id == CONFIRM:
        execution.execute(command, lambda command: _escalate(command, asked_by), attempted="update")
    else:
        execution.execute(command, lambda _: Answer("", removes=True), attempted="update")


def _escalate(command: Command, asked_by: str) -> Answer:
    if not command.case_id:
        raise InvalidInputError("This channel no longer belongs to a case, so nothing was escalated")
    close.require_asked(command, asked_by, _ASKED, "Case not escalated", "/security-ir escalate")
    case = changing.open_case_to_change(command, as_watcher=False)
    if case.resolver_type == _AWS and not command.is_repeated:
        return Answer("AWS already handles this case.", replaces=True)
    command.changes = True
    if case.resolver_type != _AWS:
        try:
            security_ir.update_resolver_type(command.case_id)
        except RefusedError as error:
            if error.code == _FULL:
                raise InvalidInputError(
                    "Case not escalated: the quota for AWS-supported cases is reached. Close another AWS-supported "
                    "case, or raise the quota in AWS"
                ) from error
            # botocore repeats a call after a lost answer. The second call then finds the case with AWS.
            if security_ir.get_case(command.case_id).resolver_type != _AWS:
                raise
    changing.write_comment(command, f"{command.identity} handed this case over to AWS from Slack.")
    changing.notify_synchronisation(command)
    text = f"✅ AWS now handles case {command.case_id}. AWS's responders answer on the case and here."
    return Answer(text, replaces=True)


def _question(case: Case) -> str:
    return (
        f"Hand case {case.case_id} over to AWS? This cannot be undone.\n"
        f"Title: {shorten(case.title, _TITLE_LENGTH)}\n"
        "AWS's responders then see the title, the description, all comments and attachments of this case, and the "
        "names and addresses of its watchers. The case has the messages and files of this channel. From then on AWS "
        "sets its status, and the case counts for the quota of AWS-supported cases."
    )
