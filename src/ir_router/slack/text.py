"""Text between the two sides: Slack's markup to plain text, plain text to safe Slack markup, long text to parts."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence

MESSAGE_LENGTH = 4_000
SECTION_LENGTH = 3_000
TOPIC_LENGTH = 250

_MARKUP = re.compile(r"<([^<>\n]*)>")
# C0 and C1 controls but for tab and line feed: the API refuses some of them and no terminal should get any.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def escape(text: str) -> str:
    """Text from outside made safe for Slack: nothing in it can mention, link or format a channel-wide call.

    https://api.slack.com/reference/surfaces/formatting#escaping: `&`, `<`, `>`, in this order.
    """
    return clean(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def clean(text: str) -> str:
    """Text without control characters, with one kind of line end."""
    return _CONTROLS.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def shorten(text: str, length: int, where: str = "") -> str:
    """At most `length` characters; what is cut is counted, with a word on `where` the rest is."""
    if len(text) <= length:
        return text
    rest = f"; the rest is {where}" if where else ""
    ending = f"… ({len(text)} characters in all{rest})"
    return text[: max(0, length - len(ending))].rstrip() + ending


def to_plain(text: str, user_name: Callable[[str], str], channel_name: Callable[[str], str]) -> str:
    """Slack markup as plain text: mentions and links become names, emoji stay as they are.

    `user_name` and `channel_name` give names by id.
    """

    def replace(match: re.Match[str]) -> str:
        target, _, label = match.group(1).partition("|")
        kind, rest = target[:1], target[1:]
        if kind == "@":
            return "@" + user_name(rest)
        if kind == "#":
            return "#" + (label or channel_name(rest))
        if kind == "!":
            return _special(rest, label)
        link = target.removeprefix("mailto:").removeprefix("tel:")
        return link if not label or label == link else f"{label} ({link})"

    return clean(html.unescape(_MARKUP.sub(replace, text)))


def _special(command: str, label: str) -> str:
    name, _, argument = command.partition("^")
    if name in ("here", "channel", "everyone"):
        return "@" + name
    if name == "subteam":
        return label or "@" + argument
    return label or name


def split(text: str, length: int) -> Sequence[str]:
    """The text in parts of at most `length` characters, cut at line ends or spaces where there are any; none lost."""
    parts: list[str] = []
    while len(text) > length:
        cut = max(text.rfind("\n", 1, length), 0) or max(text.rfind(" ", 1, length), 0)
        # A cut that leaves most of a part empty would make many small messages of one long word.
        cut = cut + 1 if cut > length // 2 else length
        parts.append(text[:cut])
        text = text[cut:]
    parts.append(text)
    return parts


def split_escaped(text: str, length: int) -> Sequence[str]:
    """Text from outside, escaped, in parts of at most `length` characters; no escape is cut in two."""
    parts: list[str] = []
    for part in split(clean(text), length):
        pending = [part]
        while pending:
            piece = pending.pop(0)
            escaped = escape(piece)
            if len(escaped) <= length:
                parts.append(escaped)
            else:
                pending[:0] = list(split(piece, max(1, len(piece) * length // len(escaped) - 1)))
    return parts


def slack_date(seconds: float, fallback: str) -> str:
    """A time that each reader sees in their own zone (https://api.slack.com/reference/surfaces/formatting#date-formatting)."""
    return f"<!date^{int(seconds)}^{{date_short_pretty}} {{time}}|{fallback}>"
