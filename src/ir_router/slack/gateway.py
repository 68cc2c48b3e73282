"""Slack's Web API for the rest of the package.

`read` is for calls that can be repeated without harm. It retries them with back-off while the run has time.
`post` is for calls that create something. It sends them once: after an uncertain answer it raises UncertainError, and
the claim is settled later (docs/architecture.md, "Claims"). Both retry after a 429, which has no effect.
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

from ir_router import aws, clock, tls
from ir_router.deadline import Deadline
from ir_router.errors import RefusedError, RetryLaterError, UncertainError
from ir_router.observability import logger
from ir_router.settings import settings
from ir_router.slack import credentials, error_codes, identity, installation
from ir_router.slack.text import one_line, shorten
from ir_router.unicode import replace_lone_surrogates

DEFAULT_BASE_URL = "https://slack.com/api/"
_SERVICE = "Slack"
_TRIES = 3
_TIMEOUT_SECONDS = 10
# In seconds. If Slack asks for a longer wait, the run ends with a hint and the next run continues.
_LONGEST_WAIT = 10.0
# Slack's limits are per minute. After a longer wait than this, ask Slack again.
_LONGEST_RETRY_AFTER = 300.0
# Methods of the JSON families that are called with GET, for which Slack reads no JSON body.
_READ_WITH_GET = frozenset({"chat.getPermalink"})
# Methods that need `team_id` in an org-wide installation, as their reference pages document.
_OF_ONE_WORKSPACE = frozenset(
    {"conversations.create", "users.conversations", "usergroups.list", "usergroups.users.list"}
)
# URLError, timeouts and resets are OSErrors. A malformed answer is a ValueError, an answer that is no JSON object an
# AttributeError in the SDK, and one that is nested too deeply a RecursionError.
UNREADABLE = (
    OSError, http.client.HTTPException, SlackRequestError, ValueError, AttributeError, RecursionError
)  # fmt: skip
_CODE = re.compile(r"[a-z0-9_]{1,80}")
_SCOPES = re.compile(r"[a-z0-9_.:,]{1,200}")
# The name of the field shows that a form was opened too late.
_QUOTED = re.compile(r"\"(?!trigger_id\")[^\"]*\"|'(?!trigger_id')[^']*'|“[^”]*”|: [^\[]+(?=\[)")
_NOT_IN_A_DETAIL = re.compile(r"[^A-Za-z0-9 _.,:;/`\[\]()-]")
_DETAIL_LENGTH = 200
# The SDK logs unreadable answers and, at its lower levels, its requests. Both contain message text.
logging.getLogger("slack_sdk").setLevel(logging.CRITICAL)


@cache
def _client(token: str, base_url: str) -> WebClient:
    # The SDK's automatic retries are off: they would repeat a post whose first request may have taken effect.
    # The SDK opens a connection for each call. Without a context, each of them reads the system's certificates again.
    context = tls.with_bundle(aws.ca_bundle()) if base_url.startswith("https:") else None
    return WebClient(token=token, base_url=base_url, timeout=_TIMEOUT_SECONDS, retry_handlers=[], ssl=context)


def forget_clients() -> None:
    """Drop the cached clients. Tests change the workspace."""
    _client.cache_clear()


class Slack:
    """The workspace for one run. Raises RefusedError, RetryLaterError, UncertainError and OutOfTimeError."""

    def __init__(self, deadline: Deadline) -> None:
        """Use `deadline` as the limit of every wait."""
        self.deadline = deadline

    def read(self, method: str, **arguments: Any) -> dict[str, Any]:
        """Call a method that can be repeated without harm, because it reads or sets a value."""
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
        """Call a method that creates something. Only a 429 is retried, because it has no effect.

        OutOfTimeError also means that the call had no effect.
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
        """Yield the entries of the answer's list `member` over all pages of a method with a cursor."""
        cursor = ""
        while True:
            answer = self.read(method, limit=200, **arguments, **({"cursor": cursor} if cursor else {}))
            yield from answer.get(member, [])
            cursor = (answer.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                return

    def _call(self, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
        if method in _OF_ONE_WORKSPACE:
            arguments = {"team_id": installation.team_id(self), **arguments}
        try:
            return self._send(method, arguments, credentials.bot_token())
        except RefusedError as error:
            if error.code not in error_codes.TOKEN_ERRORS:
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
        except UNREADABLE as error:
            raise UncertainError(_SERVICE, method, type(error).__name__) from error
        data = answer.data
        if not isinstance(data, dict):
            raise UncertainError(_SERVICE, method, "the answer was not JSON")
        answered: dict[str, Any] = replace_lone_surrogates(data)
        return answered


def _is_json(method: str) -> bool:
    if method in _READ_WITH_GET:
        return False
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
    named = data.get("error") if isinstance(data, dict) else None
    code = named if isinstance(named, str) else ""
    if status == 429 or code in error_codes.RATE_LIMITED:
        return RetryLaterError(_SERVICE, method, "ratelimited", _retry_after(response))
    if not _CODE.fullmatch(code) or status >= 500 or code in error_codes.UNCERTAIN:
        # For an unreadable answer the SDK puts its body in the place of the code.
        return UncertainError(_SERVICE, method, code if _CODE.fullmatch(code) else f"HTTP {status}")
    detail = _detail(data) if isinstance(data, dict) else ""
    if detail:
        shown = {"method": method, "code": code, "detail": detail}
        logger.warning("slack.request_rejected: Slack's answer names the cause", extra=shown)
    return RefusedError(_SERVICE, method, code, detail)


def _detail(answer: dict[str, Any]) -> str:
    """Return the missing scope, or the fields that Slack rejects. Quoted values are left out: they may be texts."""
    needed = answer.get("needed")
    if isinstance(needed, str):
        return needed if _SCOPES.fullmatch(needed) else ""
    metadata = answer.get("response_metadata")
    messages = metadata.get("messages") if isinstance(metadata, dict) else None
    if not isinstance(messages, list):
        return ""
    named = [_QUOTED.sub("...", one) for one in messages if isinstance(one, str)]
    return shorten("; ".join(_NOT_IN_A_DETAIL.sub("?", one.removeprefix("[ERROR] ")) for one in named), _DETAIL_LENGTH)


def _retry_after(response: Any) -> float:
    headers = {str(name).lower(): value for name, value in (getattr(response, "headers", None) or {}).items()}
    value = headers.get("retry-after", "1")
    try:
        return min(float(value[0] if isinstance(value, list) else value), _LONGEST_RETRY_AFTER)
    except (TypeError, ValueError):
        return 1.0


class Names:
    """Names of users, channels and user groups by id, cached for ten minutes."""

    _CACHE_SECONDS = 600
    _cache: ClassVar[dict[str, tuple[float, Any]]] = {}

    def __init__(self, slack: Slack, *, patient: bool = True) -> None:
        """Look names up through `slack`. The runs of a warm function share the cache.

        If not `patient`, use the id when Slack cannot return the name now, so that a message does not wait for it.
        """
        self._slack = slack
        self._patient = patient
        self._unanswered = False

    def user(self, user_id: str) -> dict[str, Any]:
        """Return the `user` of users.info; empty when Slack does not know the id."""
        found: dict[str, Any] = self._ask(user_id, "users.info", "user", user=user_id)
        return found

    def real_name(self, user_id: str) -> str:
        """Return the user's real name on one line, or the id. Users choose the name: it is untrusted text."""
        user = self.user(user_id)
        profile = user.get("profile") or {}
        return one_line(str(profile.get("real_name") or user.get("real_name") or user.get("name") or "")) or user_id

    def identified(self, user_id: str) -> str:
        """Return the user as `Name (address, Slack user id)` for the record: users choose their names."""
        user = self.user(user_id)
        return identity.identified(self.real_name(user_id), identity.confirmed_email(user), user_id)

    def channel(self, channel_id: str) -> str:
        """Return the channel's name, or the id when the bot cannot see the channel."""
        return str(self._ask(channel_id, "conversations.info", "channel", channel=channel_id).get("name") or channel_id)

    def group(self, group_id: str) -> str:
        """Return the user group's handle without `@`, or the id if Slack does not list it."""
        groups = self._ask(group_id, "usergroups.list", "usergroups", include_disabled="true")
        handles = {str(group.get("id")): str(group.get("handle") or "") for group in groups or []}
        return one_line(handles.get(group_id, "")) or group_id

    def own_ids(self) -> tuple[str, str]:
        """Return the user id and the bot id of this app, empty if Slack cannot return them now."""
        user_id, bot_id = (self._ask(f"own {name}", "auth.test", name) for name in ("user_id", "bot_id"))
        return str(user_id or ""), str(bot_id or "")

    def _ask(self, key: str, method: str, member: str, **arguments: str) -> Any:
        cached = self._cache.get(key)
        if cached and cached[0] > clock.now():
            return cached[1]
        if self._unanswered:
            return {}
        try:
            answer = self._slack.read(method, **arguments).get(member) or {}
        except (RetryLaterError, UncertainError):
            if self._patient:
                raise
            # Every further question would wait as long, and leave no time for the message.
            self._unanswered = True
            return {}
        except RefusedError as error:
            if error.code not in error_codes.UNKNOWN:
                # An operator can fix a token or scope, so do not cache this answer.
                logger.warning(
                    "slack.name_lookup_rejected: the id is shown instead", extra={"method": method, "code": error.code}
                )
                return {}
            answer = {}
        self._cache[key] = (clock.now() + self._CACHE_SECONDS, answer)
        return answer

    @classmethod
    def forget(cls) -> None:
        """Drop the cached names. Tests change the workspace."""
        cls._cache.clear()
