"""Steps shared by all commands that change a case.

A command first records the user, then calls the API, and then writes a system comment and a hint. The case's
synchronisation announces the change in the channel, names the recorded user and sets the topic.
"""

from __future__ import annotations

import re
from contextlib import suppress

from ir_router import clock
from ir_router.cases.models import Case
from ir_router.commands import people, rendering
from ir_router.commands.command import Command
from ir_router.errors import InvalidInputError, LeaseLostError
from ir_router.ledger import keys, table
from ir_router.security_ir import gateway as security_ir
from ir_router.sync import hints, system_comments

_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9._:-]")


def case_to_change(command: Command, *, as_watcher: bool = True) -> Case:
    """Return the case if the user may change it. Raises NotPermittedError.

    Without `as_watcher`, only the response team and the editors may make this change.
    """
    case = security_ir.get_case(command.case_id)
    people.require_may_change(command, case.watchers, as_watcher=as_watcher)
    return case


def open_case_to_change(command: Command, *, as_watcher: bool = True) -> Case:
    """Return the case if it is open and the user may change it (see `case_to_change`).

    Raises:
        NotPermittedError: The user may not change the case.
        InvalidInputError: The case is closed.
    """
    case = case_to_change(command, as_watcher=as_watcher)
    if case.is_closed:
        raise InvalidInputError(rendering.cannot_change_closed(case))
    return case


def must_change(command: Command, label: str, before: str, now: str, wanted: str) -> bool:
    """Return whether the field must be set. It need not if an earlier attempt of this command has set it.

    Args:
        command: The command.
        label: The field's name, for the error message.
        before: The value that the first attempt found.
        now: The current value.
        wanted: The value to set.

    Raises:
        InvalidInputError: Another user changed the field between two attempts. The newer value is not overwritten.
    """
    if now == wanted:
        return False
    if command.is_repeated and now != before:
        raise InvalidInputError(rendering.overtaken(label, now))
    return True


def record_user(command: Command, field: str, value: str, *, number: int = 0) -> None:
    """Record the user and the change, for the channel's message and for `incident-details`.

    Args:
        command: The command.
        field: The ledger's attribute, for example `slackChannelCaseStatus`.
        value: The new value, as the API spells it.
        number: Distinguishes several changes of one command.
    """
    command.deadline.check()  # the API call comes next
    person = {"name": command.real_name, "slack_user_id": command.user_id}
    change = {**person, "field": field, "value": value, "at": command.first("at", clock.now())}
    name = f"{name_of(command)}-{number}" if number else name_of(command)
    table.put(keys.slack_change(command.case_id, name), change)


def write_comment(command: Command, text: str) -> None:
    """Write a system comment on the case, once for this command."""
    # After a long time the case's synchronisation may take over the claim, and then writes the comment.
    with suppress(LeaseLostError):
        system_comments.write(command.case_id, name_of(command), text)


def notify_synchronisation(command: Command, detail_type: hints.DetailType = "CaseUpdated") -> None:
    """Publish a hint, so that the channel is in sync within a second. Without it the next poll finds the change."""
    hints.publish([hints.Hint(command.case_id, detail_type)])


def name_of(command: Command) -> str:
    """Return the name of this command in the ledger and in its comment."""
    return f"{command.name}-{_NOT_IN_A_NAME.sub('-', command.id)}"
