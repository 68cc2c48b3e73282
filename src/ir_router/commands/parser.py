"""What a person typed behind `/security-ir`: the sub-command and its argument. Pure; no text makes it fail."""

from __future__ import annotations

from typing import NamedTuple

# Phones and word processors turn straight quotes into these; a pair may mix both kinds.
_OPENING = {'"': '"“”„', "'": "'‘’‚"}
_CLOSING = {'"': '"“”', "'": "'‘’"}


class Invocation(NamedTuple):
    """`name` in lower case, empty when nothing was typed; `argument` with its white space and line breaks."""

    name: str
    argument: str


def parse(text: str) -> Invocation:
    """Split off the sub-command, in any letter case and with `_` for `-`; unquote an argument quoted as a whole."""
    words = text.split(maxsplit=1)
    if not words:
        return Invocation("", "")
    name = unquoted(words[0]).casefold().replace("_", "-")
    return Invocation(name, unquoted(words[1].strip()) if len(words) > 1 else "")


def unquoted(text: str) -> str:
    """The text without the quotes around it, straight or curly; quotes that do not enclose the whole text stay."""
    for kind, opening in _OPENING.items():
        if len(text) >= 2 and text[0] in opening and text[-1] in _CLOSING[kind]:
            inner = text[1:-1]
            if not any(quote in inner for quote in opening + _CLOSING[kind]):
                return inner
    return text
