"""`/security-ir update-status <status>`, with the specification's or AWS's names of statuses."""

from __future__ import annotations

from ir_router import clock
from ir_router.cases import status, timeline
from ir_router.cases.models import Case
from ir_router.commands import changing, close, rendering
from ir_router.commands.command import Answer, Command
from ir_router.errors import InvalidInputError, RefusedError
from ir_router.security_ir import gateway as security_ir

_REFUSED_MOVES = frozenset({"ConflictException", "ValidationException"})


def execute_command(command: Command) -> Answer:
    """Set the status, through the documented intermediate statuses if needed. `Closed` asks for confirmation."""
    wanted = status.parse(command.argument)
    if wanted is None:
        raise InvalidInputError(rendering.invalid_status())
    if wanted == "Closed":
        return close.execute_command(command)
    if wanted not in status.SETTABLE:
        raise InvalidInputError(rendering.status_of_aws(wanted))
    case = changing.open_case_to_change(command)
    before = str(command.first("before", case.case_status))
    shown = _as_asked(command.argument, wanted)
    if before == wanted:
        return Answer(rendering.unchanged("status", shown))
    if case.resolver_type != "Self":
        text = rendering.aws_supported()
        return Answer(f"❌ {text}", close.CONFIRMATION.blocks(command, case, text))
    command.changes = True
    if case.case_status != wanted:
        _move(command, case, wanted)
    changing.write_comment(
        command,
        f"Status changed from {status.shown(before)} to {status.shown(wanted)} by {command.identity} from Slack.",
    )
    changing.notify_synchronisation(command)
    return Answer(rendering.status_updated(shown, command.by, clock.utc_now()))


def _as_asked(argument: str, wanted: str) -> str:
    """Return the status as the user named it: the specification's name alone, or with AWS's name."""
    word = status.specified(wanted)
    return word if " ".join(argument.split()).casefold() == word.casefold() else status.shown(wanted)


def _move(command: Command, case: Case, wanted: str) -> None:
    for number, step in enumerate(status.way(case.case_status, wanted)):
        # If the run ends between two steps, the channel still names the user of both.
        changing.record_user(command, timeline.STATUS, step, number=number)
        try:
            security_ir.update_status(command.case_id, step)
        except RefusedError as error:
            if error.code not in _REFUSED_MOVES or security_ir.get_case(command.case_id).is_closed:
                raise
            possible = status.reachable(case.case_status)
            raise InvalidInputError(rendering.no_way(case.case_status, wanted, possible)) from error
