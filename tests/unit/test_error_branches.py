"""The behaviour of each module when AWS rejects a call, gives an unexpected response or has no such item."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, ParamValidationError, ReadTimeoutError
from pydantic import BaseModel

from ir_router import aws, bus, router
from ir_router.errors import (
    InvalidInputError,
    NotConfiguredError,
    RefusedError,
    RetryLaterError,
    RouteNotServedError,
    UncertainError,
    UnknownEventError,
)
from ir_router.ops import resources
from ir_router.ops.checks import Check
from ir_router.security_ir import gateway
from ir_router.settings import from_environment, settings
from ir_router.slack.gateway import _retry_after
from ir_router.transfer import check_slack_host
from ir_router.workflow import iam, notices, report_failure, sessions


class Client:
    """A boto3 client whose every call and page gives `answer`, or raises it; `asked` are the calls."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(*_: object, **arguments: Any) -> Any:
            self.asked.append((operation, arguments))
            if isinstance(self.answer, Exception):
                raise self.answer
            return self.answer

        return call

    def get_paginator(self, operation: str) -> Client:
        self.asked.append((operation, {}))
        return self

    def paginate(self, **arguments: Any) -> Iterator[Any]:
        self.asked.append(("paginate", arguments))
        if isinstance(self.answer, Exception):
            raise self.answer
        yield self.answer


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], Client]:
    def make(answer: Any) -> Client:
        client = Client(answer)
        monkeypatch.setattr(aws, "client", lambda _name: client)
        for name in ("reader", "changer"):
            monkeypatch.setattr(sessions, name, lambda _whose: client)
        return client

    for name in ("CONTAINMENT_ROLE_ARN", "EVENT_BUS_NAME", "TABLE_NAME", "STATE_MACHINE_ARN", "FILES_QUEUE_URL"):
        monkeypatch.setenv(f"IR_{name}", f"arn:aws:x::123456789012:{name.lower()}")
    settings.cache_clear()
    return make


@pytest.fixture(autouse=True)
def _fresh_settings() -> Iterator[None]:
    yield
    settings.cache_clear()


def error(code: str, status: int = 400, **more: Any) -> ClientError:
    answer: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}, **more}
    return ClientError(answer, "Operation")


KEY = "AKIA" + "A" * 16
USER: Any = {"kind": "user", "name": "mallory", "arn": "arn:u", "account": "123456789012"}
ROLE: Any = {"kind": "role", "name": "deploy", "arn": "arn:r", "account": "123456789012"}


@pytest.mark.parametrize("who", [USER, ROLE], ids=["user", "role"])
def test_given_a_principal_that_is_gone_when_iam_is_asked_then_there_is_none_and_other_errors_are_raised(
    answering: Callable[[Any], Client], who: Any
) -> None:
    reads: list[tuple[Callable[[], object], object]] = [
        (lambda: iam.find(who), None),
        (lambda: iam.tags(who), {}),
        (lambda: iam.attached_policies(who), []),
        (lambda: iam.lift_deny(who), None),
        (lambda: iam.lift_earlier_deny(who), None),
    ]
    if who is USER:
        reads += [
            (lambda: iam.access_keys(who), {}),
            (lambda: iam.owner_of(KEY, ""), None),
            (lambda: iam.set_key_status(who, KEY, iam.ACTIVE), None),
            (lambda: iam.delete_key(who, KEY), None),
        ]
    for act, nothing in reads:
        answering(error("NoSuchEntity", 404))
        assert act() == nothing
        for other in (error("ServiceFailure", 500), error("AccessDeniedException")):
            answering(other)
            with pytest.raises(ClientError):
                act()
    answering(error("NoSuchEntity", 404))
    with pytest.raises(ClientError):
        iam.deny(who)  # there is no principal to deny, so the step is not done


def test_given_a_principal_when_iam_is_asked_then_by_its_name_and_with_the_deny_policy_alone(
    answering: Callable[[Any], Client],
) -> None:
    client = answering({"Tags": [{"Key": "k", "Value": "v"}], "AttachedPolicies": [{"PolicyArn": "other"}]})
    assert iam.tags(USER) == iam.tags(ROLE) == {"k": "v"}
    assert iam.attached_policies(USER) == iam.attached_policies(ROLE) == ["other"]
    assert iam.access_keys(ROLE) == {}
    client = answering({})
    for act in (iam.deny, iam.lift_deny, iam.lift_earlier_deny):
        act(USER)
        act(ROLE)
    assert [name for name, _ in client.asked] == [
        "attach_user_policy",
        "attach_role_policy",
        "detach_user_policy",
        "detach_role_policy",
        "detach_user_policy",
        "detach_role_policy",
    ]
    earlier = "arn:aws:iam::123456789012:policy/security-incident-containment-deny"
    assert [arguments["PolicyArn"] for _, arguments in client.asked] == [
        *["arn:aws:iam::aws:policy/AWSDenyAll"] * 4,
        *[earlier] * 2,
    ]
    assert [arguments.get("UserName") or arguments["RoleName"] for _, arguments in client.asked] == [
        "mallory",
        "deploy",
    ] * 3
    answering(error("AccessDenied", 403))
    assert iam.owner_of(KEY, "") is None
    answering({"UserName": ""})
    assert iam.owner_of(KEY, "") is None


class _Model(BaseModel):
    needed: str


@pytest.mark.parametrize(
    ("raised", "kind", "shown"),
    [
        (error("ThrottlingException", retryAfterSeconds=7), RetryLaterError, "seconds=7.0"),
        (error("Anything", 429), RetryLaterError, "seconds=5.0"),
        (error("ThrottlingException", retryAfterSeconds="soon"), RetryLaterError, "seconds=5.0"),
        (error("InternalServerException", 500), UncertainError, "InternalServerException"),
        (error("ConflictException", 499), RefusedError, "ConflictException"),
        (ClientError({}, "Operation"), RefusedError, "Unknown"),
        (ParamValidationError(report="secret"), RefusedError, "ParamValidationError"),
        (KeyError("tags"), UncertainError, "an unexpected answer"),
        (ReadTimeoutError(endpoint_url="x"), UncertainError, "ReadTimeoutError"),
    ],
    ids=repr,
)
def test_given_an_error_of_security_incident_response_when_called_then_its_kind_says_whether_anything_happened(
    answering: Callable[[Any], Client], raised: Exception, kind: type[Exception], shown: str
) -> None:
    answering(raised)
    with pytest.raises(kind) as found:
        gateway.tag("arn:case", {"severity": "High"})
    told = f"{found.value} seconds={getattr(found.value, 'seconds', None)}"
    assert shown in told
    assert "TagResource" in told
    assert "secret" not in told


def test_given_a_tag_when_it_is_set_then_the_case_gets_it(answering: Callable[[Any], Client]) -> None:
    client = answering({})
    gateway.tag("arn:case", {"severity": "High"})
    assert client.asked == [("tag_resource", {"resourceArn": "arn:case", "tags": {"severity": "High"}})]
    with pytest.raises(UncertainError, match="unexpected answer"), gateway._calling("GetCase"):
        _Model.model_validate({})


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("IR_APPROVERS", "not json", "must be a JSON list of strings"),
        ("IR_APPROVERS", '{"a": 1}', "must be a JSON list of strings"),
        ("IR_APPROVERS", '["a", 1]', "must be a JSON list of strings"),
        ("IR_MIRROR_BOTS", "yes", "must be true or false"),
        ("IR_SETTLE_SECONDS", "soon", "must be a number"),
    ],
)
def test_given_a_setting_that_cannot_be_read_when_read_then_the_error_names_its_variable(
    name: str, value: str, says: str
) -> None:
    with pytest.raises(NotConfiguredError, match=f"{name} {says}"):
        from_environment({name: value})


def test_given_no_settings_when_read_then_the_safe_defaults_hold() -> None:
    found = from_environment({})
    assert found.containment_mode == "dry_run"
    assert (found.contain_other_keys, found.contain_actor, found.mirror_bots) == (True, False, False)
    assert found.remove_former_watchers is False
    assert (found.max_containments_per_hour, found.audit_retention_days) == (10, 400)
    assert (found.settle_seconds, found.previous_signing_secret_hours) == (30, 24)
    assert (found.channel_visibility, found.initial_import, found.case_resolver_type) == ("private", "open", "Self")
    assert (found.name_prefix, found.owner_tag, found.region) == ("security-incident", "slack-email", "us-east-1")
    assert found.bot_token_parameter == "/SecurityIncidentResponse/slackBotToken"
    assert found.approvers == found.allowed_cidrs == found.protected_principals == ()
    assert from_environment({"IR_SECURITY_CHANNEL_ID": ""}).security_channel_id is None
    told = from_environment({"IR_ROUTES": " poll, ,webhook ", "IR_CONTAIN_OTHER_KEYS": "false"})
    assert told.routes == {"poll", "webhook"}
    assert told.contain_other_keys is False
    with pytest.raises(NotConfiguredError, match="IR_TABLE_NAME is not set"):
        found.require("table_name")


@pytest.mark.parametrize(
    ("event", "route"),
    [
        ({"task": "poll"}, "poll"),
        ({"task": "anything"}, "workflow"),
        ({"httpMethod": "POST", "requestContext": {}}, "webhook"),
        ({"source": "security-ir", "detail-type": "ApprovalDecided"}, "approval_notice"),
        ({"source": "aws.security-ir", "detail-type": "Case Updated"}, "sync_case"),
        ({"decision": "approve", "approval_id": "x"}, "approval"),
        ({"decision": "approve", "task_token": "x"}, "approval"),
        ({"Records": [{"eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:x:1:a-files.fifo"}]}, "file_transfer"),
    ],
)
def test_given_an_event_when_recognised_then_it_has_its_route(event: Any, route: str) -> None:
    assert router.recognise(event) == route


@pytest.mark.parametrize(
    "event",
    [
        [],
        None,
        {},
        {"httpMethod": "POST"},
        {"decision": "approve"},
        {"source": "aws.s3"},
        {"Records": []},
        {"Records": ["x"]},
        {"Records": [{"eventSource": "aws:s3", "eventSourceARN": "arn:aws:sqs:x:1:files.fifo"}]},
        {"Records": [{"eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:x:1:other.fifo"}]},
    ],
    ids=repr,
)
def test_given_an_event_of_no_route_when_recognised_then_the_error_names_what_is_known(event: object) -> None:
    with pytest.raises(UnknownEventError, match="Known events: "):
        router.recognise(event)


def test_given_a_route_that_is_not_served_when_its_handler_is_wanted_then_it_is_refused() -> None:
    with pytest.raises(RouteNotServedError, match="route poll; it serves approval, webhook"):
        router.handler_of("poll", frozenset({"webhook", "approval"}))
    with pytest.raises(RouteNotServedError, match="it serves none"):
        router.handler_of("poll", frozenset())


def test_given_a_bus_without_answer_when_events_are_put_then_each_counts_as_not_taken(
    answering: Callable[[Any], Client],
) -> None:
    answering(ReadTimeoutError(endpoint_url="x"))
    assert bus.put([bus.Event("s", "d", {})] * 2) == ["ReadTimeoutError"] * 2
    with pytest.raises(UncertainError, match="ReadTimeoutError"):
        notices.publish("ApprovalDecided", {"approval_id": "1"})


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"retry-after": ["9"]}, 9.0),
        ({"Retry-After": "300"}, 300.0),
        ({"Retry-After": "86400"}, 300.0),
        ({"Retry-After": "soon"}, 1.0),
        ({}, 1.0),
        (None, 1.0),
    ],
)
def test_given_a_429_of_slack_when_it_says_how_long_then_that_is_waited_and_else_a_second(
    headers: Any, seconds: float
) -> None:
    assert _retry_after(type("Response", (), {"headers": headers})()) == seconds


def test_given_addresses_of_others_when_a_file_is_to_be_fetched_then_they_are_refused() -> None:
    for address in ("https://evil.example/files", "http://[", "https://files.slack.com.evil.example/x"):
        with pytest.raises((RefusedError, InvalidInputError, UncertainError)):
            check_slack_host(address)


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (None, ("Unknown", "")),
        ({}, ("Unknown", "")),
        ({"Error": "E", "Cause": "plain"}, ("E", "plain")),
        ({"Error": "E", "Cause": json.dumps({"errorMessage": "m", "stackTrace": ["secret"]})}, ("E", "m")),
        ({"Error": "E", "Cause": json.dumps({"stackTrace": ["secret"]})}, ("E", "")),
        ({"Error": "E", "Cause": "[1]"}, ("E", "[1]")),
    ],
)
def test_given_a_failure_of_a_state_when_reported_then_error_and_message_are_told_without_a_trace(
    failure: object, told: tuple[str, str]
) -> None:
    assert report_failure.error_of(failure) == told


def test_given_attempts_that_fail_when_all_are_made_then_the_others_are_made_and_the_failing_ones_returned() -> None:
    made: list[int] = []

    def fail() -> None:
        made.append(1)
        raise RefusedError("SNS", "Publish", "Denied")

    def uncertain() -> None:
        made.append(2)
        raise UncertainError("SNS", "Publish", "ReadTimeout")

    assert report_failure._failing(fail, uncertain, lambda: made.append(3)) == [fail, uncertain]
    assert made == [1, 2, 3]
    assert report_failure._failing(lambda: made.append(4)) == []
    with pytest.raises(KeyError):
        report_failure._failing({}.popitem)


def lines(checks: Iterator[Check]) -> list[tuple[str, str, str]]:
    return [(check.name, str(check.state), check.detail) for check in checks]


@pytest.mark.parametrize(
    ("check", "answer", "says"),
    [
        (resources._ledger, {"Table": {"TableStatus": "DELETING"}}, "DELETING"),
        (resources._ledger, {"Table": {"TableStatus": "ACTIVE"}}, "no index"),
        (lambda: resources._fifo("files"), {"Attributes": {}}, "no dead-letter queue"),
        (
            lambda: resources._consumer("queue files", {"QueueArn": "a", "ApproximateNumberOfMessages": "3"}),
            {"EventSourceMappings": []},
            "3",
        ),
        (
            lambda: resources._consumer("queue files", {"QueueArn": "a"}),
            {"EventSourceMappings": [{"State": "Disabled"}, {"State": "Updating"}]},
            "Disabled, Updating",
        ),
        (lambda: resources._function("sync", {}, {}), {"State": "Failed", "StateReason": "broken"}, "broken"),
        (
            lambda: resources._function("sync", {}, {}),
            {"LastUpdateStatus": "Failed", "LastUpdateStatusReason": "too big"},
            "Active, last update Failed: too big",
        ),
        (lambda: resources._function("sync", {}, {}), {"State": "Pending"}, "no reason given"),
        (resources._workflow, {"status": "DELETING"}, "DELETING"),
    ],
)
def test_given_a_resource_that_is_not_well_when_verified_then_one_failed_line_says_how(
    answering: Callable[[Any], Client], check: Callable[[], Iterator[Check]], answer: Any, says: str
) -> None:
    answering(answer)
    ((_, status, detail),) = lines(check())
    assert status == "failed"
    assert says in detail
