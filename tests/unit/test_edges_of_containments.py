"""Which data are read again and which are kept: accounts, records of an incident, verifications, file transfers."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import aws, clock
from ir_router.commands import incident_details
from ir_router.errors import UncertainError
from ir_router.ledger import containments, keys, table, urgent
from ir_router.ledger.containments import ContainmentBusyError
from ir_router.sync import attachments
from ir_router.workflow import accounts, verify_containment
from ir_router.workflow.accounts import Account
from tests.support.answers import ClientAnswers

NOW = 1_768_500_000.0
DAY = 86_400.0


@pytest.mark.parametrize(
    ("row", "kept"), [({}, False), ({"urgent": 1}, True), ({"unshown": 1}, True), ({"urgent": 1, "unshown": 1}, True)]
)
def test_given_a_closed_request_when_polled_then_only_an_urgent_or_unshown_one_is_looked_at(
    row: dict[str, Any], kept: bool
) -> None:
    assert urgent.is_kept(row) is kept


@pytest.mark.parametrize(
    ("state", "after", "at_most_old", "asked"),
    [
        ("ACTIVE", DAY - 1, None, 1),
        ("ACTIVE", DAY, None, 2),
        ("ACTIVE", 59, 60, 1),
        ("ACTIVE", 60, 60, 2),
        ("", 899, None, 1),
        ("", 900, None, 2),
    ],
)
def test_given_an_account_that_was_described_when_asked_for_later_then_the_answer_is_kept_as_long_as_it_may(
    monkeypatch: pytest.MonkeyPatch, state: str, after: float, at_most_old: int | None, asked: int
) -> None:
    calls: list[str] = []

    def described(account: str) -> Account:
        calls.append(account)
        return Account(f"shop ({account})", state)

    now = [NOW]
    monkeypatch.setattr(clock, "now", lambda: now[0])
    monkeypatch.setattr(accounts, "_described", described)
    monkeypatch.setattr(accounts, "_kept", {})
    accounts.of("1")
    now[0] += after
    accounts.of("1", **({"at_most_old": at_most_old} if at_most_old is not None else {}))

    assert len(calls) == asked


def test_given_a_busy_principal_when_verified_then_the_others_are_verified_and_it_counts_as_no_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measured: list[str] = []

    def verify(arn: str, _execution: str, _context: Any) -> bool:
        if arn == "busy":
            raise ContainmentBusyError("busy")
        if arn == "lost":
            raise UncertainError("IAM", "GetUser", "timeout")
        return True

    found = [("e", "busy"), ("e", "lost"), ("e", "fine")]
    monkeypatch.setattr(clock, "now", lambda: 0.0)
    monkeypatch.setattr(verify_containment, "_open_containments", lambda: iter(found))
    monkeypatch.setattr(verify_containment, "_ended", lambda: iter(()))
    monkeypatch.setattr(verify_containment, "_verify", verify)
    monkeypatch.setattr(verify_containment, "measure", measured.append)
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: 900_000)

    assert verify_containment.run_scheduled({}, context) == {"verified": 1, "failed": 1}
    assert measured == ["ContainmentFailed"]


def test_given_a_case_of_two_years_when_its_records_are_read_then_those_of_the_last_twelve_months_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Any] = []

    def query(pk: str, *, descending: bool, limit: int) -> list[Any]:
        asked.append((pk, descending, limit))
        return [{"of": pk}]

    monkeypatch.setattr(table, "query", query)
    case: Any = SimpleNamespace(
        created_date=datetime(2024, 1, 1, 0, 30, tzinfo=UTC), closed_date=datetime(2025, 12, 31, tzinfo=UTC)
    )
    months = [keys.audit_record(f"2025-{month:02}", 0).pk for month in range(1, 13)]

    assert incident_details.audit_records(case) == [{"of": pk} for pk in months]
    assert asked == [(pk, True, 1_000) for pk in months]


def test_given_a_case_that_begins_with_a_month_when_its_records_are_read_then_the_hour_before_counts_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(table, "query", lambda pk, **_: [pk])
    case: Any = SimpleNamespace(
        created_date=datetime(2025, 3, 1, 0, 59, tzinfo=UTC), closed_date=datetime(2025, 3, 31, tzinfo=UTC)
    )

    read: list[Any] = list(incident_details.audit_records(case))
    assert read == [keys.audit_record(f"2025-{month}", 0).pk for month in ("02", "03")]


def test_given_a_slack_file_that_is_not_copied_when_the_case_is_synchronised_then_its_transfer_is_queued(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = ClientAnswers()
    rows = [
        {
            "kind": "file",
            "file_id": "F1",
            "channel_id": "C1",
            "state": "claimed",
            "settle_after": NOW - 1,
            "attempt": 2,
        },
        {
            "kind": "file",
            "file_id": "F2",
            "channel_id": "C1",
            "state": "claimed",
            "settle_after": NOW + 9,
            "attempt": 1,
        },
        {"kind": "file", "file_id": "F3", "channel_id": "C1", "state": "done"},
        {"kind": "message", "file_id": "F4", "channel_id": "C1", "state": "claimed"},
    ]
    later: list[float] = []
    sync: Any = SimpleNamespace(case_id="1", rows_of=lambda _: rows, revisit=later.append)
    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(aws, "client", lambda _: client)
    monkeypatch.setattr(attachments, "settings", lambda: SimpleNamespace(require=lambda name: name))

    attachments.resume_slack_files(sync)

    ((operation, request),) = client.asked
    assert operation == "send_message"
    assert json.loads(request["MessageBody"]) == {
        "kind": "slack_file",
        "channel_id": "C1",
        "file_id": "F1",
        "case_id": "1",
    }
    assert request["QueueUrl"] == "files_queue_url"
    assert request["MessageGroupId"] == request["MessageDeduplicationId"]
    assert later == [NOW + 600, NOW + 9]


def test_given_a_containment_that_ends_when_cleared_then_no_attempt_of_it_counts_for_the_next_one() -> None:
    of_attempts = {"attempts", "last_attempt", "last_attempt_at", "attempts_reported", "attempts_reported_at"}

    assert set(containments.ATTEMPTS) == of_attempts
    assert of_attempts < set(containments._INCIDENT)
