"""The channels of the app in which a user is too."""

from __future__ import annotations

from ir_router.commands.command import Command


def of(command: Command) -> set[str]:
    """Return the ids of the channels that the user shares with the app (users.conversations)."""
    wanted = {"types": "public_channel,private_channel", "exclude_archived": True}
    found = command.slack.pages("users.conversations", "channels", user=command.user_id, **wanted)
    return {str(channel["id"]) for channel in found}
