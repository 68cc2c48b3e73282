"""The methods `files.*`."""

from __future__ import annotations

from ir_sandbox.slack.blocks import check_blocks
from ir_sandbox.slack.call import Call
from ir_sandbox.slack.errors import SlackError, invalid_arguments
from ir_sandbox.slack.messages import as_kept, bot_content
from ir_sandbox.slack.model import Channel, File, Json
from ir_sandbox.slack.scopes import require
from ir_sandbox.slack.web_api.registry import web_api_method


@web_api_method("files.getUploadURLExternal", tier=4)
def get_upload_url(call: Call) -> Json:
    """Start an upload (step 1): return the URL for the POST of the content."""
    require(call.app, "files:write")
    name = call.text("filename")
    length = call.number("length", -1)
    if length < 0:
        raise invalid_arguments("missing required field: length")
    if length == 0:
        raise SlackError("missing_argument")
    file, url = call.workspace.files.begin(call.app.bot_user_id, name, length, app=call.app)
    return {"upload_url": url, "file_id": file.id}


@web_api_method("files.completeUploadExternal", tier=4, takes_json=True)
def complete_upload(call: Call) -> Json:
    """Complete uploads (step 3): share the files in channels, or keep them private to the app."""
    require(call.app, "files:write")
    entries = call.decoded("files")
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise invalid_arguments("missing required field: files")
    files = [_uploaded(call, str(entry.get("id"))) for entry in entries]
    channels = [_target(call, channel_id) for channel_id in _channel_ids(call)]
    blocks = check_blocks(call.arguments["blocks"]) if call.arguments.get("blocks") else None
    for file, entry in zip(files, entries, strict=True):
        file.title = str(entry.get("title") or file.name)
    text = as_kept(call.optional("initial_comment") or "")
    bot = call.workspace.store.user(call.app.bot_user_id)
    call.workspace.files.complete(
        bot.id,
        files,
        channels,
        text=text,
        blocks=blocks,
        thread_ts=call.optional("thread_ts"),
        author=bot_content(call.app, bot, text),
        app=call.app,
    )
    return {"files": [call.workspace.files.render(file) for file in files]}


@web_api_method("files.info", tier=4)
def files_info(call: Call) -> Json:
    """Return one file with its shares."""
    require(call.app, "files:read")
    file = call.workspace.files.visible(call.text("file"), call.app.bot_user_id)
    return {"file": call.workspace.files.render(file), "comments": [], "response_metadata": {"next_cursor": ""}}


@web_api_method("files.list", tier=3)
def files_list(call: Call) -> Json:
    """List the files that the bot can see, newest first, by page number."""
    require(call.app, "files:read")
    channel, user = call.optional("channel"), call.optional("user")
    found = [
        file
        for file in call.workspace.store.files.values()
        if _is_visible(call, file)
        and (channel is None or channel in file.shares)
        and (user is None or user == file.user)
    ][::-1]
    count, page = max(call.number("count", 100), 1), max(call.number("page", 1), 1)
    shown = [call.workspace.files.render(file) for file in found[(page - 1) * count : page * count]]
    paging = {"count": count, "total": len(found), "page": page, "pages": -(-len(found) // count)}
    return {"files": shown, "paging": paging}


@web_api_method("files.delete", tier=3, takes_json=True)
def files_delete(call: Call) -> Json:
    """Delete the app's own file."""
    require(call.app, "files:write")
    file = call.workspace.files.visible(call.text("file"), call.app.bot_user_id)
    if file.app_id != call.app.app_id:
        raise SlackError("cant_delete_file")
    call.workspace.files.delete(file)
    return {}


def _uploaded(call: Call, file_id: str) -> File:
    file = call.workspace.store.files.get(file_id)
    if file is None or file.app_id != call.app.app_id or file.uploaded is None or file.completed is not None:
        raise SlackError("file_not_found")
    return file


def _channel_ids(call: Call) -> list[str]:
    single = call.optional("channel_id")
    return [single] if single is not None else call.names("channels")


def _target(call: Call, channel_id: str) -> Channel:
    channel = call.workspace.store.visible_channel(channel_id, call.app.bot_user_id)
    if call.app.bot_user_id not in channel.members:
        raise SlackError("not_in_channel")
    if channel.is_archived:
        raise SlackError("is_archived")
    return channel


def _is_visible(call: Call, file: File) -> bool:
    try:
        call.workspace.files.visible(file.id, call.app.bot_user_id)
    except SlackError:
        return False
    return True
