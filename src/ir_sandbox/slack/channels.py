"""Conversations with Slack's rules and errors: create, rename, join, invite, set the topic, archive."""

from __future__ import annotations

import re

from ir_sandbox.slack.errors import SlackError
from ir_sandbox.slack.events import EventBus
from ir_sandbox.slack.messages import Messages, escape_rest
from ir_sandbox.slack.model import Channel, ChannelKind, Json, User
from ir_sandbox.slack.quirks.identity import ID_CHANGES_UNANNOUNCED
from ir_sandbox.slack.store import Store

NAME_LENGTH = 80
TOPIC_LENGTH = 250
INVITE_USERS = 1000


def check_name(name: str) -> None:
    """Apply the naming rules of conversations.create; raises SlackError `invalid_name_*`."""
    if not name:
        raise SlackError("invalid_name_required")
    if len(name) > NAME_LENGTH:
        raise SlackError("invalid_name_maxlength")
    if not re.search(r"[^-_.,'!?]", name):
        raise SlackError("invalid_name_punctuation")
    if any(not (letter in "-_" or (letter.isalnum() and letter == letter.lower())) for letter in name):
        raise SlackError("invalid_name_specials")


class Channels:
    """Operations of users on conversations. `actor` is the id of the user who acts."""

    def __init__(self, store: Store, bus: EventBus, messages: Messages) -> None:
        """Keep channels in `store`; joins, topics and similar changes create messages and events."""
        self._store = store
        self._bus = bus
        self._messages = messages

    def create(self, actor: str, name: str, *, is_private: bool) -> Channel:
        """Create a channel with its creator as the first member.

        Raises SlackError `invalid_name_*` or `name_taken`. Archived channels keep their names.
        """
        check_name(name)
        self._check_free(name)
        channel = self._new("private" if is_private else "public", name, actor)
        event = {"id": channel.id, "name": name, "created": channel.created, "creator": actor}
        if not is_private:
            self._bus.publish("channel_created", {"type": "channel_created", "channel": event})
        self._add(channel, actor, inviter=None)
        return channel

    def open_direct(self, users: list[str]) -> Channel:
        """Return the direct message (two users) or group direct message of exactly these users; create it if needed."""
        kind: ChannelKind = "im" if len(users) == 2 else "mpim"
        for channel in self._store.channels.values():
            if channel.kind == kind and set(channel.members) == set(users):
                return channel
        channel = self._new(kind, "", users[0])
        channel.members = list(users)
        return channel

    def join(self, actor: str, channel: Channel) -> bool:
        """Join a public channel; return False if the user was a member already."""
        if channel.kind != "public":
            raise SlackError("method_not_supported_for_channel_type")
        if channel.is_archived:
            raise SlackError("is_archived")
        if actor in channel.members:
            return False
        self._add(channel, actor, inviter=None)
        return True

    def leave(self, actor: str, channel: Channel) -> bool:
        """Leave a channel; return False if the user was not a member."""
        if actor not in channel.members:
            return False
        self._remove(channel, actor)
        return True

    def invite(self, actor: str, channel: Channel, users: list[str], *, force: bool, by_app: bool) -> None:
        """Add users to a channel.

        Args:
            actor: The user who invites.
            channel: The channel.
            users: The ids of the users to add.
            force: Add the users that can be added. Without it, one user that cannot be added stops the call.
            by_app: Refuse guests, as Slack does for an app that may not manage them.

        Raises:
            SlackError: The first user's error, with `errors` for each user that was not added.
        """
        self._check_member(actor, channel)
        if len(users) > INVITE_USERS:
            raise SlackError("too_many_users")
        problems: list[Json] = []
        welcome: list[str] = []
        for user_id in users:
            problem = self._cannot_invite(actor, channel, user_id, by_app=by_app)
            if problem is None:
                welcome.append(user_id)
            else:
                problems.append({"user": user_id, "ok": False, "error": problem})
        if problems and (not force or not welcome):
            raise SlackError(problems[0]["error"], errors=problems)
        for user_id in welcome:
            self._add(channel, user_id, inviter=actor)

    def kick(self, actor: str, channel: Channel, user_id: str) -> None:
        """Remove another member; raises SlackError `cant_kick_self`, `not_in_channel`."""
        self._check_member(actor, channel)
        self._store.user(user_id)
        if user_id == actor:
            raise SlackError("cant_kick_self")
        if user_id not in channel.members:
            raise SlackError("not_in_channel")
        self._remove(channel, user_id)

    def set_topic(self, actor: str, channel: Channel, topic: str) -> None:
        """Set the topic and post Slack's message about it; raises SlackError `too_long` above 250 characters.

        Slack stores and returns topics with `&`, `<` and `>` as entities.
        """
        self._set_line(actor, channel, topic, "topic")

    def set_purpose(self, actor: str, channel: Channel, purpose: str) -> None:
        """Set the purpose, with the rules of `set_topic`."""
        self._set_line(actor, channel, purpose, "purpose")

    def archive(self, actor: str, channel: Channel) -> None:
        """Archive a channel; raises SlackError `already_archived`, `not_in_channel`."""
        if channel.is_archived:
            raise SlackError("already_archived")
        self._check_member(actor, channel)
        self._messages.system(
            channel, actor, "archive", f"<@{actor}> archived the channel", members=list(channel.members)
        )
        channel.is_archived = True
        self._publish_change("archive", channel, {"channel": channel.id, "user": actor})

    def unarchive(self, actor: str, channel: Channel) -> None:
        """Unarchive a channel; the actor becomes a member; raises SlackError `not_archived`."""
        if not channel.is_archived:
            raise SlackError("not_archived")
        channel.is_archived = False
        if actor not in channel.members:
            channel.members.append(actor)
        self._messages.system(channel, actor, "unarchive", f"<@{actor}> un-archived the channel")
        self._publish_change("unarchive", channel, {"channel": channel.id, "user": actor})

    def rename(self, actor: str, channel: Channel, name: str) -> None:
        """Rename a channel.

        Raises the SlackErrors of `create`, and `not_authorized` unless the actor is its creator or an administrator.
        """
        self._check_member(actor, channel)
        if actor != channel.creator and not self._store.user(actor).is_admin:
            raise SlackError("not_authorized")
        check_name(name)
        if name == channel.name:
            return
        self._check_free(name)
        old = channel.name
        channel.previous_names.insert(0, old)
        channel.name = name
        text = f'<@{actor}> has renamed the channel from "{old}" to "{name}"'
        self._messages.system(channel, actor, "name", text, old_name=old, name=name)
        shown = {"id": channel.id, "name": name, "name_normalized": name, "created": channel.created}
        self._publish_change("rename", channel, {"channel": shown})

    def change_id(self, channel: Channel) -> None:
        """Give a channel a new id, as Slack does when a channel begins to be shared with another company.

        The old id is unknown from then on. Messages and files keep their timestamps and shares.
        """
        store, old = self._store, channel.id
        channel.id, channel.is_ext_shared = store.next_id("C"), True
        del store.channels[old]
        store.channels[channel.id] = channel
        for message in channel.messages.values():
            message.channel_id = channel.id
        for file in store.files.values():
            if old in file.shares:
                file.shares[channel.id] = file.shares.pop(old)
        if not store.quirks.is_on(ID_CHANGES_UNANNOUNCED):
            event = {"type": "channel_id_changed", "old_channel_id": old, "new_channel_id": channel.id}
            self._bus.publish("channel_id_changed", event, channel=channel)

    def delete(self, channel: Channel) -> None:
        """Delete a channel with its messages, as an administrator can. Its name becomes free."""
        kind = "group_deleted" if channel.is_private else "channel_deleted"
        self._bus.publish(kind, {"type": kind, "channel": channel.id}, channel=channel)
        del self._store.channels[channel.id]

    def render(self, channel: Channel, viewer: str, *, count_members: bool = False) -> Json:
        """Return the conversation object as `viewer` sees it; `count_members` adds `num_members`."""
        team = self._store.team_id
        shown: Json = {
            "id": channel.id,
            "created": channel.created,
            "updated": channel.created * 1000,
            "is_archived": channel.is_archived,
            "is_im": channel.kind == "im",
            "is_mpim": channel.kind == "mpim",
            "is_private": channel.is_private,
            "is_org_shared": False,
            "context_team_id": team,
        }
        if channel.kind == "im":
            other = next((user for user in channel.members if user != viewer), viewer)
            return {**shown, "user": other, "is_user_deleted": self._store.user(other).deleted}
        shown |= {
            "name": channel.name,
            "name_normalized": channel.name,
            "is_channel": channel.kind in {"public", "private"},
            "is_group": False,
            "is_general": False,
            "is_shared": channel.is_ext_shared,
            "is_ext_shared": channel.is_ext_shared,
            "is_frozen": False,
            "is_pending_ext_shared": False,
            "pending_shared": [],
            "pending_connected_team_ids": [],
            "shared_team_ids": [team],
            "parent_conversation": None,
            "unlinked": 0,
            "creator": channel.creator,
            "is_member": viewer in channel.members,
            "topic": dict(channel.topic),
            "purpose": dict(channel.purpose),
            "previous_names": list(channel.previous_names),
        }
        if count_members:
            shown["num_members"] = len(channel.members)
        return shown

    def _new(self, kind: ChannelKind, name: str, creator: str) -> Channel:
        store = self._store
        channel_id = store.next_id("D" if kind == "im" else "C")
        channel = Channel(channel_id, name or f"mpdm-{channel_id.lower()}", kind, creator, int(store.now()))
        store.channels[channel_id] = channel
        return channel

    def _check_free(self, name: str) -> None:
        if any(channel.name == name for channel in self._store.channels.values()):
            raise SlackError("name_taken")

    def _check_member(self, actor: str, channel: Channel) -> None:
        if channel.kind in {"im", "mpim"}:
            raise SlackError("method_not_supported_for_channel_type")
        if channel.is_archived:
            raise SlackError("is_archived")
        if actor not in channel.members:
            raise SlackError("not_in_channel")

    def _cannot_invite(self, actor: str, channel: Channel, user_id: str, *, by_app: bool) -> str | None:
        user = self._store.users.get(user_id)
        if user is None:
            return "user_not_found"
        if user_id == actor:
            return "cant_invite_self"
        if user_id in channel.members:
            return "already_in_channel"
        if user.deleted:
            return "cant_invite"
        if user.is_stranger:
            return None if channel.is_ext_shared else "user_team_not_in_channel"
        return self._guest_problem(user) if by_app else None

    def _guest_problem(self, user: User) -> str | None:
        if user.is_ultra_restricted:
            is_elsewhere = any(user.id in channel.members for channel in self._store.channels.values())
            return "ura_max_channels" if is_elsewhere else "user_is_ultra_restricted"
        return "user_is_restricted" if user.is_restricted else None

    def _add(self, channel: Channel, user_id: str, *, inviter: str | None) -> None:
        channel.members.append(user_id)
        fields = {"inviter": inviter} if inviter is not None else {}
        self._messages.system(channel, user_id, "join", f"<@{user_id}> has joined the channel", **fields)
        event = {
            "type": "member_joined_channel",
            "user": user_id,
            "channel": channel.id,
            "channel_type": "G" if channel.is_private else "C",
            "team": self._store.user(user_id).team_id,
            **fields,
        }
        self._bus.publish("member_joined_channel", event, channel=channel)

    def _remove(self, channel: Channel, user_id: str) -> None:
        self._messages.system(channel, user_id, "leave", f"<@{user_id}> has left the channel")
        channel.members.remove(user_id)
        event = {
            "type": "member_left_channel",
            "user": user_id,
            "channel": channel.id,
            "channel_type": "G" if channel.is_private else "C",
            "team": self._store.user(user_id).team_id,
        }
        self._bus.publish("member_left_channel", event, channel=channel)
        app = self._store.app_of_bot_user(user_id)
        if app is not None:
            kind = "group_left" if channel.is_private else "channel_left"
            left = {"type": kind, "channel": channel.id, "actor_id": user_id}
            self._bus.publish(kind, left, only_app=app)

    def _set_line(self, actor: str, channel: Channel, value: str, what: str) -> None:
        self._check_member(actor, channel)
        if len(value) > TOPIC_LENGTH:
            raise SlackError("too_long")
        value = escape_rest(value)
        line = {"value": value, "creator": actor, "last_set": int(self._store.now())}
        setattr(channel, what, line)
        text = f"<@{actor}> set the channel {what}: {value}"
        self._messages.system(channel, actor, what, text, **{what: value})

    def _publish_change(self, what: str, channel: Channel, fields: Json) -> None:
        kind = f"{'group' if channel.is_private else 'channel'}_{what}"
        self._bus.publish(kind, {"type": kind, **fields}, channel=channel)
