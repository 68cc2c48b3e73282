"""What all commands that change the case have in common.

The person is remembered before the call, so that whoever tells of the change in the channel can name them; the system
comment and the hint follow it. The message in the channel and the topic are the work of the case's synchronisation.
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


def case_to_change(command: Command) -> Case:
    """The case as it is, for somebody who may change it. Raises NotPermittedError."""
    case = security_ir.get_case(command.case_id)
    people.require_may_change(command, case.watchers)
    return case


def open_case_to_change(command: Command) -> Case:
    """As `case_to_change`; raises InvalidInputError for a closed case."""
    case = case_to_change(command)
    if case.is_closed:
        raise InvalidInputError(rendering.cannot_change_closed(case))
    return case


def must_change(command: Command, label: str, before: str, now: str, wanted: str) -> bool:
    """Whether the field must be set; False when an earlier attempt of this command has set it.

    `before` is what the first attempt found. Raises InvalidInputError when somebody else changed the field between
    two attempts: what they wrote later is not overwritten.
    """
    if now == wanted:
        return False
    if command.is_repeated and now != before:
        raise InvalidInputError(rendering.overtaken(label, now))
    return True


def remember_person(command: Command, field: str, value: str, *, number: int = 0) -> None:
    """Keep who changes which field to what, for the channel's message and for `incident-details`.

    `field` is the ledger's attribute (`slackChannelCaseStatus`), `value` the API's; `number` tells several values of
    one command apart.
    """
    command.deadline.check()  # the change itself comes next
    person = {"name": command.real_name, "slack_user_id": command.user_id}
    change = {**person, "field": field, "value": value, "at": command.first("at", clock.now())}
    name = f"{name_of(command)}-{number}" if number else name_of(command)
    table.put(keys.slack_change(command.case_id, name), change)


def write_comment(command: Command, text: str) -> None:
    """The system comment on the case, once for this command."""
    # Whoever has taken its claim over (the case's synchronisation, after a long while) writes it.
    with suppress(LeaseLostError):
        system_comments.write(command.case_id, name_of(command), text)


def tell_synchronisation(command: Command, detail_type: str = "CaseUpdated") -> None:
    """A hint, so that the channel follows within a second; without it the next poll finds the change."""
    hints.publish([hints.Hint(command.case_id, detail_type)])


def name_of(command: Command) -> str:
    """What the ledger and the comment call this command."""
    return f"{command.name}-{_NOT_IN_A_NAME.sub('-', command.id)}"
