"""The simulator's shortcuts behave as the parts that they replace."""

from __future__ import annotations

import copy
import http.client
import json
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.hooks
import pytest
import urllib3
from botocore.exceptions import ClientError
from moto.core.request import Request

from ir_sandbox.http import RunningServer
from ir_sandbox.security_ir import SecurityIrService
from ir_sandbox.security_ir.application import Application
from ir_sandbox.slack import Fault, SlackApplication, SlackWorkspace
from tests.support.world import World
from tests.trials.world import loopback, moto_speed

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
        environments[-1]["wsgi.input"] = request.get_data()
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


@pytest.mark.parametrize(
    ("expression", "error"),
    [
        ("SET a = :v SET b = :v", 'The "SET" section can only be used once'),
        ("SET a = :v, b = :v, a = :v", "Two document paths overlap"),
        ("SET a = :v REMOVE b, a", "Two document paths overlap"),
    ],
)
def test_given_an_expression_that_dynamodb_refuses_when_a_row_is_updated_then_it_is_refused(
    world: World, expression: str, error: str
) -> None:
    with pytest.raises(ClientError, match=error):
        boto3.client("dynamodb").update_item(
            TableName="ledger",
            Key={"PK": {"S": "a"}, "SK": {"S": "b"}},
            UpdateExpression=expression,
            ExpressionAttributeValues={":v": {"S": "v"}},
        )


def test_given_an_expression_when_it_is_used_twice_then_each_use_has_its_own_values(world: World) -> None:
    client = boto3.client("dynamodb")
    for number in ("1", "2"):
        client.update_item(
            TableName="ledger",
            Key={"PK": {"S": number}, "SK": {"S": "b"}},
            UpdateExpression="SET a = if_not_exists(a, :zero) + :v, #b = :v",
            ExpressionAttributeNames={"#b": "b"},
            ExpressionAttributeValues={":v": {"N": number}, ":zero": {"N": "10"}},
        )
    rows = [client.get_item(TableName="ledger", Key={"PK": {"S": one}, "SK": {"S": "b"}})["Item"] for one in ("1", "2")]
    assert [(row["a"], row["b"]) for row in rows] == [({"N": "11"}, {"N": "1"}), ({"N": "12"}, {"N": "2"})]
