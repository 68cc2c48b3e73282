"""Approval requests in a poll: the steps of each state, the order of the places, and the handling of failures."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError

from ir_router import aws, clock
from ir_router.deadline import Deadline
from ir_router.errors import RefusedError, RetryLaterError
from ir_router.ledger import approvals as stored
from ir_router.ledger import keys, mentions, security_channel, table, urgent
from ir_router.observability import logger
from ir_router.slack import error_codes
from ir_router.slack.messages import Message
from ir_router.sync import (
    approval_places,
    approvals,
    failures,
    posting,
    security_channel_made,
)
from ir_router.sync.approval_places import Place
from tests.support.answers import client_error
from tests.support.journal import Journal, refused

NOW = 50_000.0
DEADLINE = Deadline(soft=NOW + 30, hard=NOW + 50)
CASE = Place("C1", keys.note("1", "approval-a1"), is_of_case=True)
SECURITY = Place("C9", keys.deduplication("APPROVAL-MESSAGE#a1"))
MESSAGE = Message(text="t", blocks=[{"b": 1}])
ROW = {"approval_id": "a1", "case_id": "1", "state": "pending", "created_at": NOW, "headline": "H", "what": "W"}


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> Journal:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(approval_places, "of", lambda _row: iter([CASE, SECURITY]))
    found = Journal(monkeypatch)
    found.replace(approvals, "Slack", "slack")
    found.replace(table, "update")
    found.replace(table, "get")
    found.replace(posting, "post")
    for name in ("measure",):
        found.replace(approvals, name)
    return found


@pytest.mark.parametrize(
    ("error", "moves"),
    [
        (refused("x"), True),
        (RetryLaterError("S", "m", "x", 1), False),
        (client_error("x"), False),
        (BotoCoreError(), False),
    ],
)
def test_given_failing_places_when_worked_then_all_are_tried_and_a_rejected_security_channel_is_reported(
    journal: Journal, error: Exception, moves: bool
) -> None:
    last = refused("last")
    journal.replace(mentions, "move_to_case")
    journal.replace(approvals, "_report_security_channel")
    work: Any = SimpleNamespace(work=None)
    journal.replace(work, "work", error, last)

    with pytest.raises(type(error)) as raised:
        approvals._each([SECURITY, CASE], work.work, ROW, DEADLINE)

    assert raised.value is error
    moved = [("move_to_case", "a1"), ("_report_security_channel", ROW, "C9", error, DEADLINE)]
    assert journal.calls == [("work", SECURITY), *(moved if moves else []), ("work", CASE)]
    assert approvals._security_first([CASE, SECURITY]) == [SECURITY, CASE]
    journal.replace(work, "work", ValueError("odd"))
    with pytest.raises(ValueError, match="odd"):
        approvals._each([SECURITY], work.work, ROW, DEADLINE)


@pytest.mark.parametrize(
    ("case_id", "note", "code"),
    [
        ("1", None, "is_archived"),
        ("1", {"state": "claimed"}, "odd_code"),
        ("1", {"state": "done"}, "x"),
        (None, None, "x"),
    ],
)
def test_given_a_security_channel_that_cannot_be_used_when_reported_then_the_case_has_cause_and_fix_once(
    journal: Journal, case_id: str | None, note: Any, code: str
) -> None:
    journal.replace(table, "get", note, {"slackChannelId": "C1"})
    journal.replace(failures, "report")
    journal.replace(failures, "first_error_id", "first")
    journal.replace(approvals, "error_id", "sync-error-1")
    journal.replace(logger, "error")
    error = refused(code)

    approvals._report_security_channel({**ROW, "case_id": case_id}, "C9", error, DEADLINE)

    meaning = error_codes.meaning(code)
    cause = f"{error}: {meaning.words}" if meaning.words else str(error)
    name = "security-channel-C9"
    failure = failures.Failure(
        name=name,
        what=f"The security channel (C9) cannot show approval requests: {cause}.",
        fix=f"{meaning.fix} Until then, decide in the channel of this case.".strip(),
        retried=True,
        error_id="first",
        transient=False,
    )
    details = {"extra": {"channel": "C9", "code": code}}
    asked = ("get", keys.note("1", f"failure-{name}"))
    reported = [
        ("error_id", "sync-error"),
        ("first_error_id", "1", name, "sync-error-1"),
        ("get", keys.case("1")),
        ("report", "1", "C1", failure, DEADLINE),
    ]
    if case_id is None:
        logged = ("error", "approval.security_channel_unavailable", details)
        assert journal.calls == [("measure", "FailuresTold"), logged]
    else:
        assert journal.calls == [asked, *([] if note and note["state"] == "done" else reported)]


@pytest.mark.parametrize(("ago", "is_sent"), [(60, True), (59.9, False)])
def test_given_a_decision_when_it_did_not_arrive_then_it_is_sent_a_second_time(
    monkeypatch: pytest.MonkeyPatch, journal: Journal, ago: float, is_sent: bool
) -> None:
    monkeypatch.setattr(approvals, "settings", lambda: SimpleNamespace(require=lambda name: f"arn:{name}"))
    journal.replace(aws, "invoke_later")
    decision = {"approval_id": "a1", "decision": "deny", "analyst": {"n": 1}}

    approvals._redeliver({**decision, "decided_at": NOW - ago, "other": 1})

    assert journal.calls == ([("invoke_later", "arn:approval_function", decision)] if is_sent else [])


def polling(journal: Journal, *rows: dict[str, Any]) -> None:
    journal.replace(stored, "rows_of", list(rows))
    for name in ("_redeliver", "_page_without_owner", "_remind", "_remind_others", "show"):
        journal.replace(approvals, name)
    journal.replace(approvals, "_shown_as", lambda row, channels: f"{row['approval_id']}:{channels}")
    journal.replace(urgent, "current", [])
    journal.replace(urgent, "is_unshown", False)
    journal.replace(urgent, "is_kept", lambda row: bool(row.get("kept")))
    journal.replace(urgent, "end")
    journal.replace(security_channel_made, "ensure")
    journal.replace(security_channel, "known_id", "C9")


def test_given_open_requests_when_polled_then_each_state_has_its_steps_and_the_oldest_is_measured(
    journal: Journal,
) -> None:
    def row(name: str, state: str, ago: float = 0, **more: Any) -> dict[str, Any]:
        return {**ROW, "approval_id": name, "state": state, "created_at": NOW - ago, **more}

    rows = (
        row("p", "pending", 7),
        row("d", "decided", 9, shown_as="d:['C1', 'C9']"),
        row("x", "delivered", 99, kept=True, shown_as="x:['C1', 'C9']"),
        row("y", "delivered", 99, case_id=None),
        row("z", "delivered", 99, case_id="2"),
    )
    polling(journal, *rows)
    journal.replace(urgent, "current", lambda one: ["u"] if one["approval_id"] == "y" else [])

    approvals.poll(["p"], {"1": "C1"}, "", DEADLINE)

    p, d, x, y, z = rows
    assert [call for call in journal.calls if call[0] not in ("is_kept", "current", "is_unshown")] == [
        ("Slack", DEADLINE),
        ("ensure", "slack"),
        ("known_id",),
        ("rows_of", ["p"]),
        ("_page_without_owner", p),
        ("_remind", p, DEADLINE),
        ("_remind_others", p, DEADLINE),
        ("_shown_as", p, ["C1", "C9"]),
        ("show", "p", DEADLINE),
        ("_redeliver", d),
        ("_shown_as", d, ["C1", "C9"]),
        ("_shown_as", x, ["C1", "C9"]),
        ("end", x),
        ("_shown_as", y, ["", "C9"]),
        ("show", "y", DEADLINE),
        ("_shown_as", z, ["", "C9"]),
        ("measure", "OpenApprovals", 2),
        ("measure", "OldestApprovalSeconds", 9.0, "Seconds"),
    ]


@pytest.mark.parametrize("error", [refused("x"), client_error("x"), BotoCoreError()])
def test_given_a_failing_request_when_polled_then_the_others_follow_and_other_errors_pass(
    journal: Journal, error: Exception
) -> None:
    polling(journal, ROW, {**ROW, "approval_id": "a2"})
    journal.replace(approvals, "_remind", error, None)
    journal.replace(logger, "error")

    approvals.poll([], {}, "", DEADLINE)

    reason = str(error) if isinstance(error, RefusedError) else type(error).__name__
    details = {"extra": {"approval_id": "a1", "reason": reason}}
    assert ("error", "approval.poll_failed", details) in journal.calls
    assert ("show", "a2", DEADLINE) in journal.calls
    assert "ensure" not in [name for name, *_ in journal.calls]
    journal.replace(approvals, "_remind", ValueError("odd"))
    with pytest.raises(ValueError, match="odd"):
        approvals.poll([], {}, "C9", DEADLINE)
