"""Whether a request comes from Slack: the signature over the raw body, at most five minutes old.

Slack's rule: https://api.slack.com/authentication/verifying-requests-from-slack. Computed here with the standard
library: importing slack_sdk's verifier loads its web client, which the door's cold start would pay for.
A test holds both to the same verdicts.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from ir_router import aws, clock
from ir_router.errors import NotConfiguredError
from ir_router.settings import settings

WINDOW_SECONDS = 300
_KEPT_SECONDS = 300
_REREAD_SECONDS = 60
_TIMESTAMP_DIGITS = 10
_UNSET = "not-configured"


@dataclass
class _Kept:
    secrets: list[str]
    read_at: float
    reread_at: float = 0.0


_kept: dict[str, _Kept] = {}


def is_authentic(timestamp: str, signature: str, body: bytes) -> bool:
    """Whether the signed body is Slack's and fresh.

    After a mismatch the secret is read again, at most once a minute, since it may have been rotated.
    Raises NotConfiguredError while no signing secret is deployed.
    """
    # Seconds since the epoch have ten digits until the year 2286; a number without bounds would cost time, or fail.
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= _TIMESTAMP_DIGITS):
        return False
    if abs(clock.now() - int(timestamp)) > WINDOW_SECONDS:
        return False
    kept = _secrets()
    if _matches(kept.secrets, timestamp, signature, body):
        return True
    if clock.now() - max(kept.read_at, kept.reread_at) < _REREAD_SECONDS:
        return False
    kept.reread_at = clock.now()
    return _matches(_read(reread=True).secrets, timestamp, signature, body)


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """Slack's signature, version 0."""
    digest = hmac.new(secret.encode(), b"v0:" + timestamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    return f"v0={digest}"


def _matches(secrets: list[str], timestamp: str, signature: str, body: bytes) -> bool:
    return any(
        hmac.compare_digest(sign(secret, timestamp, body).encode(), signature.encode("utf-8", "replace"))
        for secret in secrets
    )


def _secrets() -> _Kept:
    kept = _kept.get(settings().signing_secret_parameter)
    if kept is None or clock.now() - kept.read_at > _KEPT_SECONDS:
        return _read(reread=False)
    return kept


def _read(*, reread: bool) -> _Kept:
    """The secret and, for a time after a rotation, the version before it (SSM keeps a parameter's history)."""
    name = settings().signing_secret_parameter
    parameter = aws.client("ssm").get_parameter(Name=name, WithDecryption=True)["Parameter"]
    value = parameter.get("Value", "")
    if not value or value == _UNSET:
        raise NotConfiguredError(
            f"The SSM parameter {name} is not set yet: apply Terraform with slack_signing_secret and the next "
            "slack_credentials_version."
        )
    secrets = [value]
    version = parameter.get("Version", 1)
    changed = parameter.get("LastModifiedDate")
    if version > 1 and changed and clock.now() - changed.timestamp() < settings().previous_signing_secret_hours * 3600:
        before = aws.client("ssm").get_parameter(Name=f"{name}:{version - 1}", WithDecryption=True)["Parameter"]
        if before.get("Value") not in ("", _UNSET, None):
            secrets.append(before["Value"])
    _kept[name] = _Kept(secrets, clock.now(), clock.now() if reread else 0.0)
    return _kept[name]


def forget() -> None:
    """Drop the kept secrets (tests change parameters between cases)."""
    _kept.clear()
