"""Commands and interactions from other workspaces: accept those that belong to this installation.

Slack names the user's workspace in them, not the installation's. A colleague of another workspace of the organisation,
or a user of a connected company in the channel of a case, is accepted here. The permission rules then decide.
"""

from __future__ import annotations

from ir_router.commands.command import Answer, Command, case_of
from ir_router.slack import installation
from ir_router.slack.envelopes import Origin

_REFUSAL = "❌ ir-router is not set up for this workspace\nContact your administrator for access"


def is_accepted(command: Command, origin: Origin) -> bool:
    """Return whether the request belongs to this installation. If not, log its ids once."""
    if case_of(command.channel_id):
        return True
    if origin.enterprise_id and installation.is_colleague(command.slack, None, origin.enterprise_id):
        return True
    installation.log_refused(origin)
    return False


def refuse(command: Command) -> None:
    """Answer a slash command of another installation."""
    command.answer(Answer(_REFUSAL))
