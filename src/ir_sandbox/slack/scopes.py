"""The scopes of the Web API's methods on conversations, as their reference pages document them for bot tokens."""

from __future__ import annotations

from ir_sandbox.slack.errors import SlackError
from ir_sandbox.slack.model import App, ChannelKind

READ: dict[ChannelKind, tuple[str, ...]] = {
    "public": ("channels:read",),
    "private": ("groups:read",),
    "im": ("im:read",),
    "mpim": ("mpim:read",),
}
HISTORY: dict[ChannelKind, tuple[str, ...]] = {
    "public": ("channels:history",),
    "private": ("groups:history",),
    "im": ("im:history",),
    "mpim": ("mpim:history",),
}
MANAGE: dict[ChannelKind, tuple[str, ...]] = {
    "public": ("channels:manage",),
    "private": ("groups:write",),
    "im": ("im:write",),
    "mpim": ("mpim:write",),
}
INVITE: dict[ChannelKind, tuple[str, ...]] = {
    **MANAGE,
    "public": ("channels:manage", "channels:write.invites"),
    "private": ("groups:write", "groups:write.invites"),
}
TOPIC: dict[ChannelKind, tuple[str, ...]] = {
    **MANAGE,
    "public": ("channels:manage", "channels:write.topic"),
    "private": ("groups:write", "groups:write.topic"),
}


def require(app: App, *any_of: str) -> None:
    """Raise SlackError `missing_scope` (with `needed` and `provided`) unless the token has one of the scopes."""
    if any_of and not app.scopes.intersection(any_of):
        raise SlackError("missing_scope", needed=",".join(any_of), provided=",".join(sorted(app.scopes)))


def require_any_kind(app: App, table: dict[ChannelKind, tuple[str, ...]]) -> None:
    """Raise SlackError `missing_scope` unless the token has the scope of at least one kind of conversation."""
    require(app, *(scope for scopes in table.values() for scope in scopes))
