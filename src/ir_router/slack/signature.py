"""Verify that Slack signed a request, at most five minutes ago.

Slack's rule: https://api.slack.com/authentication/verifying-requests-from-slack. This module uses the standard library
because importing slack_sdk's verifier loads its web client, which would slow the webhook's cold start. A test checks
that both give the same results.
"""

from __future__ import annotations

import hashlib
import hmac
from contextlib import suppress

from ir_router import clock
from ir_router.errors import NotConfiguredError
from ir_router.settings import settings
from ir_router.slack import parameters

WINDOW_SECONDS = 300
_TIMESTAMP_DIGITS = 10
_VARIABLE = "slack_signing_secret"


def prepare() -> None:
    """Read the secret before the first request. Raises as `is_authentic`."""
    _cache.get(settings().signing_secret_parameter)


def is_authentic(timestamp: str, signature: str, body: bytes) -> bool:
    """Return whether the signature is valid and at most WINDOW_SECONDS old.

    After a mismatch the secret is read again, at most once a minute, because it may have been rotated.

    Args:
        timestamp: Header `X-Slack-Request-Timestamp`.
        signature: Header `X-Slack-Signature`.
        body: The raw request body.

    Raises:
        NotConfiguredError: No signing secret is deployed.
        RetryLaterError: SSM throttled the first read of the secret.
        UncertainError: The first read of the secret failed.
    """
    # Seconds since the epoch have ten digits until the year 2286. A longer number would cost time, or fail.
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= _TIMESTAMP_DIGITS):
        return False
    if abs(clock.now() - int(timestamp)) > WINDOW_SECONDS:
        return False
    name = settings().signing_secret_parameter
    if _matches(_cache.get(name), timestamp, signature, body):
        return True
    return _matches(_cache.reread(name), timestamp, signature, body)


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """Return Slack's signature (version 0) over a raw body."""
    digest = hmac.new(secret.encode(), b"v0:" + timestamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    return f"v0={digest}"


def _matches(secrets: list[str], timestamp: str, signature: str, body: bytes) -> bool:
    return any(
        hmac.compare_digest(sign(secret, timestamp, body).encode(), signature.encode("utf-8", "replace"))
        for secret in secrets
    )


def _secrets(name: str) -> list[str]:
    """Return the secret and, for some hours after a rotation, the previous version from SSM's history."""
    now = parameters.read(name, _VARIABLE)
    secrets = [now.value]
    since = clock.now() - settings().previous_signing_secret_hours * 3600
    if now.version > 1 and now.changed and now.changed.timestamp() > since:
        with suppress(NotConfiguredError):  # the previous version was Terraform's placeholder
            secrets.append(parameters.read(f"{name}:{now.version - 1}", _VARIABLE).value)
    return secrets


_cache = parameters.Cache(_secrets)


def forget() -> None:
    """Drop the cached secrets. Tests change the parameters."""
    _cache.forget()
