"""The state of reading a message: names by id, and the list of blocks without text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ir_router.slack.text import to_plain, unescape

# Slack nests forwarded messages and containers a few levels deep. More levels are no message that a person made.
_DEEPEST = 12


class Lookup(Protocol):
    """Returns the names of users, channels and user groups by id."""

    def real_name(self, user_id: str) -> str:
        """Return the user's real name."""

    def channel(self, channel_id: str) -> str:
        """Return the channel's name without `#`."""

    def group(self, group_id: str) -> str:
        """Return the user group's handle without `@`."""


class Ids:
    """Shows every id as it is, for comparisons without a call to Slack."""

    def real_name(self, user_id: str) -> str:
        """Return the id."""
        return user_id

    def channel(self, channel_id: str) -> str:
        """Return the id."""
        return channel_id

    def group(self, group_id: str) -> str:
        """Return the id."""
        return group_id


@dataclass
class Reading:
    """The state of reading one message.

    Attributes:
        lookup: Returns names.
        decodes: Whether `&lt;`, `&gt;` and `&amp;` in rich text stand for characters.
        missing: The types of blocks without readable text.
        level: How deep the current part is nested.
    """

    lookup: Lookup
    decodes: bool = True
    missing: list[str] = field(default_factory=list)
    level: int = 0

    def deeper(self) -> Reading | None:
        """Return the reading of a nested part, or None if it is nested too deep."""
        if self.level >= _DEEPEST:
            self.missing.append("nested content")
            return None
        return Reading(self.lookup, self.decodes, self.missing, self.level + 1)

    def mrkdwn(self, value: object) -> str:
        """Return Slack markup as plain text."""
        return to_plain(string(value), self.lookup.real_name, self.lookup.channel, self.lookup.group)

    def literal(self, value: object) -> str:
        """Return text without markup."""
        return unescape(string(value)) if self.decodes else string(value)

    def text_object(self, value: object) -> str:
        """Return a text object, or a string that Slack reads as markup."""
        if isinstance(value, Mapping):
            text = value.get("text")
            return self.mrkdwn(text) if value.get("type") == "mrkdwn" else unescape(string(text))
        return self.mrkdwn(value)


def string(value: object) -> str:
    """Return a string or a number as text, anything else as an empty text."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def mapping(value: object) -> Mapping[str, Any]:
    """Return an object, or an empty one."""
    return value if isinstance(value, Mapping) else {}


def mappings(value: object) -> list[Mapping[str, Any]]:
    """Return the objects of a list."""
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def lines(*parts: str) -> str:
    """Join the parts that have text, each on a line of its own."""
    return "\n".join(part for part in parts if part.strip())
