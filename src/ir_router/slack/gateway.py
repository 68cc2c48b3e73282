"""Slack's Web API, as the rest of the package sees it.

Two kinds of calls. Those that can be repeated (`read`) are, with back-off, as long as the run's time allows.
Those that make something (`post`) are sent once: an answer that is not certain raises UncertainError and the claim is
settled later (docs/architecture.md, "Claims"). A 429 is a certain refusal for both.
"""

from __future__ import annotations

import http.client
import logging
import random
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, ClassVar

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackRequestError

from ir_router import clock
from ir_router.deadline import Deadline
from ir_router.errors import RefusedError, RetryLaterError, UncertainError
from ir_router.observability import logger
from ir_router.settings import settings
from ir_router.slack import credentials
from ir_router.slack.text import one_line
from ir_router.whole_text import whole

DEFAULT_BASE_URL = "https://slack.com/api/"
_SERVICE = "Slack"
_TRIES = 3
_TIMEOUT_SECONDS = 10
# Longer waits than this are not slept through: the run ends with a hint and the next one goes on.
_LONGEST_WAIT = 10.0
_TOKEN_ERRORS = frozenset({"invalid_auth", "token_revoked", "token_expired", "account_inactive", "not_authed"})
# Slack's documentation: these say nothing about whether the call had its effect.
_UNCERTAIN_CODES = frozenset(
    {"internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"}
)
# Slack's answers to an id that it does not know, or that the app may not see.
_UNKNOWN = frozenset({"user_not_found", "users_not_found", "user_not_visible", "channel_not_found"})
# What Slack's error codes look like.
_CODE = re.compile(r"[a-z0-9_]{1,80}")
# The SDK logs what Slack answers when it cannot read it, and at its lower levels what it sends: texts and addresses.
logging.getLogger("slack_sdk").setLevel(logging.CRITICAL)


@cache
def _client(token: str, base_url: str) -> WebClient:
    # Automatic retries are off: the SDK would send a post again whose first sending may have landed.
    return WebClient(token=token, base_url=base_url, timeout=_TIMEOUT_SECONDS, retry_handlers=[])


def forget_clients() -> None:
    """Drop the kept clients (tests change the workspace between cases)."""
    _client.cache_clear()


class Slack:
    """The workspace, for one run. Raises RefusedError, RetryLaterError, UncertainError and OutOfTimeError."""

    def __init__(self, deadline: Deadline) -> None:
        """`deadline` bounds every wait."""
        self.deadline = deadline

    def read(self, method: str, **arguments: Any) -> dict[str, Any]:
        """Call a method that can be repeated without harm: it reads, or sets to a value."""
        for attempt in range(1, _TRIES + 1):
            try:
                return self._call(method, arguments)
            except RetryLaterError as error:
                if attempt == _TRIES or error.seconds > _LONGEST_WAIT:
                    raise
                self.deadline.wait(error.seconds + random.uniform(0, 0.5))  # noqa: S311
            except UncertainError:
                if attempt == _TRIES:
                    raise
                self.deadline.wait(random.uniform(0.5, 1.0) * 2**attempt / 2)  # noqa: S311
        raise AssertionError("unreachable")

    def post(self, method: str, **arguments: Any) -> dict[str, Any]:
        """Call a method that makes something: sent once, except after a 429, which is a certain refusal.

        OutOfTimeError is certain too: nothing was sent, or Slack refused what was.
        """
        for attempt in range(1, _TRIES + 1):
            self.deadline.check()
            try:
                return self._call(method, arguments)
            except RetryLaterError as error:
                if attempt == _TRIES or error.seconds > _LONGEST_WAIT:
                    raise
                self.deadline.wait(error.seconds + random.uniform(0, 0.5))  # noqa: S311
        raise AssertionError("unreachable")

    def pages(self, method: str, member: str, **arguments: Any) -> Iterator[dict[str, Any]]:
        """The entries of `member` over all pages of a cursored method."""
        cursor = ""
        while True:
            answer = self.read(method, limit=200, **arguments, **({"cursor": cursor} if cursor else {}))
            yield from answer.get(member, [])
            cursor = (answer.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                return

    def _call(self, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
        try:
            return self._send(method, arguments, credentials.bot_token())
        except RefusedError as error:
            if error.code not in _TOKEN_ERRORS:
                raise
            # The token may have been rotated since it was read.
            return self._send(method, arguments, credentials.bot_token(fresh=True))

    def _send(self, method: str, arguments: dict[str, Any], token: str) -> dict[str, Any]:
        client = _client(token, settings().slack_api_base_url or DEFAULT_BASE_URL)
        try:
            answer = (
                client.api_call(method, json=arguments)
                if _is_json(method)
                else client.api_call(method, params=_flat(arguments))
            )
        except SlackApiError as error:
            raise _classified(method, error) from error
        except (OSError, http.client.HTTPException, SlackRequestError, ValueError) as error:
            # URLError, time-outs and resets are OSErrors; a malformed answer is a ValueError.
            raise UncertainError(_SERVICE, method, type(error).__name__) from error
        data = answer.data
        if not isinstance(data, dict):
            raise UncertainError(_SERVICE, method, "the answer was not JSON")
        answered: dict[str, Any] = whole(data)
        return answered


def _is_json(method: str) -> bool:
    return method.startswith(("chat.", "views.")) or method == "files.completeUploadExternal"


def _flat(arguments: dict[str, Any]) -> dict[str, Any]:
    return {
        name: (str(value).lower() if isinstance(value, bool) else value)
        for name, value in arguments.items()
        if value is not None
    }


def _classified(method: str, error: SlackApiError) -> Exception:
    response = error.response
    status = getattr(response, "status_code", 0)
    data = getattr(response, "data", None)
    code = data.get("error", "") if isinstance(data, dict) else ""
    if status == 429 or code in ("ratelimited", "rate_limited"):
        return RetryLaterError(_SERVICE, method, "ratelimited", _retry_after(response))
    if not _CODE.fullmatch(code) or status >= 500 or code in _UNCERTAIN_CODES:
        # The SDK puts what it could not read in the place of the code.
        return UncertainError(_SERVICE, method, code if _CODE.fullmatch(code) else f"HTTP {status}")
    return RefusedError(_SERVICE, method, code)


def _retry_after(response: Any) -> float:
    headers = {str(name).lower(): value for name, value in (getattr(response, "headers", None) or {}).items()}
    value = headers.get("retry-after", "1")
    try:
        return float(value[0] if isinstance(value, list) else value)
    except (TypeError, ValueError):
        return 1.0


class Names:
    """Names of people and channels by id, asked of Slack once in ten minutes."""

    _KEPT_SECONDS = 600
    _kept: ClassVar[dict[str, tuple[float, dict[str, Any]]]] = {}

    def __init__(self, slack: Slack, *, patient: bool = True) -> None:
        """Ask through `slack`; what was learned is shared by the runs of a warm function.

        Not `patient`: an id stands for a name that Slack cannot give now, so that a message is not held up for it.
        """
        self._slack = slack
        self._patient = patient

    def user(self, user_id: str) -> dict[str, Any]:
        """users.info's `user`; empty when Slack does not know the id."""
        return self._ask(user_id, "users.info", "user", user=user_id)

    def real_name(self, user_id: str) -> str:
        """The person's real name on one line, or the id when there is none to be had. People choose it themselves."""
        user = self.user(user_id)
        profile = user.get("profile") or {}
        return one_line(str(profile.get("real_name") or user.get("real_name") or user.get("name") or "")) or user_id

    def channel(self, channel_id: str) -> str:
        """The channel's name, or the id when the bot cannot see it."""
        return str(self._ask(channel_id, "conversations.info", "channel", channel=channel_id).get("name") or channel_id)

    def _ask(self, key: str, method: str, member: str, **arguments: str) -> dict[str, Any]:
        kept = self._kept.get(key)
        if kept and kept[0] > clock.now():
            return kept[1]
        try:
            answer = self._slack.read(method, **arguments).get(member) or {}
        except (RetryLaterError, UncertainError):
            if self._patient:
                raise
            return {}
        except RefusedError as error:
            if error.code not in _UNKNOWN:
                # Of a token or scope that somebody mends: the next one asks again.
                logger.warning("a name cannot be had", extra={"method": method, "code": error.code})
                return {}
            answer = {}
        self._kept[key] = (clock.now() + self._KEPT_SECONDS, answer)
        return answer

    @classmethod
    def forget(cls) -> None:
        """Drop what is kept (tests change the workspace between cases)."""
        cls._kept.clear()
