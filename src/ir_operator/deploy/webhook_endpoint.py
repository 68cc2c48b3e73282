"""Check the webhook endpoint from outside: it must answer a signed request and reject an unsigned one.

Both requests are Slack's `url_verification`, which has no effect.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping

from ir_operator import terminal
from ir_router import clock

_LINE = "webhook endpoint"
# After a rotation the webhook endpoint reads the secret again at most once a minute.
_ATTEMPTS = 8
_PAUSE_SECONDS = 10
_TIMEOUT_SECONDS = 15


def check(url: str, probe: Mapping[str, str] | None) -> terminal.Row:
    """Check the URL that Slack calls.

    Args:
        url: The deployment's `SlackWebhookUrl`.
        probe: A signed request from the operations function, with `body`, `timestamp`, `signature` and `challenge`.
            None if no signing secret is stored; then only the unsigned request is sent.

    Returns:
        A row of the verification's table.
    """
    try:
        unsigned, _ = _send(url, b'{"type": "url_verification", "challenge": "unsigned"}', {})
        if unsigned not in (401, 503):
            return "failed", _LINE, f"answers HTTP {unsigned} to an unsigned request", _fix(unsigned)
        if probe is None:
            return "ok", _LINE, "rejects unsigned requests; no signing secret is stored to send a signed one", ""
        status, body = _send_signed(url, probe)
    except OSError as error:
        reason = getattr(error, "reason", error)
        fix = "Check the stage of the API and this machine's network."
        return "failed", _LINE, f"{url} cannot be reached: {reason}", fix
    if status != 200:
        return "failed", _LINE, f"answers HTTP {status} to a signed request", _fix(status)
    if _challenge(body) != probe["challenge"]:
        return "failed", _LINE, "its answer to a signed request is not from ir-router", "Run make deploy."
    return "ok", _LINE, "answers signed requests and rejects unsigned ones", ""


def _send_signed(url: str, probe: Mapping[str, str]) -> tuple[int, bytes]:
    headers = {"X-Slack-Request-Timestamp": probe["timestamp"], "X-Slack-Signature": probe["signature"]}
    for attempt in range(1, _ATTEMPTS + 1):
        status, body = _send(url, probe["body"].encode(), headers)
        if status != 401 or attempt == _ATTEMPTS:
            break
        if attempt == 1:
            terminal.line("waiting", "the webhook endpoint may use the previous signing secret for up to a minute")
        clock.sleep(_PAUSE_SECONDS)
    return status, body


def _send(url: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
    request = urllib.request.Request(  # noqa: S310 - the address is Terraform's output
        url, data=body, headers={"Content-Type": "application/json", **headers}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
            return answer.status, answer.read()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read()


def _challenge(body: bytes) -> object:
    try:
        content = json.loads(body)
    except ValueError:
        return None
    return content.get("challenge") if isinstance(content, dict) else None


def _fix(status: int) -> str:
    if status == 401:
        return "The webhook does not use the stored signing secret. See the log group of -webhook."
    if status in (403, 404):
        return "Run make deploy to deploy the API. If it is deployed, a web ACL may block this machine."
    return "See the log group of -webhook. Check its permissions to read and decrypt the parameters."
