"""`/security-ir update-title <text>`."""

from __future__ import annotations

from ir_router import clock
from ir_router.cases import timeline
from ir_router.cases.limits import TITLE_LIMIT
from ir_router.commands import changing, rendering
from ir_router.commands.command import Answer, Command
from ir_router.errors import InvalidInputError
from ir_router.security_ir import gateway as security_ir
from ir_router.slack.text import one_line


def execute_command(command: Command) -> Answer:
    """Set the title: one line with ordinary spaces, and without characters that turn the direction of the text."""
    wanted = one_line(command.plain_argument)
    if len(wanted) > TITLE_LIMIT:
        raise InvalidInputError(rendering.too_long("title", len(wanted), TITLE_LIMIT))
    case = changing.open_case_to_change(command)
    before = str(command.first("before", case.title))
    if before == wanted:
        return Answer(rendering.unchanged("title", wanted))
    command.changes = True
    if changing.must_change(command, "title", before, case.title, wanted):
        changing.record_user(command, timeline.TITLE, wanted)
        security_ir.update_case(command.case_id, title=wanted)
    changing.write_comment(command, f'Title changed from "{before}" to "{wanted}" by {command.identity} from Slack.')
    changing.notify_synchronisation(command)
    return Answer(rendering.title_updated(before, wanted, command.by, clock.utc_now()))
