"""The simulator's shortcuts behave as the parts that they replace."""

from __future__ import annotations

import copy
import http.client
import io
import json
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.hooks
import pytest
import urllib3
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.regions import EndpointRulesetResolver
from botocore.retries.standard import RetryContext, StandardRetryConditions
from moto.core.request import Request

from ir_sandbox.http import RunningServer
from ir_sandbox.security_ir import SecurityIrService
from ir_sandbox.security_ir.application import Application
from ir_sandbox.slack import Fault, SlackApplication, SlackWorkspace
from tests.support.world import ACCOUNT, World
from tests.trials.world import endpoints, loopback, moto_speed, snapshot
from tests.trials.world.deployment import CONTAINMENT_ROLE, DENY_POLICY
from tests.trials.world.running import running_world

Ask = Callable[[str], tuple[int, dict[str, str], bytes]]


def _echo(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("201 CREATED", [("X-Path", environ["REQUEST_URI"]), ("X-Sent", environ.get("HTTP_X_SENT", ""))])
    return [environ["REQUEST_METHOD"].encode(), b" ", body]


def _with_http_client(url: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    connection.request("POST", "/a%20b?c=%C3%A9", b"\x00body", {"X-Sent": "value"})
    answer = connection.getresponse()
    return answer.status, dict(answer.getheaders()), answer.read()


def _with_urllib3(url: str) -> tuple[int, dict[str, str], bytes]:
    answer = urllib3.PoolManager().request("PUT", f"{url}/x", body=iter([b"a", b"b"]), headers={"X-Sent": "1"})
    return answer.status, dict(answer.headers), answer.data


@pytest.mark.parametrize("ask", [_with_http_client, _with_urllib3])
def test_given_a_request_when_it_needs_no_socket_then_the_answer_is_that_of_the_server(ask: Ask) -> None:
    with RunningServer(_echo) as server:
        expected = ask(server.url)
    with loopback.served(_echo) as (url,):
        answer = ask(url)
    for one in (expected, answer):
        del one[1]["Date"]
    assert answer == expected


def test_given_a_reset_when_no_socket_is_used_then_the_client_sees_it_once() -> None:
    with SecurityIrService() as service, loopback.served(Application(service)) as (url,):
        service.faults.reset_connection()
        pool = urllib3.PoolManager(retries=False)
        with pytest.raises(urllib3.exceptions.ProtocolError, match="reset"):
            pool.request("POST", f"{url}/v1/list-cases", body=b"{}")
        assert pool.request("POST", f"{url}/v1/list-cases", body=b"{}").status == 403


@pytest.mark.parametrize("kind", ["reset", "answer_lost"])
def test_given_a_connection_that_closes_when_no_socket_is_used_then_the_client_gets_no_answer(kind: Any) -> None:
    with SlackWorkspace(delivery_workers=0) as workspace, loopback.served(SlackApplication(workspace)) as (url,):
        workspace.faults.add(Fault("api.test", kind))
        with pytest.raises(http.client.RemoteDisconnected):
            urllib.request.urlopen(f"{url}/api/api.test", timeout=10)
        with urllib.request.urlopen(f"{url}/api/api.test", timeout=10) as answer:
            assert json.load(answer)["ok"] is True


@pytest.mark.parametrize(
    "headers",
    [
        b"",
        b"Host: x\r\nA-B:  two words \r\nEmpty:\r\nHost: again\n",
        b"Name: \xe9 \xa0 x\r\nLast: \t1\r\n",
        b"Long: one\r\n two\r\nNext: 1\r\n",
        b"no colon\r\nNext: 1\r\n",
        b"Bad name: 1\r\n: 2\r\nA: \x00\x85\r\n",
    ],
)
@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"", b"\r\nbody"])
def test_given_headers_when_they_are_parsed_then_the_message_is_that_of_the_standard_library(
    headers: bytes, end: bytes
) -> None:
    expected, found = io.BytesIO(headers + end), io.BytesIO(headers + end)
    messages = http.client.parse_headers(expected), loopback._parsed_headers(found)
    first, second = (vars(one) | {"defects": str(one.defects)} for one in messages)
    assert first == second
    assert expected.tell() == found.tell()


def test_given_too_many_headers_when_they_are_parsed_then_they_are_refused() -> None:
    with pytest.raises(http.client.HTTPException, match="more than 100 headers"):
        loopback._parsed_headers(io.BytesIO(b"A: b\r\n" * 101 + b"\r\n"))


def test_given_another_address_when_it_is_called_then_a_socket_is_used() -> None:
    with loopback.served(_echo), RunningServer(_echo) as server:
        assert _with_http_client(server.url)[0] == 201
    with pytest.raises(OSError, match="refused"):
        _with_http_client(server.url)


@pytest.mark.parametrize(
    ("url", "headers", "body"),
    [
        ("https://dynamodb.us-east-1.amazonaws.com/", {"X-Amz-Target": "D.GetItem", "Content-Type": "x"}, b'{"a": 1}'),
        ("https://iam.amazonaws.com/", {"Content-Type": b"application/x-www-form-urlencoded"}, "Action=A&B=%C3%A9"),
        ("https://lambda.us-east-1.amazonaws.com/a%20%C3%A9/b?c=%C3%A9&d", {"Content-Length": "9", "A-b": "c"}, None),
        ("https://sns.amazonaws.com", {}, b"x"),
        ("http://127.0.0.1:4566/", {"Transfer-Encoding": "chunked", "Authorization": "A"}, b""),
    ],
)
def test_given_a_request_when_moto_takes_it_then_its_environment_is_that_of_werkzeug(
    url: str, headers: Any, body: Any
) -> None:
    environments = []
    for make in (moto_speed._built_request, Request.from_primitives):
        request = make("POST", url, headers, body)
        environments.append({key: value for key, value in request.environ.items() if key != "werkzeug.request"})
        environments[-1]["wsgi.input"] = request.get_data(), request.data, request.raw_url
    assert environments[0] == environments[1]


def test_given_handlers_when_an_emitter_is_copied_then_later_changes_are_its_own() -> None:
    first = botocore.hooks.HierarchicalEmitter()
    first.register("a.b", _say("kept"))
    second = copy.copy(first)
    second.register_first("a.b", _say("first"))
    second.register("a", _say("wider"))
    first.register_last("a.b", later := _say("later"))
    assert _said(first) == ["kept", "later"]
    assert _said(second) == ["first", "kept", "wider"]
    first.unregister("a.b", later)
    first.unregister("a.unknown", later)  # botocore ignores it
    assert _said(first) == ["kept"]


def _say(word: str) -> Any:
    return lambda **_: word


def _said(emitter: Any) -> list[Any]:
    return [answer for _, answer in emitter.emit("a.b.c")]


def test_given_a_handler_without_options_when_it_is_registered_then_botocore_still_refuses_it() -> None:
    with pytest.raises(ValueError, match="must accept keyword arguments"):
        botocore.hooks.HierarchicalEmitter().register("a", lambda event_name: None)


def test_given_the_same_call_when_a_client_is_made_then_it_is_new_only_after_a_change(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = boto3.client("sqs")
    assert boto3.client("sqs") is known
    assert boto3.client("sqs", region_name="eu-west-1") is not known
    boto3.DEFAULT_SESSION.events.register("before-call.sqs", _say("new"))  # type: ignore[union-attr]
    hooked = boto3.client("sqs")
    assert hooked is not known
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "https://sqs.example")
    assert boto3.client("sqs").meta.endpoint_url == "https://sqs.example"


@pytest.mark.parametrize(("status", "code"), [(200, None), (200, "Throttling"), (400, "Throttling"), (500, None)])
def test_given_an_answer_when_botocore_checks_it_for_a_retry_then_only_success_needs_no_check(
    status: int, code: str | None
) -> None:
    model: Any = boto3.client("sqs", region_name="us-east-1").meta.service_model.operation_model("SendMessage")
    parsed = {"Error": {"Code": code}} if code else {}
    context = RetryContext(1, model, parsed, AWSResponse("", status, HTTPHeaders(), None))
    checks: Any = StandardRetryConditions()
    found = checks._max_attempts_checker.is_retryable(context) and checks._additional_checkers.is_retryable(context)
    assert checks.is_retryable(context) is found is not (status == 200 and code is None)


def _resources(environment: dict[str, str]) -> list[Any]:
    """Return all resources that a simulator starts with, without the ids and times that each creation draws."""
    sqs, sns, iam = boto3.client("sqs"), boto3.client("sns"), boto3.client("iam")
    table: Any = boto3.client("dynamodb").describe_table(TableName="ledger")["Table"]
    role: Any = iam.get_role(RoleName=CONTAINMENT_ROLE)["Role"]
    found = [
        environment,
        {name: value for name, value in table.items() if name not in {"TableId", "CreationDateTime"}},
        {
            url: sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
            for url in sqs.list_queues()["QueueUrls"]
        },
        sns.list_topics()["Topics"],
        [(one["TopicArn"], one["Endpoint"]) for one in sns.list_subscriptions()["Subscriptions"]],
        boto3.client("events").list_event_buses()["EventBuses"],
        {name: value for name, value in role.items() if name not in {"RoleId", "CreateDate"}},
        iam.get_role_policy(RoleName=CONTAINMENT_ROLE, PolicyName="containment")["PolicyDocument"],
        iam.get_policy(PolicyArn=DENY_POLICY)["Policy"]["Arn"],
    ]
    return json.loads(json.dumps(found, default=str))  # type: ignore[no-any-return]


def test_given_an_earlier_simulator_when_another_starts_then_its_resources_are_new_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(snapshot, "_kept", {})
    found = []
    for _ in range(3):
        with running_world() as world:
            state = {name: value for name, value in world.environment.items() if "127.0.0.1" not in value}
            found.append(_resources(state))
            url = world.environment["IR_APPROVAL_QUEUE_URL"]
            boto3.client("sqs").send_message(QueueUrl=url, MessageBody="x")
            assert boto3.client("sqs").receive_message(QueueUrl=url)["Messages"]
            boto3.client("dynamodb").put_item(TableName="ledger", Item={"PK": {"S": "a"}, "SK": {"S": "b"}})
            boto3.client("sns").publish(TopicArn=world.environment["IR_ALERT_TOPIC_ARN"], Message="x")
            boto3.client("iam").delete_role_policy(RoleName=CONTAINMENT_ROLE, PolicyName="containment")
            boto3.client("iam").delete_role(RoleName=CONTAINMENT_ROLE)
    assert found[0] == found[1] == found[2]
    assert len(snapshot._kept) == 1


def test_given_kept_endpoints_when_calls_are_made_then_they_are_those_of_botocore(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    resolved: list[Any] = []
    botocores: Any = EndpointRulesetResolver.construct_endpoint

    def counted(self: Any, *call: Any) -> Any:
        resolved.append(call)
        return botocores(self, *call)

    monkeypatch.setattr(EndpointRulesetResolver, "construct_endpoint", counted)
    cases: list[tuple[Any, str, Any]] = [
        ("dynamodb", "GetItem", {"TableName": "ledger"}),
        ("dynamodb", "GetItem", {"TableName": f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/ledger"}),
        ("iam", "GetRole", {"RoleName": "a"}),
        ("s3", "PutObject", {"Bucket": "bucket"}),
        ("s3", "PutObject", {"Bucket": "other"}),
    ]
    with endpoints.kept():
        for service, operation, parameters in cases:
            client = boto3.session.Session().client(service, region_name="eu-west-1")
            model = client.meta.service_model.operation_model(operation)
            kept: Any = client._ruleset_resolver
            first = kept.construct_endpoint(model, parameters, {})
            assert first == botocores(kept, model, parameters, {})
            resolved.clear()
            assert kept.construct_endpoint(model, parameters, {}) == first
            assert len(resolved) == (service == "s3")
