"""Slack's credentials and the channel prefix, from SSM parameters. `slack.parameters` caches them.

Every function that reads a value raises NotConfiguredError, RetryLaterError or UncertainError.
"""

from __future__ import annotations

from contextlib import suppress

from ir_router.errors import NotConfiguredError, RetryLaterError, UncertainError
from ir_router.settings import settings
from ir_router.slack import parameters

# Last part of the parameter's name -> Terraform variable (terraform/secrets.tf).
_VARIABLES = {
    "slackBotToken": "slack_bot_token",
    "slackWorkspaceId": "slack_workspace_id",
    "slackChannelPrefix": "slack_channel_prefix",
}


def _read(name: str) -> str:
    last = name.rpartition("/")[2]
    return parameters.read(name, _VARIABLES.get(last, last)).value


_cache = parameters.Cache(_read)


def prepare() -> None:
    """Read the values before the first event. If that fails, the event reads them again and reports the error."""
    for name in (
        settings().bot_token_parameter,
        settings().workspace_id_parameter,
        settings().channel_prefix_parameter,
    ):
        with suppress(NotConfiguredError, RetryLaterError, UncertainError):
            _cache.get(name)


def bot_token(*, fresh: bool = False) -> str:
    """Return the bot token. `fresh` reads it from SSM now, past the cache."""
    name = settings().bot_token_parameter
    return _cache.fresh(name) if fresh else _cache.get(name)


def workspace_id() -> str:
    """Return the workspace id (`T...`, or `E...` for an Enterprise Grid organisation)."""
    return _cache.get(settings().workspace_id_parameter)


def is_our_workspace(*ids: object) -> bool:
    """Return whether one of `ids` is the workspace id. A mismatch reads the id again, at most once a minute."""
    return workspace_id() in ids or _cache.reread(settings().workspace_id_parameter) in ids


def channel_prefix() -> str:
    """Return the prefix of the names of case channels."""
    return _cache.get(settings().channel_prefix_parameter)


def forget() -> None:
    """Drop the cached values. Tests change the parameters."""
    _cache.forget()
