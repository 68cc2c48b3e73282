"""`conversations.*`: create, find, describe and archive; `users.conversations`."""

from __future__ import annotations

from collections.abc import Callable

from ir_sandbox.slack import scopes
from ir_sandbox.slack.call import Call
from ir_sandbox.slack.channels import check_name
from ir_sandbox.slack.errors import SlackError, invalid_arguments
from ir_sandbox.slack.model import Channel, ChannelKind, Json
from ir_sandbox.slack.quirks.errors import CHANNELS_BY_ADMINISTRATORS
from ir_sandbox.slack.web_api.registry import web_api_method

KINDS: dict[str, ChannelKind] = {"public_channel": "public", "private_channel": "private", "im": "im", "mpim": "mpim"}


def shown(call: Call, channel: Channel, *, count_members: bool = False) -> Json:
    """Return the conversation object as the calling app sees it."""
    return call.workspace.channels.render(channel, call.app.bot_user_id, count_members=count_members)


@web_api_method("conversations.create", tier=2, takes_json=True)
def create(call: Call) -> Json:
    """Create a channel; the bot is its creator and first member."""
    is_private = call.flag("is_private")
    scopes.require(call.app, *scopes.MANAGE["private" if is_private else "public"])
    name = str(call.arguments.get("name") or "")
    check_name(name)
    if call.workspace.store.quirks.is_on(CHANNELS_BY_ADMINISTRATORS):
        raise SlackError("restricted_action")
    channel = call.workspace.channels.create(call.app.bot_user_id, name, is_private=is_private)
    return {"channel": shown(call, channel)}


@web_api_method("conversations.list", tier=2)
def list_conversations(call: Call) -> Json:
    """List the conversations of the requested `types`; private ones only if the bot is a member."""
    kinds = _kinds(call)
    channels = _pageable(call, lambda channel: channel.kind in kinds)
    page, cursor = call.page(sorted(channels), "channel", default=100, most=1000)
    return {
        "channels": [shown(call, channels[channel_id], count_members=True) for channel_id in page],
        "response_metadata": {"next_cursor": cursor},
    }


@web_api_method("users.conversations", tier=3)
def users_conversations(call: Call) -> Json:
    """List the conversations of a user (default: the bot) that the bot can see."""
    kinds = _kinds(call)
    user = call.optional("user") or call.app.bot_user_id
    call.workspace.store.user(user)
    channels = _pageable(call, lambda channel: channel.kind in kinds and user in channel.members)
    page, cursor = call.page(sorted(channels), "channel", default=100, most=1000)
    listed = [shown(call, channels[channel_id]) for channel_id in page]
    for channel in listed:
        channel.pop("is_member", None)
    return {"channels": listed, "response_metadata": {"next_cursor": cursor}}


@web_api_method("conversations.info", tier=3)
def info(call: Call) -> Json:
    """Return one conversation."""
    channel = call.channel(scopes.READ)
    return {"channel": shown(call, channel, count_members=call.flag("include_num_members"))}


@web_api_method("conversations.setTopic", tier=2, takes_json=True)
def set_topic(call: Call) -> Json:
    """Set the topic, at most 250 characters."""
    channel = call.channel(scopes.TOPIC)
    call.workspace.channels.set_topic(call.app.bot_user_id, channel, str(call.arguments.get("topic") or ""))
    return {"channel": shown(call, channel)}


@web_api_method("conversations.setPurpose", tier=2, takes_json=True)
def set_purpose(call: Call) -> Json:
    """Set the purpose, at most 250 characters."""
    channel = call.channel(scopes.TOPIC)
    call.workspace.channels.set_purpose(call.app.bot_user_id, channel, str(call.arguments.get("purpose") or ""))
    return {"channel": shown(call, channel)}


@web_api_method("conversations.rename", tier=2, takes_json=True)
def rename(call: Call) -> Json:
    """Rename a channel; only its creator and administrators can."""
    channel = call.channel(scopes.MANAGE)
    call.workspace.channels.rename(call.app.bot_user_id, channel, str(call.arguments.get("name") or ""))
    return {"channel": shown(call, channel)}


@web_api_method("conversations.archive", tier=2, takes_json=True)
def archive(call: Call) -> Json:
    """Archive a channel."""
    call.workspace.channels.archive(call.app.bot_user_id, call.channel(scopes.MANAGE))
    return {}


@web_api_method("conversations.unarchive", tier=2)
def unarchive(call: Call) -> Json:
    """Refuse: Slack's reference page documents in a "bug alert" that bot tokens cannot unarchive."""
    channel = call.channel(scopes.MANAGE)
    if not channel.is_archived:
        raise SlackError("not_archived")
    raise SlackError("not_in_channel")


@web_api_method("conversations.open", tier=3, takes_json=True)
def open_conversation(call: Call) -> Json:
    """Open a direct message with one user, or a group direct message with up to 8 users."""
    users = call.names("users")
    channel_id = call.optional("channel")
    if channel_id is not None:
        channel = call.channel()
        return {"no_op": True, "already_open": True, "channel": _opened(call, channel)}
    if not users:
        raise invalid_arguments("missing required field: users")
    if len(users) > 8:
        raise SlackError("too_many_users")
    scopes.require(call.app, *scopes.MANAGE["im" if len(users) == 1 else "mpim"])
    for user in users:
        if call.workspace.store.user(user).deleted:
            raise SlackError("user_disabled")
    return {"channel": _opened(call, call.workspace.channels.open_direct([call.app.bot_user_id, *users]))}


def _opened(call: Call, channel: Channel) -> Json:
    return shown(call, channel) if call.flag("return_im") else {"id": channel.id}


def _kinds(call: Call) -> set[ChannelKind]:
    kinds: set[ChannelKind] = set()
    for name in call.names("types") or ["public_channel"]:
        if name not in KINDS:
            raise SlackError("invalid_types")
        kinds.add(KINDS[name])
    for kind in sorted(kinds):
        scopes.require(call.app, *scopes.READ[kind])
    return kinds


def _pageable(call: Call, wanted: Callable[[Channel], bool]) -> dict[str, Channel]:
    exclude_archived = call.flag("exclude_archived")
    bot = call.app.bot_user_id
    return {
        channel.id: channel
        for channel in call.workspace.store.channels.values()
        if wanted(channel)
        and (not channel.is_private or bot in channel.members)
        and not (exclude_archived and channel.is_archived)
    }
