"""`/security-ir update-description <text>`."""

from __future__ import annotations

from ir_router import clock
from ir_router.cases import timeline
from ir_router.cases.limits import DESCRIPTION_LIMIT
from ir_router.commands import changing, rendering
from ir_router.commands.command import Answer, Command
from ir_router.errors import InvalidInputError
from ir_router.security_ir import gateway as security_ir
from ir_router.slack.text import remove_bidi_controls


def execute_command(command: Command) -> Answer:
    """Set the description. White space and line breaks stay as typed."""
    wanted = remove_bidi_controls(command.plain_argument)
    if len(wanted) > DESCRIPTION_LIMIT:
        raise InvalidInputError(rendering.too_long("description", len(wanted), DESCRIPTION_LIMIT))
    case = changing.open_case_to_change(command)
    before = str(command.first("before", case.description))
    if before == wanted:
        return Answer(rendering.unchanged("description", wanted))
    command.changes = True
    if changing.must_change(command, "description", before, case.description, wanted):
        changing.record_user(command, timeline.DESCRIPTION, wanted)
        security_ir.update_case(command.case_id, description=wanted)
    # A repeated attempt must write the same parts of a long comment.
    author = command.first("author", command.identity)
    changing.write_comment(command, f"Description changed by {author} from Slack. Before:\n\n{before or '(empty)'}")
    changing.notify_synchronisation(command)
    return Answer(rendering.description_updated(wanted, command.by, clock.utc_now()))
