"""Convert text: Slack markup to plain text, plain text to safe Slack markup, long text to parts."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

MESSAGE_LENGTH = 4_000
SECTION_LENGTH = 3_000
TOPIC_LENGTH = 250

# A mention, a special command, a link or one of Slack's three entities. Any other `<...>` is unescaped text of an app.
_MARKUP = re.compile(r"<([@#!][^<>\n]*|[A-Za-z][A-Za-z0-9+.-]*:[^<>\n]*)>|&(lt|gt|amp);")
_ENTITIES = {"lt": "<", "gt": ">", "amp": "&"}
_ENTITY = re.compile(r"&(lt|gt|amp);")
# C0 and C1 controls except tab and line feed. The API rejects some of them, and no terminal should get any.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# Lone surrogates (JSON can hold them) and noncharacters. UTF-8 or SQS reject them.
_NOT_CHARACTERS = re.compile("[\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
# Embeddings, overrides and isolates (https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters). An
# unclosed one reverses the text after it, ir-router's own text included. No script needs them to be readable.
_BIDI_CONTROLS = re.compile("[\u202a-\u202e\u2066-\u2069]")
# Characters of names in IAM, except `.` and `,`, which may also end a sentence or separate names.
_IN_NAMES = r"\w+=@\-"


def escape(text: str) -> str:
    """Escape untrusted text for Slack, so that it cannot contain mentions or links.

    Slack's rule (https://api.slack.com/reference/surfaces/formatting#escaping): `&`, `<`, `>`, in this order.
    """
    shown = remove_bidi_controls(clean(text))
    return shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def linked(escaped: str, urls: Mapping[str, str]) -> str:
    """Make names in an escaped text links, unless the text becomes too long for a section.

    Args:
        escaped: Text of `escape`, without markup.
        urls: The URL of each name. Names have the characters of names in IAM, and a space.
    """
    if not urls:
        return escaped
    names = "|".join(re.escape(name) for name in sorted(urls, key=len, reverse=True))
    found = re.compile(rf"(?<![{_IN_NAMES}.,])(?:{names})(?![{_IN_NAMES}]|[.,][{_IN_NAMES}])")
    text = found.sub(lambda name: f"<{escape(urls[name[0]])}|{name[0]}>", escaped)
    return text if length_of(text) <= SECTION_LENGTH else escaped


def clean(text: str) -> str:
    """Remove control characters, replace lone surrogates with U+FFFD, and use LF as the only line end."""
    return _NOT_CHARACTERS.sub("\ufffd", _CONTROLS.sub("", text.replace("\r\n", "\n").replace("\r", "\n")))


def remove_bidi_controls(text: str) -> str:
    """Remove the characters that change the direction of the text after them."""
    return _BIDI_CONTROLS.sub("", text)


def one_line(text: str) -> str:
    """Return an untrusted name or value on one line, for use inside a sentence."""
    return " ".join(remove_bidi_controls(clean(text)).split())


def length_of(text: str) -> int:
    """Return the length of text in UTF-16 units, in which an emoji counts two.

    Slack and AWS do not document how they count. No usual way of counting gives a larger number.
    """
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def shorten(text: str, length: int, where: str = "") -> str:
    """Cut text to at most `length` UTF-16 units and add its full length.

    Args:
        text: The text.
        length: Largest length of the result, as `length_of` counts.
        where: Where the reader finds the rest, for example `on the case`.
    """
    if length_of(text) <= length:
        return text
    rest = f"; the rest is {where}" if where else ""
    ending = f"… ({len(text)} characters in total{rest})"
    return text[: _fitting(text, max(0, length - len(ending)))].rstrip() + ending


def quoted(text: str, length: int, where: str = "") -> str:
    """Return untrusted text on one line, escaped, and cut to at most `length` units with its escapes.

    `length` is 100 or more, which leaves room for the note about the cut. `where` is as in `shorten`.
    """
    line, room = one_line(text), length
    while length_of(shown := escape(shorten(line, room, where))) > length:
        room = room * length // length_of(shown)
    return shown


def unescape(text: str) -> str:
    """Replace Slack's three entities with their characters."""
    return _ENTITY.sub(lambda match: _ENTITIES[match[1]], text)


def to_plain(
    text: str,
    user_name: Callable[[str], str],
    channel_name: Callable[[str], str],
    group_name: Callable[[str], str] = str,
) -> str:
    """Convert Slack markup to plain text. Mentions and links become names; emoji stay as they are.

    Args:
        text: Slack markup (mrkdwn).
        user_name: Returns the name of a user id.
        channel_name: Returns the name of a channel id.
        group_name: Returns the handle of a user group id.
    """

    def replace(match: re.Match[str]) -> str:
        if match[2]:
            return _ENTITIES[match[2]]
        target, _, shown = match[1].partition("|")
        kind, rest, label = target[:1], target[1:], unescape(shown)
        if kind == "@":
            return "@" + user_name(rest)
        if kind == "#":
            return "#" + (label or channel_name(rest))
        if kind == "!":
            return _special(rest, label, group_name)
        return link(unescape(target), label)

    return clean(_MARKUP.sub(replace, text))


def _special(command: str, label: str, group_name: Callable[[str], str]) -> str:
    name, *arguments = command.split("^")
    if name in ("here", "channel", "everyone"):
        return "@" + name
    if name == "subteam" and arguments:
        return label or "@" + group_name(arguments[0]).removeprefix("@")
    if name == "date" and arguments:
        shown = label or utc(arguments[0]) or arguments[0]
        return link(unescape(arguments[2]), shown) if len(arguments) > 2 else shown
    return label or name


def link(url: str, label: str) -> str:
    """Return a link as `label (url)`, or only once if the label is the address itself."""
    address = url.removeprefix("mailto:").removeprefix("tel:")
    if not label or not address or label == address:
        return address or label
    if url.startswith("tel:") and re.sub(r"\D", "", label) == re.sub(r"\D", "", address):
        return label
    bare, shown = address.partition("://")[2].rstrip("/"), label.rstrip("/")
    # Slack shows a long address with an ellipsis, and adds the scheme to an address that was typed without it.
    start = shown.removesuffix("…").removesuffix("...")
    if bare and (shown == bare or (start != shown and (address.startswith(start) or bare.startswith(start)))):
        return address
    return f"{label} ({address})"


def utc(seconds: str) -> str:
    """Return the time of a Unix timestamp, or an empty text if it is none."""
    try:
        return f"{datetime.fromtimestamp(float(seconds), UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        return ""


def split(text: str, length: int) -> Sequence[str]:
    """Split text into parts of at most `length` units (2 or more), at line ends or spaces where possible.

    The parts joined are the text.
    """
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
    """Return how many leading characters fit into `length` units."""
    fits = min(len(text), length)
    while (over := length_of(text[:fits]) - length) > 0:
        fits -= max(1, over // 2)
    return fits


def split_escaped(text: str, length: int) -> Sequence[str]:
    """Escape untrusted text and split it into parts of at most `length` units. No escape is cut in two."""
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
    """Return a time that Slack shows in each reader's own zone; `fallback` is for clients that cannot.

    https://api.slack.com/reference/surfaces/formatting#date-formatting
    """
    return f"<!date^{int(seconds)}^{{date_short_pretty}} {{time}}|{fallback}>"
