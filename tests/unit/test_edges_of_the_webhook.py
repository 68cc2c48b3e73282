"""The webhook: the complete answer to each kind of request, and each complete call behind it."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import pytest
from botocore.exceptions import ReadTimeoutError

from ir_router import aws, errors, router, webhook
from ir_router.errors import NotConfiguredError, RetryLaterError, RouteNotServedError, UncertainError, UnknownEventError
from ir_router.slack import credentials, installation, signature
from tests.support.answers import AnswersInTurn, client_error

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
SIGNED = {"X-Slack-Request-Timestamp": "123", "X-Slack-Signature": "v0=1"}
MESSAGE = {"type": "message", "channel": "C1", "ts": "1.2", "user": "U1", "text": "hé"}
EVENT = {"type": "event_callback", "event_id": "Ev1", "team_id": "T1", "api_app_id": "A1", "event": MESSAGE}
REFUSED = (
    "⚠️ Temporary connectivity issue\nYour request was not accepted and is not retried. Please send it again.\n"
    "Error ID: network-error-1"
)
SHOWN = {"response_type": "ephemeral", "text": REFUSED}


class Outside:
    """The services behind the webhook, with its measurements and its questions."""

    def __init__(self) -> None:
        self.client = AnswersInTurn(*[{"Payload": io.BytesIO()} for _ in range(3)])
        self.seen: list[Any] = []
        self.authentic: Any = True
        self.ours: Any = True


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> Outside:
    found = Outside()

    def answer(value: Any) -> Any:
        if isinstance(value, Exception):
            raise value
        return value

    def client(name: str) -> Any:
        found.seen.append(name)
        return found.client

    def is_authentic(*given: Any) -> Any:
        found.seen.append(given)
        return answer(found.authentic)

    monkeypatch.setattr(aws, "client", client)
    monkeypatch.setattr(signature, "is_authentic", is_authentic)
    monkeypatch.setattr(credentials, "is_our_workspace", lambda *ids: answer(found.ours))
    monkeypatch.setattr(credentials, "workspace_id", lambda: "T1")
    monkeypatch.setattr(installation, "log_refused", lambda origin: found.seen.append(sorted(origin.ids)))
    monkeypatch.setattr(webhook, "settings", lambda: SimpleNamespace(require=lambda name: f"the {name}"))
    monkeypatch.setattr(webhook, "measure", lambda *given: found.seen.append(given))
    monkeypatch.setattr(webhook, "error_id", lambda kind: f"{kind}-1")
    return found


def post(body: Any, headers: Any = JSON, **more: Any) -> tuple[int, Any]:
    text = body if isinstance(body, str) else json.dumps(body)
    answer = webhook.handle({"body": text, "headers": {**SIGNED, **headers}, **more}, None)
    assert answer["headers"] == {"Content-Type": "application/json"}
    return answer["statusCode"], json.loads(answer["body"]) if answer["body"] else ""


def form(**fields: str) -> str:
    return urlencode(fields)


def payload(**fields: Any) -> str:
    return form(payload=json.dumps(fields))


COMMAND = {
    name: f"the {name}"
    for name in (
        "command", "text", "user_id", "user_name", "team_id", "enterprise_id", "channel_id", "response_url",
        "trigger_id",
    )
}  # fmt: skip
PRESS = {"type": "block_actions", "team": {"id": "T9"}}


@pytest.mark.parametrize(
    ("body", "headers", "answer"),
    [
        ({"type": "url_verification", "challenge": "c"}, JSON, (200, {"challenge": "c"})),
        ({"type": "url_verification"}, JSON, (200, {"challenge": ""})),
        ({"type": "app_rate_limited"}, JSON, (200, "")),
        ({**EVENT, "event": 5}, JSON, (200, "")),
        ({**EVENT, "type": "other"}, JSON, (200, "")),
        ({**EVENT, "event": {**MESSAGE, "subtype": "odd"}}, JSON, (200, "")),
        ("{", JSON, (400, "")),
        ("[" * 100_000, JSON, (400, "")),
        ("[]", JSON, (400, "")),
        (form(ssl_check="1"), FORM, (200, "")),
        (form(ssl_check="2"), FORM, (400, "")),
        (form(command=""), FORM, (400, "")),
        (form(payload="{"), FORM, (400, "")),
        (form(payload="[]"), FORM, (400, "")),
        (form(payload="[" * 100_000), FORM, (400, "")),
        (form(payload="", command="/x"), FORM, (400, "")),
    ],
)
def test_given_a_request_without_effect_when_received_then_it_is_answered_and_nothing_is_called(
    outside: Outside, body: Any, headers: Any, answer: tuple[int, Any]
) -> None:
    text = body if isinstance(body, str) else json.dumps(body)
    assert post(body, headers) == answer
    assert outside.seen == [("123", "v0=1", text.encode())]
    assert outside.client.asked == []


def test_given_an_event_when_received_then_the_complete_message_is_queued(outside: Outside) -> None:
    shared = {"type": "file_shared", "file_id": "F1", "channel_id": "C1", "user_id": "U1", "event_ts": "1.2"}
    body = json.dumps({**EVENT, "event": shared, "event_id": None, "api_app_id": ""})

    assert post(EVENT) == (200, "")
    assert post(base64.b64encode(body.encode()).decode(), isBase64Encoded=True) == (200, "")

    first, second = outside.client.asked
    assert outside.seen[1::2] == ["sqs", "sqs"]
    kept = json.loads(first.pop("MessageBody"))
    assert (kept.pop("event"), kept) == (MESSAGE, {"event_id": "Ev1", "team_id": "T1", "app_id": "A1"})
    assert first == {
        "QueueUrl": "the slack_events_queue_url", "MessageGroupId": "C1", "MessageDeduplicationId": "Ev1",
    }  # fmt: skip
    assert json.loads(second.pop("MessageBody")) == {"event_id": None, "team_id": "T1", "app_id": "", "event": shared}
    digest = hashlib.sha256(b"123" + body.encode()).hexdigest()
    assert second == {"QueueUrl": "the files_queue_url", "MessageGroupId": "F1", "MessageDeduplicationId": digest}


@pytest.mark.parametrize("error", [client_error("Throttling"), ReadTimeoutError(endpoint_url="x")], ids=repr)
def test_given_a_service_that_fails_when_a_request_is_passed_on_then_slack_or_the_user_repeats_it(
    outside: Outside, error: Exception
) -> None:
    outside.client.answers = [error] * 4
    home = {"type": "app_home_opened", "user": "U1", "tab": "home", "channel": "D1"}

    assert post(EVENT) == (503, "")
    assert post({**EVENT, "event": home}) == (503, "")
    assert post(payload(**PRESS), FORM) == (503, "")
    assert post(form(**COMMAND), FORM) == (200, SHOWN)


def test_given_commands_and_presses_when_received_then_only_the_fields_that_are_read_are_passed_on(
    outside: Outside,
) -> None:
    outside.ours = False

    assert post(form(**COMMAND, token="secret"), FORM) == (200, "")
    assert post(payload(**PRESS, token="secret"), FORM) == (200, "")

    assert [json.loads(one.pop("Payload")) for one in outside.client.asked] == [
        {"task": "slash_command", "command": COMMAND, "is_ours": False},
        {"task": "interaction", "payload": PRESS, "is_ours": False},
    ]
    assert outside.client.asked == [{"FunctionName": "the slack_function", "InvocationType": "Event"}] * 2


def test_given_another_installation_when_a_request_names_it_then_it_is_turned_away_with_200(outside: Outside) -> None:
    outside.ours = False
    view = {"app_installed_team_id": "T9"}

    assert post(EVENT) == (200, "")
    assert post(payload(type="view_submission", view=view, enterprise={"id": "E9"}), FORM) == (200, "")

    assert outside.seen[1::2] == [["T1"], ["E9", "T9"]]
    assert outside.client.asked == []


def test_given_an_opened_home_or_a_removed_app_when_received_then_the_first_is_passed_on_and_the_second_measured(
    outside: Outside,
) -> None:
    home = {"type": "app_home_opened", "user": "U1", "tab": "home", "channel": "D1"}

    assert post({**EVENT, "event": home}) == (200, "")
    assert post({**EVENT, "event": {"type": "app_uninstalled"}}) == (200, "")

    (asked,) = outside.client.asked
    passed = json.loads(asked["Payload"])
    assert (passed["task"], passed["is_ours"], sorted(passed)) == ("interaction", True, ["is_ours", "payload", "task"])
    assert outside.seen[-1] == ("DeploymentDifferences",)


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (NotConfiguredError("missing"), (503, "")),
        (RetryLaterError("SSM", "GetParameter", "Throttling", 1), (503, SHOWN)),
        (UncertainError("SSM", "GetParameter", "timeout"), (503, SHOWN)),
    ],
    ids=type,
)
def test_given_parameters_that_are_not_read_when_received_then_slack_repeats_the_request(
    outside: Outside, error: Exception, answer: tuple[int, Any]
) -> None:
    outside.ours = error
    assert post(EVENT) == answer
    assert post(payload(**PRESS), FORM) == answer
    outside.authentic = error
    assert post(EVENT) == answer


def test_given_a_command_when_the_workspace_is_not_read_then_the_user_gets_the_error(outside: Outside) -> None:
    outside.ours = UncertainError("SSM", "GetParameter", "timeout")
    assert post(form(**COMMAND), FORM) == (200, SHOWN)
    outside.ours = RetryLaterError("SSM", "GetParameter", "Throttling", 1)
    assert post(form(**COMMAND), FORM) == (200, SHOWN)
    assert outside.client.asked == []


def test_given_a_request_that_slack_did_not_sign_when_received_then_only_its_check_of_the_certificate_gets_200(
    outside: Outside,
) -> None:
    outside.authentic = False
    unsigned = {"body": "ssl_check=1&token=x", "headers": {"Content-Type": "x"}}

    assert webhook.handle(unsigned, None)["statusCode"] == 200
    assert webhook.handle({**unsigned, "headers": None}, None)["statusCode"] == 200
    assert post("ssl_check=1") == (401, "")
    assert webhook.handle({"body": "ssl_check=11", "headers": {}}, None)["statusCode"] == 401
    assert [webhook.handle(event, None)["statusCode"] for event in ({}, {"body": "é", "isBase64Encoded": True})] == [
        401,
        401,
    ]
    outside.authentic = True
    assert post(base64.b64encode(b"\xff").decode(), isBase64Encoded=True) == (401, "")


@pytest.mark.parametrize(
    "error", [NotConfiguredError("m"), RetryLaterError("S", "G", "T", 1), UncertainError("S", "G", "t")], ids=type
)
def test_given_parameters_that_are_not_read_when_prepared_then_the_first_request_reports_it(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    done: list[str] = []

    def workspace() -> str:
        done.append("workspace")
        raise error

    monkeypatch.setattr(signature, "prepare", lambda: done.append("secret"))
    monkeypatch.setattr(credentials, "workspace_id", workspace)
    webhook.prepare()
    assert done == ["secret", "workspace"]


def test_given_an_event_that_no_route_takes_when_recognised_then_the_error_lists_the_known_events() -> None:
    known = (
        ' Known events: {"task": ...}, an API Gateway proxy event, SQS records of slack-events.fifo, files.fifo or '
        "intake, EventBridge events of source security-ir or aws.security-ir, "
        '{"task_token" or "approval_id", "decision", "analyst", "notes"}.'
    )
    for event, why in (
        ([], "The event is not a JSON object."),
        ({"decision": "approve"}, "No route recognises this event."),
        ({"approval_id": "a", "Records": []}, "No route recognises this event."),
        ({"httpMethod": "POST"}, "No route recognises this event."),
        ({"Records": [5]}, "The records come from an unknown queue."),
        (
            {"Records": [{"eventSource": "aws:s3", "eventSourceARN": "files.fifo"}]},
            "The records come from an unknown queue.",
        ),
        ({"Records": [{"eventSource": "aws:sqs"}]}, "The records come from an unknown queue."),
    ):  # fmt: skip
        with pytest.raises(UnknownEventError) as raised:
            router.recognise(event)
        assert str(raised.value) == why + known
    for served, shown in ((frozenset[str](), "none"), (frozenset({"poll", "intake"}), "intake, poll")):
        with pytest.raises(RouteNotServedError) as refused:
            router.handler_of("webhook", served)
        assert str(refused.value) == f"This deployment does not serve the route webhook; it serves {shown}."


@pytest.mark.parametrize(
    ("given", "kept"),
    [(float("nan"), 1.0), (float("inf"), 900.0), (-1.0, 0.0), (900.0, 900.0), (900.1, 900.0), (0.5, 0.5)],
)
def test_given_a_wait_of_a_service_when_kept_then_it_is_between_none_and_15_minutes(given: float, kept: float) -> None:
    error = errors.RetryLaterError("AWS", "GetCase", "Throttling", given)
    assert (error.seconds, error.service, error.operation, error.code) == (kept, "AWS", "GetCase", "Throttling")
