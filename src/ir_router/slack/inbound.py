"""Select the Slack events that ir-router handles, and cut them to the fields that it uses. Pure.

Event types: https://api.slack.com/events. Message subtypes that only report housekeeping are ignored. So are
messages of Slackbot.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ir_router.slack.content import reader

_MEMBERSHIP = frozenset({"member_joined_channel", "member_left_channel"})
_CHANNEL = frozenset({"channel_id_changed", "channel_deleted", "group_deleted"})
FILE_DELETED = "file_deleted"
HOME_OPENED = "app_home_opened"
_FILE = frozenset({"file_shared", FILE_DELETED})
# The subtypes of messages that users or bots write. A plain message has no subtype.
_SPOKEN = frozenset({"", "file_share", "thread_broadcast", "me_message", "bot_message"})
_CHANGES = frozenset({"message_changed", "message_deleted"})
# The subtypes of Slack's own notices and of messages in other places than case channels
# (https://docs.slack.dev/reference/events/message#subtypes, and those that clients of Slack report).
_NOTICES = frozenset(
    {
        "app_conversation_join", "app_conversation_leave", "assistant_app_thread", "bot_add", "bot_disable",
        "bot_enable", "bot_remove", "channel_archive", "channel_canvas_updated", "channel_convert_to_private",
        "channel_convert_to_public", "channel_join", "channel_leave", "channel_name", "channel_posting_permissions",
        "channel_purpose", "channel_topic", "channel_unarchive", "document_mention", "ekm_access_denied",
        "file_comment", "file_mention", "group_archive", "group_join", "group_leave", "group_name", "group_purpose",
        "group_topic", "group_unarchive", "huddle_thread", "joiner_notification", "joiner_notification_for_inviter",
        "message_replied", "pinned_item", "reminder_add", "reminder_delete", "reply_broadcast", "sh_room_created",
        "sh_room_shared", "slackbot_response", "tabbed_canvas_updated", "tombstone", "unpinned_item",
    }
)  # fmt: skip
_TOMBSTONE = "tombstone"
# The field of a trimmed event with the ids of the approvals that a changed message names.
APPROVALS = "approvals"
# An approval's id in a button's value and in the small print of its message (`sync.approval_message`).
_MOST_APPROVALS = 5
_APPROVAL_ID = re.compile(r'(?:"value": "|approval )([0-9a-f]{20})\b')
# Marks a message whose content was too long for the queue.
IN_HISTORY = "content_in_history"
SLACKBOT = "USLACKBOT"
# Seconds since the epoch (ten digits until the year 2286), and a number that makes the `ts` unique.
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
# The names of a user in `user_profile`, the best one first.
PROFILE_NAMES = ("real_name", "display_name", "name")
_FILE_FIELDS = (
    "id",
    "name",
    "title",
    "mimetype",
    "filetype",
    "size",
    "mode",
    "file_access",
    "is_external",
    "external_url",
    "permalink",
)
# Fields of attachments and blocks that no user sees.
_NOT_READ = frozenset(
    {
        "author_icon", "bot_id", "callback_id", "color", "footer_icon", "image_bytes", "image_height", "image_width",
        "mrkdwn_in", "service_icon", "thumb_height", "thumb_url", "thumb_width", "video_html",
    }
)  # fmt: skip
# In bytes. A queue message has at most 256 KB; a longer message is read from the channel's history instead.
_CONTENT_LIMIT = 200_000
_DEEPEST = 60


def is_wanted(event: Mapping[str, Any], own_app_id: str) -> bool:
    """Return whether to handle the event. Housekeeping and posts of this app are ignored.

    The app id identifies this app's posts. A tag in the text does not, because users can type it. A change of an
    approval request is handled, because other holders of the bot token could have made it.
    """
    kind = event.get("type")
    if isinstance(kind, str) and kind in _FILE | _MEMBERSHIP | _CHANNEL:
        return True
    if kind != "message" or not event.get("channel"):
        return False
    subtype = event.get("subtype") or ""
    if not isinstance(subtype, str):
        return False
    if subtype not in _SPOKEN and subtype not in _CHANGES:
        return False
    if not _has_timestamp(event, subtype) or not _is_spoken(event, subtype):
        return False
    if own_app_id and own_app_id in _apps_of(event):
        return bool(_approvals(event, subtype))
    return subtype != "message_changed" or _content_changed(event)


def home_opened(event: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the user and the mark of the shown view if the event reports that the app's Home tab was opened.

    https://docs.slack.dev/reference/events/app_home_opened
    """
    user, view = event.get("user"), event.get("view")
    if event.get("type") != HOME_OPENED or event.get("tab") != "home" or not isinstance(user, str) or not user:
        return None
    shown = view.get("private_metadata") if isinstance(view, Mapping) else None
    return {"type": HOME_OPENED, "user": {"id": user}, "view": {"private_metadata": shown}}


def removes_app(event: Mapping[str, Any]) -> bool:
    """Return whether the event reports that the app was uninstalled, or that its bot token was revoked.

    Slack also sends `tokens_revoked` for the tokens of users, which ir-router does not have.
    https://docs.slack.dev/reference/events/app_uninstalled, https://docs.slack.dev/reference/events/tokens_revoked
    """
    tokens = event.get("tokens")
    is_bot = isinstance(tokens, Mapping) and bool(tokens.get("bot"))
    return event.get("type") == "app_uninstalled" or (event.get("type") == "tokens_revoked" and is_bot)


def unknown_subtype(event: Mapping[str, Any]) -> str | None:
    """Return the subtype of a message if Slack has not documented it and ir-router therefore ignores the message."""
    message = event.get("message") if event.get("subtype") == "message_changed" else event
    subtype = message.get("subtype") if isinstance(message, Mapping) and event.get("type") == "message" else None
    known = _SPOKEN | _CHANGES | _NOTICES
    return subtype if isinstance(subtype, str) and subtype not in known else None


def _has_timestamp(event: Mapping[str, Any], subtype: str) -> bool:
    """Return whether the message has a `ts`, which identifies it in Slack and in the ledger."""
    message = event.get("message") if subtype == "message_changed" else event
    ts = message.get("deleted_ts" if subtype == "message_deleted" else "ts") if isinstance(message, Mapping) else None
    return isinstance(ts, str) and _TIMESTAMP.fullmatch(ts) is not None


def _is_spoken(event: Mapping[str, Any], subtype: str) -> bool:
    """Return whether a user or a bot wrote the message, and not Slack. Of a change, the changed message decides."""
    changed = {"message_changed": "message", "message_deleted": "previous_message"}.get(subtype)
    message = event.get(changed) if changed else event
    if not isinstance(message, Mapping):
        return True
    inner = message.get("subtype") or ""
    if inner == _TOMBSTONE:
        return True
    return isinstance(inner, str) and inner in _SPOKEN and message.get("user") != SLACKBOT


def _apps_of(event: Mapping[str, Any]) -> set[object]:
    """Return the app ids of the message, of its new version and of its previous version."""
    apps: set[object] = set()
    for message in (event, event.get("message"), event.get("previous_message")):
        if isinstance(message, Mapping):
            profile = message.get("bot_profile")
            of_profile = profile.get("app_id") if isinstance(profile, Mapping) else None
            apps |= {app for app in (message.get("app_id"), of_profile) if isinstance(app, str)}
    return apps


def _approvals(event: Mapping[str, Any], subtype: object) -> list[str]:
    """Return the ids of the approvals that a changed or deleted message showed before or shows now."""
    if not isinstance(subtype, str) or subtype not in _CHANGES:
        return []
    versions = [event.get("previous_message"), event.get("message")]
    return sorted(set(_APPROVAL_ID.findall(json.dumps(versions))))[:_MOST_APPROVALS]


def _content_changed(event: Mapping[str, Any]) -> bool:
    """Return whether a change is an edit, and not an unfurled link or a new reply count."""
    before, after = event.get("previous_message"), event.get("message")
    if not isinstance(before, Mapping) or not isinstance(after, Mapping):
        return True
    return not reader.is_same_content(reader.fingerprint(before), reader.fingerprint(after))


def trimmed(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return the event with only the fields that are read, so that it fits into a queue message (256 KB).

    A changed message also has the ids of the approvals that it names (`APPROVALS`).
    """
    if event.get("type") != "message":
        named = {name: value for name, value in event.items() if isinstance(value, str)}
        return named | ({"channel_ids": channel_ids(event)} if channel_ids(event) else {})
    kept = _message(event)
    if isinstance(event.get("message"), Mapping):
        kept["message"] = _message(event["message"])
    changed = _approvals(event, event.get("subtype"))
    if changed:
        kept[APPROVALS] = changed
    previous = event.get("previous_message")
    if isinstance(previous, Mapping):
        # The names of files that are deleted now.
        version = _message(previous)
        kept["previous_message"] = {name: version[name] for name in ("ts", "files") if name in version}
    return kept


def channel_of(event: Mapping[str, Any]) -> str:
    """Return the id of the event's channel, of its file if it names no channel, or `none`."""
    channel = event.get("channel") or event.get("channel_id") or event.get("old_channel_id")
    return str(channel or next(iter(channel_ids(event)), "") or event.get("file_id") or "none")


def channel_ids(event: Mapping[str, Any]) -> list[str]:
    """Return the channels of a deleted file, if Slack names them.

    https://docs.slack.dev/tools/node-slack-sdk/reference/types/interfaces/FileDeletedEvent
    """
    listed = event.get("channel_ids")
    return [one for one in listed if isinstance(one, str)][:100] if isinstance(listed, list) else []


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: message[name] for name in _MESSAGE_FIELDS if isinstance(message.get(name), str)}
    profile = message.get("bot_profile")
    if isinstance(profile, Mapping):
        kept["bot_profile"] = {name: profile[name] for name in ("name", "app_id") if isinstance(profile.get(name), str)}
    person = message.get("user_profile")
    if isinstance(person, Mapping):
        kept["user_profile"] = {name: person[name] for name in PROFILE_NAMES if isinstance(person.get(name), str)}
    if isinstance(message.get("edited"), Mapping):
        kept["edited"] = {}
    if isinstance(message.get("files"), list):
        kept["files"] = _files(message["files"])
    content = {name: _read(message[name]) for name in ("blocks", "attachments") if isinstance(message.get(name), list)}
    if len(json.dumps([kept, content], ensure_ascii=False).encode("utf-8", "replace")) > _CONTENT_LIMIT:
        return {**kept, "text": "", IN_HISTORY: True}
    return kept | content


def _files(files: list[Any]) -> list[dict[str, Any]]:
    return [{name: file[name] for name in _FILE_FIELDS if name in file} for file in files if isinstance(file, Mapping)]


def _read(value: Any, level: int = 0) -> Any:
    """Return blocks or attachments without invisible fields and without parts that are nested too deep."""
    if isinstance(value, list | Mapping) and level > _DEEPEST:
        return None
    if isinstance(value, list):
        return [_read(one, level + 1) for one in value]
    if not isinstance(value, Mapping):
        return value
    return {
        name: _files(inner) if name == "files" and isinstance(inner, list) else _read(inner, level + 1)
        for name, inner in value.items()
        if name not in _NOT_READ
    }
