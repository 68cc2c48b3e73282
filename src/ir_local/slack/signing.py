"""Slack's request signature, as its servers make it (docs: Verifying requests from Slack)."""

from __future__ import annotations

import hashlib
import hmac


def signature(signing_secret: str, timestamp: str, body: bytes) -> str:
    """`v0=` and the HMAC-SHA256 of `v0:{timestamp}:{raw body}` in hexadecimal."""
    text = b"v0:" + timestamp.encode() + b":" + body
    return "v0=" + hmac.new(signing_secret.encode(), text, hashlib.sha256).hexdigest()
