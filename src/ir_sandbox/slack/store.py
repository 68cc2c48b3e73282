"""The state of one workspace, with its clock and its ids."""

from __future__ import annotations

import secrets
import shutil
import tempfile
import threading
from pathlib import Path

from ir_sandbox.slack.clock import Clock
from ir_sandbox.slack.errors import SlackError
from ir_sandbox.slack.model import (
    App,
    Channel,
    Ephemeral,
    File,
    Json,
    ResponseUrl,
    Token,
    Trigger,
    User,
    UserGroup,
    View,
)
from ir_sandbox.slack.quirks import Quirks


class Store:
    """The workspace's data. Hold `lock` for every access.

    `clock` returns seconds since the epoch. Ids are sequential, so a test gets the same ids in every run.
    """

    def __init__(self, *, clock: Clock, team_id: str, team_name: str, enterprise_id: str | None) -> None:
        """Start empty. File contents go to a private temporary folder, created on first use."""
        self.clock = clock
        self.team_id = team_id
        self.team_name = team_name
        self.domain = team_name.lower().replace(" ", "-")
        self.enterprise_id = enterprise_id
        self.quirks = Quirks()
        self.base_url = "http://127.0.0.1:0"
        self.lock = threading.RLock()
        self.users: dict[str, User] = {}
        self.channels: dict[str, Channel] = {}
        self.apps: dict[str, App] = {}
        self.tokens: dict[str, Token] = {}
        self.files: dict[str, File] = {}
        self.uploads: dict[str, str] = {}
        self.user_groups: dict[str, UserGroup] = {}
        self.views: dict[str, View] = {}
        # (app id, user id) -> the view of the app's Home tab.
        self.homes: dict[tuple[str, str], View] = {}
        self.triggers: dict[str, Trigger] = {}
        self.response_urls: dict[str, ResponseUrl] = {}
        self.response_posts: list[Json] = []
        self.ephemerals: list[Ephemeral] = []
        self._numbers: dict[str, int] = {}
        self._folder: Path | None = None

    def now(self) -> float:
        """Return the workspace's time, in seconds since the epoch."""
        return self.clock()

    def next_id(self, prefix: str) -> str:
        """Return a new id in Slack's format: the prefix and ten uppercase letters and digits."""
        number = self._numbers.get(prefix, 0) + 1
        self._numbers[prefix] = number
        return f"{prefix}0LC{number:07d}"

    def next_ts(self, channel: Channel) -> str:
        """Return a new message timestamp; timestamps increase within a channel even if the clock does not."""
        microseconds = max(int(self.now() * 1_000_000), channel.last_microseconds + 1)
        channel.last_microseconds = microseconds
        return f"{microseconds // 1_000_000}.{microseconds % 1_000_000:06d}"

    def folder(self) -> Path:
        """Return the folder of the file contents."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="ir-local-slack-"))
        return self._folder

    def remove_folder(self) -> None:
        """Delete the file contents."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def user(self, user_id: str) -> User:
        """Return a user; raises SlackError `user_not_found`."""
        user = self.users.get(user_id)
        if user is None:
            raise SlackError("user_not_found")
        return user

    def channel(self, channel_id: str) -> Channel:
        """Return a channel, visible or not; raises SlackError `channel_not_found`."""
        channel = self.channels.get(channel_id)
        if channel is None:
            raise SlackError("channel_not_found")
        return channel

    def visible_channel(self, channel_id: str, user_id: str) -> Channel:
        """Return a channel that the user can see; raises SlackError `channel_not_found`."""
        channel = self.channel(channel_id)
        if channel.is_private and user_id not in channel.members:
            raise SlackError("channel_not_found")
        return channel

    def app_of_bot_user(self, user_id: str) -> App | None:
        """Return the app of a bot user, if it is one."""
        return next((app for app in self.apps.values() if app.bot_user_id == user_id), None)


def random_word(length: int) -> str:
    """Return `length` cryptographically random hexadecimal digits."""
    return secrets.token_hex((length + 1) // 2)[:length]
