"""Deep checks of open cases: their turn, the part that is read, the channel, and the row of the poller."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import clock
from ir_router.cases import changes, fingerprints, followed_fields
from ir_router.cases.fingerprints import Reading
from ir_router.cases.models import CaseRow
from ir_router.deadline import Deadline
from ir_router.errors import (
    OutOfTimeError,
    RetryLaterError,
    UncertainError,
)
from ir_router.ledger import keys, leases, table
from ir_router.security_ir import gateway as security_ir
from ir_router.slack import messages
from ir_router.sync import members, poll
from ir_router.sync.hints import Hint
from tests.support.journal import Journal, refused
from tests.support.synchronising import case_of

NOW = 1_768_500_000.0
DEADLINE = Deadline(soft=NOW + 30, hard=NOW + 50)


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> Journal:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    return Journal(monkeypatch)


def row_of(case_id: str, created: float | None = NOW, **more: Any) -> CaseRow:
    date = None if created is None else datetime.fromtimestamp(created, UTC)
    return CaseRow(case_id=case_id, created_date=date, case_status="Acknowledged", **more)


@pytest.mark.parametrize(
    ("count", "minute", "ranks"),
    [(0, 7, []), (10, 7, [*range(10)]), (11, 7, [1, 3, 5, 7, 9]), (21, 5, [2, 5, 8, 11, 14, 17, 20])],
)
def test_given_open_cases_when_a_minute_comes_then_its_turn_is_checked(
    count: int, minute: int, ranks: list[int]
) -> None:
    assert [*poll.due_ranks(count, minute)] == ranks


@pytest.mark.parametrize(
    ("answers", "found", "last"),
    [
        ([None, "CommentAdded", None], {"2": "CommentAdded"}, 3),
        ([RetryLaterError("A", "m", "x", 1)], {}, 1),
        ([None, UncertainError("A", "m", "x")], {}, 2),
        ([refused("x"), "AttachmentAdded", None], {"1": "CaseUpdated", "2": "AttachmentAdded"}, 3),
        ([OutOfTimeError("x"), None, None], {"1": "CaseUpdated"}, 3),
    ],
)
def test_given_open_cases_when_deep_checked_then_an_error_of_one_is_its_hint_and_a_silent_service_ends_the_checks(
    journal: Journal, answers: list[Any], found: dict[str, str], last: int
) -> None:
    stored: dict[str, dict[str, Any]] = {
        "3": {"fingerprint": "f"},
        "1": {"fingerprint": "f"},
        "0": {"fingerprint": "f", "next_try": NOW + 1},
        "2": {"fingerprint": "f"},
        "closed": {"fingerprint": "f", "closed": True},
        "unread": {},
    }
    journal.replace(poll, "Slack", "slack")
    journal.replace(poll, "_deep_check", *answers)

    assert poll._deep_checks(stored, DEADLINE) == {name: Hint(name, kind) for name, kind in found.items()}  # type: ignore[arg-type]

    minute = int(NOW // 60)
    parts = {0: "tags", 5: "findings"}
    turns = [(rank, parts.get((minute + rank) % 10, "comments")) for rank in (1, 2, 3)]
    checks = [("_deep_check", str(rank), stored[str(rank)], "slack", part) for rank, part in turns[:last]]
    assert [call for call in journal.calls if call[0] == "_deep_check"] == checks
    assert journal.calls[0] == ("Slack", DEADLINE)


@pytest.mark.parametrize("part", ["comments", "tags", "findings"])
@pytest.mark.parametrize(
    ("row", "differs", "completed", "info", "expected", "asks"),
    [
        ({}, None, None, None, None, False),
        ({"channel_id": "C1"}, "CommentAdded", None, None, "CommentAdded", False),
        ({"channel_id": "C1"}, None, "CaseUpdated", None, "CaseUpdated", False),
        ({"channel_id": "C1"}, None, None, {"is_archived": True, "is_member": True}, "CaseUpdated", True),
        ({"channel_id": "C1"}, None, None, {"is_member": False}, "CaseUpdated", True),
        ({"channel_id": "C1"}, None, None, {}, "CaseUpdated", True),
        ({"channel_id": "C1"}, None, None, {"topic": {"value": "TOPIC"}}, None, True),
        ({"channel_id": "C1", "severity": "LOW"}, None, None, {"topic": {"value": "TOPIC"}}, "CaseUpdated", True),
    ],
)
def test_given_a_case_when_deep_checked_then_one_part_is_read_and_channel_and_topic_are_compared_last(
    journal: Journal, part: Any, row: dict[str, Any], differs: Any, completed: Any, info: Any, expected: Any, asks: bool
) -> None:
    row = {"fingerprint": "f", "severity": "HIGH", **row}
    topic = messages.topic("Acknowledged", "HIGH")
    if info and "topic" in info:
        info = {"topic": {"value": topic.replace("&", "&amp;")}}
    slack: Any = SimpleNamespace(read=None)
    journal.replace(slack, "read", {"channel": info})
    journal.replace(security_ir, "get_case", case_of())
    for name in ("comments", "tags", "findings"):
        journal.replace(security_ir, name, [] if name != "tags" else {"t": "1"})
    journal.replace(members, "response_team", ["team"])
    journal.replace(fingerprints, "what_differs", differs)
    journal.replace(poll, "_complete", completed)

    assert poll._deep_check("1", row, slack, part) == expected

    values: dict[str, Any] = {"comments": None, "tags": None, "findings": None}
    values[part] = {"t": "1"} if part == "tags" else []
    read = {
        "comments": ("comments", "1", {"since": math.inf}),
        "tags": ("tags", "a"),
        "findings": ("findings", "1"),
    }
    reading = Reading(case_of(), ["team"], **values)  # type: ignore[list-item]
    assert journal.calls == [
        ("get_case", "1"),
        ("response_team",),
        read[part],
        ("what_differs", "f", reading),
        *([] if differs else [("_complete", "1", row, reading)]),
        *([("read", "conversations.info", {"channel": "C1"})] if asks else []),
    ]


def test_given_fields_that_were_not_followed_when_checked_then_they_are_stored_and_a_difference_is_a_hint(
    journal: Journal,
) -> None:
    reading = Reading(case_of(), [], None, {"severity": "LOW"}, None)
    values = followed_fields.values(reading.case, reading.tags)
    journal.replace(fingerprints, "completed", None, "new", "new")
    journal.replace(leases, "complete", {"stored": 1})
    journal.replace(changes, "differences", [], ["x"])

    results = [poll._complete("1", {"fingerprint": "old"}, reading) for _ in range(3)]

    assert results == [None, None, "CaseUpdated"]
    assert journal.calls[:4] == [
        ("completed", "old", reading),
        ("completed", "old", reading),
        ("complete", "1", values, "new", {"instead_of": "old"}),
        ("differences", {"stored": 1}, values),
    ]


@pytest.mark.parametrize(
    ("poller", "cursor", "unlisted", "stored"),
    [
        (None, None, None, {}),
        ({"first_poll_at": 5}, None, None, None),
        ({"cursor": "c"}, None, None, {}),
        ({}, "c", None, {"cursor": "c"}),
        ({"cursor": "c"}, "c", None, None),
        ({"cursor": "c"}, "c", {"u": 1}, {"cursor": "c", "unlisted": {"u": 1}}),
        ({"cursor": "c", "unlisted": {"u": 1}}, "c", {"u": 1}, None),
    ],
)
def test_given_the_row_of_the_poller_when_a_poll_ends_then_only_a_change_is_written(
    journal: Journal, poller: Any, cursor: str | None, unlisted: Any, stored: dict[str, Any] | None
) -> None:
    journal.replace(table, "put")

    poll._remember(poller, 5.0, cursor, unlisted)

    row = {"first_poll_at": 5.0, **(stored or {})}
    assert journal.calls == ([] if stored is None else [("put", keys.poller(), row)])
