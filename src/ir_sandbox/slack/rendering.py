"""The text that a user reads of a message: formatting applied, mentions and links as labels.

Formatting rules: https://docs.slack.dev/messaging/formatting-message-text
"""

from __future__ import annotations

import re
from typing import Any

from ir_sandbox.slack.model import Json

_CODE = re.compile(r"(```.*?```|`[^`\n]+`)", re.DOTALL)
_TOKEN = re.compile(r"<([^<>\n]+)>")
_EMOJI = re.compile(r":[a-z0-9_+'-]+:(?::skin-tone-[2-6]:)?")
_QUOTE = re.compile(r"^&gt;[ ]?", re.MULTILINE)
_MARKS = tuple(
    re.compile(
        rf"(?<![\w{re.escape(mark)}]){re.escape(mark)}(?=\S)([^\n{re.escape(mark)}]+?)(?<=\S){re.escape(mark)}(?!\w)"
    )
    for mark in "*_~"
)


def visible_text(message: Json) -> str:
    """Return the text of a message in the channel: its blocks, or its `text` if it has none."""
    if message.get("blocks"):
        return "\n".join(filter(None, (_block(block) for block in message["blocks"])))
    return _mrkdwn(str(message.get("text") or ""))


def _block(block: Json) -> str:
    kind = block["type"]
    if kind == "rich_text":
        return "\n".join(_rich_text(element) for element in block["elements"])
    if kind == "context":
        return " ".join(_text(element) for element in block["elements"])
    texts = [block.get("text"), *block.get("fields", []), *block.get("elements", [])]
    return "\n".join(_text(text) for text in texts if text)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value.get("type") == "mrkdwn":
        return _mrkdwn(value["text"])
    if value.get("type") == "plain_text":
        text = _decoded(value["text"])
        return _EMOJI.sub("☺", text) if value.get("emoji", True) else text
    return _text(value.get("text") or value.get("alt_text") or "")


def _rich_text(element: Json) -> str:
    """Return rich text. Its texts are shown as they are: no formatting, no entities, no emoji."""
    if "elements" in element:
        return "".join(_rich_text(inner) for inner in element["elements"])
    return str(element.get("text") or element.get("fallback") or element.get("url") or "")


def _mrkdwn(text: str) -> str:
    pieces = _CODE.split(text)
    pieces[::2] = [_formatted(piece) for piece in pieces[::2]]
    pieces[1::2] = [_decoded(_TOKEN.sub(_label, piece.strip("`"))) for piece in pieces[1::2]]
    return "".join(pieces)


def _formatted(text: str) -> str:
    text = _QUOTE.sub("", text)
    for mark in _MARKS:
        text = mark.sub(r"\1", text)
    return _decoded(_TOKEN.sub(_label, _EMOJI.sub("☺", text)))


def _label(match: re.Match[str]) -> str:
    target, _, label = match[1].partition("|")
    return label or target


def _decoded(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
