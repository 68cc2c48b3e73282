"""The signature check gives the same verdicts as slack_sdk's own verifier."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slack_sdk.signature import Clock, SignatureVerifier

from ir_router import clock
from ir_router.slack import signature
from ir_router.slack.parameters import Cache

NOW = 1_767_000_000
SECRET = "8f742231b10e8888abcd99yyyzzz85a5"


class StoppedClock(Clock):
    def now(self) -> float:
        return float(NOW)


@pytest.fixture(autouse=True)
def _kept_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: float(NOW))
    monkeypatch.setattr(signature, "_cache", Cache(lambda _: [SECRET]))


@pytest.mark.parametrize("age", [-301, -300, -299, 0, 299, 300, 301])
@pytest.mark.parametrize("spoilt", [False, True])
def test_given_a_signature_of_any_age_when_checked_then_slacks_verifier_agrees(age: int, spoilt: bool) -> None:
    body, timestamp = b"token=x&text=%F0%9F%91%80", str(NOW - age)
    signed = signature.sign(SECRET, timestamp, body) if not spoilt else "v0=" + "0" * 64
    theirs = SignatureVerifier(SECRET, StoppedClock())

    assert signature.is_authentic(timestamp, signed, body) is theirs.is_valid(body, timestamp, signed)


@given(
    st.text().filter(lambda text: text.encode("utf-8", "ignore").decode() == text), st.integers(NOW - 400, NOW + 400)
)
def test_given_any_body_when_signed_then_both_make_the_same_signature(body: str, timestamp: int) -> None:
    theirs = SignatureVerifier(SECRET).generate_signature(timestamp=str(timestamp), body=body)

    assert signature.sign(SECRET, str(timestamp), body.encode()) == theirs
