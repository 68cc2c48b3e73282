"""Claims of events: which facts identify an event, and which executions still handle theirs."""

from __future__ import annotations

from typing import Any

import pytest

from ir_router.ledger import approvals, joined_events
from ir_router.workflow import alert_groups, event_claims
from ir_router.workflow.event_claims import COUNTED, Content
from tests.support.texts import facts

IDENTITY = {"event_name": "x", "account": "1", "subject": facts.ROLE, "access_key_id": "AKIA0"}
CALLER = {"actor": facts.SESSION, "source_ip": "192.0.2.1", "vpc_endpoint_id": "vpce-1", "addresses": ["192.0.2.2"]}
OF_CALLS = {
    "event_source": "s3.amazonaws.com",
    "event_time": "2026-01-15T12:31:00Z",
    "region": "eu-west-1",
    "read_only": True,
    "error_code": "AccessDenied",
}
IRRELEVANT = {"user_agent": "x", "details": ["x"], "first_seen": "2026-01-15T12:31:00Z", "event_id": "e-2"}


def content(*, finding: bool, contains: bool, **changes: Any) -> Content:
    return event_claims.content_of(facts.event(finding=finding, **changes), contains=contains)


@pytest.mark.parametrize("name", [*IDENTITY, *CALLER, *OF_CALLS, *IRRELEVANT])
@pytest.mark.parametrize(("finding", "contains"), [(False, False), (False, True), (True, False), (True, True)])
def test_given_a_changed_fact_when_compared_then_the_kind_of_event_decides_whether_it_is_another_event(
    name: str, finding: bool, contains: bool
) -> None:
    change = {name: (IDENTITY | CALLER | OF_CALLS | IRRELEVANT)[name]}

    before = content(finding=finding, contains=contains)
    after = content(finding=finding, contains=contains, **change)

    is_of_caller = name in CALLER and (contains or not finding)
    is_of_call = name in OF_CALLS and not finding
    assert (before.identity != after.identity) is (name in IDENTITY)
    assert (before.caller != after.caller) is (is_of_caller or is_of_call)
    assert (after.finding, len(after.identity), len(after.caller)) == (finding, 24, 24)


def test_given_an_event_of_an_earlier_version_when_compared_then_it_counts_as_an_api_call() -> None:
    assert event_claims.content_of(facts.event(), contains=False) == content(finding=False, contains=True)


@pytest.mark.parametrize(
    ("row", "finding", "is_counted"),
    [
        ({}, False, True),
        ({"execution": "one"}, False, False),
        ({"identity": "other"}, False, False),
        ({"identity": "other"}, True, False),
        ({"caller": "other"}, False, False),
        ({"caller": "other"}, True, False),
        ({"caller": "other", "asked": True}, True, True),
        ({"caller": "other", "asked": True}, False, False),
        ({"identity": None}, False, True),
        ({"identity": None, "execution": "one"}, False, False),
    ],
    ids=repr,
)
def test_given_the_row_of_an_event_when_read_then_only_the_same_event_is_counted_already(
    monkeypatch: pytest.MonkeyPatch, row: dict[str, Any], finding: bool, is_counted: bool
) -> None:
    given = {"execution": COUNTED, "identity": "i", "caller": "c", **row}
    request = {"approval_id": "a"} if given.pop("asked", False) else None
    monkeypatch.setattr(joined_events, "request_of", lambda execution: request if execution == COUNTED else None)
    stored = {name: value for name, value in given.items() if value is not None}

    assert event_claims.is_counted(stored, Content("i", "c", finding)) is is_counted


@pytest.mark.parametrize(
    ("status", "rows", "handles"),
    [
        ("RUNNING", {}, True),
        ("SUCCEEDED", {}, True),
        (None, {}, True),
        ("PENDING_REDRIVE", {}, True),
        ("ABORTED", {}, False),
        ("TIMED_OUT", {}, False),
        ("ABORTED", {"remediate": {"state": approvals.DECIDED}}, False),
        ("FAILED", {}, False),
        ("FAILED", {"remediate": {"state": approvals.PENDING}}, False),
        ("FAILED", {"remediate": {"state": approvals.DECIDED}}, True),
        ("FAILED", {"contain": {"state": approvals.DECIDED}}, True),
        ("FAILED", {"remediate": {"state": approvals.EXPIRED, "receipt": "deny"}}, True),
        ("FAILED", {"contain": {"state": approvals.PENDING, "receipt": "approve"}}, True),
        ("FAILED", {"contain": {"state": approvals.EXPIRED, "receipt": "timed_out"}}, False),
        ("FAILED", {"contain": {"state": approvals.EXPIRED}, "remediate": {"state": approvals.DECIDED}}, True),
    ],
    ids=repr,
)
def test_given_the_execution_that_claimed_an_event_when_another_asks_then_its_status_and_decision_count(
    monkeypatch: pytest.MonkeyPatch, status: str | None, rows: dict[str, Any], handles: bool
) -> None:
    monkeypatch.setattr(alert_groups, "status", lambda _execution: status)
    by_id = {approvals.id_of("one", kind): row for kind, row in rows.items()}  # type: ignore[arg-type]
    monkeypatch.setattr(approvals, "get", by_id.get)

    assert event_claims._handles("one") is handles
    assert event_claims._handles(COUNTED) is True


def test_given_a_name_when_it_is_made_then_source_account_severity_and_mode_are_in_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Settings:
        containment_mode = "dry_run"

    monkeypatch.setattr(event_claims, "settings", Settings)

    assert event_claims.name_of({"source": "aws.iam"}, "e-1", "HIGH") == "aws.iam#HIGH#dry_run#e-1"
    assert event_claims.name_of({"source": "aws.iam"}, "e-1", "LOW", "42") == "aws.iam#42#LOW#dry_run#e-1"
    assert event_claims.unclaimed("n", Content("i", "c", finding=True)) == {
        "name": "n",
        "content": {"identity": "i", "caller": "c", "finding": True},
    }
