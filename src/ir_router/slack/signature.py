"""Whether a request comes from Slack: the signature over the raw body, at most five minutes old.

Slack's rule: https://api.slack.com/authentication/verifying-requests-from-slack. Computed here with the standard
library: importing slack_sdk's verifier loads its web client, which the door's cold start would pay for.
A test holds both to the same verdicts.
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


def is_authentic(timestamp: str, signature: str, body: bytes) -> bool:
    """Whether the signed body is Slack's and fresh.

    After a mismatch the secret is read again, at most once a minute, since it may have been rotated.
    Raises NotConfiguredError while no signing secret is deployed, RetryLaterError or UncertainError when none was read
    yet and SSM gives none.
    """
    # Seconds since the epoch have ten digits until the year 2286; a number without bounds would cost time, or fail.
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= _TIMESTAMP_DIGITS):
        return False
    if abs(clock.now() - int(timestamp)) > WINDOW_SECONDS:
        return False
    name = settings().signing_secret_parameter
    if _matches(_kept.get(name), timestamp, signature, body):
        return True
    return _matches(_kept.reread(name), timestamp, signature, body)


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """Slack's signature, version 0."""
    digest = hmac.new(secret.encode(), b"v0:" + timestamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    return f"v0={digest}"


def _matches(secrets: list[str], timestamp: str, signature: str, body: bytes) -> bool:
    return any(
        hmac.compare_digest(sign(secret, timestamp, body).encode(), signature.encode("utf-8", "replace"))
        for secret in secrets
    )


def _secrets(name: str) -> list[str]:
    """The secret and, for a time after a rotation, the version before it (SSM keeps a parameter's history)."""
    now = parameters.read(name, _VARIABLE)
    secrets = [now.value]
    since = clock.now() - settings().previous_signing_secret_hours * 3600
    if now.version > 1 and now.changed and now.changed.timestamp() > since:
        with suppress(NotConfiguredError):  # it was Terraform's placeholder
            secrets.append(parameters.read(f"{name}:{now.version - 1}", _VARIABLE).value)
    return secrets


_kept = parameters.Kept(_secrets)


def forget() -> None:
    """Drop the kept secrets (tests change parameters between cases)."""
    _kept.forget()
