"""One call of a Web API method: the calling app and the arguments."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass

from ir_sandbox.slack.errors import SlackError, invalid_arguments
from ir_sandbox.slack.features import WorkspaceFeatures
from ir_sandbox.slack.model import App, Channel, ChannelKind, Json
from ir_sandbox.slack.scopes import require, require_any_kind


@dataclass
class Call:
    """The arguments of a call, read as strings from a form or as JSON values from a JSON body."""

    workspace: WorkspaceFeatures
    method: str
    caller: App | None
    arguments: Json
    token: str | None = None

    @property
    def app(self) -> App:
        """The app that the token belongs to; raises SlackError `not_authed` if the call has no token."""
        if self.caller is None:
            raise SlackError("not_authed")
        return self.caller

    def text(self, name: str) -> str:
        """Return a required string; raises SlackError `invalid_arguments` if it is missing."""
        value = self.optional(name)
        if value is None:
            raise invalid_arguments(f"missing required field: {name}")
        return value

    def optional(self, name: str) -> str | None:
        """Return a string, or None if it is missing or empty."""
        value = self.arguments.get(name)
        if value is None or value == "":
            return None
        if isinstance(value, dict | list):
            raise invalid_arguments(f"must be a string [json-pointer:/{name}]")
        return str(value)

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return a boolean: true, "true", "1" and 1 are true."""
        value = self.arguments.get(name)
        return default if value is None or value == "" else str(value).lower() in {"true", "1"}

    def number(self, name: str, default: int) -> int:
        """Return an integer; raises SlackError `invalid_arguments` for any other value."""
        value = self.optional(name)
        if value is None:
            return default
        try:
            return int(value)
        except ValueError:
            raise invalid_arguments(f"must be an integer [json-pointer:/{name}]") from None

    def names(self, name: str) -> list[str]:
        """Return the items of a comma-separated list or of a JSON array."""
        value = self.arguments.get(name)
        if isinstance(value, str) and value.startswith("["):
            value = self.decoded(name)
        if isinstance(value, list):
            return [str(item) for item in value]
        return [item.strip() for item in str(value or "").split(",") if item.strip()]

    def decoded(self, name: str) -> object:
        """Return a JSON value that was sent as a value or as a JSON string; raises SlackError `invalid_arguments`."""
        value = self.arguments.get(name)
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError:
            raise invalid_arguments(f"invalid JSON [json-pointer:/{name}]") from None

    def channel(self, scopes: dict[ChannelKind, tuple[str, ...]] | None = None, name: str = "channel") -> Channel:
        """Return the conversation that an argument names.

        Args:
            scopes: The scopes of which the token needs one, by kind of conversation; None checks no scope.
            name: The name of the argument.

        Raises:
            SlackError: `channel_not_found` if the app cannot see the conversation, `missing_scope`.
        """
        if scopes is not None:
            require_any_kind(self.app, scopes)
        channel = self.workspace.store.visible_channel(self.text(name), self.app.bot_user_id)
        if scopes is not None:
            require(self.app, *scopes[channel.kind])
        return channel

    def page(self, items: Sequence[str], kind: str, *, default: int, most: int) -> tuple[list[str], str]:
        """Return the page that the arguments `cursor` and `limit` select, and the next cursor.

        Args:
            items: Sorted ids.
            kind: The first part of the cursor. Like Slack's, a cursor is the base64 of `kind:<id of the next item>`.
            default: The page size without `limit`.
            most: The largest `limit` that is accepted.

        Raises:
            SlackError: `invalid_cursor`, `invalid_limit`.
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
        """Return the `limit` argument, or `default` if it is missing or 0; raises SlackError `invalid_limit`."""
        limit = self.number("limit", default)
        if not 0 <= limit <= most:
            raise SlackError("invalid_limit")
        return limit or default


def encode_cursor(kind: str, value: str) -> str:
    """Encode `kind:value` in base64."""
    return base64.b64encode(f"{kind}:{value}".encode()).decode()


def decode_cursor(cursor: str, kind: str) -> str:
    """Return the value in a cursor; raises SlackError `invalid_cursor` if it is invalid or of another kind."""
    try:
        found, _, value = base64.b64decode(cursor, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise SlackError("invalid_cursor") from None
    if found != kind or not value:
        raise SlackError("invalid_cursor")
    return value
