"""`/security-ir update-description <text>`."""

from __future__ import annotations

from ir_router import clock
from ir_router.cases.limits import DESCRIPTION_LIMIT
from ir_router.commands import changing, rendering, timeline
from ir_router.commands.command import Answer, Command
from ir_router.errors import InvalidInputError
from ir_router.security_ir import gateway as security_ir


def run(command: Command) -> Answer:
    """Set the description; white space and line breaks stay as typed."""
    wanted = command.plain_argument
    if len(wanted) > DESCRIPTION_LIMIT:
        raise InvalidInputError(rendering.too_long("description", len(wanted), DESCRIPTION_LIMIT))
    case = changing.open_case_to_change(command)
    before = str(command.first("before", case.description))
    if before == wanted:
        return Answer(rendering.unchanged("description", wanted))
    command.changes = True
    if changing.must_change(command, "description", before, case.description, wanted):
        changing.remember_person(command, timeline.DESCRIPTION, wanted)
        security_ir.update_case(command.case_id, description=wanted)
    # Of several parts of a long one, a repeated attempt must make the same.
    author = command.first("author", command.real_name)
    changing.write_comment(command, f"Description changed by {author} from Slack. It was:\n\n{before or '(empty)'}")
    changing.tell_synchronisation(command)
    return Answer(rendering.description_updated(wanted, command.by, clock.utc_now()))
