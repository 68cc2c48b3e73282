"""Limits of the modules that all functions share: deadlines, waits, settings, pages, transfers, requests of Slack."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import urllib3
from botocore.exceptions import ClientError

from ir_router import aws, bus, clock, denials, json_text, links, observability, paging, router, transfer, webhook
from ir_router import settings as settings_module
from ir_router.deadline import Deadline, of_invocation
from ir_router.errors import (
    NotConfiguredError,
    OutOfTimeError,
    RefusedError,
    RetryLaterError,
    UncertainError,
    UnknownEventError,
)
from ir_router.transfer import Download

NOW = 1_767_261_720.25


@pytest.fixture(autouse=True)
def _fixed_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)


def test_given_a_deadline_when_exactly_the_needed_time_is_left_then_the_work_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(clock, "sleep", slept.append)
    deadline = Deadline(NOW + 5, NOW + 8)
    deadline.check(5)
    deadline.wait(5)
    for needed in (5.01, 6):
        with pytest.raises(OutOfTimeError):
            deadline.wait(needed)
    Deadline(NOW, NOW).check()
    with pytest.raises(OutOfTimeError):
        Deadline(NOW - 0.1, NOW).check()
    assert (slept, deadline.remaining()) == ([5], 5.0)


def test_given_the_end_of_a_run_when_its_effects_settle_then_the_earlier_of_two_moments_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ir_router.deadline.settings", lambda: SimpleNamespace(settle_seconds=30))
    assert Deadline(NOW, NOW + 8).settle_after == NOW + 38
    assert Deadline(NOW, NOW + 8).settled_from_now == NOW + 30
    assert Deadline(NOW, NOW - 8).settled_from_now == NOW + 22
    context: Any = SimpleNamespace(get_remaining_time_in_millis=lambda: 90_000)
    assert of_invocation(context, reserve=12) == Deadline(NOW + 78, NOW + 90)
    assert of_invocation(context, reserve=12, at_most=60) == Deadline(NOW + 48, NOW + 60)
    assert of_invocation(context, reserve=12, at_most=91) == Deadline(NOW + 78, NOW + 90)


@pytest.mark.parametrize(
    ("value", "is_valid"), [("[1, 2.5]", True), ('[1, "2"]', False), ('["1", 2]', False), ("[]", True), ("{}", False)]
)
def test_given_a_list_of_numbers_when_read_then_each_of_them_must_be_a_number(value: str, *, is_valid: bool) -> None:
    if is_valid:
        assert list(settings_module._numbers({"X": value}, "X", ())) == json.loads(value)
        return
    with pytest.raises(NotConfiguredError):
        settings_module._numbers({"X": value}, "X", ())


@pytest.mark.parametrize("value", ['["a", 1]', '[1, "a"]', "{", '"a"'])
def test_given_a_list_of_strings_when_read_then_each_of_them_must_be_a_string(value: str) -> None:
    assert settings_module.strings({"X": '["a", "b"]'}, "X") == ("a", "b")
    with pytest.raises(NotConfiguredError):
        settings_module.strings({"X": value}, "X")


@pytest.mark.parametrize("value", ['{"a": "b", "c": 1}', '{"c": 1, "a": "b"}', "[]", "{"])
def test_given_pairs_when_read_then_each_value_must_be_a_string(value: str) -> None:
    assert settings_module._pairs({"X": '{"b": "1", "a": "2"}'}, "X") == (("a", "2"), ("b", "1"))
    with pytest.raises(NotConfiguredError):
        settings_module._pairs({"X": value}, "X")


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ('{"release": 2}', {"remediate_approve": 1, "remediate_deny": 1, "release": 2, "contain_over_limit": 1}),
        ('{"release": 3}', None),
        ('{"release": 0}', None),
        ('{"release": 1, "remediate_deny": 3}', None),
        ("[]", None),
    ],
)
def test_given_numbers_of_approvals_when_read_then_each_is_one_or_two(given: str, found: Any) -> None:
    if found is not None:
        assert settings_module._approvals_required({"IR_APPROVALS_REQUIRED": given}) == found
        return
    with pytest.raises(NotConfiguredError):
        settings_module._approvals_required({"IR_APPROVALS_REQUIRED": given})


TOPIC = "arn:aws-cn:sns:cn-north-1:123456789012:pages"


def paged(monkeypatch: pytest.MonkeyPatch, headline: str, text: str = "") -> tuple[str, dict[str, Any]]:
    chosen = SimpleNamespace(require=lambda name: {"page_topic_arn": TOPIC}[name], name_prefix="prefix")
    monkeypatch.setattr(paging, "settings", lambda: chosen)
    parts = paging.message("name", headline, text)
    return parts["subject"], json.loads(parts["message"])


def test_given_a_page_when_made_then_it_has_the_fields_of_an_alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    subject, body = paged(monkeypatch, "  Überfall \n now ", "t" * 2_001)
    alarm = "Überfall now (name)"
    assert subject == 'ALARM: "Uberfall now" in cn-north-1'
    assert (body["AlarmName"], body["NewStateReason"], body["AlarmDescription"]) == (alarm, "Überfall now", "t" * 2_000)
    assert body["AlarmArn"] == f"arn:aws-cn:cloudwatch:cn-north-1:123456789012:alarm:{alarm}"
    assert (body["Region"], body["AWSAccountId"], body["AlarmActions"]) == ("cn-north-1", "123456789012", [TOPIC])
    assert body["StateChangeTime"] == body["AlarmConfigurationUpdatedTimestamp"] == "2026-01-01T10:02:00.250+0000"
    assert body["Trigger"]["Dimensions"] == [{"name": "deployment", "value": "prefix"}]
    assert (body["NewStateValue"], body["OldStateValue"]) == ("ALARM", "OK")


def test_given_a_long_headline_when_paged_then_name_and_subject_keep_their_limits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    subject, body = paged(monkeypatch, "h" * 201)
    assert body["AlarmName"] == f"{'h' * 200} (name)"
    assert (len(subject), subject[-15:]) == (100, 'h" in cn-north-1'[-15:])


class Response:
    """An answer over HTTP with these bytes, which arrive in pieces of at most `piece` bytes."""

    def __init__(self, body: bytes, status: int, piece: int, headers: Mapping[str, str]) -> None:
        self.status, self.headers = status, {name.replace("_", "-"): value for name, value in headers.items()}
        self._body, self._piece = io.BytesIO(body), piece
        self.asked: list[int] = []

    def read(self, amount: int, *, decode_content: bool) -> bytes:
        assert not decode_content
        self.asked.append(amount)
        return self._body.read(min(amount, self._piece))


def opened(body: bytes, **headers: str) -> Download:
    response: Any = Response(body, 200, 4, headers)
    return Download("there", response)


def test_given_a_download_when_it_has_another_length_than_announced_then_it_is_uncertain() -> None:
    exact = opened(b"12345678", Content_Length="8", Content_Type="text/plain")
    assert [exact.read() for _ in range(3)] == [b"1234", b"5678", b""]
    assert (exact.length, exact.content_type) == (8, "text/plain")
    assert exact.sha256 == hashlib.sha256(b"12345678").hexdigest()
    for length in ("7", "9"):
        source = opened(b"12345678", Content_Length=length)
        source.read()
        with pytest.raises(UncertainError):
            list(iter(source.read, b""))
    assert [opened(b"", Content_Length=text).length for text in ("0", "", "²", "-1", "1e3", "9" * 30, "9" * 31)] == [
        0, None, None, None, None, int("9" * 30), None
    ]  # fmt: skip
    assert opened(b"").content_type == "application/octet-stream"


@pytest.mark.parametrize(("limit", "length"), [(100, 12), (12, 12), (11, 12), (8, 12), (7, 8), (0, 4)])
def test_given_no_length_when_measured_then_the_reading_stops_after_the_limit(limit: int, length: int) -> None:
    source = opened(b"x" * 12)
    with source.measured(limit):
        assert source.length == length
        assert source.read(99) == b"x" * length


@pytest.mark.parametrize(
    ("status", "body", "headers", "kind", "seconds"),
    [
        (299, b"", {}, None, 0),
        (300, b"", {}, RefusedError, 0),
        (400, b"<Code>AccessDenied</Code>", {}, RefusedError, 0),
        (403, b"<Code>AccessDenied</Code> Request has expired", {}, RetryLaterError, 5.0),
        (403, b"Request has expired", {}, RefusedError, 0),
        (400, b"<Code>RequestTimeout</Code>", {}, RetryLaterError, 5.0),
        (408, b"", {}, RetryLaterError, 5.0),
        (409, b"", {"Retry_After": "7"}, RetryLaterError, 7.0),
        (425, b"", {"Retry_After": "soon"}, RetryLaterError, 5.0),
        (429, b"", {"Retry_After": "1" * 31}, RetryLaterError, 5.0),
        (410, b"", {"Retry_After": "7"}, RefusedError, 0),
        (499, b"", {}, RefusedError, 0),
        (500, b"<Code>RequestTimeout</Code>", {}, UncertainError, 0),
        (400, b"x" * 4_090 + b"<Code>RequestTimeout</Code>", {}, RefusedError, 0),
    ],
)
def test_given_an_answer_when_checked_then_status_and_code_of_the_beginning_decide(
    status: int, body: bytes, headers: dict[str, str], kind: type[Exception] | None, seconds: float
) -> None:
    response: Any = Response(body, status, 65_536, headers)
    if kind is None:
        transfer._check("s3", "an upload", response)
        return
    with pytest.raises(kind) as error:
        transfer._check("s3", "an upload", response)
    assert getattr(error.value, "seconds", 0) == seconds


@pytest.mark.parametrize(
    ("status", "headers", "is_done"),
    [(412, {"if-none-match": "*"}, True), (412, {"if-none-match": "x"}, False), (412, {}, False), (409, None, False)],
)
def test_given_an_object_that_exists_when_uploaded_conditionally_then_the_upload_has_succeeded(
    monkeypatch: pytest.MonkeyPatch, status: int, headers: dict[str, str] | None, *, is_done: bool
) -> None:
    asked: list[dict[str, Any]] = []
    response = SimpleNamespace(status=status, close=lambda: None, headers={}, read=lambda *_, **__: b"")

    def request(method: str, url: str, **values: Any) -> Any:
        asked.append({"method": method, "url": url, **values})
        return response

    monkeypatch.setattr(transfer, "_pool", lambda: SimpleNamespace(request=request))
    source = opened(b"x")
    if is_done:
        transfer.upload("s3", "PUT", "https://u", source, 1, headers)
    else:
        with pytest.raises((RefusedError, RetryLaterError)):
            transfer.upload("s3", "PUT", "https://u", source, 1, headers)
    sent = {"Content-Length": "1", **(headers or {})}
    assert asked == [
        {
            "method": "PUT",
            "url": "https://u",
            "body": source,
            "headers": sent,
            "redirect": False,
            "preload_content": False,
        }
    ]


def test_given_a_connection_that_breaks_when_an_error_is_read_then_its_status_decides() -> None:
    def read(*_: Any, **__: Any) -> bytes:
        raise urllib3.exceptions.ProtocolError("broken")

    response: Any = SimpleNamespace(status=404, headers={}, read=read)
    with pytest.raises(RefusedError, match="HTTP 404"):
        transfer._check("s3", "an upload", response)


def test_given_events_when_published_then_ten_are_sent_in_a_call_and_each_failure_is_returned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[int] = []

    def put_events(*, Entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:  # noqa: N803 - the API's name
        calls.append(len(Entries))
        if len(calls) == 2:
            raise ClientError({"Error": {"Code": "Throttling"}}, "PutEvents")
        return {"Entries": [{"ErrorCode": "Full"}, {"ErrorCode": ""}, {}]}

    monkeypatch.setattr(aws, "client", {"events": SimpleNamespace(put_events=put_events)}.__getitem__)
    monkeypatch.setattr(bus, "settings", lambda: SimpleNamespace(require=lambda _: "bus"))
    event = bus.Event("s", "t", {})
    assert bus.put([event] * 21) == ["Full", *["Throttling"] * 10, "Full"]
    assert calls == [10, 10, 1]
    calls.clear()
    assert bus.put([event] * 10) == ["Full"]
    assert calls == [10]
    assert bus.put([]) == []


@pytest.mark.parametrize(
    ("text", "is_kept"),
    [("a", True), ("A1" * 64, True), ("a" * 129, False), ("a b", False), ("é", False), ("", False), ("a-b", False)],
)
def test_given_an_id_for_the_queue_when_it_has_other_characters_or_129_of_them_then_its_hash_is_used(
    text: str, *, is_kept: bool
) -> None:
    assert webhook._identifier(text) == (text if is_kept else hashlib.sha256(text.encode()).hexdigest())


@pytest.mark.parametrize(
    ("event", "status"),
    [
        ({"body": "x" * 1_000_000}, 200),
        ({"body": "x" * 1_000_001}, 413),
        ({"body": "é" * 500_000}, 200),
        ({"body": "é" * 500_000 + "x"}, 413),
        ({"body": ""}, 200),
        ({}, 401),
        ({"body": None}, 401),
        ({"body": "?", "isBase64Encoded": True}, 401),
        ({"body": "eA==", "isBase64Encoded": True}, 200),
    ],
)
def test_given_a_body_when_received_then_a_million_bytes_are_the_limit(
    monkeypatch: pytest.MonkeyPatch, event: dict[str, Any], status: int
) -> None:
    monkeypatch.setattr(webhook, "_checked", lambda headers, body: {"statusCode": 200})
    assert webhook.handle(event, None)["statusCode"] == status


@pytest.mark.parametrize(
    ("body", "headers", "is_check"),
    [
        (b"ssl_check=1", {}, True),
        (b"a=b&ssl_check=1&c=d", {}, True),
        (b"ssl_check=1", {"x-slack-signature": "s"}, False),
        (b"ssl_check=10", {}, False),
        (b"assl_check=1", {}, False),
    ],
)
def test_given_an_unsigned_request_when_it_is_the_check_of_the_certificate_then_it_is_recognised(
    body: bytes, headers: dict[str, str], *, is_check: bool
) -> None:
    assert webhook._is_certificate_check(headers, body) is is_check


@pytest.mark.parametrize(
    ("arn", "route"),
    [
        ("arn:aws:sqs:eu:1:a-slack-events.fifo", "slack_event"),
        ("arn:aws:sqs:eu:1:a-files.fifo", "file_transfer"),
        ("arn:aws:sqs:eu:1:a-intake", "intake"),
        ("arn:aws:sqs:eu:1:a-intake-dlq", None),
        ("arn:aws:sqs:eu:1:a-slack-events", None),
    ],
)
def test_given_records_of_a_queue_when_recognised_then_the_end_of_its_name_decides(arn: str, route: str | None) -> None:
    event = {"Records": [{"eventSource": "aws:sqs", "eventSourceARN": arn}, {}]}
    if route:
        assert router.recognise(event) == route
        return
    with pytest.raises(UnknownEventError, match="unknown queue"):
        router.recognise(event)
    with pytest.raises(UnknownEventError, match="unknown queue"):
        router.recognise({"Records": [{"eventSource": "aws:sns", "eventSourceARN": "a-intake"}]})


@pytest.mark.parametrize(
    ("message", "why", "may_pass"),
    [
        ("with an explicit deny in a service control policy", "explicit deny in a service control policy", False),
        (
            "with an explicit deny in an identity-based policy: arn:aws:iam::1:policy/p.",
            "explicit deny in an identity-based policy (arn:aws:iam::1:policy/p)",
            False,
        ),
        ("because no identity-based policy allows the x", "no identity-based policy allows it", True),
        ("because no permissions boundary allows the x", "no permissions boundary allows it", False),
        ("because no VPC endpoint policy allows the x", "no VPC endpoint policy allows it", False),
        ("an explicit deny", "explicit deny", False),
        ("not authorized", "", True),
    ],
)
def test_given_a_denial_of_aws_when_read_then_only_a_new_permission_may_come_to_apply(
    message: str, why: str, *, may_pass: bool
) -> None:
    assert denials.read(message) == denials.Denial(why, may_pass)


def test_given_values_when_written_then_only_characters_that_a_service_rejects_change() -> None:
    value = {"é\ud800": ["😀\udfff", "\ufffe", "\uffff", "\ufffd"]}
    assert json_text.written(value) == '{"é\ufffd": ["😀\ufffd", "\ufffe", "\uffff", "\ufffd"]}'
    assert json_text.for_queue(value) == '{"é\\ud800": ["😀\\udfff", "\\ufffe", "\\uffff", "\ufffd"]}'
    assert json.loads(json_text.for_queue(value)) == value
    assert [observability.identifier(text) for text in ("a/b:c.d#e-1", "a" * 300, "a" * 301, "a b", "é", "", 5)] == [
        "a/b:c.d#e-1", "a" * 300, *["not an id"] * 5
    ]  # fmt: skip
    execution = "arn:aws:states:eu-central-1:1:execution:m:e"
    assert links.execution(execution).startswith("https://eu-central-1.console.aws.amazon.com/states/home?region=eu-")
    others = (
        execution.rpartition(":")[0],
        execution.replace("execution", "stateMachine"),
        execution.replace("es:", "x:"),
    )
    assert [links.execution(arn) for arn in others] == ["", "", ""]
