"""`bookmarks.*`: the links in the header of a channel."""

from __future__ import annotations

from ir_sandbox.slack import bookmarks, scopes
from ir_sandbox.slack.call import Call
from ir_sandbox.slack.errors import SlackError
from ir_sandbox.slack.model import Channel, Json
from ir_sandbox.slack.quirks.bookmarks import FAILS_AFTER_EFFECT, FULL, NOT_AVAILABLE, PERMISSION_DENIED
from ir_sandbox.slack.web_api.registry import web_api_method


@web_api_method("bookmarks.add", tier=2, takes_json=True)
def add(call: Call) -> Json:
    """Add a link to the bookmarks of a channel."""
    channel = _channel(call, "bookmarks:write")
    title = call.text("title")
    if call.text("type") != "link":
        raise SlackError("invalid_bookmark_type")
    store, link, emoji = call.workspace.store, call.optional("link") or "", call.optional("emoji")
    if store.quirks.is_on(FULL):
        raise SlackError("too_many_bookmarks")
    bookmark = bookmarks.add(store, channel, call.app.bot_user_id, title, link, emoji)
    if store.quirks.is_on(FAILS_AFTER_EFFECT):
        raise SlackError("fatal_error")
    return {"bookmark": dict(bookmark)}


@web_api_method("bookmarks.edit", tier=2, takes_json=True)
def edit(call: Call) -> Json:
    """Change title, link or emoji of a bookmark."""
    bookmark = bookmarks.find(_channel(call, "bookmarks:write"), call.text("bookmark_id"))
    bookmarks.edit(
        call.workspace.store,
        bookmark,
        call.app.bot_user_id,
        title=call.optional("title"),
        link=call.optional("link"),
        emoji=call.optional("emoji"),
    )
    return {"bookmark": dict(bookmark)}


@web_api_method("bookmarks.list", tier=3, takes_json=True)
def list_bookmarks(call: Call) -> Json:
    """List the bookmarks of a channel."""
    return {"bookmarks": [dict(one) for one in _channel(call, "bookmarks:read").bookmarks]}


@web_api_method("bookmarks.remove", tier=2, takes_json=True)
def remove(call: Call) -> Json:
    """Remove a bookmark."""
    channel = _channel(call, "bookmarks:write")
    channel.bookmarks.remove(bookmarks.find(channel, call.text("bookmark_id")))
    return {}


def _channel(call: Call, scope: str) -> Channel:
    scopes.require(call.app, scope)
    channel, quirks = call.channel(name="channel_id"), call.workspace.store.quirks
    if quirks.is_on(NOT_AVAILABLE):
        raise SlackError("not_implemented")
    if scope == "bookmarks:write" and quirks.is_on(PERMISSION_DENIED):
        raise SlackError("permission_denied")
    if call.app.bot_user_id not in channel.members:
        raise SlackError("not_in_channel")
    if channel.is_archived:
        raise SlackError("is_archived")
    return channel
