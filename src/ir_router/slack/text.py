"""Convert text: Slack markup to plain text, plain text to safe Slack markup, long text to parts."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

MESSAGE_LENGTH = 4_000
SECTION_LENGTH = 3_000
TOPIC_LENGTH = 250

# A mention, a special command, a link or one of Slack's three entities. Any other `<...>` is unescaped text of an app.
_MARKUP = re.compile(r"<([@#!][^<>\n]*|[A-Za-z][A-Za-z0-9+.-]*:[^<>\n]*)>|&(lt|gt|amp);")
_ENTITIES = {"lt": "<", "gt": ">", "amp": "&"}
_ENTITY = re.compile(r"&(lt|gt|amp);")
# The schemes of links without `//`. Any other `<name:value>` without a label is code of an app, such as `<xs:string>`.
_BARE_SCHEMES = frozenset({"mailto", "tel", "sms"})
# Every line end of Unicode: CR, vertical tab (PowerPoint), form feed, NEL, line separator, paragraph separator.
_LINE_ENDS = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
# C0 and C1 controls except tab and line feed. The API rejects some of them, and no terminal should get any.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# Lone surrogates (JSON can hold them) and noncharacters. UTF-8 or SQS reject them.
_NOT_CHARACTERS = re.compile("[\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
# Embeddings, overrides and isolates (https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters). An
# unclosed one reverses the text after it, ir-router's own text included. No script needs them to be readable.
_BIDI_CONTROLS = re.compile("[\u202a-\u202e\u2066-\u2069]")
_JOINER = "\u200d"
# Controls, formats (such as U+200B and U+FEFF) and separators.
_INVISIBLE = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})
# Tags: the letters after the black flag of England, Scotland and Wales.
_TAGS = frozenset(map(chr, range(0xE0020, 0xE0080)))
_MARKS = frozenset({"Mn", "Me", "Mc"})
# Code points that belong to the character before them and are no marks: joiners, Thai and Lao AM, vowels and final
# consonants of decomposed Hangul, skin tones, and the tags of flags.
_EXTENDING = (
    frozenset(
        map(
            chr,
            (0x200C, 0x200D, 0x0E33, 0x0EB3, *range(0x1160, 0x1200), *range(0x1F3FB, 0x1F400)),
        )
    )
    | _TAGS
)
# More code points than this are no character that a person wrote.
_LONGEST_CHARACTER = 64
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
    return _NOT_CHARACTERS.sub("\ufffd", _CONTROLS.sub("", _LINE_ENDS.sub("\n", text)))


def is_blank(text: str) -> bool:
    """Return whether a reader sees nothing: the text has only spaces, controls and invisible characters.

    A character that this version of Unicode does not know can be a new emoji, and the tags end a flag.
    """
    return all(one not in _TAGS and unicodedata.category(one) in _INVISIBLE for one in text)


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
        scheme, _, address = target.partition(":")
        if not label and not address.startswith("//") and scheme.lower() not in _BARE_SCHEMES:
            return unescape(match[0])
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
    """Return how many leading characters fit into `length` units. No visible character is divided."""
    fits = min(len(text), length)
    while (over := length_of(text[:fits]) - length) > 0:
        fits -= max(1, over // 2)
    start = fits
    while 0 < start < len(text) and fits - start < _LONGEST_CHARACTER and _is_one_character(text, start):
        start -= 1
    return start if start and not _is_one_character(text, start) else fits


def _is_one_character(text: str, at: int) -> bool:
    """Return whether readers see the code points before and after a position as one character.

    The rules that matter here of https://www.unicode.org/reports/tr29/#Grapheme_Cluster_Boundary_Rules
    """
    if at >= len(text):
        return False
    before, after = text[at - 1], text[at]
    if before == _JOINER or after in _EXTENDING or unicodedata.category(after) in _MARKS:
        return True
    if not (_is_flag_letter(before) and _is_flag_letter(after)):
        return False
    # Two letters are a flag. Only an odd number of letters leaves one for the letter after the position.
    first = at - 1
    while first > 0 and _is_flag_letter(text[first - 1]):
        first -= 1
    return (at - first) % 2 == 1


def _is_flag_letter(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


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
