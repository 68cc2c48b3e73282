"""Read the answers of S3, of the file hosts of Slack, of AWS and of EventBridge, with every status and code."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import zlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import urllib3
from botocore.exceptions import ClientError

from ir_router import aws, bus, transfer
from ir_router.errors import FunctionFailedError, RefusedError, RetryLaterError, UncertainError
from ir_router.settings import settings


class Response:
    """A response of a file host with these headers and this body. `read` can break off with an error."""

    def __init__(self, status: int = 200, body: bytes = b"", breaks: bool = False, **headers: Any) -> None:
        self.status, self._body, self._breaks = status, io.BytesIO(body), breaks
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.closed = 0

    def read(self, amount: int, decode_content: bool) -> bytes:
        assert decode_content is False, "the bytes are stored as they are"
        if self._breaks:
            raise urllib3.exceptions.ProtocolError("broken")
        return self._body.read(amount)

    def close(self) -> None:
        self.closed += 1


class Pool:
    """Connections that give one response and keep the request."""

    def __init__(self, response: Any) -> None:
        self.response = response
        self.asked: tuple[tuple[Any, ...], dict[str, Any]] = ((), {})

    def request(self, *arguments: Any, **options: Any) -> Any:
        self.asked = (arguments, options)
        if isinstance(self.response, Exception):
            raise self.response
        return self.response


def download(monkeypatch: pytest.MonkeyPatch, response: Any, **headers: str) -> tuple[Pool, bytes]:
    pool = Pool(response)
    monkeypatch.setattr(transfer, "_pool", lambda: pool)
    with transfer.download("Slack", "https://files.slack.com/a", headers) as source:
        return pool, b"".join(iter(source.read, b""))


def s3_error(code: str, message: str = "") -> bytes:
    return f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()


# Files


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        *((status, b"", f"HTTP {status}") for status in (408, 409, 425, 429)),
        *(
            (400, s3_error(code), code)
            for code in (
                "BadDigest",
                "IncompleteBody",
                "KMS.ThrottlingException",
                "OperationAborted",
                "RequestTimeTooSkewed",
                "RequestTimeout",
                "TemporaryRedirect",
                "ThrottlingException",
                "ExpiredRequest",
                "ExpiredToken",
            )
        ),
        (403, s3_error("AccessDenied", "Request has expired"), "AccessDenied"),
    ],
)
def test_given_a_rejection_that_passes_when_a_file_is_carried_then_it_is_retried_after_the_wait(
    monkeypatch: pytest.MonkeyPatch, status: int, body: bytes, code: str
) -> None:
    cases: list[tuple[dict[str, Any], float]] = [({}, 5), ({"Retry_After": "70"}, 70), ({"Retry_After": "soon"}, 5)]
    for headers, seconds in cases:
        response = Response(status, body, **headers)
        with pytest.raises(RetryLaterError) as error:
            download(monkeypatch, response)
        assert (error.value.service, error.value.operation) == ("Slack", "a download")
        assert (error.value.code, error.value.seconds) == (code, seconds)
        assert response.closed == 1


@pytest.mark.parametrize(
    ("response", "kind", "shown"),
    [
        (Response(300), RefusedError, "Slack rejected a download (HTTP 300)"),
        (Response(404), RefusedError, "Slack rejected a download (HTTP 404)"),
        (Response(499), RefusedError, "(HTTP 499)"),
        (Response(403, s3_error("AccessDenied", "denied")), RefusedError, "(AccessDenied)"),
        (Response(403, b"Request has expired"), RefusedError, "(HTTP 403)"),
        (Response(403, b" " * 4_096 + s3_error("ExpiredToken")), RefusedError, "(HTTP 403)"),
        (Response(403, breaks=True), RefusedError, "(HTTP 403)"),
        (Response(500, s3_error("RequestTimeout")), UncertainError, "Slack did not confirm a download (HTTP 500)"),
        (Response(200, breaks=True), UncertainError, "(ProtocolError)"),
        (urllib3.exceptions.ProtocolError("broken"), UncertainError, "(ProtocolError)"),
        (Response(200, b"123", Content_Length="2"), UncertainError, "the length differs from Content-Length"),
        (Response(200, b"123", Content_Length="4"), UncertainError, "the length differs from Content-Length"),
    ],
    ids=lambda value: str(getattr(value, "status", value)),
)
def test_given_a_failure_when_a_file_is_downloaded_then_the_error_names_service_operation_and_cause(
    monkeypatch: pytest.MonkeyPatch, response: Any, kind: type[Exception], shown: str
) -> None:
    with pytest.raises(kind) as error:
        download(monkeypatch, response)
    assert shown in str(error.value)


def test_given_a_download_when_it_begins_then_its_bytes_are_asked_for_as_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool, content = download(monkeypatch, Response(299, b"123", Content_Length="3"), Authorization="Bearer t")

    assert content == b"123"
    assert pool.asked == (
        ("GET", "https://files.slack.com/a"),
        {
            "headers": {"Accept-Encoding": "identity", "Authorization": "Bearer t"},
            "preload_content": False,
            "redirect": False,
        },
    )
    assert pool.response.closed == 1


@pytest.mark.parametrize(("header", "length"), [("3", 3), ("x", None), ("", None), (None, None)])
def test_given_headers_when_a_download_is_opened_then_length_and_type_are_theirs(
    header: str | None, length: int | None
) -> None:
    named: dict[str, Any] = {} if header is None else {"Content_Length": header}
    response: Any = Response(**named)
    source = transfer.Download("Slack", response)
    assert (source.length, source.content_type) == (length, "application/octet-stream")
    typed: Any = Response(Content_Type="text/plain")
    assert transfer.Download("Slack", typed).content_type == "text/plain"


def test_given_a_body_without_length_when_measured_then_it_is_stored_up_to_the_limit() -> None:
    body = bytes(range(256)) * 512  # two pieces

    def source(**headers: Any) -> Any:
        response: Any = Response(200, body, **headers)
        return transfer.Download("Slack", response)

    with (measured := source()).measured(len(body)):
        assert measured.length == len(body)
        assert b"".join(iter(measured.read, b"")) == body
    with (large := source()).measured(65_535):
        assert large.length == 65_536, "the rest is not read"
    with (known := source(Content_Length=str(len(body)))).measured(1):
        assert known.length == len(body)


def test_given_checksums_that_are_signed_when_the_body_is_stored_then_both_are_complete() -> None:
    body = bytes(range(256)) * 512
    expected = {
        "content-md5": base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode(),
        "x-amz-checksum-sha1": base64.b64encode(hashlib.sha1(body, usedforsecurity=False).digest()).decode(),
        "x-amz-checksum-sha256": base64.b64encode(hashlib.sha256(body).digest()).decode(),
        "x-amz-checksum-crc32": base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode(),
    }
    response: Any = Response(200, body)
    source = transfer.Download("Slack", response)
    with source.measured(len(body)), source.checked([*expected, "host"]) as found:
        assert found == expected
        assert source.read(len(body)) == body
    again: Any = Response(200, body)
    with transfer.Download("Slack", again).checked(["host"]) as found:
        assert found == {}


@pytest.mark.parametrize("condition", ["*", ""])
def test_given_an_object_that_exists_when_uploaded_under_a_condition_then_the_upload_has_succeeded(
    monkeypatch: pytest.MonkeyPatch, condition: str
) -> None:
    pool = Pool(Response(412))
    monkeypatch.setattr(transfer, "_pool", lambda: pool)
    source: Any = object()
    headers = {"if-none-match": condition} if condition else {}

    if condition:
        transfer.upload("S3", "PUT", "https://s3", source, 7, headers)
    else:
        with pytest.raises(RefusedError, match=r"S3 rejected an upload \(HTTP 412\)"):
            transfer.upload("S3", "PUT", "https://s3", source, 7, headers)
    assert pool.asked == (
        ("PUT", "https://s3"),
        {
            "body": source,
            "headers": {"Content-Length": "7", **headers},
            "redirect": False,
            "preload_content": False,
        },
    )
    assert pool.response.closed == 1


@pytest.mark.parametrize("error", [urllib3.exceptions.ProtocolError("x"), BrokenPipeError()], ids=type)
def test_given_an_upload_that_breaks_off_when_it_ends_then_it_is_uncertain(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(transfer, "_pool", lambda: Pool(error))
    source: Any = None
    with pytest.raises(UncertainError, match=rf"S3 did not confirm an upload \({type(error).__name__}\)"):
        transfer.upload("S3", "PUT", "https://s3", source, 1)


# AWS's answers


def answered(
    protocol: str, body: bytes, status: int = 200, *, streams: bool = False, headers: dict[str, str] | None = None
) -> dict[str, Any]:
    """Return the response after the check for truncated bodies."""
    response: dict[str, Any] = {"body": body, "status_code": status, "headers": headers or {}}
    model: Any = SimpleNamespace(
        has_streaming_output=streams, service_model=SimpleNamespace(resolved_protocol=protocol)
    )
    aws._require_complete(operation_model=model, response_dict=response)
    return response


@pytest.mark.parametrize(
    ("protocol", "body", "status", "streams"),
    [
        ("json", b'{"a": 1}', 200, False),
        ("rest-json", b"", 200, False),
        ("rest-json", b"{", 200, True),
        ("rest-json", b"{", 300, False),
        ("json", b'{"a": "\\ud83d\\ude00"}', 200, False),
        ("query", b"<a></a>", 200, False),
        ("rest-xml", b"<a>", 200, False),
        ("", b"{", 200, False),
        ("json", b'{"__type": "ThrottlingException"}', 400, False),
        ("json", b"Forbidden by the proxy", 403, False),
        ("query", b"<html><body>", 503, False),
        ("query", b"<ErrorResponse></ErrorResponse>", 404, False),
    ],
)
def test_given_a_complete_answer_of_aws_when_checked_then_it_stays_as_it_is(
    protocol: str, body: bytes, status: int, streams: bool
) -> None:
    found = answered(protocol, body, status, streams=streams)
    assert (found["body"], found["status_code"]) == (body, status)


def test_given_a_lone_surrogate_in_an_answer_when_checked_then_it_is_replaced() -> None:
    for escape in (b"\\ud800", b"\\uD800"):
        assert json.loads(answered("json", b'{"a": "' + escape + b'"}')["body"]) == {"a": "\ufffd"}


def test_given_half_an_error_when_a_header_names_it_then_it_stays_as_it_is() -> None:
    headers = {"x-amzn-errortype": "ConflictException"}
    found = answered("rest-json", b'{"message', 409, headers=headers)
    assert (found["body"], found["status_code"]) == (b'{"message', 409)


@pytest.mark.parametrize("status", [200, 299, 400, 404, 500])
@pytest.mark.parametrize(
    ("protocol", "body", "error"),
    [
        (
            "json",
            b'{"a": ',
            b'{"__type": "RequestTimeout", "code": "RequestTimeout", "message": "the response body is truncated"}',
        ),
        ("query", b"<ErrorResponse><Err", b"<ErrorResponse><Error><Code>RequestTimeout</Code></Error></ErrorResponse>"),
        ("query", b"<?xml version", b"<ErrorResponse><Error><Code>RequestTimeout</Code></Error></ErrorResponse>"),
    ],
)
def test_given_half_an_answer_of_aws_when_checked_then_it_is_a_server_error_that_botocore_retries(
    protocol: str, body: bytes, error: bytes, status: int
) -> None:
    found = answered(protocol, body, status)
    assert (found["body"], found["status_code"]) == (error, 500)


@pytest.mark.parametrize(
    ("status", "code", "after"),
    [(200, "RequestTimeout", 500), (299, "RequestTimeout", 500), (300, "RequestTimeout", 300), (200, "Other", 200)],
)
def test_given_the_last_attempt_when_its_answer_was_half_then_botocore_raises_it(
    status: int, code: str, after: int
) -> None:
    http = SimpleNamespace(status_code=status)
    aws._fail_when_incomplete(response=(http, {"Error": {"Code": code}}))
    assert http.status_code == after
    aws._fail_when_incomplete(response=(http, {}))
    assert http.status_code == after
    aws._fail_when_incomplete(response=None)


@pytest.mark.parametrize(
    ("status", "wait", "raised"),
    [(429, "2", True), (429, "1", False), (429, "soon", False), (429, None, False), (503, "60", False)],
)
def test_given_a_throttled_call_when_the_wait_is_longer_than_botocores_then_the_caller_waits(
    status: int, wait: str | None, raised: bool
) -> None:
    http = SimpleNamespace(status_code=status, headers={"Retry-After": wait} if wait else {})
    attempt = {"response": (http, {"Error": {"Code": "Slow"}}), "operation": SimpleNamespace(name="ListCases")}
    if raised:
        with pytest.raises(ClientError, match=r"\(Slow\).*ListCases"):
            aws._keep_a_long_wait(**attempt)
    else:
        aws._keep_a_long_wait(**attempt)
    aws._keep_a_long_wait(response=None)


@pytest.fixture
def lambda_client(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Return the calls of functions. The answer of a function is the first element of the list before the call."""
    calls: list[Any] = []

    def invoke(**arguments: Any) -> Any:
        answer = calls.pop(0)
        calls.append(arguments)
        return answer

    def create_client(name: str, config: Any) -> Any:
        calls.append((name, config.read_timeout, config.connect_timeout, config.retries))
        return SimpleNamespace(invoke=invoke)

    monkeypatch.setattr(aws, "session", lambda: SimpleNamespace(create_client=create_client))
    yield calls
    monkeypatch.undo()


def test_given_a_function_when_invoked_then_once_with_its_own_timeout_and_its_error_is_raised(
    lambda_client: list[Any],
) -> None:
    lambda_client.append({"Payload": io.BytesIO(b'{"ok": true}')})
    assert aws.invoke("security-incident-sync", {"task": "poll"}, seconds=77) == {"ok": True}
    assert lambda_client == [
        ("lambda", 77, 2, {"total_max_attempts": 1}),
        {"FunctionName": "security-incident-sync", "Payload": b'{"task": "poll"}'},
    ]

    lambda_client[:] = [
        {"FunctionError": "Unhandled", "Payload": io.BytesIO(b'{"errorType": "E", "errorMessage": "m"}')}
    ]
    with pytest.raises(FunctionFailedError, match=r"^security-incident-sync raised E: m$"):
        aws.invoke("security-incident-sync", {}, seconds=1)


# EventBridge


def test_given_events_when_published_then_ten_in_a_call_and_each_failure_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[list[dict[str, Any]]] = []

    def put_events(Entries: list[dict[str, Any]]) -> Any:  # noqa: N803 - botocore's name
        calls.append(Entries)
        if len(calls) == 1:
            return {"Entries": [{"EventId": "1"}, {"ErrorCode": "ThrottlingException"}]}
        raise ClientError({"Error": {} if len(calls) == 3 else {"Code": "InternalFailure"}}, "PutEvents")

    monkeypatch.setattr(aws, "client", {"events": SimpleNamespace(put_events=put_events)}.__getitem__)
    monkeypatch.setenv("IR_EVENT_BUS_NAME", "bus")
    settings.cache_clear()
    events = [bus.Event("security-ir", "CaseUpdated", {"caseId": str(number)}, ["arn"]) for number in range(21)]

    assert bus.put(events) == ["ThrottlingException", *["InternalFailure"] * 10, "unknown"]
    settings.cache_clear()
    assert [len(entries) for entries in calls] == [10, 10, 1]
    assert calls[2] == [
        {
            "EventBusName": "bus",
            "Source": "security-ir",
            "DetailType": "CaseUpdated",
            "Detail": '{"caseId": "20"}',
            "Resources": ["arn"],
        }
    ]
