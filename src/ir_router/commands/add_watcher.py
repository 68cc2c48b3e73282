"""`/security-ir add-watcher <@name or e-mail>`."""

from __future__ import annotations

from ir_router import clock
from ir_router.cases.limits import WATCHER_LIMIT
from ir_router.commands import changing, rendering, watchers
from ir_router.commands.command import Answer, Command
from ir_router.errors import InvalidInputError
from ir_router.security_ir import gateway as security_ir


def execute_command(command: Command) -> Answer:
    """Add watchers to the case. The case's synchronisation invites them to the channel."""
    wanted = watchers.named(command)
    case = changing.open_case_to_change(command)
    watchers.require_inside(wanted)
    present = {watcher.email.lower() for watcher in case.watchers}
    known = set(command.first("before", sorted(present)))
    new = [person for person in wanted if person.email.lower() not in known]
    if not new:
        return Answer(rendering.already_watching(watchers.shown(wanted)))
    missing = [person for person in new if person.email.lower() not in present]
    if len(present) + len(missing) > WATCHER_LIMIT:
        raise InvalidInputError(rendering.too_many_watchers(len(present), WATCHER_LIMIT))
    command.changes = True
    if missing:
        command.deadline.check()
        security_ir.update_case(command.case_id, watchersToAdd=watchers.as_parameter(missing))
    changing.write_comment(command, f"Watchers added by {command.identity} from Slack: {watchers.shown(new)}.")
    changing.notify_synchronisation(command)
    return Answer(rendering.watchers_changed("added", watchers.shown(new), command.by, clock.utc_now()))
