"""The Slack workspace: the one object that tests, the demo and the HTTP server hold."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from ir_local.slack.call import Call
from ir_local.slack.channels import Channels
from ir_local.slack.clock import Clock
from ir_local.slack.delivery import Deliveries
from ir_local.slack.errors import SlackError
from ir_local.slack.events import EventBus
from ir_local.slack.faults import Faults, RateLimits
from ir_local.slack.files import Files
from ir_local.slack.interactions import Interactions
from ir_local.slack.messages import Messages
from ir_local.slack.model import ALL_EVENTS, ALL_SCOPES, App, Channel, Deliver, Json, Token, User, UserGroup
from ir_local.slack.people import Person
from ir_local.slack.store import Store, random_word
from ir_local.slack.users import Users
from ir_local.slack.views import Views
from ir_local.slack.web_api.registry import Method


@dataclass(frozen=True)
class CallRecord:
    """A request that the server answered. `at` is monotonic seconds; `error` Slack's name of the error, if any."""

    method: str
    status: int | None
    error: str | None
    at: float
    app_id: str | None


class RateLimited(Exception):  # noqa: N818 - what Slack calls it
    """The call is one too many; the answer is 429 with `Retry-After`."""

    def __init__(self, retry_after: int) -> None:
        """Seconds until it may be tried again."""
        super().__init__(f"ratelimited, try again in {retry_after} s")
        self.retry_after = retry_after


class SlackWorkspace:
    """A workspace with its people, channels and apps, behaving as Slack's documentation says.

    - `clock`: seconds since the epoch; decides timestamps, trigger and response_url expiry, rate limits
    - `enforce_rate_limits`: answer 429 beyond each method's tier
    - `delivery_workers`: threads that deliver events; 0: only by `deliveries.deliver_due()`
    - `redelivery_time_scale`: multiplies Slack's waits before a redelivery (0, 60, 300 s)
    - `acknowledge_seconds`: how long apps have to answer (Slack: 3)

    Every public method is safe to call from any thread. Close it, or use it as a context manager.
    """

    def __init__(
        self,
        *,
        team_id: str = "T0LC0000001",
        team_name: str = "Local Workspace",
        enterprise_id: str | None = None,
        clock: Clock = time.time,
        sleep: Callable[[float], None] = time.sleep,
        enforce_rate_limits: bool = False,
        delivery_workers: int = 1,
        redelivery_time_scale: float = 1.0,
        acknowledge_seconds: float = 3.0,
    ) -> None:
        """Make an empty workspace: Slackbot, no channels, no apps."""
        self.store = Store(clock=clock, team_id=team_id, team_name=team_name, enterprise_id=enterprise_id)
        self.deliveries = Deliveries(
            self.store,
            workers=delivery_workers,
            time_scale=redelivery_time_scale,
            acknowledge_seconds=acknowledge_seconds,
        )
        self.bus = EventBus(self.store, self.deliveries)
        self.users = Users(self.store, self.bus)
        self.messages = Messages(self.store, self.bus)
        self.channels = Channels(self.store, self.bus, self.messages)
        self.files = Files(self.store, self.bus, self.messages)
        self.interactions = Interactions(self.store, self.deliveries, self.messages)
        self.views = Views(self.store, self.interactions)
        self.faults = Faults(clock)
        self.sleep = sleep
        self.calls: list[CallRecord] = []
        self._rate_limits = RateLimits(clock) if enforce_rate_limits else None

    @property
    def team_id(self) -> str:
        """The workspace's id."""
        return self.store.team_id

    @property
    def base_url(self) -> str:
        """Where it is served, without a trailing slash; set by `serve`."""
        return self.store.base_url

    def create_app(
        self,
        name: str = "ir-router",
        *,
        scopes: Iterable[str] = ALL_SCOPES,
        events: Iterable[str] = ALL_EVENTS,
        commands: Iterable[str] = ("/security-ir",),
        request_url: str | None = None,
        deliver: Deliver | None = None,
        token: str | None = None,
        signing_secret: str | None = None,
    ) -> App:
        """Install an app with a bot user; requests go to `deliver` in this process, else to `request_url`."""
        store = self.store
        with store.lock:
            app_id, bot_id = store.next_id("A"), store.next_id("B")
            bot = self._new_user(name, real_name=name, is_bot=True)
            bot.bot_id, bot.app_id = bot_id, app_id
            app = App(
                app_id=app_id,
                name=name,
                bot_id=bot_id,
                bot_user_id=bot.id,
                token="",
                signing_secret=signing_secret or random_word(32),
                verification_token=random_word(24),
                scopes=set(scopes),
                events=set(events),
                commands=set(commands),
                request_url=request_url,
                deliver=deliver,
            )
            store.apps[app_id] = app
            self.issue_token(app, token)
            return app

    def issue_token(self, app: App, token: str | None = None) -> str:
        """Give the app a (further) bot token, its current one from now on; older ones stay good until revoked."""
        with self.store.lock:
            number = len(self.store.tokens) + 1
            value = token or f"xoxb-{int(self.store.now())}-{number:012d}-{random_word(24)}"
            self.store.tokens[value] = Token(value, app.app_id)
            app.token = value
            return value

    def revoke_token(self, token: str, error: str = "token_revoked") -> None:
        """From now on the token is refused with that error (also `account_inactive`, `token_expired`)."""
        with self.store.lock:
            self.store.tokens[token].refused_with = error

    def create_user(
        self,
        name: str,
        *,
        email: str | None = None,
        real_name: str | None = None,
        is_admin: bool = False,
        is_restricted: bool = False,
        is_ultra_restricted: bool = False,
    ) -> Person:
        """Add a person, by default with `<name>@example.com`; guests are `is_restricted` or `is_ultra_restricted`."""
        with self.store.lock:
            user = self._new_user(name, real_name=real_name or name.replace(".", " ").title())
            user.email = email or f"{name}@example.com"
            user.is_admin = is_admin
            user.is_restricted, user.is_ultra_restricted = is_restricted, is_ultra_restricted
            return Person(self, user)

    def create_stranger(self, name: str, *, team_id: str = "T0LC9999999", real_name: str | None = None) -> Person:
        """Add somebody of another workspace, known here through Slack Connect only."""
        with self.store.lock:
            user = self._new_user(name, real_name=real_name or name.title(), team_id=team_id, is_stranger=True)
            return Person(self, user)

    def create_user_group(self, handle: str, users: Iterable[str]) -> UserGroup:
        """Add a user group with these user ids."""
        with self.store.lock:
            group = UserGroup(self.store.next_id("S"), handle, handle.title(), list(users))
            self.store.user_groups[group.id] = group
            return group

    def create_channel(self, name: str, members: Iterable[Person], *, is_private: bool = False) -> Channel:
        """A channel made by the first of these people, joined by the others."""
        creator, *others = members
        with self.store.lock:
            channel = self.channels.create(creator.id, name, is_private=is_private)
            if others:
                users = [person.id for person in others]
                self.channels.invite(creator.id, channel, users, force=False, by_app=False)
            return channel

    def person(self, user: str) -> Person:
        """Act as that user, by id, name or e-mail address; SlackError `user_not_found`."""
        with self.store.lock:
            for candidate in self.store.users.values():
                if user in {candidate.id, candidate.name, candidate.email}:
                    return Person(self, candidate)
        raise SlackError("user_not_found")

    def channel(self, channel: str) -> Channel:
        """That channel, by id or name; SlackError `channel_not_found`."""
        with self.store.lock:
            for candidate in self.store.channels.values():
                if channel in {candidate.id, candidate.name}:
                    return candidate
        raise SlackError("channel_not_found")

    def channel_messages(self, channel: str, *, replies: bool = True) -> list[Json]:
        """What people see in a channel, oldest first, with metadata; `replies`: with those in threads."""
        with self.store.lock:
            found = self.channel(channel)
            messages = list(found.messages.values()) if replies else self.messages.history(found)[::-1]
            return [self.messages.render(message, metadata=True) for message in messages]

    def ephemerals(self, user: str | None = None) -> list[Json]:
        """The messages that only `user_shown` sees, oldest first, each with its `channel` and `via`."""
        with self.store.lock:
            return [
                {**entry.body, "user_shown": entry.user_id, "channel": entry.channel_id, "via": entry.via}
                for entry in self.store.ephemerals
                if not entry.deleted and user in {None, entry.user_id}
            ]

    def unfurl(self, channel: str, ts: str) -> None:
        """Let a link in a message unfold, as Slack does by itself: `message_changed` without an edit."""
        with self.store.lock:
            message = self.messages.find(self.channel(channel), ts)
            preview = {"id": 1, "from_url": "https://example.com", "title": "Example", "fallback": "Example"}
            self.messages.edit(message, {"attachments": [preview]}, editor=None)

    def verify_request_url(self, app: App) -> bool:
        """Slack's handshake when a request URL is entered: does the app give the challenge back?"""
        challenge = random_word(40)
        body = {"token": app.verification_token, "challenge": challenge, "type": "url_verification"}
        attempt = self.deliveries.send(app, "url_verification", json.dumps(body).encode(), "application/json")
        if attempt.reason is not None:
            return False
        answer = attempt.answer.decode("utf-8", "replace").strip()
        if answer == challenge:
            return True
        try:
            return bool(json.loads(answer)["challenge"] == challenge)
        except (ValueError, KeyError, TypeError):
            return False

    def call(self, method: Method, app: App | None, arguments: Json) -> Json:
        """Run a Web API method as the server does; raises SlackError or RateLimited."""
        if self._rate_limits is not None and app is not None:
            wait = self._rate_limits.retry_after(app.app_id, method.name, method.tier)
            if wait is not None:
                raise RateLimited(wait)
        with self.store.lock:
            return method.function(Call(self, method.name, app, arguments))

    def check_post_rate(self, app: App, channel: Channel) -> None:
        """About one message a second and channel; raises RateLimited."""
        if self._rate_limits is not None:
            wait = self._rate_limits.retry_after_post(app.app_id, channel.id)
            if wait is not None:
                raise RateLimited(wait)

    def app_of_token(self, token: str | None) -> App:
        """The app that a token belongs to; SlackError `not_authed`, `invalid_auth`, `token_revoked`..."""
        if not token:
            raise SlackError("not_authed")
        found = self.store.tokens.get(token)
        if found is None:
            raise SlackError("invalid_auth")
        if found.refused_with is not None:
            raise SlackError(found.refused_with)
        return self.store.apps[found.app_id]

    def record(self, method: str, status: int | None, error: str | None, app_id: str | None) -> None:
        """Note a request in `calls`."""
        self.calls.append(CallRecord(method, status, error, time.monotonic(), app_id))

    def reset_calls(self) -> list[CallRecord]:
        """Empty the call log and return what was in it."""
        calls, self.calls = self.calls, []
        return calls

    def configure(
        self,
        *,
        check_file_info: bool | None = None,
        share_delay_seconds: float | None = None,
        acknowledge_seconds: float | None = None,
        redelivery_time_scale: float | None = None,
        edit_window_seconds: float | None = None,
    ) -> None:
        """Change what is given; see the attributes of that name of Files, Deliveries and Messages."""
        if edit_window_seconds is not None:
            self.messages.edit_window_seconds = edit_window_seconds
        if check_file_info is not None:
            self.files.check_file_info = check_file_info
        if share_delay_seconds is not None:
            self.files.share_delay_seconds = share_delay_seconds
        if acknowledge_seconds is not None:
            self.deliveries.acknowledge_seconds = acknowledge_seconds
        if redelivery_time_scale is not None:
            self.deliveries.time_scale = redelivery_time_scale

    def close(self) -> None:
        """Stop deliveries and remove the files' bytes."""
        self.deliveries.close()
        self.store.remove_folder()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close, whatever happened."""
        self.close()

    def _new_user(
        self,
        name: str,
        *,
        real_name: str,
        is_bot: bool = False,
        team_id: str | None = None,
        is_stranger: bool = False,
    ) -> User:
        store = self.store
        user_id = store.next_id("W" if store.enterprise_id is not None and not is_bot else "U")
        user = User(user_id, team_id or store.team_id, name, real_name, is_bot=is_bot, is_stranger=is_stranger)
        return self.users.add(user)
