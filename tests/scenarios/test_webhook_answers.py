"""The webhook's answers and queued work when input is missing or unknown, or a service does not answer."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from ir_router import webhook
from ir_router.slack.signature import sign
from tests.support.world import World, forget_everything


def answer_to(world: World, body: bytes, content_type: str = "application/json") -> tuple[int, Any]:
    """Status and body of the answer to a signed request."""
    timestamp = str(int(world.now()))
    event = {
        "httpMethod": "POST",
        "path": "/slack/events",
        "headers": {
            "Content-Type": content_type,
            "X-Slack-Request-Timestamp": timestamp,
            "X-Slack-Signature": sign(world.app.signing_secret, timestamp, body),
        },
        "body": body.decode(),
        "isBase64Encoded": False,
        "requestContext": {"stage": "prod"},
    }
    answer = world.invoke("webhook", event)
    assert answer["headers"] == {"Content-Type": "application/json"}
    return int(answer["statusCode"]), json.loads(answer["body"]) if answer["body"] else None


def form(world: World, **fields: str) -> tuple[int, Any]:
    return answer_to(world, urlencode(fields).encode(), "application/x-www-form-urlencoded")


def command(world: World, **changes: str) -> dict[str, str]:
    fields = {"command": "/security-ir", "text": "status", "user_id": "U1", "team_id": world.workspace.team_id}
    return fields | {"channel_id": "C1", "trigger_id": "1.2", "response_url": "https://hooks.slack.com/x"} | changes


def interaction(world: World, **changes: Any) -> str:
    payload = {"type": "block_actions", "team": {"id": world.workspace.team_id}, "actions": [], "token": "legacy"}
    return json.dumps(payload | changes)


def event(world: World, **changes: Any) -> bytes:
    message = {"type": "message", "channel": "C1", "user": "U1", "text": "hello", "ts": "1.000001"}
    body = {"type": "event_callback", "team_id": world.workspace.team_id, "event_id": "Ev1", "event": message}
    return json.dumps(body | changes).encode()


def refuse(operation: str, error: Exception) -> None:
    def fail(**_: Any) -> None:
        raise error

    boto3.DEFAULT_SESSION.events.register(f"before-parameter-build.{operation}", fail)  # type: ignore[union-attr]
    forget_everything()  # clients that were made before do not know the hook


def outbound(world: World) -> list[str]:
    return [f"{call.service} {call.operation}" for call in world.wire.calls]


@pytest.mark.parametrize("missing", ["slackSigningSecret", "slackWorkspaceId"])
def test_given_a_parameter_that_is_missing_when_a_request_comes_then_it_is_answered_503_and_nothing_is_handed_on(
    world: World, missing: str
) -> None:
    boto3.client("ssm").delete_parameter(Name=f"/SecurityIncidentResponse/{missing}")
    forget_everything()

    assert answer_to(world, event(world)) == (503, None)
    assert "sqs SendMessage" not in outbound(world)


def test_given_ssm_that_does_not_answer_when_a_request_comes_then_it_is_answered_503_with_an_id(world: World) -> None:
    refuse("ssm.GetParameter", EndpointConnectionError(endpoint_url="https://ssm"))

    status, told = answer_to(world, event(world))

    assert status == 503
    assert told["response_type"] == "ephemeral"
    assert "network-error-" in told["text"]


def test_given_another_workspace_when_a_command_or_interaction_comes_then_the_function_behind_decides(
    world: World,
) -> None:
    elsewhere = [
        ("command", command(world, team_id="T0OTHER")),
        ("payload", {"payload": interaction(world, team={"id": "T0OTHER"})}),
        ("payload", {"payload": interaction(world, team=None)}),
        ("payload", {"payload": interaction(world, team="T0", enterprise="E0")}),
    ]
    for _, fields in elsewhere:
        assert form(world, **fields) == (200, None)

    assert [sent["is_ours"] for _, sent, _ in world.asynchronous] == [False] * 4


def test_given_a_form_of_another_installation_when_it_is_submitted_then_it_goes_no_further(world: World) -> None:
    payload = interaction(world, type="view_submission", view={"id": "V1", "app_installed_team_id": "T0OTHER"})

    assert form(world, payload=payload) == (200, None)
    assert world.asynchronous == []


def test_given_an_enterprise_grid_when_a_command_or_interaction_names_the_organisation_then_it_is_taken(
    world: World,
) -> None:
    boto3.client("ssm").put_parameter(
        Name="/SecurityIncidentResponse/slackWorkspaceId", Value="E0GRID", Type="String", Overwrite=True
    )
    forget_everything()

    assert form(world, **command(world, team_id="T0ANY", enterprise_id="E0GRID"))[0] == 200
    payload = interaction(world, team={"id": "T0ANY"}, enterprise={"id": "E0GRID"})
    assert form(world, payload=payload)[0] == 200
    assert len(world.asynchronous) == 2


@pytest.mark.parametrize(
    "error",
    [
        EndpointConnectionError(endpoint_url="https://lambda"),
        ClientError({"Error": {"Code": "TooManyRequestsException"}}, "Invoke"),
    ],
    ids=["no answer", "throttled"],
)
def test_given_a_function_that_cannot_be_invoked_when_somebody_presses_or_types_then_they_are_told(
    world: World, error: Exception
) -> None:
    refuse("lambda.Invoke", error)

    assert form(world, payload=interaction(world)) == (503, None)
    status, told = form(world, **command(world))
    assert status == 200
    assert told["response_type"] == "ephemeral"
    assert "network-error-" in told["text"]


@pytest.mark.parametrize(
    "error",
    [
        EndpointConnectionError(endpoint_url="https://sqs"),
        ClientError({"Error": {"Code": "ServiceUnavailable"}}, "SendMessage"),
    ],
    ids=["no answer", "unavailable"],
)
def test_given_a_queue_that_does_not_take_it_when_an_event_comes_then_slack_is_answered_503(
    world: World, error: Exception
) -> None:
    refuse("sqs.SendMessage", error)
    assert answer_to(world, event(world)) == (503, None)


def test_given_slacks_legacy_token_when_a_command_or_interaction_is_handed_on_then_it_is_left_behind(
    world: World,
) -> None:
    typed = command(world, token="legacy", user_name="jane", enterprise_id="E1", unknown="x")
    assert form(world, **typed)[0] == 200
    assert form(world, payload=interaction(world, view={"id": "V1"}))[0] == 200

    (name, first, _), (_, second, _) = world.asynchronous
    assert name == "slack"
    expected = {name: value for name, value in typed.items() if name not in ("token", "unknown")}
    assert first == {"task": "slash_command", "command": expected, "is_ours": True}
    assert second["task"] == "interaction"
    assert sorted(second["payload"]) == ["actions", "team", "type", "view"]


def test_given_forms_that_are_no_command_when_they_come_then_each_has_its_answer_and_no_call(world: World) -> None:
    assert form(world, **command(world))[0] == 200
    world.wire.calls.clear()

    assert form(world, ssl_check="1") == (200, None)
    assert form(world, ssl_check="0") == (400, None)
    assert form(world, text="status") == (400, None)
    for payload in ("{", "[]", '"x"', "[" * 100_000):
        assert form(world, payload=payload) == (400, None)
    assert outbound(world) == []


def test_given_events_that_are_not_wanted_when_they_come_then_they_are_answered_and_not_handed_on(
    world: World,
) -> None:
    assert answer_to(world, event(world))[0] == 200
    world.wire.calls.clear()

    assert answer_to(world, event(world, type="app_rate_limited")) == (200, None)
    assert answer_to(world, event(world, event=None)) == (200, None)
    assert answer_to(world, json.dumps({"type": "url_verification", "challenge": "abc"}).encode()) == (
        200,
        {"challenge": "abc"},
    )
    assert answer_to(world, json.dumps({"type": "url_verification"}).encode()) == (200, {"challenge": ""})
    assert outbound(world) == []


def sent(world: World, queue: str) -> list[dict[str, Any]]:
    url = world.environment[f"IR_{queue}_QUEUE_URL"]
    found = boto3.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"])
    return [dict(message) for message in found.get("Messages", [])]


def test_given_events_when_they_are_queued_then_group_and_deduplication_id_are_the_channels_and_the_events(
    world: World,
) -> None:
    shared = {"type": "file_shared", "file_id": "F1", "channel_id": "C1", "user_id": "U1"}
    odd = {"type": "message", "channel": "C1 é", "user": "U1", "text": "x", "ts": "1.1"}
    long = {"type": "message", "channel": "C" * 129, "user": "U1", "text": "x", "ts": "1.2"}
    most = {"type": "message", "channel": "C" * 128, "user": "U1", "text": "x", "ts": "1.3"}
    for number, one in enumerate((shared, odd, long, most)):
        assert answer_to(world, event(world, event=one, event_id=f"Ev{number}", api_app_id="A0"))[0] == 200
    assert answer_to(world, event(world, event_id=None))[0] == 200
    assert answer_to(world, event(world, event_id=""))[0] == 200

    (file,) = sent(world, "FILES")
    assert file["Attributes"]["MessageGroupId"] == "F1"
    assert file["Attributes"]["MessageDeduplicationId"] == "Ev0"
    assert json.loads(file["Body"])["app_id"] == "A0"
    messages = {json.loads(one["Body"])["event"]["ts"]: one for one in sent(world, "SLACK_EVENTS")}
    groups = {ts: one["Attributes"]["MessageGroupId"] for ts, one in messages.items()}
    assert groups["1.3"] == "C" * 128
    assert len(groups["1.1"]) == len(groups["1.2"]) == 64
    assert len({*groups.values()}) == 4
    assert len(messages["1.000001"]["Attributes"]["MessageDeduplicationId"]) == 64


def test_given_a_body_of_the_limit_when_it_comes_then_it_is_read_and_one_byte_more_is_not(world: World) -> None:
    assert answer_to(world, b'"' + b"x" * (webhook.BODY_LIMIT - 2) + b'"') == (400, None)
    assert answer_to(world, b'"' + b"x" * (webhook.BODY_LIMIT - 1) + b'"') == (413, None)


def test_given_slacks_certificate_check_when_it_comes_unsigned_then_it_is_answered_200_without_a_call(
    world: World,
) -> None:
    def unsigned(body: str, **headers: str) -> int:
        event: dict[str, Any] = {"httpMethod": "POST", "path": "/slack/events", "headers": headers, "body": body}
        event |= {"isBase64Encoded": False, "requestContext": {"stage": "prod"}}
        return int(world.invoke("webhook", event)["statusCode"])

    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert unsigned("ssl_check=1&token=legacy", **kind) == 200
    assert unsigned("ssl_check=1&command=%2Fsecurity-ir", **kind, **{"X-Slack-Signature": "v0=forged"}) == 401
    assert unsigned("command=%2Fsecurity-ir&text=ssl_check=1", **kind) == 401
    assert world.asynchronous == []


def test_given_a_notice_that_slack_drops_events_when_it_comes_then_the_log_has_it(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    notice = {"type": "app_rate_limited", "team_id": world.workspace.team_id, "minute_rate_limited": 1}
    assert answer_to(world, json.dumps(notice).encode()) == (200, None)
    assert [one.getMessage().partition(":")[0] for one in caplog.records] == ["webhook.events_rate_limited"]
