"""The confirmation of a change that cannot be undone: a question with two buttons, for the user who asked alone.

The buttons name the command that asked, which only the ledger, Slack and the user know. Every holder of the bot token
can post a message with such a button, but cannot read the one that the user sees.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ir_router import observability
from ir_router.cases.models import Case
from ir_router.commands import execution, linking, people
from ir_router.commands.command import Answer, Command, NotPermittedError, case_of, of_interaction
from ir_router.errors import InvalidInputError
from ir_router.ledger import keys, table
from ir_router.settings import settings
from ir_router.slack.messages import plain


@dataclass(frozen=True)
class Confirmation:
    """A confirmation of one sub-command.

    Attributes:
        name: The sub-command.
        confirm: The action id of the button that makes the change, and its label.
        keep: The action id of the button that makes no change, and its label.
        kept_name: The name of a press of `keep` in the log.
        done: The participle of the change, for errors.
        asked: The attribute of the command's row with the case and the user that the buttons are for.
    """

    name: str
    confirm: tuple[str, str]
    keep: tuple[str, str]
    kept_name: str
    done: str
    asked: str

    def blocks(self, command: Command, case: Case, text: str) -> list[dict[str, Any]]:
        """Return a text with the two buttons, for the user of the command."""
        command.first(self.asked, {"case_id": case.case_id, "user_id": command.user_id})
        buttons = [_button(*self.confirm, command.id) | {"style": "danger"}, _button(*self.keep, command.id)]
        shown = linking.blocks(text, case.case_id, settings().region) or [plain(text)]
        return [*shown, {"type": "actions", "elements": buttons}]

    def handle(self, payload: Mapping[str, Any], context: Any, change: Callable[[Command], Answer]) -> None:
        """Handle a pressed button. Two presses make the change once.

        Args:
            payload: Slack's payload.
            context: Lambda's context object.
            change: Makes the change. The command has a case, and its user is the one who asked.
        """
        action = payload["actions"][0]
        action_id, asked_by = str(action["action_id"]), str(action.get("value") or "")
        confirmed = action_id == self.confirm[0]
        container = payload.get("container") or {}
        pressed = f"{action_id}:{container.get('channel_id', '')}:{container.get('message_ts', '')}"
        command = of_interaction(payload, self.name if confirmed else self.kept_name, pressed, context)
        command.replaces = True
        note_case(command)
        if not confirmed:
            execution.execute(command, lambda _: Answer("", removes=True), attempted="update")
            return

        def run(command: Command) -> Answer:
            self.require_case(command)
            self._require_asked(command, asked_by)
            return change(command)

        execution.execute(command, run, attempted="update")

    def require_case(self, command: Command) -> None:
        """Raise InvalidInputError if the channel has no case."""
        if not command.case_id:
            raise InvalidInputError(f"This channel no longer belongs to a case, so nothing was {self.done}")

    def _require_asked(self, command: Command, asked_by: str) -> None:
        """Raise NotPermittedError, and record it, unless the user's own command asked for this change of this case."""
        row = table.get(keys.command(asked_by)) if asked_by else None
        if (row or {}).get(self.asked) == {"case_id": command.case_id, "user_id": command.user_id}:
            return
        people.record_refusal(command, "unknown_message")
        raise NotPermittedError(
            f"Case not {self.done}: ir-router does not know this button. Run /security-ir {self.name}"
        )


def note_case(command: Command) -> None:
    """Set the case of the command's channel, and correlate the log with it."""
    command.case_id = case_of(command.channel_id)
    if command.case_id:
        observability.correlate(command.case_id)


def _button(action_id: str, text: str, command_id: str) -> dict[str, Any]:
    label = {"type": "plain_text", "text": text}
    return {"type": "button", "action_id": action_id, "text": label, "value": command_id}
