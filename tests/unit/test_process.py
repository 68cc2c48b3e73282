"""Steps of every function: recognise the event, log, measure, and keep to the deadline."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from ir_operator.build.contents import AWS_SERVICES
from ir_router import __version__, aws, clock, deadline, denials, handler, observability, router, unicode
from ir_router.deadline import Deadline
from ir_router.errors import OutOfTimeError, RefusedError, RetryLaterError, UncertainError, error_id
from ir_router.settings import settings

# Routes


@pytest.mark.parametrize(
    ("event", "route"),
    [
        *(({"task": task}, task) for task in ("poll", "slash_command", "interaction")),
        ({"task": "record_access_change"}, "approval"),
        *(
            ({"task": task}, "operations")
            for task in ("verify", "watch", "start_oversized", "replay", "resync", "forget")
        ),
        ({"task": 7, "httpMethod": "POST", "requestContext": {}}, "webhook"),
        *(
            ({"source": source, "detail-type": kind}, "approval_notice")
            for source in ("security-ir", "aws.security-ir")
            for kind in ("ApprovalRequested", "ApprovalDecided", "ApprovalTimedOut", "ApprovalMessageChanged")
        ),
        ({"source": "security-ir", "detail-type": "AlertRaised"}, "alert_notice"),
        (
            {"Records": [{"eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:x:1:acme-slack-events.fifo"}]},
            "slack_event",
        ),
    ],
)
def test_given_an_event_when_recognised_then_its_shape_gives_the_route(event: Any, route: str) -> None:
    assert router.recognise(event) == route


def test_given_the_routes_when_imported_then_each_has_a_handler_and_clients_that_exist() -> None:
    for route in router.ROUTES:
        assert callable(router.handler_of(route, frozenset({route})))
    assert {service for services in router.CLIENTS.values() for service in services} <= AWS_SERVICES
    assert set(router.CLIENTS) <= set(router.ROUTES)


def test_given_routes_when_loaded_then_their_clients_are_made_and_connected_and_they_prepare(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[str] = []
    connected: list[str] = []
    prepared: list[str] = []
    modules = {"ir_router.webhook": SimpleNamespace(prepare=lambda: prepared.append("webhook"))}
    imported: list[str] = []

    def import_module(name: str) -> Any:
        imported.append(name)
        return modules.get(name, SimpleNamespace())

    monkeypatch.setattr(router, "importlib", SimpleNamespace(import_module=import_module))
    monkeypatch.setattr(aws, "create", made.append)
    monkeypatch.setattr(aws, "connect", connected.append)

    router.load(frozenset({"webhook", "approval", "operations", "none"}))

    assert imported == ["ir_router.workflow.approval", "ir_router.ops.handler", "ir_router.webhook"]
    assert made == ["dynamodb", "events", "lambda", "sqs", "ssm", "stepfunctions"]
    assert sorted(connected) == made
    assert prepared == ["webhook"]


def test_given_an_event_when_handled_then_the_route_gets_it_without_lone_surrogates(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[Any] = []

    def handle(event: Any, context: Any) -> str:
        seen.append((event, context))
        return "answer"

    def handler_of(route: str, served: frozenset[str]) -> Any:
        seen.append((route, served))
        return handle

    monkeypatch.setenv("IR_ROUTES", "poll")
    settings.cache_clear()
    monkeypatch.setattr(router, "handler_of", handler_of)
    context = SimpleNamespace(aws_request_id="r1")

    assert handler.lambda_handler({"task": "poll", "x\ud800": ["\udfff"]}, context) == "answer"
    settings.cache_clear()
    assert seen == [("poll", {"poll"}), ({"task": "poll", "x\ufffd": ["\ufffd"]}, context)]
    assert observability._request_id == ["r1"]
    assert unicode.replace_lone_surrogates(("\ud800", 7, None)) == ("\ud800", 7, None)


# Logs and metrics


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("arn:aws:iam::1:user/a.b-c#d", "arn:aws:iam::1:user/a.b-c#d"),
        ("x" * 300, "x" * 300),
        ("x" * 301, "not an id"),
        ("", "not an id"),
        ("a b", "not an id"),
        ("é", "not an id"),
        (7, "not an id"),
        (None, "not an id"),
    ],
)
def test_given_an_external_value_when_logged_then_only_what_looks_like_an_id(value: object, shown: str) -> None:
    assert observability.identifier(value) == shown


def test_given_a_metric_when_measured_then_name_unit_value_and_deployment_are_in_the_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("IR_NAME_PREFIX", "acme")
    settings.cache_clear()
    observability.measure("ContainmentSeconds", 2.5, "Seconds")
    observability.measure("SyncFailures")
    settings.cache_clear()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]

    (directive,) = lines[0]["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "ir-router"
    assert directive["Metrics"] == [{"Name": "ContainmentSeconds", "Unit": "Seconds"}]
    assert "deployment" in directive["Dimensions"][0]
    assert (lines[0]["ContainmentSeconds"], lines[0]["deployment"]) == ([2.5], "acme")
    assert lines[1]["SyncFailures"] == [1.0]
    assert lines[1]["_aws"]["CloudWatchMetrics"][0]["Metrics"] == [{"Name": "SyncFailures", "Unit": "Count"}]


def test_given_a_logger_when_made_then_its_lines_name_service_version_and_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(observability, "_request_id", ["before"])
    observability._powertools_logger.cache_clear()
    observability.logger.error("cold.start")
    formatter: Any = observability.logger.registered_formatter
    made = formatter.log_format
    assert (made["service"], made["version"]) == ("ir-router", __version__)
    assert made["function_request_id"] == "before"

    observability.correlate("case 1")
    assert made["correlation_id"] == "not an id"
    observability.begin_invocation(SimpleNamespace(aws_request_id="after"))
    formatter = observability.logger.registered_formatter
    now = formatter.log_format
    assert now.get("function_request_id") == "after"
    assert now.get("correlation_id") is None
    observability.begin_invocation(object())
    assert observability._request_id == [None]


# Deadlines


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Return the current time as its only element."""
    moment = [1_000.0]
    monkeypatch.setattr(clock, "now", lambda: moment[0])
    monkeypatch.setattr(clock, "sleep", lambda seconds: moment.__setitem__(0, moment[0] + seconds))
    monkeypatch.setenv("IR_SETTLE_SECONDS", "30")
    settings.cache_clear()
    yield moment
    settings.cache_clear()


def test_given_a_deadline_when_time_passes_then_work_and_waits_end_exactly_there(at: list[float]) -> None:
    run = Deadline(soft=1_010, hard=1_020)
    assert (run.remaining(), run.settle_after, run.settled_from_now) == (10, 1_050, 1_030)
    run.check(10)
    with pytest.raises(OutOfTimeError):
        run.check(10.5)
    run.wait(10)
    assert at == [1_010]
    run.check()
    with pytest.raises(OutOfTimeError):
        run.wait(0.5)
    at[0] = 1_021
    assert (run.remaining(), run.settled_from_now) == (-11, 1_050)
    with pytest.raises(OutOfTimeError):
        run.check()


@pytest.mark.parametrize(("at_most", "hard"), [(None, 1_060), (45, 1_045), (90, 1_060)])
def test_given_an_invocation_when_its_deadline_is_taken_then_reserve_and_slice_count(
    at: list[float], at_most: float | None, hard: float
) -> None:
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: 60_000)
    assert deadline.of_invocation(context, reserve=5, at_most=at_most) == Deadline(soft=hard - 5, hard=hard)


def test_given_an_enforced_deadline_when_the_run_ends_then_the_timer_and_the_handler_before_are_back() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with deadline.enforced(Deadline(soft=clock.now(), hard=clock.now() + 600)):
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
    assert signal.getsignal(signal.SIGALRM) is before

    ran: list[int] = []

    def elsewhere() -> None:
        with deadline.enforced(Deadline(soft=0, hard=0)):
            ran.append(1)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert ran == [1]


# Errors


def test_given_an_error_of_a_service_when_shown_then_service_operation_and_cause_are_in_it() -> None:
    refused = RefusedError("IAM", "GetUser", "AccessDenied", "no policy")
    later = RetryLaterError("Slack", "chat.update", "ratelimited", 7)
    uncertain = UncertainError("SQS", "SendMessage", "timeout")
    assert str(refused) == "IAM rejected GetUser (AccessDenied: no policy)"
    assert str(RefusedError("IAM", "GetUser", "AccessDenied")) == "IAM rejected GetUser (AccessDenied)"
    assert str(later) == "Slack throttled chat.update (ratelimited)"
    assert str(uncertain) == "SQS did not confirm SendMessage (timeout)"
    assert (refused.service, refused.operation, refused.code, refused.detail) == (
        "IAM",
        "GetUser",
        "AccessDenied",
        "no policy",
    )
    assert (later.service, later.operation, later.code, later.seconds) == ("Slack", "chat.update", "ratelimited", 7)
    assert (uncertain.service, uncertain.operation, uncertain.cause) == ("SQS", "SendMessage", "timeout")


def test_given_an_error_id_when_made_then_it_has_kind_time_and_four_random_characters(at: list[float]) -> None:
    at[0] = 1_705_341_900
    kind, first = error_id("api-error").rsplit("-", 1)
    assert kind == "api-error-20240115-180500"
    assert len(first) == 4


@pytest.mark.parametrize(
    ("message", "why", "may_pass"),
    [
        ("nothing about policies", "", True),
        ("with an explicit deny somewhere", "explicit deny", False),
        ("because no identity-based policy allows the x action", "no identity-based policy allows it", True),
        ("because no permissions boundary allows the x action", "no permissions boundary allows it", False),
        ("with an explicit deny in an identity-based policy", "explicit deny in an identity-based policy", False),
        ("with an explicit deny in a service control policy", "explicit deny in a service control policy", False),
        ("with an explicit deny in a VPC endpoint policy", "explicit deny in a VPC endpoint policy", False),
        (
            "with an explicit deny in a service control policy: arn:aws:organizations::1:policy/o-1/p-1.",
            "explicit deny in a service control policy (arn:aws:organizations::1:policy/o-1/p-1)",
            False,
        ),
    ],
)
def test_given_a_message_of_aws_when_read_then_the_policy_that_denied_is_known(
    message: str, why: str, may_pass: bool
) -> None:
    assert denials.read(message) == (why, may_pass)
