"""Errors of each kind that a step of the workflow tolerates: the rest continues, and the failure is reported."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from ir_router import aws, clock
from ir_router.errors import IrRouterError, RefusedError, UncertainError
from ir_router.ledger import alerts, audit, contained_names, containments, groups, security_channel, table
from ir_router.ledger import creators as offers
from ir_router.settings import settings
from ir_router.workflow import (
    accounts,
    actor_incidents,
    alert_groups,
    approval_queue,
    attempts,
    audit_export,
    check_allowlist,
    creators,
    event_claims,
    extract_event_context,
    iam,
    identity,
    intake,
    invocation,
    left_behind,
    lock_ahead,
    notices,
    report_failure,
    request_approval,
    sessions,
    tampering,
)
from ir_router.workflow.event_claims import Content
from ir_router.workflow.incident import Incident
from tests.support.answers import client_error
from tests.support.texts import facts

OF_SERVICE = client_error("AccessDenied", "Any")
OF_NETWORK = EndpointConnectionError(endpoint_url="x")
OF_ROUTER = UncertainError("AWS", "any", "x")
OF_BOTO = pytest.mark.parametrize("error", [OF_SERVICE, OF_NETWORK], ids=["service", "network"])
OF_ALL = pytest.mark.parametrize("error", [OF_SERVICE, OF_NETWORK, OF_ROUTER], ids=["service", "network", "router"])


def raising(error: Exception) -> Callable[..., Any]:
    def call(*_: Any, **__: Any) -> Any:
        raise error

    return call


@OF_BOTO
def test_given_an_account_that_aws_does_not_describe_when_named_then_its_id_is_shown(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(aws, "client", raising(error))
    monkeypatch.setattr(accounts, "_kept", {})

    assert accounts.of("111122223333") == ("111122223333", "")


@OF_BOTO
def test_given_a_queue_that_fails_when_tidied_or_a_channel_that_is_unknown_then_the_step_continues(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(approval_queue, "_tidy", raising(error))
    monkeypatch.setattr(security_channel, "known_id", raising(error))
    monkeypatch.setattr(containments, "release", raising(error))

    approval_queue.tidy()
    lock_ahead._release(SimpleNamespace())  # type: ignore[arg-type]
    assert notices._slack_line() == ""


@OF_BOTO
def test_given_a_bucket_that_refuses_a_day_when_exported_then_it_is_reported_and_no_later_day_is_written(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(
        audit_export, "settings", lambda: SimpleNamespace(audit_export_bucket="b", name_prefix="p", region="r")
    )
    monkeypatch.setattr(clock, "now", lambda: 1768522200.0)  # ten minutes after the end of 2026-01-15
    monkeypatch.setattr(audit_export, "_lines", lambda day: [str(day)])
    monkeypatch.setattr(table, "get", lambda _key: {"day": "2026-01-13"})
    stored: list[Any] = []
    monkeypatch.setattr(table, "put", lambda _key, row: stored.append(row))
    reported: list[Any] = []
    monkeypatch.setattr(audit_export, "_report", lambda *given: reported.append(given))
    written: list[Any] = []

    def write(bucket: str, name: str, text: str) -> None:
        written.append((bucket, name, text))
        if len(written) == 2:
            raise error

    monkeypatch.setattr(audit_export, "_write", write)

    assert audit_export.run() == ["p/r/2026/01/2026-01-14.jsonl"]
    assert written[0] == ("b", "p/r/2026/01/2026-01-14.jsonl", "2026-01-14\n")
    assert [one["day"] for one in stored] == ["2026-01-14"]
    assert [(given[0], str(given[1]), given[2], given[3]["day"]) for given in reported] == [
        ("b", "2026-01-15", error, "2026-01-14")
    ]


@OF_BOTO
def test_given_an_allowlist_that_cannot_be_read_when_checked_then_the_event_is_not_allowlisted(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(check_allowlist, "known_entries", raising(error))

    found = check_allowlist.run_task({"incident": facts.event()}, None)
    requested = check_allowlist.run_task({"incident": facts.event(requested={})}, None)

    assert found["allowlist"] == {"allowlisted": False, "lookup_failed": True}
    assert requested["allowlist"] == {"allowlisted": False, "lookup_failed": False}
    monkeypatch.setattr(iam, "created_at", raising(error))
    monkeypatch.setattr(invocation, "contained_account", lambda *_: facts.ACCOUNT)
    assert check_allowlist._doubt(facts.event(), None).startswith("IAM did not show when the caller was created.")


@OF_ALL
def test_given_reports_that_fail_when_an_event_is_handled_then_the_containment_continues(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(groups, "enter", raising(error))
    event_claims.report_conflict(facts.event(), "n", "other")

    monkeypatch.setattr(contained_names, "arn_of", lambda _row: "arn:a")
    monkeypatch.setattr(attempts, "report", raising(error))
    intake._denied({}).counted()

    monkeypatch.setattr(sessions, "reader", raising(error))
    sessions.prepare()

    monkeypatch.setattr(containments, "get", raising(error))
    left_behind.report("arn:a", "e", None)

    monkeypatch.setattr(left_behind, "read", raising(error))
    (line,) = left_behind.before_release({}, None)
    assert type(error).__name__ in line


@OF_ALL
def test_given_an_audit_that_fails_when_a_request_is_sent_then_it_is_sent_all_the_same(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    written: list[Any] = []

    def append(*given: Any, once: str) -> None:
        written.append((*given, once))
        raise error

    monkeypatch.setattr(audit, "append", append)
    row = {
        "approval_id": "a1", "execution": "e", "kind": "contain", "owners": ["o"], "decide_by": 0.0,
        "approve_does": "x", "deny_does": "y", "case_id": "c",
    }  # fmt: skip
    both = facts.result(facts.part(outcome="ask_first"), facts.part(facts.BOB, "gone"), outcome="ask_first")

    request_approval._record(row, both)

    assert written == [
        (
            "decision_asked",
            "ir-router workflow",
            {
                "approval_id": "a1",
                "execution": "e",
                "kind": "contain",
                "principals": [facts.MALLORY["arn"]],
                "barred": ["o"],
                "decide_by": "1970-01-01T00:00:00Z",
                "approve": "x",
                "deny": "y",
                "case_id": "c",
            },
            "a1/asked",
        )
    ]


@OF_ALL
def test_given_principals_that_cannot_be_looked_up_when_a_failure_is_reported_then_the_known_ones_are_named(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(identity, "targets", raising(error))
    monkeypatch.setattr(report_failure, "_joined", raising(error))
    contained = {"incident": facts.event(), "containment": facts.result(facts.CONTAINED, facts.PARTLY)}

    assert report_failure._principals(contained, "Remediation", None) == [facts.MALLORY, facts.ROLE]
    assert report_failure._principals({"incident": facts.event()}, "Immediate Containment", None) == []
    assert report_failure._principals({"incident": facts.event()}, "Alert Only", None) == [facts.MALLORY]
    assert report_failure._principals({}, "Alert Only", None) == []
    done: list[str] = []
    first = raising(error)
    assert report_failure._failing(first, lambda: done.append("second")) == [first]
    assert done == ["second"]


@OF_BOTO
def test_given_a_group_that_cannot_be_read_when_a_step_has_failed_then_the_report_has_no_count(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(groups, "reported", raising(error))
    assert report_failure._give_up_group("Alert Only", "e") == ""

    monkeypatch.setattr(groups, "reported", lambda execution: {"events": 2, "callers": {"bob", "ann", execution}})
    assert report_failure._give_up_group("Alert Only", "e") == (
        "ir-router counted 2 more events of this kind, and no other alert reports them: ann, bob, e"
    )
    assert report_failure._give_up_group("Immediate Containment", "e") == ""
    monkeypatch.setattr(groups, "reported", lambda _execution: {"callers": {"bob"}})
    assert report_failure._give_up_group("Log & Exit", "e") == ""


@OF_ALL
def test_given_a_target_that_is_not_certain_when_the_deny_policy_is_detached_then_the_event_counts_as_tampering(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    event = {"detail": {"requestParameters": {"policyArn": "arn:deny", "userName": "bob", "accessKeyId": "AKIA1"}}}
    found: Any = [SimpleNamespace(id=tampering.DETACHED, contains=True), SimpleNamespace(id="x", contains=False)]
    context = SimpleNamespace(invoked_function_arn="arn:aws:lambda:r:1:function:f")
    monkeypatch.setattr(sessions, "deny_policy_arn", lambda: "arn:deny")
    monkeypatch.setattr(identity, "resolve", raising(error))
    assert tampering.is_of_others(event, found, context) is False

    asked: list[Any] = []
    rows: dict[str, Any] = {}

    def resolve(target: Any) -> dict[str, str]:
        asked.append(target)
        return {"arn": "arn:p", "id": "AIDA"}

    monkeypatch.setattr(identity, "resolve", resolve)
    monkeypatch.setattr(contained_names, "row_of", lambda arn, _id: rows.get(arn))
    assert tampering.is_of_others(event, found, context) is True
    assert (asked[0].principal["name"], asked[0].keys) == ("bob", ["AKIA1"])
    rows["arn:p"] = {"phase": "x"}
    assert tampering.is_of_others(event, found, context) is True
    rows["arn:aws:iam:::user/bob"] = {"incident": "i"}
    assert tampering.is_of_others(event, found, context) is False
    other = {"detail": {"requestParameters": {"policyArn": "arn:other", "userName": "bob"}}}
    assert tampering.is_of_others(other, found, context) is False
    assert tampering.is_of_others(event, found[1:], context) is False


def message(body: str = "{}") -> dict[str, str]:
    return {"messageId": "m1", "body": body}


def failed_of(records: list[Any]) -> list[str]:
    return [one["itemIdentifier"] for one in intake.handle({"Records": records}, None)["batchItemFailures"]]


@OF_BOTO
def test_given_aws_that_fails_when_a_message_is_read_or_started_then_sqs_delivers_it_again(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    started: list[str] = []
    monkeypatch.setattr(intake, "_start", lambda _event, name: started.append(name))
    monkeypatch.setattr(extract_event_context, "read", raising(error))
    assert failed_of([message()]) == ["m1"]
    monkeypatch.setattr(extract_event_context, "read", raising(KeyError("x")))
    assert (failed_of([message()]), len(started)) == ([], 1)
    monkeypatch.setattr(intake, "_start", raising(error))
    assert failed_of([message()]) == ["m1"]
    for other in (ValueError("x"), RecursionError()):
        monkeypatch.setattr(intake, "_start", raising(other))
        assert failed_of([message(), {"messageId": "m2", "body": "{broken"}]) == ["m1", "m2"]


def arrived(name: str = "n", **changes: Any) -> intake.Arrived:
    incident: Incident = facts.event(action="alert", **changes)
    return intake.Arrived(
        [f"m-{name}"], {"id": name}, f"event-{name}", incident, name, Content("i", "c", finding=False)
    )


@OF_BOTO
def test_given_a_ledger_that_fails_when_events_are_counted_or_grouped_then_sqs_delivers_them_again(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    one = arrived()
    monkeypatch.setattr(intake, "_read", lambda *_: [one])
    monkeypatch.setattr(check_allowlist, "known_entries", raising(error))
    assert failed_of([]) == ["m-n"]

    batch = intake._Batch()
    monkeypatch.setattr(alert_groups, "find", raising(error))
    assert list(intake._grouped("g", [one], {}, batch)) == []
    assert batch.failed == {"m-n"}

    batch = intake._Batch()
    monkeypatch.setattr(alert_groups, "find", lambda _group: alert_groups.Group(None))
    monkeypatch.setattr(groups, "opening", lambda *_, **__: [])
    monkeypatch.setattr(table, "transact", raising(error))
    monkeypatch.setattr(intake, "_claim", lambda *_: {})
    assert list(intake._grouped("g", [one, arrived("o")], {}, batch)) == []
    assert batch.failed == {"m-n", "m-o"}

    batch = intake._Batch()
    assert list(intake._counted(intake._Counting(lambda _: {}, events=[one]), batch)) == []
    assert (batch.failed, batch.counted) == ({"m-n"}, 0)

    batch = intake._Batch()
    for other in (error, RecursionError()):
        monkeypatch.setattr(intake, "_start", raising(other))
        assert intake._try_start(one, batch) is False
    assert (batch.failed, batch.started) == ({"m-n"}, 0)


@pytest.mark.parametrize("error", [RefusedError("AWS", "CreateCaseComment", "ConflictException"), IrRouterError("x")])
def test_given_a_case_that_takes_no_comment_when_a_creator_is_reported_then_only_a_refusal_is_tolerated(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    published: list[Any] = []
    monkeypatch.setattr(offers, "note_result", lambda *given: [given[0]])
    monkeypatch.setattr(notices, "publish", lambda *given: published.append(given))
    monkeypatch.setattr(notices, "comment", raising(error))
    request = {"execution": "e", "creator": "c", "by": "Jane", "via": "cli", "case_id": "1"}

    if isinstance(error, RefusedError):
        creators.report(facts.event(requested=request), "final", "t")
    else:
        with pytest.raises(IrRouterError):
            creators.report(facts.event(requested=request), "final", "t")

    assert published == [("ApprovalRequested", {"approval_id": "e", "creator": "c"})]


def test_given_alerts_that_fail_when_a_step_is_reported_then_each_report_is_attempted_and_the_state_retried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    attempted: list[str] = []
    monkeypatch.setattr(notices, "mail", raising(OF_ROUTER))
    monkeypatch.setattr(notices, "alert_in_slack", lambda alert: attempted.append(alert.id))
    monkeypatch.setattr(actor_incidents, "give_up", lambda incident: attempted.append(incident["event_id"]))
    monkeypatch.setattr(audit, "append", lambda kind, *_, once: attempted.append(f"{kind} {once}"))
    monkeypatch.setattr(alerts, "note", lambda alert: alert.id)
    settings.cache_clear()

    with pytest.raises(UncertainError, match="the alert was not sent"):
        report_failure.run_task({"step": "Evaluate Severity", "incident": facts.event()}, None)

    execution = facts.INCIDENT["execution"]["id"]
    assert attempted == ["1/failed/Evaluate Severity", "e-1", f"step_failed {execution}/failed/Evaluate Severity"]
