"""The complete state of a workspace as JSON, for tests and the demo."""

from __future__ import annotations

from dataclasses import asdict

from ir_sandbox.slack.model import Json
from ir_sandbox.slack.workspace import SlackWorkspace


def snapshot(workspace: SlackWorkspace) -> Json:
    """Return the users, channels with their messages, files, ephemerals, posts to response URLs, views and Home tabs.

    Tokens and secrets are not included.
    """
    store = workspace.store
    with store.lock:
        return {
            "team_id": store.team_id,
            "enterprise_id": store.enterprise_id,
            "apps": [
                {"app_id": app.app_id, "name": app.name, "bot_id": app.bot_id, "bot_user_id": app.bot_user_id}
                for app in store.apps.values()
            ],
            "users": [workspace.users.render(user, with_email=True) for user in store.users.values()],
            "user_groups": [asdict(group) for group in store.user_groups.values()],
            "channels": [
                {
                    "id": channel.id,
                    "name": channel.name,
                    "kind": channel.kind,
                    "creator": channel.creator,
                    "created": channel.created,
                    "is_archived": channel.is_archived,
                    "topic": channel.topic["value"],
                    "purpose": channel.purpose["value"],
                    "members": list(channel.members),
                    "messages": [
                        workspace.messages.render(message, metadata=True) for message in channel.messages.values()
                    ],
                }
                for channel in store.channels.values()
            ],
            "files": [
                {**workspace.files.render(file), "deleted": file.deleted, "complete": file.completed is not None}
                for file in store.files.values()
            ],
            "ephemerals": workspace.ephemerals(),
            "response_posts": list(store.response_posts),
            "views": [view.body | {"user": view.user_id} for view in store.views.values() if view.open],
            "homes": [view.body | {"user": view.user_id} for view in store.homes.values()],
        }
