"""`/security-ir escalate`: ask for confirmation, and then hand a self-managed case over to AWS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ir_router.cases.models import Case
from ir_router.commands import changing
from ir_router.commands.command import Answer, Command
from ir_router.commands.confirmation import Confirmation
from ir_router.errors import InvalidInputError, RefusedError
from ir_router.security_ir import gateway as security_ir
from ir_router.slack.text import shorten

CONFIRMATION = Confirmation(
    name="escalate",
    confirm=("escalate_confirm", "Hand over to AWS"),
    keep=("escalate_keep", "Keep it self-managed"),
    kept_name="keep-self-managed",
    done="escalated",
    asked="asked_to_escalate",
)
_AWS = "AWS"
# The attribute of the command's claim: an attempt was about to hand the case over. A case that is with AWS without it
# was handed over by another user.
_CALLED = "escalates"
_TITLE_LENGTH = 200
# AWS has fewer places for supported cases than for self-managed ones.
_FULL = "ServiceQuotaExceededException"


def execute_command(command: Command) -> Answer:
    """Answer with a confirmation that lists the data that AWS sees."""
    case = changing.open_case_to_change(command, as_watcher=False)
    if case.resolver_type == _AWS:
        return Answer("AWS already handles this case.")
    question = _question(case)
    return Answer(question, CONFIRMATION.blocks(command, case, question))


def handle_interaction(payload: Mapping[str, Any], context: Any) -> None:
    """Handle a pressed button of the confirmation. Two presses escalate the case once."""
    CONFIRMATION.handle(payload, context, _escalate)


def _escalate(command: Command) -> Answer:
    case = changing.open_case_to_change(command, as_watcher=False)
    if case.resolver_type == _AWS and not (command.claim is not None and _CALLED in command.claim.row):
        return Answer("AWS already handles this case.", replaces=True)
    command.changes = True
    if case.resolver_type != _AWS:
        command.first(_CALLED, value=True)
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
