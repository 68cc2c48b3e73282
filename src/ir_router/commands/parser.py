"""Parse the text after `/security-ir` into sub-command and argument. Pure; no text makes it fail."""

from __future__ import annotations

from typing import NamedTuple

# Phones and word processors turn straight quotes into these; a pair may mix both kinds.
_OPENING = {'"': '"“”„', "'": "'‘’‚"}
_CLOSING = {'"': '"“”', "'": "'‘’"}


class Invocation(NamedTuple):
    """A parsed text. `name` is in lower case and may be empty; `argument` keeps its white space and line breaks."""

    name: str
    argument: str


def parse(text: str) -> Invocation:
    """Split off the sub-command (any letter case, `_` for `-`), and unquote an argument that is one quoted text."""
    words = text.split(maxsplit=1)
    if not words:
        return Invocation("", "")
    name = unquoted(words[0]).casefold().replace("_", "-")
    return Invocation(name, unquoted(words[1].strip()) if len(words) > 1 else "")


def unquoted(text: str) -> str:
    """Return the text without the straight or curly quotes that enclose it completely. Other quotes stay."""
    for kind, opening in _OPENING.items():
        if len(text) >= 2 and text[0] in opening and text[-1] in _CLOSING[kind]:
            inner = text[1:-1]
            if not any(quote in inner for quote in opening + _CLOSING[kind]):
                return inner
    return text
