"""`/security-ir`: execute one sub-command after the webhook has acknowledged it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from ir_router import observability
from ir_router.commands import execution, parser, rendering, visitors
from ir_router.commands.catalogue import SUB_COMMANDS, SubCommand
from ir_router.commands.command import Answer, Command, case_of, of_slash_command
from ir_router.errors import InvalidInputError
from ir_router.slack import credentials, envelopes
from ir_router.slack.text import is_blank


def prepare() -> None:
    """Import the sub-commands and read Slack's credentials before the first command."""
    for entry in SUB_COMMANDS.values():
        importlib.import_module(entry.module)
    credentials.prepare()


def handle(event: Mapping[str, Any], context: Any) -> None:
    """Handle `{"task": "slash_command", "command": <the form's fields>, "is_ours": <names our workspace>}`."""
    form = {str(name): str(value) for name, value in event["command"].items()}
    invocation = parser.parse(form.get("text", ""))
    name = invocation.name or "help"
    entry = SUB_COMMANDS.get(name)
    command = of_slash_command(form, entry.name if entry else "unknown", invocation.argument, context)
    if not event.get("is_ours", True) and not visitors.is_accepted(command, envelopes.of_command(form)):
        visitors.refuse(command)
        return

    def work(command: Command) -> Answer | None:
        return _execute(command, entry) if entry else _unknown(name)

    execution.execute(command, work, attempted="update" if entry and entry.changes else "read")


def _unknown(name: str) -> Answer:
    raise InvalidInputError(rendering.unknown(name))


def _execute(command: Command, entry: SubCommand) -> Answer | None:
    if not entry.anywhere:
        command.case_id = case_of(command.channel_id)
        if not command.case_id:
            raise InvalidInputError(rendering.wrong_channel(credentials.channel_prefix()))
        observability.correlate(command.case_id)
    if entry.asks_for and is_blank(command.argument):
        raise InvalidInputError(rendering.missing(entry))
    execute_command: Callable[[Command], Answer | None] = importlib.import_module(entry.module).execute_command
    return execute_command(command)
