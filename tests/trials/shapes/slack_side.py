"""Slack in the player: scripted answers of the Web API and of the file host, and the files that they describe."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest import mock

from werkzeug.wrappers import Request, Response

from ir_sandbox.slack.model import File, User
from ir_sandbox.slack.server import SlackApplication, read_arguments
from ir_sandbox.slack.web_api import METHODS
from tests.trials.shapes.entries import BEGIN, BOT_USER, CHANNEL, Entry
from tests.trials.shapes.scripts import Script, Scripts
from tests.trials.world import World

# Methods that only read: a scripted answer replaces the call.
_READS = (".info", ".list", ".history", ".replies", ".members", ".conversations", "lookupByEmail", "auth.test", ".get")
_MISSING = re.compile(r"missing required field: (\w+)")
_MOST_BYTES_ON_DISK = 8 * 1024 * 1024


class SlackSide:
    """The scripted answers of one entry, in front of the local Slack."""

    def __init__(self, world: World, entry: Entry) -> None:
        """Read the entry's answers; `installed` makes them count."""
        self._world = world
        self._store = world.workspace.store
        self.answers = Scripts(entry.of("slack_answers"), lambda answer: str(answer["method"]), BEGIN)
        self.files = Scripts(entry.of("file_host_answers"), lambda _: "GET", BEGIN)
        self._next_id = self._store.next_id
        self._file_ids: list[str] = []

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Answer the functions' requests for the length of a `with` block."""
        local: Any = SlackApplication._with_faults

        def with_faults(application: SlackApplication, request: Request, method: str, act: Any) -> Response | None:
            if method == "files.download":
                script = self.files.take("GET", {"file": _file_id(request)}, self._world.now())
                if script is not None:
                    return _download(script.answer, _file_id(request))
            elif method in METHODS:
                arguments, _ = read_arguments(request, takes_json=True)
                script = self.answers.peek(method, arguments, self._world.now())
                if script is not None and self._concerns(script, arguments):
                    self.answers.take(method, arguments, self._world.now())
                    return self._answer(method, arguments, script, request, act)
            answer: Response | None = local(application, request, method, act)
            return answer

        def next_id(prefix: str) -> str:
            return self._file_ids.pop(0) if prefix == "F" and self._file_ids else self._next_id(prefix)

        with (
            mock.patch.object(SlackApplication, "_with_faults", with_faults),
            mock.patch.object(self._store, "next_id", next_id),
        ):
            yield

    def _answer(
        self, method: str, arguments: Mapping[str, Any], script: Script, request: Request, act: Any
    ) -> Response | None:
        answer = script.answer
        body = answer.get("body")
        is_ok = isinstance(body, Mapping) and body.get("ok") is True
        if is_ok and not method.endswith(_READS) and self._has_effect(method, arguments):
            if method == "files.getUploadURLExternal" and isinstance(body, Mapping):
                self._file_ids.append(str(body.get("file_id")))
            real: Response = act(request)[0]
            if method != "files.getUploadURLExternal" or answer.get("answer_lost"):
                return None if answer.get("answer_lost") else real
            body = {**body, **json.loads(real.get_data()), "file_id": body.get("file_id")} if body else body
        if answer.get("answer_lost"):
            return None
        if is_ok and isinstance(body, Mapping):
            body = self._true(method, arguments, body)
        return _response(answer, body)

    def _concerns(self, script: Script, arguments: Mapping[str, Any]) -> bool:
        """Return whether an answer concerns the call.

        An answer about a deleted channel does not concern a later channel, and an answer about a missing field does not
        concern a call with this field.
        """
        body = script.answer.get("body")
        missing = _MISSING.search(json.dumps(body)) if isinstance(body, Mapping) else None
        if missing is not None and arguments.get(missing[1]):
            return False
        if not isinstance(body, Mapping) or body.get("error") != "channel_not_found" or script.answer.get("with"):
            return True
        channel = self._store.channels.get(str(arguments.get("channel")))
        return channel is None or channel.created < script.at

    def _has_effect(self, method: str, arguments: Mapping[str, Any]) -> bool:
        """Return whether a call with the answer ok has its effect. A share that files.info never shows was not made."""
        if method != "files.completeUploadExternal":
            return True
        ids = [str(one.get("id")) for one in _files(arguments)]
        shown = [script.answer["body"].get("file", {}) for script in self.answers.all() if _is_about(script, ids)]
        return not shown or any(file.get("shares") for file in shown)

    def _true(self, method: str, arguments: Mapping[str, Any], body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return an answer with our addresses and with the local Slack's values instead of placeholders."""
        text = json.dumps(body, ensure_ascii=False).replace("https://files.slack.com", self._store.base_url)
        found: dict[str, Any] = json.loads(text)
        file = self._store.files.get(str(arguments.get("file")))
        if method == "files.info" and file is not None and found.get("file", {}).get("shares"):
            shares = self._world.workspace.files.render(file)["shares"]
            if shares:
                found["file"]["shares"] = shares
        for channel in found.get("channels") or []:
            if isinstance(channel, dict) and str(channel.get("name", "")).startswith("("):
                channel["name"] = self._name_of(channel.get("id"))
        return found

    def _name_of(self, channel_id: Any) -> str:
        channel = self._store.channels.get(str(channel_id)) or self._store.channels.get(CHANNEL)
        return channel.name if channel is not None else "case"

    # Files and people of the answers

    def describe(self) -> None:
        """Create the files and people that the scripted answers describe."""
        for script in self.answers.all():
            body = script.answer.get("body")
            if not isinstance(body, Mapping):
                continue
            if isinstance(file := body.get("file"), Mapping) and file.get("user") != BOT_USER:
                self.keep_file(file)
            if isinstance(user := body.get("user"), Mapping) and user.get("id"):
                self.keep_user(user)

    def keep_user(self, shown: Mapping[str, Any]) -> None:
        """Create a user, or complete it, from a user object."""
        profile = shown.get("profile") or {}
        user = self._store.users.get(shown["id"])
        if user is None:
            team = str(shown.get("team_id") or self._store.team_id)
            user = User(shown["id"], team, str(shown.get("name", "person")), "")
            self._store.users[user.id] = user
            user.is_stranger = team != self._store.team_id
        user.real_name = str(shown.get("real_name") or profile.get("real_name") or user.real_name or user.name)
        user.email = profile.get("email") or user.email
        user.is_bot = bool(shown.get("is_bot", user.is_bot))
        user.is_restricted = bool(shown.get("is_restricted", user.is_restricted))
        user.is_ultra_restricted = bool(shown.get("is_ultra_restricted", user.is_ultra_restricted))

    def keep_file(self, shown: Mapping[str, Any], *, ts: str | None = None, channel_id: str | None = None) -> None:
        """Create a file, or complete it, from a file object; `ts` and `channel_id` name the message that shares it."""
        if not shown.get("id") or shown.get("mode") == "tombstone":
            return
        file = self._store.files.get(shown["id"])
        if file is None:
            path = self._store.folder() / shown["id"]
            created = int(shown.get("created") or self._world.now())
            file = File(shown["id"], "", "", 0, str(shown.get("user") or ""), created, path, "", completed=0.0)
            path.write_bytes(b"")
            self._store.files[file.id] = file
        file.name = str(shown.get("name") or file.name)
        file.title = str(shown.get("title") or file.title)
        file.mimetype = str(shown.get("mimetype") or file.mimetype)
        file.user = str(shown.get("user") or file.user)
        if (size := int(shown.get("size") or 0)) > file.size:
            file.size = file.uploaded = size
            if size <= _MOST_BYTES_ON_DISK:
                file.path.write_bytes(content_of(file.id, size))
            else:
                with file.path.open("wb") as target:
                    target.truncate(size)
        channel = self._store.channels.get(channel_id or "")
        if ts is not None and channel is not None and not file.shares.get(channel.id):
            share = {"ts": ts, "channel_name": channel.name, "team_id": self._store.team_id, "share_user_id": file.user}
            file.shares[channel.id] = [{**share, "reply_users": [], "reply_users_count": 0, "reply_count": 0}]


def content_of(file_id: str, size: int) -> bytes:
    """Return `size` bytes that differ from file to file."""
    pattern = f"{file_id} ".encode()
    return (pattern * (size // len(pattern) + 1))[:size]


def _files(arguments: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    files = arguments.get("files")
    if isinstance(files, str):
        files = json.loads(files)
    return [one for one in files or [] if isinstance(one, Mapping)]


def _is_about(script: Script, ids: list[str]) -> bool:
    body = script.answer.get("body")
    return (
        script.answer["method"] == "files.info"
        and isinstance(body, Mapping)
        and isinstance(body.get("file"), Mapping)
        and body["file"].get("id") in ids
    )


def _file_id(request: Request) -> str:
    return request.path.split("/")[2].rpartition("-")[2]


def _response(answer: Mapping[str, Any], body: Any) -> Response | None:
    status = int(answer.get("http_status") or 0)
    if status == 0:
        return None
    headers = dict(answer.get("headers") or {})
    if isinstance(body, str):
        return Response(body, status, headers, content_type=headers.pop("Content-Type", "text/html; charset=utf-8"))
    text = json.dumps(body, ensure_ascii=False)
    return Response(text, status, headers, content_type=headers.pop("Content-Type", "application/json; charset=utf-8"))


def _download(answer: Mapping[str, Any], file_id: str) -> Response | None:
    status = int(answer.get("http_status") or 0)
    if status == 0 or answer.get("answer_lost"):
        return None
    body = answer.get("body")
    content = body.encode() if isinstance(body, str) else content_of(file_id, int(answer.get("body_bytes") or 0))
    headers = dict(answer.get("headers") or {})
    length = headers.pop("Content-Length", None)
    # An iterator, so that a body that is shorter than announced leaves the connection as a broken one does.
    response = Response(iter([content]), status, content_type=headers.pop("Content-Type", None))
    for name, value in headers.items():
        response.headers[name] = str(value)
    response.headers["Content-Length"] = str(length if length is not None else len(content))
    return response


__all__ = ["SlackSide", "content_of"]
