"""The state of one workspace, its clock and its ids."""

from __future__ import annotations

import secrets
import shutil
import tempfile
import threading
from pathlib import Path

from ir_local.slack.clock import Clock
from ir_local.slack.errors import SlackError
from ir_local.slack.model import (
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


class Store:
    """Everything that the workspace remembers; every access holds `lock`.

    `clock` gives seconds since the epoch. Ids are numbered, so that two runs of a test give the same ids.
    """

    def __init__(self, *, clock: Clock, team_id: str, team_name: str, enterprise_id: str | None) -> None:
        """Start empty; files go to a private temporary folder, made when first needed."""
        self.clock = clock
        self.team_id = team_id
        self.team_name = team_name
        self.domain = team_name.lower().replace(" ", "-")
        self.enterprise_id = enterprise_id
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
        self.triggers: dict[str, Trigger] = {}
        self.response_urls: dict[str, ResponseUrl] = {}
        self.response_posts: list[Json] = []
        self.ephemerals: list[Ephemeral] = []
        self._numbers: dict[str, int] = {}
        self._folder: Path | None = None

    def now(self) -> float:
        """Seconds since the epoch, by the workspace's clock."""
        return self.clock()

    def next_id(self, prefix: str) -> str:
        """An id of Slack's form: its letter and ten capital letters and digits."""
        number = self._numbers.get(prefix, 0) + 1
        self._numbers[prefix] = number
        return f"{prefix}0LC{number:07d}"

    def next_ts(self, channel: Channel) -> str:
        """A message timestamp, unique and increasing within the channel, whatever the clock does."""
        microseconds = max(int(self.now() * 1_000_000), channel.last_microseconds + 1)
        channel.last_microseconds = microseconds
        return f"{microseconds // 1_000_000}.{microseconds % 1_000_000:06d}"

    def folder(self) -> Path:
        """Where the bytes of files are."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="ir-local-slack-"))
        return self._folder

    def remove_folder(self) -> None:
        """Remove the files' bytes."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def user(self, user_id: str) -> User:
        """That user; SlackError `user_not_found`."""
        user = self.users.get(user_id)
        if user is None:
            raise SlackError("user_not_found")
        return user

    def channel(self, channel_id: str) -> Channel:
        """That channel, whoever asks; SlackError `channel_not_found`."""
        channel = self.channels.get(channel_id)
        if channel is None:
            raise SlackError("channel_not_found")
        return channel

    def visible_channel(self, channel_id: str, user_id: str) -> Channel:
        """That channel if the user may know of it; SlackError `channel_not_found`."""
        channel = self.channel(channel_id)
        if channel.is_private and user_id not in channel.members:
            raise SlackError("channel_not_found")
        return channel

    def app_of_bot_user(self, user_id: str) -> App | None:
        """The app whose bot user that is."""
        return next((app for app in self.apps.values() if app.bot_user_id == user_id), None)


def random_word(length: int) -> str:
    """That many hexadecimal digits nobody can guess."""
    return secrets.token_hex((length + 1) // 2)[:length]
