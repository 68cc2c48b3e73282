"""What Slack sends, cut to what we use, and which of it is ours to handle. Pure.

The event types are those of https://api.slack.com/events; subtypes that only report housekeeping are not wanted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_MEMBERSHIP = frozenset({"member_joined_channel", "member_left_channel"})
# A message without subtype is a plain one; these are the others that carry what people said.
_SPOKEN = frozenset({"", "file_share", "thread_broadcast", "me_message", "bot_message"})
_CHANGES = frozenset({"message_changed", "message_deleted"})
# Seconds since the epoch, of ten digits until the year 2286, and a number that makes it unique.
_TIMESTAMP = re.compile(r"[0-9]{1,10}\.[0-9]{1,9}")
_MESSAGE_FIELDS = (
    "type",
    "subtype",
    "channel",
    "user",
    "text",
    "ts",
    "thread_ts",
    "bot_id",
    "app_id",
    "username",
    "deleted_ts",
    "event_ts",
    "team",
    "user_team",
    "source_team",
)
_FILE_FIELDS = ("id", "name", "title", "mimetype", "size", "mode", "file_access")
# Of an attachment: what was shared from elsewhere in Slack; apps put their text there too.
_ATTACHMENT_FIELDS = ("text", "fallback", "author_name", "is_share")


def is_wanted(event: Mapping[str, Any], own_app_id: str) -> bool:
    """Whether the event is one that we handle: not our own app's doing, not housekeeping.

    Our own posts are known by the app's id, never by a tag that a person may type.
    """
    kind = event.get("type")
    if kind == "file_shared" or (isinstance(kind, str) and kind in _MEMBERSHIP):
        return True
    if kind != "message" or not event.get("channel"):
        return False
    subtype = event.get("subtype") or ""
    if not isinstance(subtype, str):
        return False
    if subtype not in _SPOKEN and subtype not in _CHANGES:
        return False
    if not _has_timestamp(event, subtype):
        return False
    if subtype == "message_changed" and not _says_something_else(event):
        return False
    return not own_app_id or own_app_id not in _apps_of(event)


def _has_timestamp(event: Mapping[str, Any], subtype: str) -> bool:
    """Whether the message that it is about has the `ts` by which Slack, and the ledger, know it."""
    said = event.get("message") if subtype == "message_changed" else event
    ts = said.get("deleted_ts" if subtype == "message_deleted" else "ts") if isinstance(said, Mapping) else None
    return isinstance(ts, str) and _TIMESTAMP.fullmatch(ts) is not None


def _apps_of(event: Mapping[str, Any]) -> set[object]:
    """The apps that the message, or the one that was changed, says it is of."""
    said: set[object] = set()
    for message in (event, event.get("message"), event.get("previous_message")):
        if isinstance(message, Mapping):
            profile = message.get("bot_profile")
            of_profile = profile.get("app_id") if isinstance(profile, Mapping) else None
            said |= {app for app in (message.get("app_id"), of_profile) if isinstance(app, str)}
    return said


def _says_something_else(event: Mapping[str, Any]) -> bool:
    """Whether a change is an edit, not a link that unfolded or a reply that was counted."""
    before, after = event.get("previous_message"), event.get("message")
    if not isinstance(before, Mapping) or not isinstance(after, Mapping):
        return True
    return _content(before) != _content(after)


def _content(message: Mapping[str, Any]) -> tuple[object, ...]:
    files = message.get("files")
    ids = [file.get("id") for file in files if isinstance(file, Mapping)] if isinstance(files, list) else []
    return message.get("subtype") == "tombstone", message.get("text"), ids


def trimmed(event: Mapping[str, Any]) -> dict[str, Any]:
    """The event with only the fields that we read: a queue message holds 256 KB, and less of it is kept."""
    if event.get("type") != "message":
        return {name: value for name, value in event.items() if isinstance(value, str)}
    kept = _message(event)
    if isinstance(event.get("message"), Mapping):
        kept["message"] = _message(event["message"])
    if isinstance(event.get("previous_message"), Mapping):
        ts = event["previous_message"].get("ts")
        kept["previous_message"] = {"ts": ts} if isinstance(ts, str) else {}
    return kept


def channel_of(event: Mapping[str, Any]) -> str:
    """The channel that the event is about."""
    return str(event.get("channel") or event.get("channel_id") or "none")


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: message[name] for name in _MESSAGE_FIELDS if isinstance(message.get(name), str)}
    files = message.get("files")
    if isinstance(files, list):
        kept["files"] = [
            {name: file[name] for name in _FILE_FIELDS if name in file} for file in files if isinstance(file, Mapping)
        ]
    attachments = message.get("attachments")
    if isinstance(attachments, list):
        kept["attachments"] = [
            {name: one[name] for name in _ATTACHMENT_FIELDS if isinstance(one.get(name), str | bool)}
            for one in attachments
            if isinstance(one, Mapping)
        ]
    return kept
