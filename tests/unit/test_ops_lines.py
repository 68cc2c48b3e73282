"""Lines of the verification about AWS, to the letter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from ir_router.errors import NotConfiguredError, RetryLaterError, UncertainError
from ir_router.ops import names, regions, watching
from ir_router.ops.checks import APPLY, Check, count, failed, ok, run_checks, waiting, warning
from ir_router.settings import settings
from tests.support.answers import ClientAnswers, client_error


@pytest.mark.parametrize(
    ("raised", "detail", "fix"),
    [
        *(
            (
                client_error(code),
                "the function has no permission to call GetRole",
                (
                    "Run make deploy to restore the role's permissions. If that does not help, check service control "
                    "policies."
                ),
            )
            for code in ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError")
        ),
        *(
            (client_error(code), f"it does not exist (GetRole returned {code})", "fix it")
            for code in (
                "NotFoundException",
                "QueueDoesNotExist",
                "AWS.SimpleQueueService.NonExistentQueue",
                "NoSuchEntity",
            )
        ),
        (
            client_error("ValidationError"),
            "GetRole returned ValidationError",
            "Run make verify again in a few minutes.",
        ),
        (client_error(""), "GetRole returned Unknown", "Run make verify again in a few minutes."),
        (
            NotConfiguredError("IR_X is not set."),
            "IR_X is not set.",
            "Fix the cause in the message, then run make verify again.",
        ),
    ],
    ids=repr,
)
def test_given_a_call_that_fails_when_verified_then_the_line_names_cause_and_fix(
    raised: Exception, detail: str, fix: str
) -> None:
    def look() -> Iterator[Check]:
        yield ok("first", "fine")
        raise raised

    assert list(run_checks("role", look, missing="fix it")) == [
        ok("first", "fine"),
        Check("role", "failed", detail, fix, error="lasting"),
    ]


@pytest.mark.parametrize(
    ("raised", "detail"),
    [
        (client_error("Throttling"), "GetRole returned Throttling"),
        (ReadTimeoutError(endpoint_url="x"), "AWS did not answer (ReadTimeoutError)"),
        (UncertainError("AWS", "ListCases", "timeout"), "AWS did not confirm ListCases (timeout)"),
        (RetryLaterError("AWS", "ListCases", "Throttled", 1), "AWS throttled ListCases (Throttled)"),
    ],
    ids=repr,
)
def test_given_a_failure_that_may_pass_when_verified_then_the_line_is_unread(raised: Exception, detail: str) -> None:
    def look() -> Iterator[Check]:
        yield ok("first", "fine")
        raise raised

    assert list(run_checks("role", look)) == [
        ok("first", "fine"),
        Check("role", "failed", detail, "Run make verify again in a few minutes.", error="passing"),
    ]


def test_given_lines_when_answered_then_only_ok_and_warning_count_as_ok() -> None:
    answers = [
        one.as_answer() for one in (ok("a", "b"), warning("a", "b", "c"), waiting("a", "b", "c"), failed("a", "b", "c"))
    ]
    assert answers == [
        {"name": "a", "ok": True, "state": "ok", "detail": "b", "mend": ""},
        {"name": "a", "ok": True, "state": "warning", "detail": "b", "mend": "c"},
        {"name": "a", "ok": False, "state": "waiting", "detail": "b", "mend": "c"},
        {"name": "a", "ok": False, "state": "failed", "detail": "b", "mend": "c"},
    ]
    assert [count(number, "entry", "entries") for number in (0, 1, 2)] == ["0 entries", "1 entry", "2 entries"]
    assert APPLY == "Run make deploy. Terraform restores it."


def answering(monkeypatch: pytest.MonkeyPatch, **answers: Any) -> ClientAnswers:
    client = ClientAnswers(**answers)
    monkeypatch.setattr(regions, "client", lambda _name, _region: client)
    return client


@pytest.mark.parametrize(
    ("arns", "state", "detail"),
    [
        ([], "warning", "no subscription, so no recipient gets alerts"),
        (["arn:a"], "ok", "1 subscription"),
        (["arn:a", "arn:b"], "ok", "2 subscriptions"),
        (["arn:a", "PendingConfirmation"], "warning", "1 of 2 subscriptions confirmed"),
        (["PendingConfirmation"], "warning", "0 of 1 subscription confirmed, so no recipient gets alerts"),
        (["arn:a", "Deleted"], "warning", "a subscription was removed; 1 of 2 subscriptions left"),
        (["Deleted"], "warning", "a subscription was removed; 0 of 1 subscription left, so no recipient gets alerts"),
    ],
)
def test_given_subscriptions_of_a_topic_when_verified_then_only_confirmed_ones_count(
    monkeypatch: pytest.MonkeyPatch, arns: list[str], state: str, detail: str
) -> None:
    pages = [{"Subscriptions": [{"SubscriptionArn": arn}]} for arn in arns]
    client = answering(monkeypatch, list_subscriptions_by_topic=pages)

    (line,) = watching._topic("alert topic", "arn:topic", "eu-west-1")

    assert (line.name, line.state, line.detail) == ("alert topic", state, detail)
    assert bool(line.fix) is (state != "ok")
    assert client.asked == [
        ("get_topic_attributes", {"TopicArn": "arn:topic"}),
        ("list_subscriptions_by_topic", {"TopicArn": "arn:topic"}),
    ]


@pytest.mark.parametrize(
    ("alarms", "line"),
    [
        ({"a": True, "b": True}, ok("alarms", "2 alarms notify the alert topic")),
        ({"a": True}, failed("alarms", "1 of 2 missing: b", APPLY)),
        ({"a": False, "b": True}, warning("alarms", "1 alarm does not notify the alert topic: a", APPLY)),
        ({"a": False, "b": False}, warning("alarms", "2 alarms do not notify the alert topic: a, b", APPLY)),
    ],
)
@pytest.mark.parametrize("silent", [{"ActionsEnabled": False, "AlarmActions": ["arn:t"]}, {"ActionsEnabled": True}])
def test_given_alarms_when_verified_then_each_exists_and_notifies(
    monkeypatch: pytest.MonkeyPatch, alarms: dict[str, bool], line: Check, silent: dict[str, Any]
) -> None:
    notifying = {"ActionsEnabled": True, "AlarmActions": ["arn:x", "arn:t"]}
    found = [{"AlarmName": name} | (notifying if notifies else silent) for name, notifies in alarms.items()]
    client = answering(monkeypatch, describe_alarms={"MetricAlarms": found})
    monkeypatch.setattr(names, "alarm_topic", lambda: "arn:other")

    assert list(watching._alarms("alarms", ["a", "b"], "arn:t", "eu-west-1")) == [line]
    assert client.asked == [("describe_alarms", {"AlarmNames": ["a", "b"], "MaxRecords": 100})]
    monkeypatch.setattr(names, "alarm_topic", lambda: "arn:t")
    (other,) = watching._alarms("alarms", ["a", "b"], "arn:t", "eu-west-1")
    assert other.detail == line.detail.replace("alert topic", "alarm topic")


@pytest.mark.parametrize(
    ("group", "shown"),
    [
        ({"retentionInDays": 400, "kmsKeyId": "key"}, ""),
        ({"retentionInDays": 30, "kmsKeyId": "key"}, "kept for 30 days instead of 400"),
        ({"kmsKeyId": "key"}, "kept for ever instead of 400"),
        ({"retentionInDays": 400}, "not encrypted with the key of ir-router"),
        (None, "missing"),
    ],
)
def test_given_log_groups_when_verified_then_retention_and_key_are_those_of_terraform(
    monkeypatch: pytest.MonkeyPatch, group: dict[str, Any] | None, shown: str
) -> None:
    monkeypatch.setenv("IR_KEY_ARN", "key")
    settings.cache_clear()
    monkeypatch.setattr(names, "log_groups", lambda: ["a", "access"])
    monkeypatch.setattr(names, "access_log_group", lambda: "access")
    access = {"logGroupName": "access", "retentionInDays": 7, "kmsKeyId": "key"}
    pages = [{"logGroups": [access, *([{"logGroupName": "a", **group}] if group is not None else [])]}]
    answering(monkeypatch, describe_log_groups=pages)

    (line,) = watching._log_groups()

    settings.cache_clear()
    if not shown:
        assert line == ok("log groups", "all 2, with their retention and key")
    elif shown == "missing":
        assert line == failed("log groups", "missing, so their log lines are lost: a", APPLY)
    else:
        assert (line.state, line.detail) == ("failed", f"changed: a ({shown})")
        assert line.fix.endswith("PutRetentionPolicy and DisassociateKmsKey are in CloudTrail.")
