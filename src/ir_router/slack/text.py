"""Text between the two sides: Slack's markup to plain text, plain text to safe Slack markup, long text to parts."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

MESSAGE_LENGTH = 4_000
SECTION_LENGTH = 3_000
TOPIC_LENGTH = 250

_MARKUP = re.compile(r"<([^<>\n]*)>")
# C0 and C1 controls but for tab and line feed: the API refuses some of them and no terminal should get any.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# Halves of characters (JSON can carry them) and non-characters: neither UTF-8 nor SQS has them.
_NO_CHARACTERS = re.compile("[\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
# Embeddings, overrides and isolates (https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters): one that
# is not closed turns round what stands behind it, ours included. Text in any script is shown rightly without them.
_TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")


def escape(text: str) -> str:
    """Text from outside made safe for Slack: nothing in it can mention, link or format a channel-wide call.

    https://api.slack.com/reference/surfaces/formatting#escaping: `&`, `<`, `>`, in this order.
    """
    shown = straight(clean(text))
    return shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def clean(text: str) -> str:
    """Text without control characters and halves of characters, with one kind of line end."""
    return _NO_CHARACTERS.sub("\ufffd", _CONTROLS.sub("", text.replace("\r\n", "\n").replace("\r", "\n")))


def straight(text: str) -> str:
    """Text without the characters that turn round what stands behind it."""
    return _TURNING.sub("", text)


def one_line(text: str) -> str:
    """A name or a value from outside as it may stand within a line of ours."""
    return " ".join(straight(clean(text)).split())


def length_of(text: str) -> int:
    """Its length in UTF-16 units, in which an emoji counts two.

    Neither Slack nor AWS says how its limits are counted; no usual count is larger than this one.
    """
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def shorten(text: str, length: int, where: str = "") -> str:
    """At most `length` units; what is cut is counted, with a word on `where` the rest is."""
    if length_of(text) <= length:
        return text
    rest = f"; the rest is {where}" if where else ""
    ending = f"… ({len(text)} characters in all{rest})"
    return text[: _fitting(text, max(0, length - len(ending)))].rstrip() + ending


def quoted(text: str, length: int, where: str = "") -> str:
    """Text from outside on one line: escaped, and cut so that it is at most `length` units with its escapes.

    `length` is 100 or more, so that there is room to say how much was cut.
    """
    line, room = one_line(text), length
    while length_of(shown := escape(shorten(line, room, where))) > length:
        room = room * length // length_of(shown)
    return shown


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

    plain = _MARKUP.sub(replace, text)
    return clean(plain.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))


def _special(command: str, label: str) -> str:
    name, _, argument = command.partition("^")
    if name in ("here", "channel", "everyone"):
        return "@" + name
    if name == "subteam":
        return label or "@" + argument
    return label or name


def split(text: str, length: int) -> Sequence[str]:
    """The text in parts of at most `length` (2 or more) units, cut at line ends or spaces where it can; none lost."""
    parts: list[str] = []
    while length_of(text) > length:
        fits = max(1, _fitting(text, length))
        cut = max(text.rfind("\n", 1, fits), 0) or max(text.rfind(" ", 1, fits), 0)
        # A cut that leaves most of a part empty would make many small messages of one long word.
        cut = cut + 1 if cut > fits // 2 else fits
        parts.append(text[:cut])
        text = text[cut:]
    parts.append(text)
    return parts


def _fitting(text: str, length: int) -> int:
    """How many characters from the beginning are at most `length` units."""
    fits = min(len(text), length)
    while (over := length_of(text[:fits]) - length) > 0:
        fits -= max(1, over // 2)
    return fits


def split_escaped(text: str, length: int) -> Sequence[str]:
    """Text from outside, escaped, in parts of at most `length` units; no escape is cut in two."""
    parts: list[str] = []
    pending = list(split(clean(text), length))
    while pending:
        piece = pending.pop(0)
        escaped = escape(piece)
        if length_of(escaped) <= length:
            parts.append(escaped)
        else:
            pending[:0] = split(piece, max(1, length_of(piece) * length // length_of(escaped) - 1))
    return parts


def slack_date(seconds: float, fallback: str) -> str:
    """A time that each reader sees in their own zone (https://api.slack.com/reference/surfaces/formatting#date-formatting)."""
    return f"<!date^{int(seconds)}^{{date_short_pretty}} {{time}}|{fallback}>"
