"""`/security-ir update-title <text>`."""

from __future__ import annotations

from ir_router import clock
from ir_router.cases.limits import TITLE_LIMIT
from ir_router.commands import changing, rendering, timeline
from ir_router.commands.command import Answer, Command
from ir_router.errors import InvalidInputError
from ir_router.security_ir import gateway as security_ir


def run(command: Command) -> Answer:
    """Set the title; a title has one line, so line breaks become spaces."""
    wanted = " ".join(command.plain_argument.split("\n")).strip()
    if len(wanted) > TITLE_LIMIT:
        raise InvalidInputError(rendering.too_long("title", len(wanted), TITLE_LIMIT))
    case = changing.open_case_to_change(command)
    before = str(command.first("before", case.title))
    if before == wanted:
        return Answer(rendering.unchanged("title", wanted))
    command.changes = True
    if changing.must_change(command, "title", before, case.title, wanted):
        changing.remember_person(command, timeline.TITLE, wanted)
        security_ir.update_case(command.case_id, title=wanted)
    changing.write_comment(command, f'Title changed from "{before}" to "{wanted}" by {command.real_name} from Slack.')
    changing.tell_synchronisation(command)
    return Answer(rendering.title_updated(before, wanted, command.by, clock.utc_now()))
