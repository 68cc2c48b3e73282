"""The door's verdict: Slack's own verifier's, whatever is sent."""

from __future__ import annotations

import time

import boto3
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from slack_sdk.signature import SignatureVerifier

from ir_router import clock
from ir_router.slack import signature
from tests.support.world import World


@pytest.fixture
def secret(world: World) -> str:
    return world.app.signing_secret


@pytest.mark.parametrize("timestamp", ["", "now", "1e9", "-1", " 1700000000", "٣", "9" * 310, "9" * 5000, "1" * 13])
def test_given_a_timestamp_that_is_none_when_checked_then_it_is_refused_and_nothing_fails(
    secret: str, timestamp: str
) -> None:
    assert not signature.is_authentic(timestamp, signature.sign(secret, timestamp, b"x"), b"x")


def test_given_any_request_when_checked_then_slacks_verifier_agrees(
    secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "now", time.time)
    verifier = SignatureVerifier(secret)

    @hypothesis_settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(body=st.text(), age=st.integers(-700, 700), signed=st.booleans())
    def agrees(body: str, age: int, signed: bool) -> None:
        if 298 <= abs(age) <= 302:
            return  # the two look at the clock one after the other
        timestamp = str(int(time.time()) - age)
        given_signature = signature.sign(secret if signed else "0" * 32, timestamp, body.encode())
        theirs = verifier.is_valid(body, timestamp, given_signature)
        assert signature.is_authentic(timestamp, given_signature, body.encode()) == theirs

    agrees()


def test_given_a_rotation_when_slack_still_signs_with_the_old_secret_then_it_is_good_for_a_day(
    world: World, secret: str
) -> None:
    name = "/SecurityIncidentResponse/slackSigningSecret"
    boto3.client("ssm").put_parameter(Name=name, Value="f" * 32, Type="SecureString", Overwrite=True)
    signature.forget()

    now = str(int(clock.now()))
    assert signature.is_authentic(now, signature.sign("f" * 32, now, b"x"), b"x")
    assert signature.is_authentic(now, signature.sign(secret, now, b"x"), b"x")
    world.advance(25 * 3600)
    later = str(int(clock.now()))
    assert not signature.is_authentic(later, signature.sign(secret, later, b"x"), b"x")
