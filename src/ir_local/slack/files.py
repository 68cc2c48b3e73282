"""Files: the external upload flow, sharing, downloading, deleting."""

from __future__ import annotations

import mimetypes
from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePosixPath
from urllib.parse import quote

from ir_local.slack.errors import SlackError
from ir_local.slack.events import EventBus
from ir_local.slack.messages import Messages, rich_text
from ir_local.slack.model import App, Channel, File, Json, Message
from ir_local.slack.store import Store, random_word

LARGEST_FILE = 1024**3
CHUNK = 64 * 1024


class Files:
    """What may be done to files. Bytes lie on disk, never in memory."""

    def __init__(self, store: Store, bus: EventBus, messages: Messages) -> None:
        """Keep files in `store`; shares become messages."""
        self._store = store
        self._bus = bus
        self._messages = messages
        self.check_file_info = False
        """Whether messages and events name files only by id with `file_access: check_file_info` (Slack Connect)."""
        self.share_delay_seconds = 0.0
        """How long files.info shows no `shares` after an upload was completed (Slack shares asynchronously)."""

    def begin(self, user: str, name: str, length: int, *, app: App | None = None) -> tuple[File, str]:
        """A file to be uploaded and the URL for its bytes."""
        store = self._store
        if length > LARGEST_FILE:
            raise SlackError("file_upload_size_restricted")
        file_id = store.next_id("F")
        mimetype = mimetypes.guess_type(name)[0] or "application/octet-stream"
        path = store.folder() / file_id
        file = File(
            file_id, name, name, length, user, int(store.now()), path, mimetype, app.app_id if app is not None else None
        )
        store.files[file_id] = file
        ticket = random_word(32)
        store.uploads[ticket] = file_id
        return file, f"{store.base_url}/upload/v1/{ticket}"

    def receive(self, ticket: str, chunks: Iterable[bytes]) -> int:
        """Write the bytes of an upload to disk, chunk by chunk, and return how many; SlackError `invalid_ticket`."""
        with self._store.lock:
            file_id = self._store.uploads.get(ticket)
            if file_id is None:
                raise SlackError("invalid_ticket")
            file = self._store.files[file_id]
        size = 0
        with file.path.open("wb") as target:
            for chunk in chunks:
                target.write(chunk)
                size += len(chunk)
        with self._store.lock:
            file.uploaded = size
        return size

    def complete(
        self,
        user: str,
        files: list[File],
        channels: list[Channel],
        *,
        text: str = "",
        blocks: list[Json] | None = None,
        thread_ts: str | None = None,
        author: Json,
        app: App | None = None,
    ) -> list[Message]:
        """Finish uploads and share them: a message a channel, with events `file_shared` and `message.file_share`."""
        for file in files:
            file.completed = self._store.now()
            file.size = file.uploaded or 0
        posted = []
        for channel in channels:
            content: Json = {
                **author,
                "subtype": "file_share",
                "text": text,
                "files": [],
                "upload": True,
                "display_as_bot": False,
            }
            if text or blocks:
                content["blocks"] = blocks or rich_text(text)
            posted.append(self.share(user, files, channel, content, thread_ts=thread_ts, app=app))
        return posted

    def share(
        self, user: str, files: list[File], channel: Channel, content: Json, *, thread_ts: str | None, app: App | None
    ) -> Message:
        """Post the message that shows these files and raise a `file_shared` event for each."""
        content = {**content, "files": [self.render_in_message(file) for file in files]}
        message = self._messages.post(channel, user, content, app=app, thread_ts=thread_ts)
        for file in files:
            share: Json = {
                "ts": message.ts,
                "channel_name": channel.name,
                "team_id": self._store.team_id,
                "share_user_id": user,
                "reply_users": [],
                "reply_users_count": 0,
                "reply_count": 0,
            }
            if message.thread_ts is not None:
                share["thread_ts"] = message.thread_ts
            file.shares.setdefault(channel.id, []).append(share)
            event = {
                "type": "file_shared",
                "channel_id": channel.id,
                "file_id": file.id,
                "user_id": user,
                "file": {"id": file.id},
                "event_ts": message.ts,
            }
            self._bus.publish("file_shared", event, channel=channel)
        return message

    def delete(self, file: File) -> None:
        """Remove the file everywhere: its messages show a tombstone in its place."""
        file.deleted = True
        file.path.unlink(missing_ok=True)
        tombstone = {"id": file.id, "mode": "tombstone"}
        for channel_id, shares in file.shares.items():
            channel = self._store.channel(channel_id)
            for share in shares:
                message = channel.messages.get(share["ts"])
                if message is not None and "files" in message.body:
                    kept = [tombstone if shown["id"] == file.id else shown for shown in message.body["files"]]
                    self._messages.edit(message, {"files": kept}, editor=None)
            self._bus.publish("file_deleted", {"type": "file_deleted", "file_id": file.id}, channel=channel)

    def visible(self, file_id: str, user: str) -> File:
        """That file if the user may see it; SlackError `file_not_found`, `file_deleted`."""
        file = self._store.files.get(file_id)
        if file is None or file.completed is None:
            raise SlackError("file_not_found")
        if file.deleted:
            raise SlackError("file_deleted")
        if file.user != user and not any(self._may_read(channel_id, user) for channel_id in file.shares):
            raise SlackError("file_not_found")
        return file

    def render(self, file: File) -> Json:
        """The file object of files.info."""
        store = self._store
        is_shared = file.completed is not None and store.now() >= file.completed + self.share_delay_seconds
        shares: Json = {}
        for channel_id, entries in file.shares.items() if is_shared else ():
            kind = "private" if store.channel(channel_id).is_private else "public"
            shares.setdefault(kind, {})[channel_id] = entries
        channels = [channel_id for channel_id in file.shares if store.channel(channel_id).kind == "public"]
        groups = [channel_id for channel_id in file.shares if store.channel(channel_id).kind == "private"]
        suffix = PurePosixPath(file.name).suffix.lstrip(".").lower()
        location = f"{store.base_url}/files-pri/{store.team_id}-{file.id}"
        name = quote(file.name, safe="")
        return {
            "id": file.id,
            "created": file.created,
            "timestamp": file.created,
            "name": file.name,
            "title": file.title,
            "mimetype": file.mimetype,
            "filetype": suffix or "binary",
            "pretty_type": suffix.upper() or "Binary",
            "user": file.user,
            "user_team": store.team_id,
            "editable": False,
            "size": file.size,
            "mode": "hosted",
            "is_external": False,
            "external_type": "",
            "is_public": bool(channels),
            "public_url_shared": False,
            "display_as_bot": False,
            "username": "",
            "url_private": f"{location}/{name}",
            "url_private_download": f"{location}/download/{name}",
            "permalink": f"https://{store.domain}.slack.com/files/{file.user}/{file.id}/{name}",
            "channels": channels if is_shared else [],
            "groups": groups if is_shared else [],
            "ims": [],
            "comments_count": 0,
            "file_access": "visible",
            "shares": shares,
        }

    def render_in_message(self, file: File) -> Json:
        """The file object inside a message: without shares, or only its id when `check_file_info`."""
        if self.check_file_info:
            return {"id": file.id, "created": file.created, "user": file.user, "file_access": "check_file_info"}
        hidden = {"shares", "channels", "groups", "ims", "comments_count"}
        return {name: value for name, value in self.render(file).items() if name not in hidden}

    def _may_read(self, channel_id: str, user: str) -> bool:
        channel = self._store.channel(channel_id)
        return not channel.is_private or user in channel.members


def chunks_of(read: Callable[[int], bytes]) -> Iterator[bytes]:
    """What `read` gives, in pieces of 64 KiB."""
    while chunk := read(CHUNK):
        yield chunk
