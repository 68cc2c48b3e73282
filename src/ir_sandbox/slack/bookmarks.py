"""The links in the header of a channel, for Web API methods and users.

https://docs.slack.dev/reference/methods/bookmarks.add: a channel has at most 100 bookmarks. Slack does not refuse a
second bookmark with the same title and link. `last_updated_by_user_id` is the user, or the app's bot user, that added
or changed it. The `app_id` of a link is always null.
"""

from __future__ import annotations

import re

from ir_sandbox.slack.errors import SlackError
from ir_sandbox.slack.model import Channel, Json
from ir_sandbox.slack.store import Store

MOST_BOOKMARKS = 100


def add(store: Store, channel: Channel, user_id: str, title: str, link: str, emoji: str | None = None) -> Json:
    """Add a link as the user or the bot user; raises SlackError."""
    checked, chosen = _link(link), _emoji(emoji)
    if len(channel.bookmarks) >= MOST_BOOKMARKS:
        raise SlackError("too_many_bookmarks")
    bookmark: Json = {
        "id": store.next_id("Bk"),
        "channel_id": channel.id,
        "title": title,
        "link": checked,
        "emoji": chosen,
        "icon_url": None,
        "type": "link",
        "entity_id": None,
        "date_created": int(store.now()),
        "date_updated": 0,
        "rank": f"g{len(channel.bookmarks):03d}",
        "last_updated_by_user_id": user_id,
        "last_updated_by_team_id": store.team_id,
        "shortcut_id": None,
        "app_id": None,
    }
    channel.bookmarks.append(bookmark)
    return bookmark


def edit(
    store: Store,
    bookmark: Json,
    user_id: str,
    *,
    title: str | None = None,
    link: str | None = None,
    emoji: str | None = None,
) -> None:
    """Change the given values as the user or the bot user; raises SlackError."""
    changes = {
        "title": title,
        "link": None if link is None else _link(link),
        "emoji": _emoji(emoji),
    }
    bookmark.update({name: value for name, value in changes.items() if value is not None})
    bookmark["date_updated"] = int(store.now())
    bookmark["last_updated_by_user_id"] = user_id


def find(channel: Channel, bookmark_id: str) -> Json:
    """Return a bookmark by its id; raises SlackError."""
    found = next((one for one in channel.bookmarks if one["id"] == bookmark_id), None)
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
