"""`/security-ir comment <text>`: comment on the case for AWS's responders, but not in the channel."""

from __future__ import annotations

from datetime import UTC, datetime

from ir_router import clock
from ir_router.cases import comments
from ir_router.commands import changing, rendering
from ir_router.commands.command import Answer, Command
from ir_router.errors import InvalidInputError
from ir_router.ledger import claims
from ir_router.sync import comment_claims, system_comments


def execute_command(command: Command) -> Answer:
    """Write the comment once, signed with the user's name."""
    text = command.plain_argument
    if len(text) > comments.part_length():
        raise InvalidInputError(rendering.too_long("comment", len(text), comments.part_length()))
    changing.open_case_to_change(command)
    command.changes = True
    at = datetime.fromtimestamp(float(command.first("at", clock.now())), UTC)
    name = changing.name_of(command)
    body = comments.private_comment(text, str(command.first("author", command.identity)), at, name)
    token = comment_claims.token_for(command.case_id, comments.PRIVATE, name)
    taken = comment_claims.take(system_comments.key_of(command.case_id, name), body, token, origin=comments.PRIVATE)
    if isinstance(taken, claims.Claim):
        comment_claims.settle(command.case_id, taken, comments.PRIVATE)
    return Answer(rendering.commented(command.by, clock.utc_now()))
