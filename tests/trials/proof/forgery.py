"""Derive forged requests from a genuine one. The webhook must reject each before anything else happens."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ir_sandbox.slack.signing import signature

TIMESTAMP, SIGNATURE = "X-Slack-Request-Timestamp", "X-Slack-Signature"
# Slack's window is five minutes; an older request was recorded and replayed.
_JUST_TOO_OLD, _LONG_AGO = 302, 86_400
# Time passes before the webhook checks a request, which makes it older; it must still be too far in the future then.
_AHEAD = 360

Headers = dict[str, str]
Forgery = Callable[[Headers, bytes, str], tuple[Headers, bytes]]


def _signed(headers: Headers, body: bytes, secret: str, seconds: int) -> tuple[Headers, bytes]:
    at = str(int(headers[TIMESTAMP]) + seconds)
    return headers | {TIMESTAMP: at, SIGNATURE: signature(secret, at, body)}, body


def _by(secret: str) -> Forgery:
    return lambda headers, body, _: _signed(headers, body, secret, 0)


def _replayed(seconds: int) -> Forgery:
    """Return a request that Slack itself signed at another time."""
    return lambda headers, body, secret: _signed(headers, body, secret, seconds)


def _with(**changed: str) -> Forgery:
    named = {"timestamp": TIMESTAMP, "signature": SIGNATURE}
    return lambda headers, body, _: (headers | {named[name]: value for name, value in changed.items()}, body)


def _without(*names: str) -> Forgery:
    return lambda headers, body, _: ({name: headers[name] for name in headers if name not in names}, body)


def _re_timed(headers: Headers, body: bytes, _: str) -> tuple[Headers, bytes]:
    return headers | {TIMESTAMP: str(int(headers[TIMESTAMP]) + 1)}, body


def _altered(headers: Headers, body: bytes, _: str) -> tuple[Headers, bytes]:
    return headers, body.replace(b"C0LC", b"C0LD", 1) + b" "


def _shortened(headers: Headers, body: bytes, _: str) -> tuple[Headers, bytes]:
    return headers | {SIGNATURE: headers[SIGNATURE][:-1]}, body


def _in_capitals(headers: Headers, body: bytes, _: str) -> tuple[Headers, bytes]:
    return headers | {SIGNATURE: headers[SIGNATURE].upper()}, body


def _other_version(headers: Headers, body: bytes, _: str) -> tuple[Headers, bytes]:
    return headers | {SIGNATURE: headers[SIGNATURE].replace("v0=", "v1=")}, body


FORGERIES: Mapping[str, Forgery] = {
    "signed with another secret": _by("0123456789abcdef0123456789abcdef"),
    "signed with an empty secret": _by(""),
    "signed with the words of an unset parameter": _by("not-configured"),
    "another body under a signature": _altered,
    "another time under a signature": _re_timed,
    "sent again after five minutes": _replayed(-_JUST_TOO_OLD),
    "sent again after a day": _replayed(-_LONG_AGO),
    "from the future": _replayed(_AHEAD),
    "without signature": _without(SIGNATURE),
    "without timestamp": _without(TIMESTAMP),
    "without both": _without(SIGNATURE, TIMESTAMP),
    "with an empty signature": _with(signature=""),
    "with half a signature": _shortened,
    "with the signature in capitals": _in_capitals,
    "with another version": _other_version,
    "with a signature that is no ASCII": _with(signature="v0=é\U0001f510"),
    "with a timestamp that is no number": _with(timestamp="now"),
    "with a timestamp in other digits": _with(timestamp="١٧٣٦٩٤٠٠٠٠"),
    "with a timestamp of many digits": _with(timestamp="9" * 5_000),
    "with a negative timestamp": _with(timestamp="-1"),
}
