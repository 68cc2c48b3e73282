"""The door from outside: a signed request that only asks for an echo is answered, an unsigned one is refused."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping

from ir_local.deploy import terminal
from ir_router import clock

# After a rotation the door reads the secret again at most once a minute.
_TRIES = 8
_PAUSE_SECONDS = 10
_TIMEOUT_SECONDS = 15

Row = tuple[str, str, str, str]


def check(url: str, probe: Mapping[str, str] | None) -> Row:
    """A line of the verification's table about the address that Slack calls."""
    try:
        unsigned, _ = _ask(url, b'{"type": "url_verification", "challenge": "unsigned"}', {})
        if unsigned not in (401, 503):
            return "failed", "door", f"answers HTTP {unsigned} to an unsigned request", _mend(unsigned)
        if probe is None:
            return "ok", "door", "refuses unsigned requests; no signing secret yet to send a signed one", ""
        status, body = _signed(url, probe)
    except OSError as error:
        reason = getattr(error, "reason", error)
        return "failed", "door", f"{url} cannot be reached: {reason}", "Look at the API's stage, or at this network."
    if status != 200:
        return "failed", "door", f"answers HTTP {status} to a signed request", _mend(status)
    if _challenge(body) != probe["challenge"]:
        return "failed", "door", "its answer to a signed request is none of ours", "Run make deploy."
    return "ok", "door", "answers signed requests and refuses unsigned ones", ""


def _signed(url: str, probe: Mapping[str, str]) -> tuple[int, bytes]:
    headers = {"X-Slack-Request-Timestamp": probe["timestamp"], "X-Slack-Signature": probe["signature"]}
    for attempt in range(1, _TRIES + 1):
        status, body = _ask(url, probe["body"].encode(), headers)
        if status != 401 or attempt == _TRIES:
            break
        if attempt == 1:
            terminal.line("waiting", "the door may still know the signing secret before this one: up to a minute")
        clock.sleep(_PAUSE_SECONDS)
    return status, body


def _ask(url: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
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


def _mend(status: int) -> str:
    if status == 401:
        return "The door does not use the stored signing secret: see the log group of -webhook."
    if status in (403, 404):
        return "Run make deploy, so that the API is deployed; a web ACL may also keep this machine out."
    return "See the log group of -webhook, and its rights to read and decrypt the parameters."
