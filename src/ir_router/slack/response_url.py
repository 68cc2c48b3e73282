"""Answers to a command or a press, at the `response_url` that came with it.

It takes 5 answers within 30 minutes (https://api.slack.com/interactivity/handling#message_responses). It arrives in a
signed request, yet is called only on Slack's own host, or on the host of `SLACK_API_BASE_URL` when that is set.
"""

from __future__ import annotations

import http.client
from typing import Any
from urllib.parse import urlsplit

from slack_sdk.webhook import WebhookClient

from ir_router.errors import RefusedError, UncertainError
from ir_router.settings import settings

_SLACK_HOST = "hooks.slack.com"
_SERVICE, _OPERATION = "Slack", "response_url"
_TIMEOUT_SECONDS = 10


def is_allowed(url: str) -> bool:
    """Whether an answer may be sent there: no other host learns what it says."""
    try:
        scheme, host = urlsplit(url)[:2]
    except ValueError:
        return False
    base = settings().slack_api_base_url
    return (scheme, host) == (urlsplit(base)[:2] if base else ("https", _SLACK_HOST))


def post(url: str, body: dict[str, Any]) -> None:
    """Send an answer (`text`, `blocks`, `replace_original`...), once.

    Raises RefusedError (another host, an expired or used URL) or UncertainError.
    """
    if not is_allowed(url):
        raise RefusedError(_SERVICE, _OPERATION, "host_not_allowed")
    try:
        answer = WebhookClient(url, timeout=_TIMEOUT_SECONDS, retry_handlers=[]).send_dict(body)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise UncertainError(_SERVICE, _OPERATION, type(error).__name__) from error
    if answer.status_code >= 500:
        raise UncertainError(_SERVICE, _OPERATION, f"HTTP {answer.status_code}")
    if answer.status_code != 200 or '"ok":false' in answer.body.replace(" ", ""):
        raise RefusedError(_SERVICE, _OPERATION, f"HTTP {answer.status_code}")
