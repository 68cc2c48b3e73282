"""The surprising forms of messages that the quirks of `quirks/messages.py` turn on."""

from __future__ import annotations

import re

from ir_sandbox.slack.model import Channel, Json, Message
from ir_sandbox.slack.quirks import Quirks
from ir_sandbox.slack.quirks import messages as quirks
from ir_sandbox.slack.rich_text import rich_text

CLIENT_APP: Json = {"bot_id": "B0LCCLIENT1", "app_id": "A0LCCLIENT1"}
_LABEL = re.compile(r"<!subteam\^([A-Z0-9]+)\|[^<>]*>")
_LINK = re.compile(r"<(https?://[^<>|]+)")
_TABLE_LINE = re.compile(r"[^\n]*\t[^\n]*\n?")


def typed(on: Quirks, content: Json) -> Json:
    """Return a user's message in the forms that are on."""
    text = str(content.get("text") or "")
    if on.is_on(quirks.UNLABELLED_GROUPS):
        text = _LABEL.sub(r"<!subteam^\1>", text)
    if on.is_on(quirks.PASTED_TABLES) and "\t" in text:
        rows = [line.rstrip("\n").split("\t") for line in _TABLE_LINE.findall(text)]
        cells = [[{"type": "raw_text", "text": cell or " "} for cell in row] for row in rows]
        table = {"id": 1, "blocks": [{"type": "table", "rows": cells}], "fallback": "[no preview available]"}
        text = _TABLE_LINE.sub("", text).strip()
        content = {**content, "attachments": [*content.get("attachments", []), table]}
    content = {**content, "text": text}
    if "blocks" in content:
        content["blocks"] = rich_text(text)
        if not text:
            del content["blocks"]
    if on.is_on(quirks.BLOCKS_WITHOUT_TEXT) and content.get("blocks"):
        content["text"] = ""
    if on.is_on(quirks.USER_TOKEN_POSTS) and "client_msg_id" in content:
        profile = {"id": CLIENT_APP["bot_id"], "app_id": CLIENT_APP["app_id"], "name": "Client"}
        content = {**content, **CLIENT_APP, "bot_profile": profile}
    return content


def preview(on: Quirks, content: Json) -> Json | None:
    """Return the attachment with which Slack unfurls the first link of a message, or None."""
    found = _LINK.search(str(content.get("text") or ""))
    if found is None or not on.is_on(quirks.UNFURLS):
        return None
    return {"id": 1, "from_url": found[1], "original_url": found[1], "title": "A page", "fallback": "A page"}


def forwarded(on: Quirks, message: Message, channel: Channel, *, author: str, domain: str) -> Json:
    """Return the attachment of a forwarded message.

    Args:
        on: The quirks.
        message: The message.
        channel: Its channel.
        author: The name of its author.
        domain: The workspace's domain.
    """
    body = message.body
    text = "" if on.is_on(quirks.FORWARDS_WITHOUT_TEXT) else str(body.get("text") or "")
    url = f"https://{domain}.slack.com/archives/{channel.id}/p{message.ts.replace('.', '')}"
    inner = {
        "team": body.get("team"),
        "channel": channel.id,
        "ts": message.ts,
        "message": {"blocks": body.get("blocks", [])},
    }
    return {
        "id": 1,
        "ts": message.ts,
        "channel_id": channel.id,
        "is_msg_unfurl": True,
        "is_share": True,
        "from_url": url,
        "original_url": url,
        "author_id": message.author,
        "author_name": author,
        "footer": f"Posted in #{channel.name}",
        "text": text,
        "fallback": f"{author}: {text}",
        "message_blocks": [inner] if body.get("blocks") else [],
        **({"files": body["files"]} if body.get("files") else {}),
    }
