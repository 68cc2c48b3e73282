"""The methods `conversations.history` and `conversations.replies`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ir_sandbox.slack import scopes
from ir_sandbox.slack.call import Call, decode_cursor, encode_cursor
from ir_sandbox.slack.errors import SlackError
from ir_sandbox.slack.model import Channel, Json, Message
from ir_sandbox.slack.web_api.registry import web_api_method

TS = re.compile(r"\d+(\.\d*)?")
MOST_MESSAGES = 999


@web_api_method("conversations.history", tier=3)
def history(call: Call) -> Json:
    """Return a page of the channel's messages, newest first, without thread replies."""
    channel = _readable(call)
    messages = _between(call, call.workspace.messages.history(channel))
    page, following = _page(call, messages, newest_first=True)
    answer = _answer(call, page, following)
    latest = call.optional("latest")
    return {**answer, "pin_count": 0, **({"latest": latest} if latest is not None else {})}


@web_api_method("conversations.replies", tier=3)
def replies(call: Call) -> Json:
    """Return a thread, oldest first: the parent on every page, then a page of replies."""
    channel = _readable(call)
    parent, *rest = call.workspace.messages.thread(channel, call.text("ts"))
    page, following = _page(call, _between(call, rest), newest_first=False)
    return _answer(call, [parent, *page], following)


def _readable(call: Call) -> Channel:
    channel = call.channel(scopes.HISTORY)
    if call.app.bot_user_id not in channel.members:
        raise SlackError("not_in_channel")
    return channel


def _between(call: Call, messages: Sequence[Message]) -> list[Message]:
    oldest, latest = _bound(call, "oldest"), _bound(call, "latest")
    inclusive = call.flag("inclusive")
    return [
        message
        for message in messages
        if (oldest is None or (number := _microseconds(message.ts)) > oldest or (inclusive and number == oldest))
        and (latest is None or (number := _microseconds(message.ts)) < latest or (inclusive and number == latest))
    ]


def _bound(call: Call, name: str) -> int | None:
    value = call.optional(name)
    if value is None or value == "now":
        return None
    if not TS.fullmatch(value):
        raise SlackError(f"invalid_ts_{name}")
    return _microseconds(value)


def _page(call: Call, messages: list[Message], *, newest_first: bool) -> tuple[list[Message], Message | None]:
    limit = call.limit(100, MOST_MESSAGES)
    cursor = call.optional("cursor")
    start = 0
    if cursor is not None:
        value = decode_cursor(cursor, "next_ts")
        if not value.isdigit():
            raise SlackError("invalid_cursor")
        place = int(value)
        start = sum(
            _microseconds(message.ts) > place if newest_first else _microseconds(message.ts) < place
            for message in messages
        )
    following = messages[start + limit] if start + limit < len(messages) else None
    return messages[start : start + limit], following


def _answer(call: Call, page: list[Message], following: Message | None) -> Json:
    metadata = call.flag("include_all_metadata")
    cursor = encode_cursor("next_ts", str(_microseconds(following.ts))) if following is not None else ""
    return {
        "messages": [call.workspace.messages.render(message, metadata=metadata) for message in page],
        "has_more": following is not None,
        "response_metadata": {"next_cursor": cursor},
    }


def _microseconds(ts: str) -> int:
    seconds, _, fraction = ts.partition(".")
    return int(seconds) * 1_000_000 + int((fraction + "000000")[:6])
