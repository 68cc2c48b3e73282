"""Users and user groups, in Slack's representation."""

from __future__ import annotations

from ir_sandbox.slack.errors import SlackError
from ir_sandbox.slack.events import EventBus
from ir_sandbox.slack.model import CONNECTED_ENTERPRISE, Json, User, UserGroup
from ir_sandbox.slack.store import Store


class Users:
    """The people and bots of the workspace, and users of other workspaces seen through Slack Connect."""

    def __init__(self, store: Store, bus: EventBus) -> None:
        """Keep users in `store`, which starts with Slackbot."""
        self._store = store
        self._bus = bus
        store.users["USLACKBOT"] = User("USLACKBOT", store.team_id, "slackbot", "Slackbot")

    def add(self, user: User) -> User:
        """Add a user and publish `team_join`."""
        user.updated = int(self._store.now())
        user.enterprise_id = CONNECTED_ENTERPRISE if user.is_stranger else self._store.enterprise_id
        self._store.users[user.id] = user
        if not user.is_stranger and not user.is_bot:
            self._bus.publish("team_join", {"type": "team_join", "user": self.render(user, with_email=False)})
        return user

    def change(self, user: User, changes: Json) -> None:
        """Change fields (`real_name`, `email`, `deleted`...) and publish `user_change`."""
        for name, value in changes.items():
            if not hasattr(user, name):
                raise SlackError("invalid_arguments")
            setattr(user, name, value)
        user.updated = int(self._store.now())
        self._bus.publish("user_change", {"type": "user_change", "user": self.render(user, with_email=False)})

    def by_email(self, email: str) -> User:
        """Return the workspace's active user with an address, ignoring case; raises SlackError `users_not_found`."""
        wanted = email.strip().lower()
        for user in self._store.users.values():
            is_candidate = not (user.deleted or user.is_stranger or user.is_bot)
            if is_candidate and user.email is not None and user.email.lower() == wanted:
                return user
        raise SlackError("users_not_found")

    def render(self, user: User, *, with_email: bool) -> Json:
        """Return the user object.

        `with_email` adds the address, as Slack does for tokens with `users:read.email`, but never a stranger's address.
        """
        first, _, last = user.real_name.partition(" ")
        profile: Json = {
            "real_name": user.real_name,
            "real_name_normalized": user.real_name,
            "display_name": user.display_name,
            "display_name_normalized": user.display_name,
            "first_name": first,
            "last_name": last,
            "team": user.team_id,
            "image_48": f"https://secure.gravatar.com/avatar/{user.id}?s=48",
        }
        if with_email and user.email is not None and not user.is_stranger:
            profile["email"] = user.email
        if user.bot_id is not None:
            profile |= {"bot_id": user.bot_id, "api_app_id": user.app_id}
        shown: Json = {
            "id": user.id,
            "team_id": user.team_id,
            "name": user.name,
            "deleted": user.deleted,
            "profile": profile,
            "is_bot": user.is_bot,
            "is_app_user": False,
            "updated": user.updated,
        }
        if user.is_stranger:
            shown["is_stranger"] = True
        if user.deleted:
            return shown
        shown |= {
            "real_name": user.real_name,
            "tz": user.time_zone,
            "tz_label": "Coordinated Universal Time",
            "tz_offset": 0,
            "is_admin": user.is_admin,
            "is_owner": False,
            "is_primary_owner": False,
            "is_restricted": user.is_restricted or user.is_ultra_restricted,
            "is_ultra_restricted": user.is_ultra_restricted,
            "is_email_confirmed": user.email is not None and user.is_email_confirmed,
        }
        if user.enterprise_id is not None:
            shown["enterprise_user"] = {
                "id": user.id,
                "enterprise_id": user.enterprise_id,
                "teams": [user.team_id],
                "is_admin": user.is_admin,
                "is_owner": False,
            }
        return shown

    def render_group(self, group: UserGroup, *, with_users: bool, with_count: bool) -> Json:
        """Return the user group object."""
        shown: Json = {
            "id": group.id,
            "team_id": self._store.team_id,
            "is_usergroup": True,
            "is_subteam": True,
            "name": group.name,
            "handle": group.handle,
            "description": "",
            "is_external": False,
            "date_create": 0,
            "date_delete": int(self._store.now()) if group.disabled else 0,
        }
        if with_users:
            shown["users"] = list(group.users)
        if with_count:
            shown["user_count"] = len(group.users)
        return shown
