"""`bookmarks.*`: the links in the header of a channel.

https://docs.slack.dev/reference/methods/bookmarks.add: a channel has at most 100 bookmarks, of the type `link`. Slack
does not refuse a second bookmark with the same title and link.
"""

from __future__ import annotations

import re

from ir_sandbox.slack import scopes
from ir_sandbox.slack.call import Call
from ir_sandbox.slack.errors import SlackError
from ir_sandbox.slack.model import Channel, Json
from ir_sandbox.slack.web_api.registry import web_api_method

MOST_BOOKMARKS = 100


@web_api_method("bookmarks.add", tier=2, takes_json=True)
def add(call: Call) -> Json:
    """Add a link to the bookmarks of a channel."""
    channel = _channel(call, "bookmarks:write")
    title = call.text("title")
    if call.text("type") != "link":
        raise SlackError("invalid_bookmark_type")
    link = _link(call.optional("link") or "")
    emoji = _emoji(call.optional("emoji"))
    if len(channel.bookmarks) >= MOST_BOOKMARKS:
        raise SlackError("too_many_bookmarks")
    bookmark: Json = {
        "id": call.workspace.store.next_id("Bk"),
        "channel_id": channel.id,
        "title": title,
        "link": link,
        "emoji": emoji,
        "icon_url": None,
        "type": "link",
        "entity_id": None,
        "date_created": int(call.workspace.store.now()),
        "date_updated": 0,
        "rank": f"g{len(channel.bookmarks):03d}",
        "last_updated_by_user_id": call.app.bot_user_id,
        "last_updated_by_team_id": call.workspace.store.team_id,
        "shortcut_id": None,
        "app_id": None,
    }
    channel.bookmarks.append(bookmark)
    return {"bookmark": dict(bookmark)}


@web_api_method("bookmarks.edit", tier=2, takes_json=True)
def edit(call: Call) -> Json:
    """Change title, link or emoji of a bookmark."""
    bookmark = _bookmark(call, _channel(call, "bookmarks:write"))
    if (link := call.optional("link")) is not None:
        bookmark["link"] = _link(link)
    if (title := call.optional("title")) is not None:
        bookmark["title"] = title
    if (emoji := call.optional("emoji")) is not None:
        bookmark["emoji"] = _emoji(emoji)
    bookmark["date_updated"] = int(call.workspace.store.now())
    bookmark["last_updated_by_user_id"] = call.app.bot_user_id
    return {"bookmark": dict(bookmark)}


@web_api_method("bookmarks.list", tier=2, takes_json=True)
def list_bookmarks(call: Call) -> Json:
    """List the bookmarks of a channel."""
    return {"bookmarks": [dict(one) for one in _channel(call, "bookmarks:read").bookmarks]}


@web_api_method("bookmarks.remove", tier=2, takes_json=True)
def remove(call: Call) -> Json:
    """Remove a bookmark."""
    channel = _channel(call, "bookmarks:write")
    channel.bookmarks.remove(_bookmark(call, channel))
    return {}


def _channel(call: Call, scope: str) -> Channel:
    scopes.require(call.app, scope)
    channel = call.channel(name="channel_id")
    if call.app.bot_user_id not in channel.members:
        raise SlackError("not_in_channel")
    if channel.is_archived:
        raise SlackError("is_archived")
    return channel


def _bookmark(call: Call, channel: Channel) -> Json:
    wanted = call.text("bookmark_id")
    found = next((one for one in channel.bookmarks if one["id"] == wanted), None)
    if found is None:
        raise SlackError("not_found")
    return found


def _link(link: str) -> str:
    if not link.startswith(("http://", "https://")):
        raise SlackError("invalid_link")
    return link


def _emoji(emoji: str | None) -> str | None:
    if emoji is not None and not re.fullmatch(r":[a-z0-9_+'-]+:", emoji):
        raise SlackError("invalid_emoji")
    return emoji
