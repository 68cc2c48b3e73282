"""Requests and results of the operations, and lines of the verification about people and parameters."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

from ir_router import aws
from ir_router.errors import RefusedError
from ir_router.ops import (
    approver_checks,
    credentials,
    envelopes,
    forget,
    formats,
    oversized,
    replay,
    resync,
    verify,
    watch,
)
from ir_router.ops.checks import Check
from tests.support.requests_to_aws import NOW, NoSuchEntityError, conflict, requests
from tests.support.texts.verification import ENVIRONMENT, Cases

CONTEXT: Any = SimpleNamespace(get_remaining_time_in_millis=lambda: 600_000)


def texts() -> dict[str, Any]:
    """Return each text by its situation."""
    cases = _people() | _work()
    found = {name: requests(call, *answers, environment=ENVIRONMENT) for name, (call, answers) in cases.items()}
    slack: Any = Slack()
    denied = requests(
        lambda: list(approver_checks.checks(slack, [])), environment=ENVIRONMENT, otherwise="AccessDenied"
    )
    return {**found, "approvers without permissions": denied}


class Slack:
    """Slack's gateway as a client among the others."""

    def read(self, method: str, **values: str) -> Any:
        """Return the next answer."""
        client: Any = aws.client
        return client("slack").read(method=method, **values)

    def pages(self, method: str, name: str, **values: str) -> Any:
        """Return the next answer."""
        client: Any = aws.client
        return client("slack").pages(method=method, of=name, **values)


SLACK: Any = Slack()


def _people() -> Cases:
    made = datetime.fromtimestamp(NOW, UTC)

    def parameter(value: str, days: float = 0, version: int = 2) -> Any:
        return {"Parameter": {"Value": value, "Version": version, "LastModifiedDate": made - timedelta(days=days)}}

    token, secret = parameter("xoxb-1-2-a", 91), parameter("a" * 32, 3)
    missing = RefusedError("Slack", "conversations.info", "channel_not_found")
    return {
        "parameters": (credentials.checks, [token, secret, parameter("T12345678"), parameter("sec")]),
        "parameters, not set": (
            credentials.checks,
            [parameter(""), parameter("not-configured"), parameter("t"), parameter("A")],
        ),
        "parameters, wrong": (
            credentials.checks,
            [parameter("xoxb"), parameter("g" * 32, 2), parameter("T1"), parameter("a" * 49)],
        ),
        "parameters, age": (credentials.age, [{"Parameter": {"LastModifiedDate": made}}, secret]),
        "probe, no secret": (verify._probe, [parameter("")]),
        "probe, not read": (verify._probe, [NoSuchEntityError()]),
        "formats": (
            lambda: [
                [one.name, one.looks]
                for one in (formats.BOT_TOKEN, formats.SIGNING_SECRET, formats.WORKSPACE_ID, formats.CHANNEL_PREFIX)
            ],
            [],
        ),
        "security channel, none": (lambda: approver_checks._security_channel(SLACK), []),
        "security channel": (
            lambda: approver_checks._security_channel(SLACK),
            [{"state": "done", "channel_id": "C1"}, {"channel": {"name": "n", "is_member": True}}],
        ),
        "security channel, not seen": (
            lambda: approver_checks._security_channel(SLACK),
            [{"state": "done", "channel_id": "C1"}, missing],
        ),
        "security channel, archived": (
            lambda: approver_checks._security_channel(SLACK),
            [{"state": "done", "channel_id": "C1"}, {"channel": {"name": "n", "is_archived": True}}],
        ),
        "security channel, without the app": (
            lambda: approver_checks._security_channel(SLACK),
            [{"state": "done", "channel_id": "C1"}, {"channel": {"name": "n"}}],
        ),
    }


def _work() -> Cases:
    rule = {"RULE_ARN": "arn:aws:events:r:1:rule/bus/r"}
    event = {"detail-type": "T", "detail": {"caseId": "12"}, "id": "i", "source": "security-ir"}
    called = {"StatusCode": 200, "Payload": io.BytesIO(b'{"outcome": "held"}')}
    queue, region = {"QueueUrl": "u"}, datetime.fromtimestamp(NOW - 3_600, UTC)

    def read(content: Any, **origin: str) -> Any:
        return envelopes.read(content if isinstance(content, str) else json.dumps(content), origin)

    def of_function(payload: Any) -> Any:
        context = {"functionArn": "arn:aws:lambda:r:1:function:prefix-sync:live"}
        return read({"requestContext": context, "requestPayload": payload})

    targets = (
        "arn:aws:lambda:r:1:function:f:live", "arn:aws:states:r:1:stateMachine:m",
        "arn:aws:events:r:1:event-bus/default",
        "arn:aws:sqs:r:1:prefix-intake", "arn:aws:logs:r:1:log-group:g", "arn:aws:sns:r:1:t", "",
    )  # fmt: skip
    origin = {"DeadLetterQueueSourceArn": "arn:q", "MessageGroupId": "g"}
    letter: Any = {"MessageId": "m", "Body": "x", "Attributes": origin}
    return {
        "entries of rules": (
            lambda: [
                *(read(event, **rule, TARGET_ARN=arn) for arn in targets),
                read(event, **rule),
                read({"detail-type": "Scheduled Event"}, **rule, TARGET_ARN=targets[0]),
            ],
            [],
        ),
        "entries of functions": (
            lambda: [
                of_function(one)
                for one in (
                    event,
                    {"task": "poll"},
                    {"task": "verify"},
                    {"task": "slash_command"},
                    {"task": "x", "case_id": "1"},
                    {"decision": "approve", "approval_id": "a"},
                )
            ],
            [],
        ),
        "entries of others": (
            lambda: [read("["), read([]), read({}), read({"requestContext": {}}), read({"requestPayload": {}})],
            [],
        ),
        "entries of the intake": (lambda: [envelopes.of_intake(one) for one in ("[", "[]", json.dumps(event))], []),
        "entries, described": (
            lambda: [
                envelopes.describe(one)
                for one in cast(
                    "tuple[dict[str, Any], ...]",
                    (
                        {},
                        {"detail": 5, "id": "i"},
                        {"detail": {"approval_id": "a", "eventID": "e"}},
                        {"id": 5, "task": "t"},
                        {"detail": {"eventID": "e"}, "id": "i"},
                        {"approval_id": "a", "detail": {"approval_id": "b"}},
                        {"decision": 1},
                        {"case_id": "c", "detail": {"caseId": "d"}},
                    ),
                )
            ],
            [],
        ),
        "messages, described": (
            lambda: [
                envelopes.describe_message(one if isinstance(one, str) else json.dumps(one))
                for one in cast(
                    "tuple[Any, ...]",
                    (
                        "[",
                        [],
                        {"kind": "attachment", "attachment_id": "a", "case_id": "1"},
                        {"kind": "slack_file", "file_id": "F", "channel_id": "C"},
                        {"event": {"type": "message", "channel": "C"}, "event_id": "E"},
                        {"event": 5, "channel_id": "C"},
                    ),
                )
            ],
            [],
        ),
        "replay, sources": (
            lambda: [
                [one.name, one.url, one.back_to, one.came_from]
                for one in [make() for make in replay._sources().values()]
            ],
            [
                *[
                    {"Attributes": {"RedrivePolicy": '{"deadLetterTargetArn": "arn:q:dead"}', "QueueArn": "arn:q"}},
                    queue,
                ]
                * 2,
                queue,
                queue,
            ],
        ),
        "replay, limits": (lambda: replay.run_operation({"limit": 1_001}, CONTEXT), []),
        "replay, no limit": (lambda: replay.run_operation({"limit": 0}, CONTEXT), []),
        "replay, other limit": (lambda: replay.run_operation({"limit": "1"}, CONTEXT), []),
        "replay, other queue": (lambda: replay.run_operation({"queue": "x", "limit": 1}, CONTEXT), []),
        "replay": (
            lambda: replay.run_operation({"queue": "failures", "limit": 1_000}, CONTEXT),
            [
                queue,
                {"Messages": []},
                {"Attributes": {"ApproximateNumberOfMessages": "2", "ApproximateNumberOfMessagesNotVisible": "3"}},
            ],
        ),
        "replay, invoked": (
            lambda: [
                replay._invoke("q", envelopes.Handback("invoke", "w", payload, target=target))
                for target, payload in (
                    ("prefix-workflow", event),
                    ("prefix-sync", {}),
                    ("prefix-sync", event),
                    ("prefix-sync", {"source": "aws.security-ir"}),
                )
            ],
            [{"Payload": io.BytesIO()}] * 2,
        ),
        "replay, sent": (
            lambda: replay._move(replay.Source("files", "u", aws.client("sqs"), "b", "arn:q"), "b", letter, "w"),
            [],
        ),
        "replay, started": (lambda: replay.start({"id": "i" * 80}, "m"), []),
        "replay, started before": (lambda: replay.start({}, "m"), [error_with("ExecutionAlreadyExists")]),
        "replay, not started": (lambda: replay.start({}, "m"), [error_with("Other")]),
        "replay, to the intake": (lambda: replay.to_intake({"Body": "x"}), [queue]),
        "replay, published": (
            lambda: replay._publish("q", envelopes.Handback("publish", "w", {**event, "resources": ["r"]})),
            [{"Entries": [{}]}],
        ),
        "replay, not published": (
            lambda: replay._publish("q", envelopes.Handback("publish", "w", {})),
            [{"FailedEntryCount": 1, "Entries": [{"ErrorCode": "E"}]}],
        ),
        "oversized": (
            lambda: oversized.run_operation({}, CONTEXT),
            [
                queue,
                {"Attributes": {"MaximumMessageSize": "1048575"}},
                {},
                queue,
                {"Attributes": {"MaximumMessageSize": "1048576"}},
                {"Messages": []},
                {
                    "executions": [
                        {"executionArn": "arn:1", "name": "one", "stopDate": region},
                        {"executionArn": "arn:2", "name": "two", "stopDate": region - timedelta(seconds=1)},
                        {"executionArn": "arn:3", "name": "three", "stopDate": region},
                    ]
                },
                {"error": "States.DataLimitExceeded", "input": '{"id": "e1"}'},
                {},
                {"error": "Other", "input": "{}"},
            ],
        ),
        "resync": (lambda: resync.run_operation({"task": "resync", "case_id": "1234567890"}, CONTEXT), [{}, called]),
        "resync, unknown": (lambda: resync.run_operation({"task": "resync", "case_id": ""}, CONTEXT), []),
        "forget": (lambda: forget._mark("12"), []),
        "forget, erased": (lambda: forget._mark("12"), [conflict(erased_at=1)]),
        "forget, open": (lambda: forget._mark("12"), [conflict(a=1)]),
        "forget, an unknown form": (lambda: forget.run_operation({"person": "jane"}, CONTEXT), []),
        "watch, message": (
            lambda: [
                vars(watch._message(new, ended))
                for new, ended in (
                    ([Check("a<", "failed", "d", "Fix it.")], []),
                    ([Check("a", "failed", "d"), Check("b", "warning", "e", "f")], ["c<", "d"]),
                    ([], ["c"]),
                )
            ],
            [],
        ),
    }


def error_with(code: str) -> Any:
    """Return an error of AWS with this code."""
    error = NoSuchEntityError()
    error.response["Error"]["Code"] = code
    return error
