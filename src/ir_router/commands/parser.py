"""Parse the text after `/security-ir` into sub-command and argument. Pure; no text makes it fail."""

from __future__ import annotations

import re
from typing import NamedTuple

from ir_router.commands.catalogue import COMMAND, SUB_COMMANDS
from ir_router.slack.text import is_blank

# Opening and closing quotes. Phones and word processors turn straight quotes into these; a pair may mix its kind.
_QUOTES = (('"“”„＂', '"“”＂'), ("'‘’‚", "'‘’"), ("«»", "«»"), ("「『", "」』"))
# What users and phones write for the hyphen in a name: an underscore, a non-breaking hyphen, dashes.
_HYPHENS = re.compile("[_\u2010-\u2015\u2212]")
# Characters around a name that is copied from a formatted text or ends a sentence.
_AROUND_NAMES = "`*_~.,:;!?"


class Invocation(NamedTuple):
    """A parsed text. `name` is in lower case and may be empty; `argument` keeps its white space and line breaks."""

    name: str
    argument: str


def parse(text: str) -> Invocation:
    """Split off the sub-command, and unquote an argument that is one quoted text.

    Any letter case is accepted, a space or any dash for the hyphen in a name, and a repeated `/security-ir`.
    """
    first, rest = _split(_without_code(trimmed(text)))
    if first.casefold().removeprefix("/") == COMMAND.removeprefix("/"):
        first, rest = _split(rest)
    name = _name(first)
    second, after = _split(rest)
    if name not in SUB_COMMANDS and f"{name}-{_name(second)}" in SUB_COMMANDS:
        name, rest = f"{name}-{_name(second)}", after
    return Invocation(name, unquoted(rest))


def _split(text: str) -> tuple[str, str]:
    """Return the first word and the text after it. Both are empty without a word."""
    words = text.split(maxsplit=1)
    return words[0] if words else "", trimmed(words[1]) if len(words) > 1 else ""


def trimmed(text: str) -> str:
    """Return the text without spaces and invisible characters at its ends: a copied text can begin with U+FEFF."""
    start, end = 0, len(text)
    while start < end and is_blank(text[start]):
        start += 1
    while start < end and is_blank(text[end - 1]):
        end -= 1
    return text[start:end]


def _without_code(text: str) -> str:
    """Return the text without the backticks of a command that is formatted as code."""
    inner = text[1:-1]
    return inner if len(text) > 1 and text[0] == text[-1] == "`" and "`" not in inner else text


def _name(word: str) -> str:
    shown = "".join(one for one in unquoted(word) if not is_blank(one))
    return _HYPHENS.sub("-", shown.strip(_AROUND_NAMES).casefold())


def unquoted(text: str) -> str:
    """Return the text without the straight or curly quotes that enclose it completely. Other quotes stay."""
    for opening, closing in _QUOTES:
        if len(text) >= 2 and text[0] in opening and text[-1] in closing:
            inner = text[1:-1]
            if not any(quote in inner for quote in opening + closing):
                return inner
    return text
