"""The data of a Slack workspace: users, channels, messages, files, apps, views."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Json = dict[str, Any]

# Another company, connected through Slack Connect: its workspace and its organisation.
CONNECTED_TEAM, CONNECTED_ENTERPRISE = "T0LC9999999", "E0LC9999999"

ChannelKind = Literal["public", "private", "im", "mpim"]
Deliver = Callable[[Mapping[str, str], bytes], tuple[int, Mapping[str, str], bytes]]
"""Takes the headers and body of a signed request; returns the status, headers and body of the response."""

ALL_SCOPES = frozenset(
    {
        "bookmarks:read",
        "bookmarks:write",
        "channels:history",
        "channels:join",
        "channels:manage",
        "channels:read",
        "chat:write",
        "chat:write.public",
        "app_mentions:read",
        "commands",
        "files:read",
        "files:write",
        "groups:history",
        "groups:read",
        "groups:write",
        "im:history",
        "im:read",
        "im:write",
        "mpim:history",
        "mpim:read",
        "mpim:write",
        "reactions:read",
        "reactions:write",
        "team:read",
        "usergroups:read",
        "users:read",
        "users:read.email",
    }
)
ALL_EVENTS = frozenset(
    {
        "app_home_opened",
        "app_uninstalled",
        "app_mention",
        "channel_archive",
        "channel_created",
        "channel_deleted",
        "channel_id_changed",
        "channel_left",
        "channel_rename",
        "channel_unarchive",
        "file_deleted",
        "file_shared",
        "group_archive",
        "group_deleted",
        "group_left",
        "group_rename",
        "group_unarchive",
        "member_joined_channel",
        "member_left_channel",
        "message.channels",
        "message.groups",
        "message.im",
        "message.mpim",
        "reaction_added",
        "team_join",
        "tokens_revoked",
        "user_change",
    }
)


@dataclass
class User:
    """A person or a bot user. `is_stranger`: a user of another workspace, seen through Slack Connect."""

    id: str
    team_id: str
    name: str
    real_name: str
    email: str | None = None
    is_email_confirmed: bool = True
    display_name: str = ""
    is_admin: bool = False
    is_bot: bool = False
    is_restricted: bool = False
    is_ultra_restricted: bool = False
    is_stranger: bool = False
    deleted: bool = False
    time_zone: str = "Etc/UTC"
    enterprise_id: str | None = None
    bot_id: str | None = None
    app_id: str | None = None
    updated: int = 0


@dataclass
class Message:
    """A message of a channel. `body` is the message object without thread counters and metadata."""

    ts: str
    channel_id: str
    author: str
    body: Json
    app_id: str | None = None
    thread_ts: str | None = None
    broadcast: bool = False
    metadata: Json | None = None

    @property
    def is_reply(self) -> bool:
        """Whether it is a reply in a thread."""
        return self.thread_ts is not None and self.thread_ts != self.ts


@dataclass
class Channel:
    """A conversation. `messages` maps `ts` to the message, oldest first."""

    id: str
    name: str
    kind: ChannelKind
    creator: str
    created: int
    members: list[str] = field(default_factory=list)
    is_archived: bool = False
    is_ext_shared: bool = False
    topic: Json = field(default_factory=lambda: {"value": "", "creator": "", "last_set": 0})
    purpose: Json = field(default_factory=lambda: {"value": "", "creator": "", "last_set": 0})
    previous_names: list[str] = field(default_factory=list)
    messages: dict[str, Message] = field(default_factory=dict)
    last_microseconds: int = 0
    bookmarks: list[Json] = field(default_factory=list)

    @property
    def is_private(self) -> bool:
        """Whether only members can see it."""
        return self.kind != "public"


@dataclass
class App:
    """An installed Slack app. `deliver` receives its requests in this process; without it, `request_url` does."""

    app_id: str
    name: str
    bot_id: str
    bot_user_id: str
    token: str
    signing_secret: str
    verification_token: str
    scopes: set[str]
    events: set[str]
    commands: set[str]
    has_home_tab: bool = True
    request_url: str | None = None
    deliver: Deliver | None = None


@dataclass
class Token:
    """A bot token. `refused_with` is the error for calls with it, if any (`token_revoked`, `token_expired`...)."""

    value: str
    app_id: str
    refused_with: str | None = None


@dataclass
class File:
    """An uploaded file with its content at `path`. `shares` maps channel ids to Slack's share objects."""

    id: str
    name: str
    title: str
    size: int
    user: str
    created: int
    path: Path
    mimetype: str
    app_id: str | None = None
    deleted: bool = False
    uploaded: int | None = None
    completed: float | None = None
    shares: dict[str, list[Json]] = field(default_factory=dict)
    mode: str = "hosted"
    filetype: str | None = None


@dataclass
class UserGroup:
    """A user group with its members."""

    id: str
    handle: str
    name: str
    users: list[str]
    disabled: bool = False


@dataclass
class View:
    """A modal that is or was open for a user. `body` is the view object of Slack's responses."""

    id: str
    app_id: str
    user_id: str
    body: Json
    open: bool = True


@dataclass
class Trigger:
    """A `trigger_id`: valid once, for 3 s."""

    id: str
    app_id: str
    user_id: str
    expires: float
    view_id: str | None = None
    used: bool = False


@dataclass
class ResponseUrl:
    """A `response_url`: 5 uses within 30 minutes. `source_ts`: the message with the pressed button."""

    path: str
    app_id: str
    channel_id: str
    user_id: str
    expires: float
    uses: int = 0
    source_ts: str | None = None
    source_is_ephemeral: bool = False


@dataclass
class Ephemeral:
    """A message that one user sees. `via`: `chat.postEphemeral`, `response_url` or `command` (its response)."""

    ts: str
    channel_id: str
    user_id: str
    app_id: str
    body: Json
    via: str
    deleted: bool = False
