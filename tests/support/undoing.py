"""Undone containments, and how they are reported."""

from __future__ import annotations

from typing import Any

import boto3

from tests.support.world import World
from tests.trials.world.deployment import DENY_POLICY
from tests.trials.world.incidents import alerts


def undo(world: World, name: str, key: str) -> None:
    """Detach the deny policy and enable a key, as a user can until IAM has applied the policy."""
    iam = boto3.client("iam")
    iam.detach_user_policy(UserName=name, PolicyArn=DENY_POLICY)
    iam.update_access_key(UserName=name, AccessKeyId=key, Status="Active")


def reports(world: World) -> list[dict[str, Any]]:
    """Return the alerts about containments that were re-applied, since the last call."""
    return [alert for alert in alerts(world) if "contained again" in str(alert["Message"])]


def mentions(world: World, channel: str) -> list[str]:
    """Return the first lines of the app's messages in a channel that notify users, without requests and reminders."""
    messages = [message for message in world.workspace.channel_messages(channel) if "subtype" not in message]
    shown = [str(message["text"]) for message in messages]
    return [
        text.splitlines()[0]
        for text in shown
        if text.startswith(("<@", "<!")) and "🔐" not in text and "Still waiting" not in text
    ]
