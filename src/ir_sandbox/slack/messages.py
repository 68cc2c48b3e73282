"""Messages and threads: post, edit, delete, react; and the events that they publish."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable

from ir_sandbox.slack import message_forms
from ir_sandbox.slack.errors import SlackError
from ir_sandbox.slack.events import EventBus
from ir_sandbox.slack.model import App, Channel, Json, Message, User
from ir_sandbox.slack.quirks import messages as quirks
from ir_sandbox.slack.store import Store

MENTION_OR_LINK = re.compile(r"(<(?:[@#!][^<>]+|https?://[^<>]+|mailto:[^<>]+)>)")
BARE_LINK = re.compile(r"https?://[^\s<>|]+")
_FAILED_DELIVERY_SECONDS = 60
BARE_AMPERSAND = re.compile(r"&(?!(?:amp|lt|gt);)")


def as_typed(text: str) -> str:
    """Convert typed text as Slack does: escape `&`, `<` and `>`, put bare links in angle brackets, keep mentions."""
    return _outside_tokens(text, lambda part: _bracketed(_escaped(part.replace("&", "&amp;"))))


def as_kept(text: str) -> str:
    """Convert an app's text as Slack stores it: escape unescaped characters, put bare links in angle brackets."""
    return _outside_tokens(text, lambda part: _bracketed(escape_rest(part)))


def escape_rest(text: str) -> str:
    """Escape `<`, `>` and every `&` that does not start one of Slack's three entities."""
    return _escaped(BARE_AMPERSAND.sub("&amp;", text))


def _escaped(text: str) -> str:
    return text.replace("<", "&lt;").replace(">", "&gt;")


def _bracketed(text: str) -> str:
    return BARE_LINK.sub(lambda match: f"<{match.group()}>", text)


def _outside_tokens(text: str, change: Callable[[str], str]) -> str:
    parts = MENTION_OR_LINK.split(text)
    parts[::2] = [change(part) for part in parts[::2]]
    return "".join(parts)


class Messages:
    """Operations on messages. The callers check the user's permissions."""

    def __init__(self, store: Store, bus: EventBus) -> None:
        """Keep messages in `store` and publish their events on `bus`."""
        self._store = store
        self._bus = bus
        self.edit_window_seconds: float | None = None
        """For how many seconds after posting a message can be edited (a workspace setting); None means always."""

    def post(
        self,
        channel: Channel,
        author: str,
        content: Json,
        *,
        app: App | None = None,
        thread_ts: str | None = None,
        broadcast: bool = False,
        metadata: Json | None = None,
    ) -> Message:
        """Add a message and publish its event.

        Args:
            channel: The channel.
            author: The id of the user who posts.
            content: The message's fields, except `type`, `ts`, `team` and those of its thread.
            app: The app that posts, if any.
            thread_ts: The `ts` of any message of the thread.
            broadcast: Also show the reply in the channel.
            metadata: The message's metadata.

        Raises:
            SlackError: `is_archived`, `thread_not_found`.
        """
        if channel.is_archived:
            raise SlackError("is_archived")
        parent = self._parent(channel, thread_ts)
        ts = self._store.next_ts(channel)
        body: Json = {"type": "message", "ts": ts, "team": self._store.team_id, **content}
        message = Message(ts, channel.id, author, body, app.app_id if app else None, metadata=metadata)
        if parent is not None:
            parent.thread_ts = parent.ts
            message.thread_ts = parent.ts
            message.broadcast = broadcast
            body["thread_ts"] = parent.ts
            if "user" in body:
                body["parent_user_id"] = parent.body.get("user")
            if broadcast:
                body["subtype"] = "thread_broadcast"
                body["root"] = self.render(parent)
        channel.messages[ts] = message
        if app is None and "user" in body and self._store.quirks.is_on(quirks.DELETIONS_FIRST):
            self._bus.delay(ts, _FAILED_DELIVERY_SECONDS)
        self._bus.message(channel, copy.deepcopy(body))
        if app is None:
            self._follow(channel, message, parent)
        return message

    def _follow(self, channel: Channel, message: Message, parent: Message | None) -> None:
        """Add the events with which Slack follows a user's message, as far as the quirks turn them on."""
        on = self._store.quirks
        unfurled = message_forms.preview(on, message.body)
        if unfurled is not None:
            self.edit(message, {"attachments": [unfurled]}, editor=None)
        if parent is not None and on.is_on(quirks.REPLIES_CHANGE_PARENTS):
            self._changed(channel, parent, self.render(parent), self._store.next_ts(channel))
        if on.is_on(quirks.SLACKBOT):
            self._notice(channel, {"user": "USLACKBOT", "text": "Reminder: rotate the keys."})
        if on.is_on(quirks.HUDDLES):
            room = {"created_by": message.author, "has_ended": False, "call_family": "huddle"}
            fields = {"user": "USLACKBOT", "subtype": "huddle_thread", "text": "A huddle started", "room": room}
            huddle = self._notice(channel, fields)
            self.edit(huddle, {"text": "", "room": {**room, "has_ended": True}}, editor=None)

    def _notice(self, channel: Channel, fields: Json) -> Message:
        ts = self._store.next_ts(channel)
        message = Message(ts, channel.id, fields["user"], {"type": "message", "ts": ts, **fields})
        channel.messages[ts] = message
        self._bus.message(channel, copy.deepcopy(message.body))
        return message

    def system(self, channel: Channel, user: str, subtype: str, text: str, **fields: object) -> Message:
        """Add Slack's own message about a join, a topic, a name..., of subtype `channel_*` or (private) `group_*`."""
        prefix = "group" if channel.is_private else "channel"
        message = self._notice(channel, {"subtype": f"{prefix}_{subtype}", "user": user, "text": text, **fields})
        if self._store.quirks.is_on(quirks.HOUSEKEEPING_CHANGES):
            self.edit(message, {"text": f"{text} (changed)"}, editor=None)
        return message

    def edit(self, message: Message, changes: Json, *, editor: str | None) -> None:
        """Change fields of a message's body.

        Args:
            message: The message.
            changes: The new values; None removes a field.
            editor: The id of the user who edits; None for Slack itself, for example when a link unfurls.

        Raises:
            SlackError: `edit_window_closed`.
        """
        channel = self._store.channel(message.channel_id)
        window = self.edit_window_seconds
        if editor is not None and window is not None and self._store.now() > float(message.ts) + window:
            raise SlackError("edit_window_closed")
        previous = copy.deepcopy(self.render(message))
        ts = self._store.next_ts(channel)
        for name, value in changes.items():
            if value is None:
                message.body.pop(name, None)
            else:
                message.body[name] = value
        if editor is not None:
            message.body["edited"] = {"user": editor, "ts": f"{ts.split('.')[0]}.000000"}
        self._changed(channel, message, previous, ts)

    def delete(self, message: Message) -> None:
        """Delete a message; Slack's tombstone replaces a message that has replies."""
        channel = self._store.channel(message.channel_id)
        previous = copy.deepcopy(self.render(message))
        ts = self._store.next_ts(channel)
        if not message.is_reply and self._replies(channel, message.ts):
            message.body = {
                "type": "message",
                "subtype": "tombstone",
                "text": "This message was deleted.",
                "user": "USLACKBOT",
                "hidden": True,
                "ts": message.ts,
            }
            message.metadata = None
            self._changed(channel, message, previous, ts)
            return
        del channel.messages[message.ts]
        event = {
            "type": "message",
            "subtype": "message_deleted",
            "hidden": True,
            "ts": ts,
            "deleted_ts": message.ts,
            "previous_message": previous,
        }
        self._bus.message(channel, event)

    def react(self, message: Message, user: str, name: str) -> None:
        """Add a reaction; raises SlackError `already_reacted`."""
        reactions: list[Json] = message.body.setdefault("reactions", [])
        reaction = next((entry for entry in reactions if entry["name"] == name), None)
        if reaction is None:
            reaction = {"name": name, "users": [], "count": 0}
            reactions.append(reaction)
        if user in reaction["users"]:
            raise SlackError("already_reacted")
        reaction["users"].append(user)
        reaction["count"] += 1
        channel = self._store.channel(message.channel_id)
        item = {"type": "message", "channel": channel.id, "ts": message.ts}
        event = {"type": "reaction_added", "user": user, "reaction": name, "item": item, "item_user": message.author}
        self._bus.publish("reaction_added", event, channel=channel)

    def find(self, channel: Channel, ts: str) -> Message:
        """Return a message; raises SlackError `message_not_found`."""
        message = channel.messages.get(ts)
        if message is None:
            raise SlackError("message_not_found")
        return message

    def history(self, channel: Channel) -> list[Message]:
        """Return the messages that the channel shows, newest first; of thread replies only broadcast ones."""
        shown = [message for message in channel.messages.values() if not message.is_reply or message.broadcast]
        return shown[::-1]

    def thread(self, channel: Channel, ts: str) -> list[Message]:
        """Return a thread's parent and its replies, oldest first; raises SlackError `thread_not_found`."""
        message = channel.messages.get(ts)
        if message is None:
            raise SlackError("thread_not_found")
        parent = self.find(channel, message.thread_ts or message.ts)
        return [parent, *self._replies(channel, parent.ts)]

    def render(self, message: Message, *, metadata: bool = False) -> Json:
        """Return a message as conversations.history shows it, with its thread's counters; `metadata` adds metadata."""
        shown = copy.deepcopy(message.body)
        if message.metadata is not None and metadata:
            shown["metadata"] = copy.deepcopy(message.metadata)
        if message.thread_ts is not None and not message.is_reply:
            replies = self._replies(self._store.channel(message.channel_id), message.ts)
            authors = list(dict.fromkeys(reply.author for reply in replies))
            shown["thread_ts"] = message.ts
            if replies:
                shown |= {
                    "reply_count": len(replies),
                    "reply_users_count": len(authors),
                    "reply_users": authors,
                    "latest_reply": replies[-1].ts,
                    "is_locked": False,
                    "subscribed": False,
                }
        return shown

    def _changed(self, channel: Channel, message: Message, previous: Json, ts: str) -> None:
        event = {
            "type": "message",
            "subtype": "message_changed",
            "hidden": True,
            "ts": ts,
            "message": self.render(message),
            "previous_message": previous,
        }
        if self._store.quirks.is_on(quirks.CHANGES_WITHOUT_PREVIOUS):
            del event["previous_message"]
        self._bus.message(channel, event)

    def _parent(self, channel: Channel, thread_ts: str | None) -> Message | None:
        if thread_ts is None:
            return None
        message = channel.messages.get(thread_ts)
        if message is None:
            raise SlackError("thread_not_found")
        return self.find(channel, message.thread_ts) if message.is_reply and message.thread_ts else message

    def _replies(self, channel: Channel, ts: str) -> list[Message]:
        return [message for message in channel.messages.values() if message.is_reply and message.thread_ts == ts]


def bot_content(app: App, bot: User, text: str, username: str | None = None) -> Json:
    """Return the author's fields of an app's message; with a custom `username` it is a `bot_message`."""
    profile = {
        "id": app.bot_id,
        "app_id": app.app_id,
        "user_id": app.bot_user_id,
        "name": app.name,
        "deleted": False,
        "team_id": bot.team_id,
    }
    content: Json = {"bot_id": app.bot_id, "app_id": app.app_id, "text": text, "bot_profile": profile}
    if username is not None:
        return {**content, "subtype": "bot_message", "username": username}
    return {**content, "user": app.bot_user_id}
