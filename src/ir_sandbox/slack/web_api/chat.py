"""The methods `chat.*` and `reactions.add`."""

from __future__ import annotations

import re

from ir_sandbox.slack.blocks import check_blocks
from ir_sandbox.slack.call import Call
from ir_sandbox.slack.errors import SlackError, invalid_arguments
from ir_sandbox.slack.messages import as_kept, bot_content
from ir_sandbox.slack.model import Channel, Ephemeral, Json, Message
from ir_sandbox.slack.quirks.errors import CHANNEL_READ_ONLY
from ir_sandbox.slack.rich_text import rich_text
from ir_sandbox.slack.scopes import require
from ir_sandbox.slack.web_api.registry import web_api_method

TEXT_LENGTH = 40_000
METADATA_LENGTH = 15_000
MOST_ATTACHMENTS = 100


@web_api_method("chat.postMessage", tier=None, takes_json=True)
def post_message(call: Call) -> Json:
    """Post to a channel by its id or name, or to a user's direct messages by the user's id."""
    require(call.app, "chat:write")
    channel = _target(call)
    if channel.kind in {"public", "private"} and call.workspace.store.quirks.is_on(CHANNEL_READ_ONLY):
        raise SlackError("restricted_action_read_only_channel")
    username = call.optional("username")
    if username is not None:
        require(call.app, "chat:write.customize")
    bot = call.workspace.store.user(call.app.bot_user_id)
    content = {**bot_content(call.app, bot, call.optional("text") or "", username), **_content(call)}
    metadata = _metadata(call)
    call.workspace.check_post_rate(call.app, channel)
    message = call.workspace.messages.post(
        channel,
        bot.id,
        content,
        app=call.app,
        thread_ts=call.optional("thread_ts"),
        broadcast=call.flag("reply_broadcast"),
        metadata=metadata or None,
    )
    shown = call.workspace.messages.render(message, metadata=True)
    return {"channel": channel.id, "ts": message.ts, "message": shown}


@web_api_method("chat.update", tier=3, takes_json=True)
def update(call: Call) -> Json:
    """Change the app's own message. Omitted blocks, attachments and metadata stay; empty ones are removed."""
    require(call.app, "chat:write")
    channel, message = _own_message(call, "cant_update_message")
    if channel.is_archived:
        raise SlackError("is_inactive")
    changes = _content(call)
    metadata = _metadata(call)
    if "text" not in call.arguments:
        changes.pop("text")
    if "blocks" not in call.arguments and message.body.get("blocks", [{}])[0].get("type") != "rich_text":
        changes.pop("blocks")
    if "attachments" in call.arguments and "attachments" not in changes:
        changes["attachments"] = None  # an empty list removes them; without the argument they stay
    call.workspace.messages.edit(message, changes, editor=call.app.bot_user_id)
    if metadata is not None:
        message.metadata = metadata or None
    shown = call.workspace.messages.render(message, metadata=True)
    return {"channel": channel.id, "ts": message.ts, "text": shown.get("text", ""), "message": shown}


@web_api_method("chat.delete", tier=3, takes_json=True)
def delete(call: Call) -> Json:
    """Delete the app's own message."""
    require(call.app, "chat:write")
    channel, message = _own_message(call, "cant_delete_message")
    call.workspace.messages.delete(message)
    return {"channel": channel.id, "ts": message.ts}


@web_api_method("chat.postEphemeral", tier=4, takes_json=True)
def post_ephemeral(call: Call) -> Json:
    """Show a message to one member of the channel."""
    require(call.app, "chat:write")
    channel = _target(call)
    user = call.workspace.store.user(call.text("user"))
    if user.id not in channel.members:
        raise SlackError("user_not_in_channel")
    if channel.is_archived:
        raise SlackError("is_archived")
    store = call.workspace.store
    bot = store.user(call.app.bot_user_id)
    content = {**bot_content(call.app, bot, call.optional("text") or ""), **_content(call)}
    ts = store.next_ts(channel)
    body: Json = {"type": "message", "ts": ts, **content}
    if call.optional("thread_ts") is not None:
        body["thread_ts"] = call.text("thread_ts")
    store.ephemerals.append(Ephemeral(ts, channel.id, user.id, call.app.app_id, body, "chat.postEphemeral"))
    return {"message_ts": ts}


@web_api_method("chat.getPermalink", tier=None)
def get_permalink(call: Call) -> Json:
    """Return a link to a message."""
    channel = call.channel()
    message = call.workspace.messages.find(channel, call.text("message_ts"))
    link = f"https://{call.workspace.store.domain}.slack.com/archives/{channel.id}/p{message.ts.replace('.', '')}"
    if message.is_reply:
        link += f"?thread_ts={message.thread_ts}&cid={channel.id}"
    return {"channel": channel.id, "permalink": link}


@web_api_method("reactions.add", tier=3, takes_json=True)
def reactions_add(call: Call) -> Json:
    """Add an emoji to a message."""
    require(call.app, "reactions:write")
    channel = call.channel()
    if call.app.bot_user_id not in channel.members:
        raise SlackError("not_in_channel")
    name = call.text("name").strip(":")
    if not re.fullmatch(r"[a-z0-9_'+-]+(::skin-tone-[2-6])?", name):
        raise SlackError("invalid_name")
    message = call.workspace.messages.find(channel, call.text("timestamp"))
    if channel.is_archived:
        raise SlackError("is_archived")
    call.workspace.messages.react(message, call.app.bot_user_id, name)
    return {}


def _target(call: Call) -> Channel:
    wanted = call.text("channel")
    store = call.workspace.store
    if wanted in store.users:
        if store.users[wanted].is_bot:
            raise SlackError("cannot_dm_bot")
        return call.workspace.channels.open_direct([call.app.bot_user_id, wanted])
    named = next((channel for channel in store.channels.values() if channel.name == wanted.removeprefix("#")), None)
    channel = store.visible_channel(named.id if named is not None else wanted, call.app.bot_user_id)
    if call.app.bot_user_id not in channel.members and "chat:write.public" not in call.app.scopes:
        raise SlackError("not_in_channel")
    return channel


def _own_message(call: Call, refusal: str) -> tuple[Channel, Message]:
    channel = call.channel()
    message = call.workspace.messages.find(channel, call.text("ts"))
    if message.app_id != call.app.app_id:
        raise SlackError(refusal)
    return channel, message


def _content(call: Call) -> Json:
    text = call.optional("text") or ""
    if len(text) > TEXT_LENGTH:
        raise SlackError("msg_too_long")
    blocks = check_blocks(call.arguments["blocks"]) if call.arguments.get("blocks") not in (None, "") else []
    attachments = call.decoded("attachments") or []
    if not isinstance(attachments, list):
        raise SlackError("invalid_attachments")
    if len(attachments) > MOST_ATTACHMENTS:
        raise SlackError("too_many_attachments")
    if not (text or blocks or attachments):
        raise SlackError("no_text")
    kept = as_kept(text)
    content: Json = {"text": kept, "blocks": blocks or rich_text(kept)}
    if attachments:
        content["attachments"] = attachments
    return content


def _metadata(call: Call) -> Json | None:
    if call.arguments.get("metadata") in (None, ""):
        return None
    try:
        value = call.decoded("metadata")
    except SlackError:
        raise SlackError("invalid_metadata_format") from None
    if not isinstance(value, dict):
        raise SlackError("invalid_metadata_format")
    if value == {}:
        return {}
    event_type, payload = value.get("event_type"), value.get("event_payload")
    if not isinstance(event_type, str) or not event_type or not isinstance(payload, dict):
        raise SlackError("invalid_metadata_schema")
    if len(str(value)) > METADATA_LENGTH:
        raise SlackError("metadata_too_large")
    if set(value) - {"event_type", "event_payload", "entities"}:
        raise invalid_arguments("unexpected field [json-pointer:/metadata]")
    return {"event_type": event_type, "event_payload": payload}
