"""Complete runs of the operations."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from ir_router.deadline import of_invocation
from ir_router.errors import RefusedError
from ir_router.ops import activity, forget, names, oversized, replay, rules, verify
from ir_router.ops.checks import Check, failed, ok
from ir_router.ops.names import Rule
from tests.support.requests_to_aws import requests
from tests.support.texts.operations import CONTEXT, Slack, error_with
from tests.support.texts.verification import ENVIRONMENT, HOME, Cases


def texts() -> dict[str, Any]:
    """Return each text by its situation."""
    found = {name: requests(call, *answers, environment=ENVIRONMENT) for name, (call, answers) in _runs().items()}
    changes = {
        "IR_DETECTIONS_DISABLED": '["a", "b"]',
        "IR_SEVERITY_OVERRIDES": '{"c": "LOW", "d": "HIGH"}',
        "IR_EXTRA_DETECTIONS": "digest",
    }
    row = {"entries": '[{"id": "e"}, {"id": "f"}]'}
    for number in range(4):
        given = {**ENVIRONMENT, **dict(list(changes.items())[:number])}
        found[f"{number} changes of the detections"] = requests(
            lambda: list(rules._changed_detections()), row, environment=given
        )
    found["activity without an access log"] = requests(
        lambda: list(activity._requests()), environment={**ENVIRONMENT, "IR_API_ACCESS_LOGS": "false"}
    )
    return found


def _runs() -> Cases:
    def run(call: Callable[[], Any], *changes: tuple[Any, str, Any]) -> Callable[[], Any]:
        def changed() -> Any:
            with pytest.MonkeyPatch.context() as patch:
                for place, name, value in changes:
                    patch.setattr(place, name, value)
                found = call()
                return list(found) if hasattr(found, "__next__") else found

        return changed

    def message(number: int, body: Any, **more: Any) -> Any:
        text = body if isinstance(body, str) else json.dumps(body)
        return {"MessageId": f"m{number}", "Body": text, "ReceiptHandle": f"r{number}", "Attributes": {}, **more}

    def by(rule: str, target: str) -> Any:
        found = {"RULE_ARN": f"arn:aws:events:r:1:rule/{rule}", "TARGET_ARN": target}
        return {"MessageAttributes": {name: {"StringValue": value} for name, value in found.items()}}

    intake = {"Attributes": {"DeadLetterQueueSourceArn": f"arn:aws:sqs:{HOME}:111122223333:prefix-intake"}}
    event, queue, left = {"source": "security-ir", "detail-type": "T"}, {"QueueUrl": "u"}, {"Attributes": LEFT}
    huge = {"id": "big", "detail": {"text": "x" * 300_000}}
    sync, states = "arn:aws:lambda:r:1:function:prefix-sync", "arn:aws:states:r:1:stateMachine:m"
    failures = [
        message(1, event, **by("prefix-approvals", sync)),
        message(2, {"id": "i2"}, **by("prefix-upkeep", states)),
        message(3, event, **by("prefix-poll", "arn:aws:logs:r:1:log-group:g")),
        message(4, {"id": "i4"}, **intake),
        message(5, "["),
        message(6, {"detail-type": "Scheduled Event"}, **by("prefix-poll", sync)),
        message(7, event, **by("forged", sync)),
    ]
    dead = {"DeadLetterQueueSourceArn": "arn:q", "MessageGroupId": "g"}
    letters = [
        message(1, {"kind": "attachment", "attachment_id": "a", "case_id": "1"}, Attributes=dead),
        message(2, {}, Attributes={**dead, "DeadLetterQueueSourceArn": "arn:other"}),
        message(3, {"event": {"type": "message", "channel": "C1"}}, Attributes=dead),
        message(4, {}, Attributes=dead),
    ]
    fifo = {"Attributes": {"RedrivePolicy": '{"deadLetterTargetArn": "arn:q:dead"}', "QueueArn": "arn:q"}}
    found = [
        Check("a", "ok", "d"),
        Check("b", "warning", "d", "f"),
        Check("c", "waiting", "d"),
        Check("d", "failed", "d"),
    ]
    kinds = ("workflow", "intake", "bus", "sync", "workflow")
    three = [Rule(f"r{number}", "default", kind, "ENABLED", HOME) for number, kind in enumerate(kinds)]  # type: ignore[arg-type]
    looks: Any = [iter([ok("rule", "fine")]) for _ in three[1:]]
    person = [
        {"user": {"profile": {"email": "Jane@x.com"}}},
        [{"index_sk": "1", "closed": True}, {"index_sk": "2"}, {"index_sk": "3", "closed": True}],
        [{"by": "jane@x.com", "names": {"x"}}], {}, None, {}, {"Payload": io.BytesIO()},
        [{"by": "U012"}],
        [{"by": "U0123"}],
    ]  # fmt: skip
    return {
        "run of replay": (
            run(lambda: replay.run_operation({"queue": "failures"}, CONTEXT)),
            [
                queue,
                {"Messages": failures},
                {"Payload": io.BytesIO()},
                {},
                {},
                {},
                {"Entries": [{}]},
                {},
                queue,
                {},
                {},
                {},
                {},
                left,
            ],
        ),
        "run of replay of dead letters": (
            run(lambda: replay.run_operation({"queue": "files", "limit": 50}, CONTEXT)),
            [fifo, queue, {"Messages": letters}, {}, {}, error_with("Throttling"), left],
        ),
        "run of replay at its limit": (
            run(lambda: replay.run_operation({"queue": "failures", "limit": 1}, CONTEXT)),
            [queue, {"Messages": failures[4:5]}, left],
        ),
        "run of replay with a lost answer": (
            run(lambda: replay.run_operation({"queue": "failures", "limit": 1}, CONTEXT)),
            [queue, {"Messages": failures[3:4]}, ReadTimeoutError(endpoint_url="x"), left],
        ),
        "run of oversized events": (
            run(lambda: list(oversized._from_queue(of_invocation(CONTEXT, reserve=1)))),
            [
                *([queue, {"Attributes": {"MaximumMessageSize": "1048576"}}] * 2),
                {
                    "Messages": [
                        message(1, huge, **by("prefix-upkeep", states)),
                        message(2, huge, **intake),
                        message(3, huge),
                        *failures[:1],
                    ]
                },
                {},
                {},
                queue,
                {},
                {},
                {"Messages": []},
            ],
        ),
        "run of forget": (
            run(lambda: forget.run_operation({"person": " U012 "}, CONTEXT), (forget, "Slack", lambda _: Slack())),
            person,
        ),
        "run of forget without time": (
            run(
                lambda: forget.run_operation(
                    {"person": "a@x.com"}, SimpleNamespace(get_remaining_time_in_millis=lambda: 60_000)
                ),
                (forget, "Slack", lambda _: Slack()),
            ),
            [RefusedError("Slack", "users.lookupByEmail", "users_not_found"), [{"index_sk": "1"}]],
        ),
        "run of verify": (
            run(
                lambda: verify.run_operation({}, CONTEXT),
                (verify, "_checks", lambda _: iter(found)),
                (verify, "_probe", dict),
                (verify, "__version__", "1"),
            ),
            [],
        ),
        "run of verify that is fine": (
            run(
                lambda: verify.run_operation({}, CONTEXT),
                (verify, "_checks", lambda _: iter(found[:2])),
                (verify, "_probe", dict),
                (verify, "__version__", "1"),
            ),
            [],
        ),
        "run of the rules": (
            run(
                rules.checks,
                (names, "rules", lambda **_: iter(three)),
                (
                    rules,
                    "_rule",
                    lambda rule, *_: looks.pop() if rule.name != "r4" else iter([failed("rule r4", "d", "f")]),
                ),
                (rules, "_regions", lambda: ok("regions", "d")),
            ),
            [],
        ),
    }


LEFT = {"ApproximateNumberOfMessages": "2", "ApproximateNumberOfMessagesNotVisible": "3"}
