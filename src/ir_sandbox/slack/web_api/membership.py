"""`conversations.*`: the members of a channel."""

from __future__ import annotations

from ir_sandbox.slack import scopes
from ir_sandbox.slack.call import Call
from ir_sandbox.slack.errors import SlackError
from ir_sandbox.slack.model import Json
from ir_sandbox.slack.web_api.conversations import shown
from ir_sandbox.slack.web_api.registry import web_api_method


@web_api_method("conversations.members", tier=4)
def members(call: Call) -> Json:
    """List the members' ids."""
    channel = call.channel(scopes.READ)
    page, cursor = call.page(sorted(channel.members), "user", default=100, most=1000)
    return {"members": page, "response_metadata": {"next_cursor": cursor}}


@web_api_method("conversations.invite", tier=3, takes_json=True)
def invite(call: Call) -> Json:
    """Add users; with `force`, add those that can be added."""
    channel = call.channel(scopes.INVITE)
    users = call.names("users")
    if not users:
        raise SlackError("no_user")
    call.workspace.channels.invite(call.app.bot_user_id, channel, users, force=call.flag("force"), by_app=True)
    return {"channel": shown(call, channel)}


@web_api_method("conversations.kick", tier=3, takes_json=True)
def kick(call: Call) -> Json:
    """Remove a user."""
    channel = call.channel(scopes.MANAGE)
    call.workspace.channels.kick(call.app.bot_user_id, channel, call.text("user"))
    return {"errors": {}}


@web_api_method("conversations.join", tier=3, takes_json=True)
def join(call: Call) -> Json:
    """Join a public channel."""
    scopes.require(call.app, "channels:join")
    channel = call.channel()
    entered = call.workspace.channels.join(call.app.bot_user_id, channel)
    answer: Json = {"channel": shown(call, channel)}
    if not entered:
        answer |= {"warning": "already_in_channel", "response_metadata": {"warnings": ["already_in_channel"]}}
    return answer


@web_api_method("conversations.leave", tier=3, takes_json=True)
def leave(call: Call) -> Json:
    """Leave a channel."""
    channel = call.channel(scopes.MANAGE)
    return {} if call.workspace.channels.leave(call.app.bot_user_id, channel) else {"not_in_channel": True}
