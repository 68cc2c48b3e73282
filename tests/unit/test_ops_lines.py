"""Lines of the verification, and the entries of the failures queue, to the letter."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from ir_router import aws, clock
from ir_router.cases.models import CaseRow, Person
from ir_router.errors import NotConfiguredError, RefusedError, RetryLaterError, UncertainError
from ir_router.ops import envelopes, membership, names, regions, watching
from ir_router.ops.checks import APPLY, Check, count, failed, ok, run_checks, waiting, warning
from ir_router.ops.envelopes import Handback
from ir_router.security_ir import gateway
from ir_router.settings import settings
from ir_router.sync import availability
from ir_router.sync.availability import Problem

# Lines


def error(code: str, operation: str = "GetRole") -> ClientError:
    return ClientError({"Error": {"Code": code}}, operation) if code else ClientError({}, operation)


@pytest.mark.parametrize(
    ("raised", "detail", "fix"),
    [
        *(
            (
                error(code),
                "the function has no permission to call GetRole",
                (
                    "Run make deploy to restore the role's permissions. If that does not help, check service control "
                    "policies."
                ),
            )
            for code in ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError")
        ),
        *(
            (error(code), f"it does not exist (GetRole returned {code})", "fix it")
            for code in (
                "NotFoundException",
                "QueueDoesNotExist",
                "AWS.SimpleQueueService.NonExistentQueue",
                "NoSuchEntity",
            )
        ),
        (error("Throttling"), "GetRole returned Throttling", "Run make verify again in a few minutes."),
        (error(""), "GetRole returned Unknown", "Run make verify again in a few minutes."),
        (
            ReadTimeoutError(endpoint_url="x"),
            "AWS did not answer (ReadTimeoutError)",
            "Run make verify again in a few minutes.",
        ),
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
        Check("role", "failed", detail, fix),
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


# Topics and alarms


class Client:
    """A client whose operations and pages give these answers."""

    def __init__(self, **answers: Any) -> None:
        self._answers = answers
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, operation: str) -> Any:
        def call(**arguments: Any) -> Any:
            self.asked.append((operation, arguments))
            return self._answers.get(operation, {})

        return call

    def get_paginator(self, operation: str) -> Any:
        def paginate(**arguments: Any) -> Any:
            self.asked.append((operation, arguments))
            return self._answers[operation]

        return SimpleNamespace(paginate=paginate)


def answering(monkeypatch: pytest.MonkeyPatch, **answers: Any) -> Client:
    client = Client(**answers)
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


def test_given_a_dashboard_when_verified_then_only_its_exact_name_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "dashboard", lambda: "acme")
    for found, line in (
        (["acme-2", "acme"], ok("dashboard", "acme")),
        (["acme-2"], failed("dashboard", "acme does not exist", APPLY)),
    ):
        client = answering(
            monkeypatch, list_dashboards=[{"DashboardEntries": [{"DashboardName": one}]} for one in found]
        )
        assert list(watching._dashboard()) == [line]
        assert client.asked == [("list_dashboards", {"DashboardNamePrefix": "acme"})]


@pytest.mark.parametrize(
    ("group", "shown"),
    [
        ({"retentionInDays": 90, "kmsKeyId": "key"}, ""),
        ({"retentionInDays": 30, "kmsKeyId": "key"}, "kept for 30 days instead of 90"),
        ({"kmsKeyId": "key"}, "kept for ever instead of 90"),
        ({"retentionInDays": 90}, "not encrypted with the key of ir-router"),
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


# Cases


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        (
            UncertainError("AWS", "ListCases", "EndpointConnectionError"),
            ("failed", "AWS Security Incident Response has no reachable endpoint in this region (us-east-1)"),
        ),
        (
            RefusedError("AWS", "ListCases", "SecurityIncidentResponseNotActiveException"),
            (
                "failed",
                "no active membership of the service in this account and region (us-east-1), so no cases",
            ),
        ),
        (RefusedError("AWS", "ListCases", "AccessDenied"), ("failed", "cases cannot be read (AccessDenied)")),
        (([], None), ("ok", "readable; 0 found: 0 of 50 active self-managed, 0 of 10 active AWS-supported")),
        (
            ([CaseRow(case_id="1", resolver_type="Self")], "more"),
            (
                "ok",
                "readable; 20 or more found: 20 of 50 active self-managed, 0 of 10 active AWS-supported",
            ),
        ),
        (
            ([CaseRow(case_id="1", resolver_type="AWS")] * 10, None),
            (
                "warning",
                (
                    "readable; 10 found: 0 of 50 active self-managed, 10 of 10 active AWS-supported. A quota is "
                    "reached, so AWS opens no more cases"
                ),
            ),
        ),
    ],
    ids=repr,
)
def test_given_cases_when_verified_then_the_line_counts_them_or_names_the_cause(
    monkeypatch: pytest.MonkeyPatch, answer: Any, line: tuple[str, str]
) -> None:
    asked: list[str | None] = []

    def list_cases(token: str | None) -> Any:
        asked.append(token)
        if isinstance(answer, Exception):
            raise answer
        return answer

    settings.cache_clear()
    monkeypatch.setattr(gateway, "list_cases", list_cases)
    (found,) = membership._cases()
    assert (found.name, found.state, found.detail) == ("cases", *line)
    assert asked == ([None, *["more"] * 19] if "20 or more" in line[1] else [None])


def test_given_a_connection_that_fails_otherwise_when_verified_then_the_error_names_the_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> Any:
        raise UncertainError("AWS", "ListCases", "ReadTimeoutError")

    monkeypatch.setattr(gateway, "list_cases", fail)
    monkeypatch.setattr(aws, "client", fail)
    lines = [(line.name, line.state, line.detail) for line in membership.checks([])]
    assert lines == [
        ("membership", "failed", "AWS did not confirm ListCases (ReadTimeoutError)"),
        ("cases", "failed", "AWS did not confirm ListCases (ReadTimeoutError)"),
    ]


@pytest.mark.parametrize(
    ("statuses", "team", "shown"),
    [
        (["Active"], ["jane"], [("membership", "ok", "active"), ("response team", "ok", "1 person")]),
        (
            ["Active", "Cancelled"],
            ["jane", "bob"],
            [("membership", "ok", "active"), ("response team", "ok", "2 people")],
        ),
        (
            [None],
            [],
            [
                ("membership", "ok", "active"),
                (
                    "response team",
                    "warning",
                    "the team is empty: only a case's watchers are invited to its channel",
                ),
            ],
        ),
        (
            ["Terminated", "Cancelled"],
            [],
            [("membership", "failed", "the membership is Cancelled, Terminated (us-east-1)")],
        ),
        ([], [], [("membership", "failed", "no membership in this account and region (us-east-1)")]),
    ],
    ids=str,
)
def test_given_memberships_when_verified_then_one_must_be_active_and_its_team_counts(
    monkeypatch: pytest.MonkeyPatch, statuses: list[str | None], team: list[str], shown: list[tuple[str, str, str]]
) -> None:
    settings.cache_clear()
    pages = [{"items": [{"membershipStatus": one} if one else {}]} for one in statuses]
    monkeypatch.setattr(aws, "client", lambda _name: Client(list_memberships=pages))
    people = [Person(email=f"{name}@example.com") for name in team]
    monkeypatch.setattr(gateway, "response_team", lambda: people)
    found: list[Person] = []
    assert [(line.name, line.state, line.detail) for line in membership._membership(found)] == shown
    assert found == people

    def unreachable(_name: str) -> Any:
        raise EndpointConnectionError(endpoint_url="x")

    monkeypatch.setattr(aws, "client", unreachable)
    (line,) = membership._membership([])
    assert line.detail == "AWS Security Incident Response has no reachable endpoint in this region (us-east-1)"


# The list of cases


@pytest.mark.parametrize(
    ("raised", "problem"),
    [
        (RefusedError("AWS", "ListCases", "AccessDenied"), Problem("AccessDenied", is_persistent=True)),
        (RetryLaterError("AWS", "ListCases", "Throttling", 1), Problem("Throttling", is_persistent=False)),
        (UncertainError("AWS", "ListCases", "ReadTimeoutError"), Problem("ReadTimeoutError", is_persistent=False)),
        (
            UncertainError("AWS", "ListCases", "EndpointConnectionError"),
            Problem("EndpointConnectionError", is_persistent=True),
        ),
    ],
    ids=repr,
)
def test_given_an_error_of_the_list_when_read_then_an_operator_must_act_or_not(raised: Any, problem: Problem) -> None:
    assert availability.problem_of(raised) == problem
    assert not problem.is_known_state
    assert Problem("SecurityIncidentResponseNotActiveException", is_persistent=True).is_known_state


def test_given_a_problem_when_noticed_then_the_verification_starts_once_and_once_more_when_it_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, started = [1_000.0], list[tuple[str, Any]]()
    monkeypatch.setattr(clock, "now", lambda: now[0])
    monkeypatch.setattr(aws, "invoke_later", lambda *call: started.append(call))
    settings.cache_clear()
    gone = Problem("EndpointConnectionError", is_persistent=True)
    state = availability.noticed(None, gone)
    assert state == {"since": 1_000, "reported": ""}
    now[0] = 1_149.9
    assert availability.noticed(state, gone) == state
    assert started == []
    now[0] = 1_150
    state = availability.noticed(state, gone)
    assert state == {"since": 1_000, "reported": "EndpointConnectionError"}
    assert started == [("security-incident-operations", {"task": "watch", "now": True})]
    assert availability.noticed(state, gone) == state
    assert availability.noticed(state, Problem("Throttling", is_persistent=False)) == state
    assert len(started) == 1
    denied = availability.noticed(state, Problem("AccessDenied", is_persistent=True))
    assert denied == {"since": 1_000, "reported": "AccessDenied"}
    assert availability.noticed(denied, None) is None
    assert len(started) == 3
    assert availability.noticed({"since": 1, "reported": ""}, None) is None
    assert availability.noticed(None, None) is None
    assert len(started) == 3

    def refuse(*_: object) -> None:
        raise error("TooManyRequestsException", "Invoke")

    monkeypatch.setattr(aws, "invoke_later", refuse)
    assert availability.noticed(denied, None) == denied
    assert availability.noticed(None, Problem("AccessDenied", is_persistent=True)) == {"since": 1_150, "reported": ""}


# The failures queue

RULE = {"RULE_ARN": "arn:aws:events:us-east-1:1:rule/slack-client-rule"}
FUNCTION = "arn:aws:lambda:us-east-1:1:function:security-incident-sync:live"
OF_RULE = "Case 7 of rule slack-client-rule"
OF_FUNCTION = "{} for security-incident-sync"


@pytest.mark.parametrize(
    ("target", "kind", "way", "to", "why"),
    [
        (FUNCTION, "Case", "invoke", "security-incident-sync", ""),
        ("arn:aws:states:us-east-1:1:stateMachine:m", "Case", "start", "", ""),
        ("arn:aws:events:us-east-1:1:event-bus/default", "Case", "start", "", ""),
        ("arn:aws:logs:us-east-1:1:log-group:g", "Case", "publish", "", ""),
        ("arn:aws:sqs:us-east-1:1:q", "Case", "keep", "", "its target arn:aws:sqs:us-east-1:1:q is unknown"),
        ("", "Case", "keep", "", "its target (none named) is unknown"),
        (FUNCTION, "Scheduled Event", "drop", "", "later polls have done its work"),
    ],
)
def test_given_an_entry_of_a_rule_when_read_then_its_target_decides(
    target: str, kind: str, way: Any, to: str, why: str
) -> None:
    event = {"detail-type": kind, "detail": {"caseId": "7"}}
    origin = RULE | ({"TARGET_ARN": target} if target else {})
    rule = "" if way in ("keep", "drop") else "slack-client-rule"
    assert envelopes.read(json.dumps(event), origin) == Handback(
        way, OF_RULE.replace("Case", kind, 1), event, target=to, why=why, rule=rule
    )


@pytest.mark.parametrize(
    ("payload", "way", "what", "why"),
    [
        ({"task": "poll"}, "drop", "poll", "later polls have done its work"),
        *(
            ({"task": task}, "drop", task, "run this operation again")
            for task in ("verify", "watch", "start_oversized", "replay", "resync", "forget")
        ),
        ({"task": "slash_command"}, "drop", "slash_command", "the user must repeat the command"),
        ({"task": "interaction"}, "drop", "interaction", "the user must repeat the command"),
        (
            {"decision": "approve", "approval_id": "a"},
            "drop",
            "decision a",
            "the poller delivers it if it was recorded; if not, the analyst must decide again",
        ),
        ({"task": "release", "case_id": "7"}, "invoke", "release 7", ""),
        ({"id": "e"}, "invoke", "event e", ""),
        ({"detail-type": "K", "detail": {"approval_id": "a", "eventID": "x"}, "id": "e"}, "invoke", "K a", ""),
        ({"detail-type": "K", "detail": {"eventID": "x"}, "id": "e"}, "invoke", "K x", ""),
        ({"detail-type": "K", "detail": "x", "id": 7}, "invoke", "K", ""),
    ],
)
def test_given_an_entry_of_a_function_when_read_then_its_payload_decides(
    payload: dict[str, Any], way: Any, what: str, why: str
) -> None:
    body = json.dumps({"requestContext": {"functionArn": FUNCTION}, "requestPayload": payload})
    to = "security-incident-sync" if way == "invoke" else ""
    assert envelopes.read(body, {}) == Handback(way, OF_FUNCTION.format(what), payload, target=to, why=why)


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("{", "an entry that is not a JSON object"),
        ("[]", "an entry that is not a JSON object"),
        ("{}", "an entry of an unknown kind"),
        ('{"requestContext": {}, "requestPayload": 1}', "an entry of an unknown kind"),
        ('{"requestContext": 1, "requestPayload": {}}', "an entry of an unknown kind"),
    ],
)
def test_given_an_entry_that_is_none_when_read_then_it_is_kept(body: str, what: str) -> None:
    why = "neither EventBridge nor Lambda writes entries of this form"
    assert envelopes.read(body, {}) == Handback("keep", what, {}, why=why)
    message = {"MessageAttributes": {"RULE_ARN": {"StringValue": "a"}, "X": {}}}
    assert envelopes.attributes(message) == {"RULE_ARN": "a", "X": ""}
    assert envelopes.attributes({}) == {}


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("{", "an entry that is not a JSON object"),
        ([], "an entry that is not a JSON object"),
        ({"kind": "attachment", "attachment_id": "a", "case_id": "7"}, "attachment a of case 7"),
        ({"event": {"file_id": "F1", "channel_id": "C1"}}, "file F1 of channel C1"),
        ({"file_id": "F1", "channel_id": "C1"}, "file F1 of channel C1"),
        ({"event_id": "Ev1", "event": {"type": "message", "channel": "C1"}}, "message Ev1 of channel C1"),
        ({"event": {"channel_id": "C2"}}, "event of channel C2"),
    ],
)
def test_given_a_message_of_the_fifo_queues_when_described_then_by_its_ids(content: Any, what: str) -> None:
    body = content if isinstance(content, str) else json.dumps(content)
    assert envelopes.describe_message(body) == what
