"""Act as a user of Slack's client."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping

from ir_sandbox.slack import bookmarks, message_forms
from ir_sandbox.slack.delivery import Attempt
from ir_sandbox.slack.errors import SlackError
from ir_sandbox.slack.features import WorkspaceFeatures
from ir_sandbox.slack.files import DOCUMENTS
from ir_sandbox.slack.forms import find_element, view_state
from ir_sandbox.slack.interactions import Interaction
from ir_sandbox.slack.messages import as_typed
from ir_sandbox.slack.model import App, Channel, File, Json, User, View
from ir_sandbox.slack.rich_text import rich_text


class Person:
    """A user at the keyboard. Each `channel` is an id or a name; a refused action raises SlackError."""

    def __init__(self, workspace: WorkspaceFeatures, user: User) -> None:
        """Act as `user` in `workspace`."""
        self._workspace = workspace
        self.user = user

    @property
    def id(self) -> str:
        """The user's id."""
        return self.user.id

    def post(self, channel: str, text: str, *, thread_ts: str | None = None, broadcast: bool = False) -> str:
        """Post a typed message and return its `ts`.

        Args:
            channel: The channel.
            text: The typed text, with mentions as `<@U...>`; the rest is escaped as Slack does.
            thread_ts: The thread to reply in.
            broadcast: Also show the reply in the channel.
        """
        ws = self._workspace
        with ws.store.lock:
            found = self._member_of(channel)
            typed = as_typed(text)
            content = {
                "user": self.id,
                "client_msg_id": str(uuid.uuid4()),
                "text": typed,
                "blocks": rich_text(typed),
                **({"user_team": self.user.team_id, "source_team": self.user.team_id} if self.user.is_stranger else {}),
            }
            content = message_forms.typed(ws.store.quirks, content)
            message = ws.messages.post(found, self.id, content, thread_ts=thread_ts, broadcast=broadcast)
            self._notify_mentioned_apps(found, message.body)
            return message.ts

    def edit(self, channel: str, ts: str, text: str) -> None:
        """Edit the user's own message."""
        ws = self._workspace
        with ws.store.lock:
            message = ws.messages.find(ws.channel(channel), ts)
            if message.author != self.id:
                raise SlackError("cant_update_message")
            typed = as_typed(text)
            changes = message_forms.typed(ws.store.quirks, {"text": typed, "blocks": rich_text(typed)})
            ws.messages.edit(message, changes, editor=self.id)

    def forward(self, channel: str, source: str, ts: str, text: str = "") -> str:
        """Forward a message of the channel `source` with words of one's own, and return the new message's `ts`."""
        ws = self._workspace
        with ws.store.lock:
            found, origin = self._member_of(channel), self._member_of(source)
            message = ws.messages.find(origin, ts)
            attachment = message_forms.forwarded(
                ws.store.quirks,
                message,
                origin,
                author=ws.store.user(message.author).real_name,
                domain=ws.store.domain,
            )
            content = {"user": self.id, "client_msg_id": str(uuid.uuid4()), "text": as_typed(text)}
            return ws.messages.post(found, self.id, {**content, "attachments": [attachment]}).ts

    def delete(self, channel: str, ts: str) -> None:
        """Delete the user's own message; an administrator can delete any message."""
        ws = self._workspace
        with ws.store.lock:
            message = ws.messages.find(ws.channel(channel), ts)
            if message.author != self.id and not self.user.is_admin:
                raise SlackError("cant_delete_message")
            ws.messages.delete(message)

    def react(self, channel: str, ts: str, name: str) -> None:
        """Add an emoji to a message."""
        ws = self._workspace
        with ws.store.lock:
            ws.messages.react(ws.messages.find(self._member_of(channel), ts), self.id, name)

    def upload(
        self, channel: str, name: str, content: bytes | Iterable[bytes], *, text: str = "", thread_ts: str | None = None
    ) -> tuple[str, str]:
        """Upload a file and share it.

        Args:
            channel: The channel.
            name: The file's name.
            content: The file's bytes, in one piece or in chunks.
            text: The text of the message.
            thread_ts: The thread to share the file in.

        Returns:
            The file's id and the message's `ts`.
        """
        return self.upload_several(channel, {name: content}, text=text, thread_ts=thread_ts)

    def upload_several(
        self,
        channel: str,
        files: Mapping[str, bytes | Iterable[bytes]],
        *,
        text: str = "",
        thread_ts: str | None = None,
    ) -> tuple[str, str]:
        """Upload files (contents by name) and share them in one message; return the last file's id and the `ts`."""
        ws = self._workspace
        found = self._member_of(channel)
        uploaded: list[File] = []
        for name, content in files.items():
            with ws.store.lock:
                file, url = ws.files.begin(self.id, name, 0)
            ws.files.receive(url.rsplit("/", 1)[1], [content] if isinstance(content, bytes) else content)
            uploaded.append(file)
        with ws.store.lock:
            (message,) = ws.files.complete(
                self.id, uploaded, [found], text=as_typed(text), thread_ts=thread_ts, author={"user": self.id}
            )
            return uploaded[-1].id, message.ts

    def share_document(self, channel: str, kind: str, title: str, *, text: str = "") -> tuple[str, str]:
        """Share a `canvas`, `list`, `post` or `email`, and return the file's id and the message's `ts`.

        Slack serves such a document as a web page of another length than it announces.
        """
        ws = self._workspace
        found = self._member_of(channel)
        page = f"<html><body><h1>{title}</h1></body></html>".encode()
        with ws.store.lock:
            file, url = ws.files.begin(self.id, title.replace(" ", "_"), 0)
            file.title = title
            file.mode, file.filetype, file.mimetype = DOCUMENTS[kind]
        ws.files.receive(url.rsplit("/", 1)[1], [page])
        with ws.store.lock:
            (message,) = ws.files.complete(self.id, [file], [found], text=as_typed(text), author={"user": self.id})
            if kind != "email":
                file.size += 871
            return file.id, message.ts

    def share_again(self, channel: str, file_id: str, text: str = "") -> str:
        """Share an existing file in a channel and return the message's `ts`."""
        ws = self._workspace
        with ws.store.lock:
            file = ws.files.visible(file_id, self.id)
            content = {"user": self.id, "subtype": "file_share", "text": as_typed(text), "upload": False}
            return ws.files.share(self.id, [file], self._member_of(channel), content, thread_ts=None, app=None).ts

    def delete_file(self, file_id: str) -> None:
        """Delete the user's own file; an administrator can delete any file."""
        ws = self._workspace
        with ws.store.lock:
            file = ws.files.visible(file_id, self.id)
            if file.user != self.id and not self.user.is_admin:
                raise SlackError("cant_delete_file")
            ws.files.delete(file)

    def join(self, channel: str) -> None:
        """Join a public channel."""
        with self._workspace.store.lock:
            self._workspace.channels.join(self.id, self._workspace.channel(channel))

    def leave(self, channel: str) -> None:
        """Leave a channel."""
        with self._workspace.store.lock:
            self._workspace.channels.leave(self.id, self._workspace.channel(channel))

    def invite(self, channel: str, *users: str) -> None:
        """Add users, including guests, by id."""
        ws = self._workspace
        with ws.store.lock:
            ws.channels.invite(self.id, ws.channel(channel), list(users), force=False, by_app=False)

    def kick(self, channel: str, user: str) -> None:
        """Remove a user or a bot by id."""
        with self._workspace.store.lock:
            self._workspace.channels.kick(self.id, self._workspace.channel(channel), user)

    def create_channel(self, name: str, *, is_private: bool = False) -> str:
        """Create a channel and return its id."""
        with self._workspace.store.lock:
            return self._workspace.channels.create(self.id, name, is_private=is_private).id

    def set_topic(self, channel: str, topic: str) -> None:
        """Change the topic."""
        with self._workspace.store.lock:
            self._workspace.channels.set_topic(self.id, self._workspace.channel(channel), topic)

    def rename_channel(self, channel: str, name: str) -> None:
        """Rename a channel; only its creator and administrators can."""
        with self._workspace.store.lock:
            self._workspace.channels.rename(self.id, self._workspace.channel(channel), name)

    def archive_channel(self, channel: str) -> None:
        """Archive a channel."""
        with self._workspace.store.lock:
            self._workspace.channels.archive(self.id, self._workspace.channel(channel))

    def unarchive_channel(self, channel: str) -> None:
        """Unarchive a channel."""
        with self._workspace.store.lock:
            self._workspace.channels.unarchive(self.id, self._workspace.channel(channel))

    def add_bookmark(self, channel: str, title: str, link: str) -> str:
        """Add a link to the channel's header and return the bookmark's id."""
        ws = self._workspace
        with ws.store.lock:
            return str(bookmarks.add(ws.store, self._member_of(channel), self.id, title, link)["id"])

    def edit_bookmark(
        self, channel: str, bookmark_id: str, *, title: str | None = None, link: str | None = None
    ) -> None:
        """Change any bookmark of the channel."""
        ws = self._workspace
        with ws.store.lock:
            found = bookmarks.find(self._member_of(channel), bookmark_id)
            bookmarks.edit(ws.store, found, self.id, title=title, link=link)

    def remove_bookmark(self, channel: str, bookmark_id: str) -> None:
        """Remove any bookmark of the channel."""
        with self._workspace.store.lock:
            found = self._member_of(channel)
            found.bookmarks.remove(bookmarks.find(found, bookmark_id))

    def command(self, channel: str, command: str, text: str = "") -> Interaction:
        """Run a slash command."""
        ws = self._workspace
        return ws.interactions.command(self.user, ws.channel(channel), command, text)

    def press(self, channel: str, ts: str, action_id: str, **chosen: object) -> Interaction:
        """Press a button of a message that the user sees.

        Args:
            channel: The channel.
            ts: The message.
            action_id: The button or menu.
            chosen: Further fields of the action, for example `selected_option` of a menu.
        """
        ws = self._workspace
        with ws.store.lock:
            found = self._member_of(channel)
            body, app, is_ephemeral = self._pressable(found, ts)
            block_id, element = find_element(body, action_id)
            url = ws.interactions.message_response_url(app, found.id, self.id, ts, is_ephemeral=is_ephemeral)
            container = {
                "type": "message",
                "message_ts": ts,
                "channel_id": found.id,
                "is_ephemeral": is_ephemeral,
                **({"thread_ts": body["thread_ts"]} if "thread_ts" in body else {}),
            }
            fields: Json = {"channel": {"id": found.id, "name": found.name}, "state": {"values": {}}}
            if not is_ephemeral:
                fields["message"] = body
            action = self._action(element, block_id, chosen)
        return ws.interactions.action(app, self.user, [action], container=container, fields=fields, response_url=url)

    def press_in_view(self, view_id: str, action_id: str, **chosen: object) -> Interaction:
        """Press a button, or select a menu's option, inside a modal; see `press`."""
        ws = self._workspace
        with ws.store.lock:
            view = ws.views.find(view_id)
            block_id, element = find_element(view.body, action_id)
            container = {"type": "view", "view_id": view.id}
            action = self._action(element, block_id, chosen)
            app = ws.store.apps[view.app_id]
        return ws.interactions.action(
            app, self.user, [action], container=container, fields={"view": view.body}, response_url=None
        )

    def submit(self, view_id: str, values: dict[str, object]) -> tuple[Attempt, Json | None]:
        """Complete and submit a modal.

        Args:
            view_id: The modal.
            values: The entered values by `action_id`: a string, a number, a list (users, several options), or None for
                an empty field.

        Returns:
            The request to the app and the JSON object of the app's response.
        """
        ws = self._workspace
        view = ws.views.find(view_id)
        return ws.views.submit(self.user, view_id, view_state(view, values))

    def close_view(self, view_id: str, *, clear: bool = False) -> Attempt | None:
        """Cancel a modal; `clear` also closes all modals below it."""
        return self._workspace.views.close(self.user, view_id, clear=clear)

    def open_home(self, tab: str = "home") -> None:
        """Open a tab of each installed app: `home` or `messages`."""
        for app in list(self._workspace.store.apps.values()):
            self._workspace.views.open_home(app, self.id, tab)

    def home(self) -> Json | None:
        """Return the Home tab that the user sees, if an app published one."""
        homes = self._workspace.store.homes.values()
        return next((view.body for view in homes if view.user_id == self.id), None)

    def views(self) -> list[View]:
        """Return the user's open modals, the topmost last."""
        return self._workspace.views.opened_by(self.id)

    def _member_of(self, channel: str) -> Channel:
        found = self._workspace.channel(channel)
        if self.id not in found.members:
            raise SlackError("not_in_channel")
        return found

    def _pressable(self, channel: Channel, ts: str) -> tuple[Json, App, bool]:
        ws = self._workspace
        for ephemeral in ws.store.ephemerals:
            if (ephemeral.channel_id, ephemeral.ts, ephemeral.user_id) == (channel.id, ts, self.id):
                return ephemeral.body, ws.store.apps[ephemeral.app_id], True
        message = ws.messages.find(channel, ts)
        if message.app_id is None:
            raise SlackError("message_not_found")
        return ws.messages.render(message, metadata=True), ws.store.apps[message.app_id], False

    def _action(self, element: Json, block_id: str, chosen: Json) -> Json:
        kept = {"action_id", "type", "text", "value", "url", "style"}
        shown: Json = {name: value for name, value in element.items() if name in kept}
        return {**shown, "block_id": block_id, "action_ts": f"{self._workspace.store.now():.6f}", **chosen}

    def _notify_mentioned_apps(self, channel: Channel, body: Json) -> None:
        ws = self._workspace
        for app in ws.store.apps.values():
            if f"<@{app.bot_user_id}>" in body["text"] and app.bot_user_id in channel.members:
                event = {**body, "type": "app_mention", "channel": channel.id, "event_ts": body["ts"]}
                ws.bus.publish("app_mention", event, only_app=app)
