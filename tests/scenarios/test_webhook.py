"""The webhook: only requests signed by Slack have an effect, with one call."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import urlencode

import boto3
import pytest
from botocore.exceptions import ClientError

from ir_router import webhook
from ir_router.slack.signature import sign
from ir_sandbox.slack.people import Person
from tests.support.sync import from_slack
from tests.support.world import World, forget_everything


def envelope(world: World, case_id: str, **changes: Any) -> bytes:
    """Return a message event as Slack sends it."""
    event = {"type": "message", "channel": world.channel_of(case_id), "user": "U1", "text": "hello", "ts": "1.000001"}
    body = {
        "type": "event_callback",
        "team_id": world.workspace.team_id,
        "api_app_id": world.app.app_id,
        "event_id": "Ev1",
        "event": event,
    }
    return json.dumps(body | changes).encode()


def request(world: World, body: bytes, /, **changes: Any) -> dict[str, Any]:
    """Return a signed proxy event of API Gateway."""
    timestamp = str(int(world.now()))
    event = {
        "httpMethod": "POST",
        "path": "/slack/events",
        "headers": {
            "Content-Type": "application/json",
            "X-Slack-Request-Timestamp": timestamp,
            "X-Slack-Signature": sign(world.app.signing_secret, timestamp, body),
        },
        "body": body.decode("utf-8", "surrogateescape"),
        "isBase64Encoded": False,
        "requestContext": {"stage": "prod"},
    }
    return event | changes


def send(world: World, body: bytes, /, **changes: Any) -> int:
    """Send it; return the status of the response."""
    return int(world.invoke("webhook", request(world, body, **changes))["statusCode"])


def warmed(world: World, case_id: str) -> None:
    """Warm up the webhook with a request, and clear the recorded calls."""
    assert send(world, envelope(world, case_id, event_id="EvWarm")) == 200
    world.settle()
    world.wire.calls.clear()


def outbound(world: World) -> list[str]:
    return [f"{call.service} {call.operation}" for call in world.wire.calls]


def test_given_a_warm_webhook_when_an_event_comes_then_one_call_is_made_before_the_answer(
    world: World, case_id: str
) -> None:
    warmed(world, case_id)

    assert send(world, envelope(world, case_id)) == 200
    assert outbound(world) == ["sqs SendMessage"]


@pytest.mark.parametrize(
    "form",
    [
        {"command": "/security-ir", "text": "status", "user_id": "U1", "trigger_id": "1.2"},
        {"payload": json.dumps({"type": "block_actions", "team": {"id": "T0LC0000001"}, "actions": []})},
    ],
    ids=["command", "interaction"],
)
def test_given_a_warm_webhook_when_a_form_comes_then_one_call_is_made_before_the_answer(
    world: World, case_id: str, form: dict[str, str]
) -> None:
    warmed(world, case_id)
    body = urlencode({"team_id": world.workspace.team_id, **form}).encode()
    event = request(world, body)
    event["headers"]["Content-Type"] = "application/x-www-form-urlencoded"

    assert world.invoke("webhook", event)["statusCode"] == 200
    assert outbound(world) == ["lambda Invoke"]


def test_given_a_function_that_cannot_be_invoked_when_a_command_comes_then_the_id_shown_is_in_the_log(
    world: World, case_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "TooManyRequestsException"}}, "Invoke")

    boto3.DEFAULT_SESSION.events.register("before-parameter-build.lambda.Invoke", refuse)  # type: ignore[union-attr]
    form = {"command": "/security-ir", "text": "status", "team_id": world.workspace.team_id, "trigger_id": "1.2.3"}
    body = urlencode(form).encode()
    headers = request(world, body)["headers"] | {"Content-Type": "application/x-www-form-urlencoded"}

    answer = world.invoke("webhook", request(world, body, headers=headers))

    shown = json.loads(answer["body"])["text"].rpartition("Error ID: ")[2]
    assert shown.startswith("network-error-")
    assert [getattr(record, "error_id", None) for record in caplog.records] == [shown]


SPOILT = (
    {"X-Slack-Signature": "v0=" + "0" * 64},
    {"X-Slack-Signature": ""},
    {"X-Slack-Signature": "v0=é"},
    {"X-Slack-Request-Timestamp": "0"},
    {"X-Slack-Request-Timestamp": "not a number"},
    {"X-Slack-Request-Timestamp": "²"},
    {"X-Slack-Request-Timestamp": "9" * 5000},
    {"X-Slack-Request-Timestamp": "-1"},
)


def test_given_requests_that_slack_did_not_sign_when_they_come_then_each_is_refused_without_a_call(
    world: World, case_id: str
) -> None:
    warmed(world, case_id)
    for spoilt in SPOILT:
        event = request(world, envelope(world, case_id))
        event["headers"] |= spoilt

        assert world.invoke("webhook", event)["statusCode"] == 401, spoilt
    assert outbound(world) == []


def test_given_a_request_without_headers_or_body_when_it_comes_then_it_is_refused(world: World, case_id: str) -> None:
    warmed(world, case_id)
    spoilt: list[dict[str, Any]] = [{"headers": None}, {"headers": {}}, {"body": None}, {"body": ""}, {"body": 5}]
    for changes in spoilt:
        assert send(world, envelope(world, case_id), **changes) == 401
    assert outbound(world) == []


def test_given_a_signed_request_when_it_is_replayed_after_five_minutes_then_it_is_refused(
    world: World, case_id: str
) -> None:
    event = request(world, envelope(world, case_id))
    assert world.invoke("webhook", event)["statusCode"] == 200
    world.advance(301)

    assert world.invoke("webhook", event)["statusCode"] == 401


def test_given_another_time_under_a_signature_when_it_comes_then_it_is_refused(world: World, case_id: str) -> None:
    event = request(world, envelope(world, case_id))
    event["headers"]["X-Slack-Request-Timestamp"] = str(int(world.now()) + 1)

    assert world.invoke("webhook", event)["statusCode"] == 401


def test_given_header_names_in_any_case_when_they_come_then_they_are_read(world: World, case_id: str) -> None:
    for change in (str.lower, str.upper):
        event = request(world, envelope(world, case_id))
        event["headers"] = {change(name): value for name, value in event["headers"].items()}
        assert world.invoke("webhook", event)["statusCode"] == 200


def test_given_a_base64_body_when_it_comes_then_its_bytes_are_what_is_signed(world: World, case_id: str) -> None:
    body = envelope(world, case_id)

    assert send(world, body, body=base64.b64encode(body).decode(), isBase64Encoded=True) == 200
    assert send(world, body, body="***", isBase64Encoded=True) == 401


def test_given_a_body_that_is_not_utf8_when_it_comes_then_it_is_refused_and_not_a_server_error(
    world: World, case_id: str
) -> None:
    warmed(world, case_id)
    body = b'{"type": "\xff\xfe"}'

    assert send(world, body, body=base64.b64encode(body).decode(), isBase64Encoded=True) == 401
    assert outbound(world) == []


def test_given_signed_nonsense_when_it_comes_then_each_is_a_bad_request(world: World, case_id: str) -> None:
    warmed(world, case_id)
    for body in (b"null", b"[]", b'"x"', b"{", b"[" * 100_000, b"1e999999", b"\x00"):
        assert send(world, body) == 400, body[:10]
    assert outbound(world) == []


def test_given_a_huge_body_when_it_comes_then_it_is_refused_before_it_is_read(world: World, case_id: str) -> None:
    warmed(world, case_id)

    assert send(world, b"x" * (webhook.BODY_LIMIT + 1)) == 413
    assert outbound(world) == []


def test_given_slacks_handshake_when_signed_then_the_challenge_is_given_back_and_else_not(world: World) -> None:
    assert world.workspace.verify_request_url(world.app)
    body = json.dumps({"type": "url_verification", "challenge": "c"}).encode()
    event = request(world, body)
    event["headers"]["X-Slack-Signature"] = "v0=forged"

    assert world.invoke("webhook", event)["statusCode"] == 401


@pytest.mark.parametrize("field", ["team_id", "nothing"])
def test_given_another_workspaces_event_when_it_comes_then_it_is_refused(
    world: World, case_id: str, field: str
) -> None:
    warmed(world, case_id)
    body = json.loads(envelope(world, case_id))
    body.pop("team_id")
    if field == "team_id":
        body["team_id"] = "T0OTHER"

    # Slack repeats an event that is rejected, and switches off an app whose events are rejected often.
    assert send(world, json.dumps(body).encode()) == 200
    assert outbound(world) == []


def test_given_an_enterprise_grid_when_an_event_names_the_organisation_then_it_is_taken(
    world: World, case_id: str
) -> None:
    ssm = boto3.client("ssm")
    ssm.put_parameter(Name="/SecurityIncidentResponse/slackWorkspaceId", Value="E0GRID", Type="String", Overwrite=True)
    forget_everything()

    assert send(world, envelope(world, case_id, team_id="T0ANY", enterprise_id="E0GRID")) == 200


def test_given_our_own_message_when_slack_reports_it_then_nothing_is_called(world: World, case_id: str) -> None:
    warmed(world, case_id)
    for event in (
        {"type": "message", "channel": "C1", "app_id": world.app.app_id, "text": "x", "ts": "1.1"},
        {"type": "message", "channel": "C1", "bot_profile": {"app_id": world.app.app_id}, "text": "x", "ts": "1.1"},
        {"type": "message", "subtype": "channel_join", "channel": "C1", "user": "U1", "ts": "1.1"},
        {"type": "reaction_added", "item": {}},
    ):
        assert send(world, envelope(world, case_id, event=event)) == 200
    assert outbound(world) == []


def test_given_a_queue_that_does_not_answer_when_an_event_comes_then_slack_is_asked_to_send_it_again(
    world: World, jane: Person, case_id: str
) -> None:
    good = world.environment["IR_SLACK_EVENTS_QUEUE_URL"]
    world.environment["IR_SLACK_EVENTS_QUEUE_URL"] = good.replace("slack-events", "gone")
    jane.post(world.channel_of(case_id), "patience")
    world.settle()
    assert from_slack(world, case_id) == []
    world.environment["IR_SLACK_EVENTS_QUEUE_URL"] = good
    world.advance(60)
    world.settle()

    assert len(from_slack(world, case_id)) == 1


NO_TEXT = (
    "(In Slack only: content that has no text (unknown type). "
    "Read it at https://slack.com/app_redirect?channel=CHANNEL&message_ts=1700000000.000100)"
)


@pytest.mark.parametrize(
    ("text", "copied"),
    [
        ("😀" * 20_000, "😀" * 20_000),
        ("漢" * 40_000, "漢" * 40_000),
        ("half \ud83d of an emoji", "half \ufffd of an emoji"),
        ("\ufffe\uffff", "\ufffd\ufffd"),
        ("\x00\x01\x1b", NO_TEXT),
        ("\u202egnp.exe שלום", "\u202egnp.exe שלום"),
        ("", NO_TEXT),
        ("\u200b", "\u200b"),
    ],
    ids=["emoji", "chinese", "half", "no characters", "controls", "right to left", "empty", "invisible"],
)
def test_given_a_text_of_any_kind_when_it_is_posted_then_the_case_has_it_and_nothing_is_stuck(
    world: World, jane: Person, case_id: str, text: str, copied: str
) -> None:
    channel = world.channel_of(case_id)
    event = {"type": "message", "channel": channel, "user": jane.id, "text": text, "ts": "1700000000.000100"}
    assert send(world, envelope(world, case_id, event=event)) == 200
    world.settle()

    assert "".join("\n".join(body.split("\n")[1:-2]) for body in from_slack(world, case_id)) == copied.replace(
        "CHANNEL", channel
    )
    assert world.dead_letters("slack-events") == []


def test_given_a_rotated_signing_secret_when_slack_uses_the_new_one_then_the_webhook_reads_it_again_once_a_minute(
    world: World, case_id: str
) -> None:
    warmed(world, case_id)
    ssm = boto3.client("ssm")
    ssm.put_parameter(
        Name="/SecurityIncidentResponse/slackSigningSecret", Value="b" * 32, Type="SecureString", Overwrite=True
    )
    old = request(world, envelope(world, case_id, event_id="EvOld"))
    world.app.signing_secret = "b" * 32
    new = request(world, envelope(world, case_id, event_id="EvNew"))
    world.advance(61)

    assert world.invoke("webhook", new)["statusCode"] == 200
    assert world.invoke("webhook", old)["statusCode"] == 200  # for a time both are valid
