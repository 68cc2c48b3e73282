"""Conditions of the writes outside the ledger's package: each row is looked at afterwards."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import clock, paging
from ir_router.errors import InvalidInputError, LeaseLostError, RefusedError
from ir_router.ledger import joined_events, keys, leases, table
from ir_router.ledger.claims import Claim
from ir_router.ledger.table import TransactionFailedError
from ir_router.ops import forget
from ir_router.settings import settings
from ir_router.slack import credentials
from ir_router.sync import case_to_slack, channel, failure_alerts
from ir_router.sync.failures import Failure
from ir_router.workflow import continuing, event_claims, missing_cases, notices, wording, wording_links
from ir_router.workflow.event_claims import Content
from tests.support.world import World
from tests.trials.world.incidents import audit_rows

CASE = "1000000001"


@pytest.fixture(autouse=True)
def _world(world: World) -> World:
    return world


def case_row() -> dict[str, Any]:
    return table.get(keys.case(CASE)) or {}


@pytest.mark.parametrize("row", [None, {"closed": False}, {"closed": True, "erased_at": 1}], ids=repr)
def test_given_a_case_that_is_open_unknown_or_erased_when_an_operator_erases_it_then_its_row_gets_no_mark(
    row: dict[str, Any] | None,
) -> None:
    if row is not None:
        table.put(keys.case(CASE), row)

    with pytest.raises(InvalidInputError, match="already erased" if row and "erased_at" in row else "not closed"):
        forget._mark(CASE)

    assert {name: value for name, value in case_row().items() if name not in ("PK", "SK")} == (row or {})
    assert audit_rows() == []
    table.put(keys.case("2"), {"closed": True, "next_try": 9})
    forget._mark("2")
    marked = table.get(keys.case("2")) or {}
    assert ("forget_at" in marked, "next_try" in marked) == (True, False)


def test_given_a_page_that_was_not_recorded_as_sent_when_retried_then_the_first_text_is_sent_and_then_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("IR_PAGE_TOPIC_ARN", "arn:aws:sns:us-east-1:123456789012:pages")
    settings.cache_clear()
    sent: list[str] = []

    def send(parts: dict[str, Any]) -> None:
        sent.append(str(parts["subject"]))
        if len(sent) == 1:
            raise RefusedError("AWS", "Publish", "Throttling")

    monkeypatch.setattr(paging, "send", send)
    with pytest.raises(RefusedError):
        paging.page("r", "first", "t")
    for headline in ("second", "third"):
        paging.page("r", headline, "t")

    assert len(sent) == 2
    assert sent[0] == sent[1]
    assert "first" in sent[0]


def test_given_an_unknown_case_when_another_run_has_taken_its_lease_then_its_row_stays(
    monkeypatch: pytest.MonkeyPatch, world: World
) -> None:
    leases.add_hint(CASE)
    lease = leases.take(CASE, clock.now() + 10)
    assert lease is not None
    error = RefusedError("AWS", "GetCase", "ResourceNotFoundException")

    def begin(*_: Any) -> Any:
        world.advance(11)
        assert leases.take(CASE, clock.now() + 10) is not None
        raise error

    monkeypatch.setattr(case_to_slack, "begin", begin)
    deadline: Any = SimpleNamespace(check=lambda: None)
    with pytest.raises(LeaseLostError):
        case_to_slack._work(lease, deadline, None)

    assert case_row()["fence"] == lease.fence + 1


def test_given_a_lease_that_another_run_has_taken_when_a_channel_was_created_then_the_row_keeps_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table.put(keys.case(CASE), {"fence": 2, "slackChannelId": "C-other"})
    key = keys.note(CASE, "channel")
    table.put(key, {"state": "claimed", "attempt": 1})
    monkeypatch.setattr(channel, "names", lambda *_: ["n"])
    monkeypatch.setattr(credentials, "channel_prefix", lambda: "p")
    monkeypatch.setattr(channel, "_create", lambda *_: ({"id": "C1", "name": "n"}, True))
    lease = SimpleNamespace(fence=1, row={})
    claim = Claim(key, 1, must_look=False, row={})
    sync: Any = SimpleNamespace(case_id=CASE, lease=lease, claim=lambda _key: claim)

    with pytest.raises(LeaseLostError):
        channel._make(sync, key)

    assert (case_row()["slackChannelId"], lease.row, table.get(keys.channel("C1"))) == ("C-other", {}, None)


def test_given_one_failure_of_several_cases_when_reported_then_one_case_has_it_for_an_hour(world: World) -> None:
    failure = Failure("f", "what", "fix", retried=True, error_id="e", transient=False)

    assert [failure_alerts._is_first(case_id, failure) for case_id in ("1", "2", "1")] == [True, False, True]
    world.advance(3601)
    assert [failure_alerts._is_first(case_id, failure) for case_id in ("2", "1")] == [True, False]


def incident_of(execution: str) -> Any:
    return {
        "execution": {"id": execution, "name": execution},
        "event_time": "2026-01-15T18:00:00+00:00",
        "event_id": "e1",
    }


@pytest.mark.parametrize("closed", [False, True])
def test_given_a_denied_finding_that_continues_when_updates_arrive_then_one_execution_reports_it(
    monkeypatch: pytest.MonkeyPatch, closed: bool
) -> None:
    denied = {"receipt": "deny", "decided_at": 1, "who": "user carol", "case_id": CASE, "analyst": {"name": "Jane"}}
    monkeypatch.setattr(joined_events, "request_of", lambda _execution: denied)
    monkeypatch.setattr(wording, "facts", lambda _incident: ["facts"])
    monkeypatch.setattr(wording, "ids", lambda _incident: ["ids"])
    monkeypatch.setattr(wording_links, "named_in", lambda _incident: ())
    alerts: list[str] = []
    comments: list[str] = []

    def comment(_case_id: str, name: str, _text: str) -> None:
        comments.append(name)
        if closed:
            raise RefusedError("AWS", "CreateCaseComment", "ConflictException")

    monkeypatch.setattr(notices, "alert_everywhere", lambda alert: alerts.append(alert.id))
    monkeypatch.setattr(notices, "comment", comment)
    event = {"detail-type": "GuardDuty Finding", "detail": {"service": {"count": 3}}}
    for execution in ("one", "two", "one"):
        continuing.report(incident_of(execution), event, "finding", {"execution": "first"})

    assert alerts == ["one/continued"] * 2
    assert len(comments) == 2
    assert (table.get(keys.detection("finding#continued")) or {})["execution"] == "one"


def test_given_an_event_that_an_execution_has_claimed_when_the_intake_claims_it_then_the_first_claim_stays() -> None:
    content = Content(identity="i", caller="c", finding=False)
    table.transact([event_claims.claiming("n", content, "one")])

    with pytest.raises(TransactionFailedError):
        table.transact([event_claims.claiming("n", content, "two")])

    assert (table.get(keys.detection("n")) or {})["execution"] == "one"


def test_given_a_missing_case_that_was_opened_when_the_state_is_retried_then_its_row_stays() -> None:
    fields = {"title": "t", "reportedIncidentStartDate": clock.utc_now()}
    missing_cases.remember("one", fields, ["p"], None, None)
    table.update(keys.missing_case("one"), "SET case_id = :case_id", case_id=CASE)

    missing_cases.remember("one", fields, ["q"], None, None)

    row = table.get(keys.missing_case("one")) or {}
    assert (row["case_id"], row["principals"]) == (CASE, ["p"])
