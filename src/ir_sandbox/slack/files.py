"""Files: the external upload flow, sharing and deleting."""

from __future__ import annotations

import mimetypes
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import PurePosixPath
from urllib.parse import quote

from ir_sandbox.slack.errors import SlackError
from ir_sandbox.slack.events import EventBus
from ir_sandbox.slack.messages import Messages
from ir_sandbox.slack.model import App, Channel, File, Json, Message
from ir_sandbox.slack.quirks import files as quirks
from ir_sandbox.slack.quirks.quirk import Quirk
from ir_sandbox.slack.rich_text import rich_text
from ir_sandbox.slack.store import Store, random_word

LARGEST_FILE = 1024**3
CHUNK = 64 * 1024
# How long "at first" and "late" last in the quirks.
_PROCESSING_SECONDS = 5.0
_SCAN_SECONDS = 60.0
_LATE_SECONDS = 20.0
# The documents of Slack itself: mode and filetype, and the media type.
DOCUMENTS = {
    "canvas": ("quip", "quip", "application/vnd.slack-docs"),
    "list": ("list", "list", "application/vnd.slack-list"),
    "post": ("space", "space", "application/vnd.slack-docs"),
    "email": ("email", "email", "text/html"),
}


class Files:
    """Operations on files. File contents are on disk, never in memory."""

    def __init__(self, store: Store, bus: EventBus, messages: Messages) -> None:
        """Keep files in `store`; sharing a file posts a message."""
        self._store = store
        self._bus = bus
        self._messages = messages
        self._late: list[tuple[float, Callable[[], object]]] = []
        self._never_shared: set[str] = set()
        self.check_file_info = False
        """Whether messages and events contain only a file's id and `file_access: check_file_info` (Slack Connect)."""
        self.share_delay_seconds = 0.0
        """How long files.info shows no `shares` after an upload is completed (Slack shares asynchronously)."""

    def begin(self, user: str, name: str, length: int, *, app: App | None = None) -> tuple[File, str]:
        """Create a file and return it with the URL for its upload.

        Args:
            user: The id of the file's owner.
            name: The file's name; its suffix determines the media type.
            length: The announced size in bytes.
            app: The app that uploads the file, if any.

        Raises:
            SlackError: `file_upload_size_restricted` above 1 GiB.
        """
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
        """Write an upload to disk in chunks and return its size in bytes; raises SlackError `invalid_ticket`."""
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
        """Complete uploads and share the files with one message in each channel.

        Each share publishes the events `file_shared` and `message.file_share`.

        Args:
            user: The id of the user who shares the files.
            files: The uploaded files.
            channels: The channels to share them in.
            text: The text of the messages.
            blocks: The blocks of the messages; without them Slack creates blocks from `text`.
            thread_ts: The thread to post the messages in.
            author: The author's fields of the messages.
            app: The app that shares the files, if any.

        Returns:
            The messages, in the order of `channels`.
        """
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
            names = {file.name for file in files}
            if app is not None and self._is_on(quirks.NEVER_SHARED) and not names <= self._never_shared:
                self._never_shared |= names
            elif app is not None and self._is_on(quirks.SHARED_LATE):
                share = partial(self.share, user, files, channel, content, thread_ts=thread_ts, app=app)
                self._late.append((self._store.now() + _LATE_SECONDS, share))
            else:
                posted.append(self.share(user, files, channel, content, thread_ts=thread_ts, app=app))
        return posted

    def share_due(self) -> None:
        """Make the shares that are late and due."""
        due = [share for at, share in self._late if at <= self._store.now()]
        self._late = [(at, share) for at, share in self._late if at > self._store.now()]
        for share in due:
            share()

    def share(
        self, user: str, files: list[File], channel: Channel, content: Json, *, thread_ts: str | None, app: App | None
    ) -> Message:
        """Post a message with the files and publish a `file_shared` event for each of them."""
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
        """Delete a file; messages then show a tombstone instead of it."""
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
        event: Json = {"type": "file_deleted", "file_id": file.id}
        if self._is_on(quirks.DELETION_NAMES_CHANNELS):
            event["channel_ids"] = list(file.shares)
        for app in self._store.apps.values():
            if any(self._may_read(channel_id, app.bot_user_id) for channel_id in file.shares):
                self._bus.publish("file_deleted", event, only_app=app)

    def visible(self, file_id: str, user: str) -> File:
        """Return a file that the user can see; raises SlackError `file_not_found`, `file_deleted`."""
        file = self._store.files.get(file_id)
        if file is None or file.completed is None:
            raise SlackError("file_not_found")
        if file.deleted:
            raise SlackError("file_deleted")
        if self._at_first(quirks.UNKNOWN_AT_FIRST, file) and file.user != user:
            raise SlackError("file_not_found")
        if file.user != user and not any(self._may_read(channel_id, user) for channel_id in file.shares):
            raise SlackError("file_not_found")
        return file

    def render(self, file: File) -> Json:
        """Return the file object of files.info."""
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
        rendered = {
            "id": file.id,
            "created": file.created,
            "timestamp": file.created,
            "name": file.name,
            "title": file.title,
            "mimetype": file.mimetype,
            "filetype": file.filetype or suffix or "binary",
            "pretty_type": suffix.upper() or "Binary",
            "user": file.user,
            "user_team": store.team_id,
            "editable": False,
            "size": self._announced_size(file),
            "mode": file.mode,
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
        unprocessed = self._at_first(quirks.NO_URL_AT_FIRST, file)
        if unprocessed or (self._is_on(quirks.NO_MEDIA_TYPE) and self._age(file) < _SCAN_SECONDS):
            rendered |= {"mimetype": "", "filetype": "", "pretty_type": ""}
        if unprocessed:
            del rendered["url_private"], rendered["url_private_download"]
        return rendered

    def answer_at_first(self, file: File) -> int | None:
        """Return the HTTP status with which a download is not served yet (200 with a page, 302 or 404), or None."""
        for quirk, status in (
            (quirks.REDIRECT_AT_FIRST, 302),
            (quirks.MISSING_AT_FIRST, 404),
            (quirks.PAGE_AT_FIRST, 200),
        ):
            if self._at_first(quirk, file):
                return status
        return None

    def _is_on(self, quirk: Quirk) -> bool:
        return self._store.quirks.is_on(quirk)

    def _age(self, file: File) -> float:
        return self._store.now() - (file.completed if file.completed is not None else self._store.now())

    def _at_first(self, quirk: Quirk, file: File) -> bool:
        return self._is_on(quirk) and self._age(file) < _PROCESSING_SECONDS

    def _announced_size(self, file: File) -> int:
        if self._at_first(quirks.EMPTY_AT_FIRST, file):
            return 0
        is_clip = file.mimetype.startswith(("audio/", "video/"))
        if self._at_first(quirks.OTHER_SIZE_AT_FIRST, file) or (is_clip and self._is_on(quirks.TRANSCODED)):
            return file.size + 3_507
        return file.size

    def render_in_message(self, file: File) -> Json:
        """Return the file object inside a message: without shares, or only its id if `check_file_info` is set."""
        if self.check_file_info or self._is_on(quirks.CHECK_FILE_INFO):
            return {"id": file.id, "created": file.created, "user": file.user, "file_access": "check_file_info"}
        hidden = {"shares", "channels", "groups", "ims", "comments_count"}
        return {name: value for name, value in self.render(file).items() if name not in hidden}

    def _may_read(self, channel_id: str, user: str) -> bool:
        channel = self._store.channel(channel_id)
        return not channel.is_private or user in channel.members


def chunks_of(read: Callable[[int], bytes]) -> Iterator[bytes]:
    """Yield the bytes that `read` returns, in chunks of 64 KiB."""
    while chunk := read(CHUNK):
        yield chunk
