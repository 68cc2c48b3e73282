"""The `rich_text` block that Slack's clients make of a typed message."""

from __future__ import annotations

import re

from ir_sandbox.slack.model import Json
from ir_sandbox.slack.store import random_word

_TOKEN = re.compile(r"<([@#!][^<>\n]+|[a-z]+:[^<>\n]+)>|:([a-z0-9_+'-]+)(?:::skin-tone-([2-6]))?:")
_FENCE = re.compile(r"```\n?(.*?)\n?```", re.DOTALL)
_BROADCASTS = frozenset({"here", "channel", "everyone"})


def rich_text(text: str) -> list[Json]:
    """Return the block that Slack creates from a message's text (mrkdwn with mentions, links and code blocks).

    The texts of its elements are the characters that people typed, without Slack's entities.
    """
    parts: list[Json] = []
    for number, piece in enumerate(_FENCE.split(text)):
        if number % 2:
            code = {"type": "text", "text": _decoded(piece)}
            parts.append({"type": "rich_text_preformatted", "elements": [code], "border": 0})
        elif piece.strip("\n") or number == 0:
            after = piece.removeprefix("\n") if number else piece  # the code block ends its line itself
            parts.append({"type": "rich_text_section", "elements": _inline(after)})
    return [{"type": "rich_text", "block_id": random_word(5), "elements": parts}]


def _inline(text: str) -> list[Json]:
    elements: list[Json] = []
    end = 0
    for found in _TOKEN.finditer(text):
        if found.start() > end:
            elements.append({"type": "text", "text": _decoded(text[end : found.start()])})
        elements.append(_token(found[1]) if found[1] else _emoji(found[2], found[3]))
        end = found.end()
    if end < len(text) or not elements:
        elements.append({"type": "text", "text": _decoded(text[end:])})
    return elements


def _emoji(name: str, tone: str | None) -> Json:
    return {"type": "emoji", "name": name, **({"skin_tone": int(tone)} if tone else {})}


def _token(token: str) -> Json:
    target, _, label = token.partition("|")
    kind, rest = target[:1], target[1:]
    if kind == "@":
        return {"type": "user", "user_id": rest}
    if kind == "#":
        return {"type": "channel", "channel_id": rest}
    if kind == "!" and rest.startswith("subteam^"):
        return {"type": "usergroup", "usergroup_id": rest.partition("^")[2]}
    if kind == "!" and rest in _BROADCASTS:
        return {"type": "broadcast", "range": rest}
    if kind == "!":
        return {"type": "text", "text": _decoded(label or rest)}
    return {"type": "link", "url": _decoded(target), **({"text": _decoded(label)} if label else {})}


def _decoded(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
