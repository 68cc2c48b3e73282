"""`/security-ir remove-watcher <@name or e-mail>`."""

from __future__ import annotations

from ir_router import clock
from ir_router.commands import changing, rendering, watchers
from ir_router.commands.command import Answer, Command
from ir_router.security_ir import gateway as security_ir


def execute_command(command: Command) -> Answer:
    """Remove watchers from the case."""
    wanted = {person.email.lower() for person in watchers.named(command)}
    case = changing.open_case_to_change(command, as_watcher=False)
    present = [watcher for watcher in case.watchers if watcher.email.lower() in wanted]
    gone = str(command.first("before", watchers.shown(present)))
    if not gone:
        return Answer(rendering.not_watching())
    command.changes = True
    if present:
        command.deadline.check()
        security_ir.update_case(command.case_id, watchersToDelete=watchers.as_parameter(present))
    changing.write_comment(command, f"Watchers removed by {command.identity} from Slack: {gone}.")
    changing.notify_synchronisation(command)
    return Answer(rendering.watchers_changed("removed", gone, command.by, clock.utc_now()))
