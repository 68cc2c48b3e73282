"""Parse the text after `/security-ir` into sub-command and argument. Pure; no text makes it fail."""

from __future__ import annotations

import re
from typing import NamedTuple

from ir_router.commands.catalogue import COMMAND, SUB_COMMANDS

# Phones and word processors turn straight quotes into these; a pair may mix both kinds.
_OPENING = {'"': '"“”„', "'": "'‘’‚"}
_CLOSING = {'"': '"“”', "'": "'‘’"}
# What users and phones write for the hyphen in a name: an underscore, a non-breaking hyphen, dashes.
_HYPHENS = re.compile("[_\u2010-\u2015\u2212]")


class Invocation(NamedTuple):
    """A parsed text. `name` is in lower case and may be empty; `argument` keeps its white space and line breaks."""

    name: str
    argument: str


def parse(text: str) -> Invocation:
    """Split off the sub-command, and unquote an argument that is one quoted text.

    Any letter case is accepted, a space or any dash for the hyphen in a name, and a repeated `/security-ir`.
    """
    first, rest = _split(text)
    if first.casefold() == COMMAND:
        first, rest = _split(rest)
    name = _name(first)
    second, after = _split(rest)
    if name not in SUB_COMMANDS and f"{name}-{_name(second)}" in SUB_COMMANDS:
        name, rest = f"{name}-{_name(second)}", after
    return Invocation(name, unquoted(rest))


def _split(text: str) -> tuple[str, str]:
    """Return the first word and the text after it. Both are empty without a word."""
    words = text.split(maxsplit=1)
    return words[0] if words else "", words[1].strip() if len(words) > 1 else ""


def _name(word: str) -> str:
    return _HYPHENS.sub("-", unquoted(word).casefold())


def unquoted(text: str) -> str:
    """Return the text without the straight or curly quotes that enclose it completely. Other quotes stay."""
    for kind, opening in _OPENING.items():
        if len(text) >= 2 and text[0] in opening and text[-1] in _CLOSING[kind]:
            inner = text[1:-1]
            if not any(quote in inner for quote in opening + _CLOSING[kind]):
                return inner
    return text
