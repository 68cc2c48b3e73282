"""One call of a Web API method: who calls, with which arguments."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ir_local.slack.errors import SlackError, invalid_arguments
from ir_local.slack.model import App, Channel, ChannelKind, Json
from ir_local.slack.scopes import require, require_any_kind

if TYPE_CHECKING:
    from ir_local.slack.workspace import SlackWorkspace


@dataclass
class Call:
    """The arguments come as strings from a form, as JSON values from a JSON body; both are understood."""

    workspace: SlackWorkspace
    method: str
    caller: App | None
    arguments: Json

    @property
    def app(self) -> App:
        """The app whose token was given; SlackError `not_authed` for a call without one."""
        if self.caller is None:
            raise SlackError("not_authed")
        return self.caller

    def text(self, name: str) -> str:
        """A required string; SlackError `invalid_arguments` when absent."""
        value = self.optional(name)
        if value is None:
            raise invalid_arguments(f"missing required field: {name}")
        return value

    def optional(self, name: str) -> str | None:
        """A string, None if absent or empty."""
        value = self.arguments.get(name)
        if value is None or value == "":
            return None
        if isinstance(value, dict | list):
            raise invalid_arguments(f"must be a string [json-pointer:/{name}]")
        return str(value)

    def flag(self, name: str, *, default: bool = False) -> bool:
        """A boolean: true, "true", "1" and 1 are true."""
        value = self.arguments.get(name)
        return default if value is None or value == "" else str(value).lower() in {"true", "1"}

    def number(self, name: str, default: int) -> int:
        """A whole number; SlackError `invalid_arguments`."""
        value = self.optional(name)
        if value is None:
            return default
        try:
            return int(value)
        except ValueError:
            raise invalid_arguments(f"must be an integer [json-pointer:/{name}]") from None

    def names(self, name: str) -> list[str]:
        """A comma-separated list, or a JSON array."""
        value = self.arguments.get(name)
        if isinstance(value, str) and value.startswith("["):
            value = self.decoded(name)
        if isinstance(value, list):
            return [str(item) for item in value]
        return [item.strip() for item in str(value or "").split(",") if item.strip()]

    def decoded(self, name: str) -> object:
        """A JSON value, given as such or as a string of JSON; SlackError `invalid_arguments`."""
        value = self.arguments.get(name)
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError:
            raise invalid_arguments(f"invalid JSON [json-pointer:/{name}]") from None

    def channel(self, scopes: dict[ChannelKind, tuple[str, ...]] | None = None, name: str = "channel") -> Channel:
        """The conversation of that argument, if the app may see it and the token's scopes reach its kind."""
        if scopes is not None:
            require_any_kind(self.app, scopes)
        channel = self.workspace.store.visible_channel(self.text(name), self.app.bot_user_id)
        if scopes is not None:
            require(self.app, *scopes[channel.kind])
        return channel

    def page(self, items: Sequence[str], kind: str, *, default: int, most: int) -> tuple[list[str], str]:
        """One page of these sorted ids by `cursor` and `limit`, and the next cursor.

        Raises SlackError `invalid_cursor`, `invalid_limit`.
        A cursor is, as Slack's, the base64 of `kind:<id of the next item>`.
        """
        limit = self.limit(default, most)
        cursor = self.optional("cursor")
        start = 0
        if cursor is not None:
            first = decode_cursor(cursor, kind)
            start = next((index for index, item in enumerate(items) if item >= first), len(items))
        page = list(items[start : start + limit])
        following = items[start + limit] if start + limit < len(items) else None
        return page, encode_cursor(kind, following) if following is not None else ""

    def limit(self, default: int, most: int) -> int:
        """The `limit` argument; SlackError `invalid_limit`."""
        limit = self.number("limit", default)
        if not 0 <= limit <= most:
            raise SlackError("invalid_limit")
        return limit or default


def encode_cursor(kind: str, value: str) -> str:
    """`kind:value` in base64."""
    return base64.b64encode(f"{kind}:{value}".encode()).decode()


def decode_cursor(cursor: str, kind: str) -> str:
    """The value in a cursor of that kind; SlackError `invalid_cursor`."""
    try:
        found, _, value = base64.b64decode(cursor, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise SlackError("invalid_cursor") from None
    if found != kind or not value:
        raise SlackError("invalid_cursor")
    return value
