"""Answer a command or a pressed button at the `response_url` of its request.

Slack accepts 5 answers within 30 minutes (https://api.slack.com/interactivity/handling#message_responses). Although
the URL comes in a signed request, only Slack's own host is called, or the host of `SLACK_API_BASE_URL` when it is set.
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
    """Return whether answers may be sent to this URL. No other host may receive them."""
    try:
        scheme, host = urlsplit(url)[:2]
    except ValueError:
        return False
    base = settings().slack_api_base_url
    return (scheme, host) == (urlsplit(base)[:2] if base else ("https", _SLACK_HOST))


def post(url: str, body: dict[str, Any]) -> None:
    """Send an answer once.

    Args:
        url: The `response_url`.
        body: Slack's fields: `text`, `blocks`, `replace_original`...

    Raises:
        RefusedError: The host is not Slack's, or the URL has expired or was used too often.
        UncertainError: Slack sent no answer or a server error.
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
