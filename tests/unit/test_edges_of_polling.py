"""A poll: its pages, differences and due cases, the hints, and the steps after an error."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import clock
from ir_router.cases import fingerprints
from ir_router.cases.models import CaseRow
from ir_router.deadline import Deadline
from ir_router.errors import (
    IrRouterError,
    NotConfiguredError,
    RefusedError,
    RetryLaterError,
    UncertainError,
)
from ir_router.ledger import keys, security_channel, table
from ir_router.observability import logger
from ir_router.security_ir import gateway as security_ir
from ir_router.slack import credentials
from ir_router.sync import approvals, approver_watch, availability, hints, poll, security_channel_made
from ir_router.sync.availability import Problem
from ir_router.sync.hints import Hint
from tests.support.journal import Journal, refused

NOW = 1_768_500_000.0
DEADLINE = Deadline(soft=NOW + 30, hard=NOW + 50)


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> Journal:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    return Journal(monkeypatch)


def row_of(case_id: str, created: float | None = NOW, **more: Any) -> CaseRow:
    date = None if created is None else datetime.fromtimestamp(created, UTC)
    return CaseRow(case_id=case_id, created_date=date, case_status="Acknowledged", **more)


@pytest.mark.parametrize(("minute", "checks"), [(15, True), (14, False), (16, False), (0, True)])
@pytest.mark.parametrize("error", [None, ValueError("odd")])
def test_given_a_poll_when_handled_then_approvals_come_after_the_hints_and_approvers_every_15_minutes(
    monkeypatch: pytest.MonkeyPatch, journal: Journal, minute: int, checks: bool, error: Exception | None
) -> None:
    monkeypatch.setattr(clock, "now", lambda: minute * 60 + 59.9)
    context: Any = object()
    channel_row = {"SK": keys.security_channel().sk, "state": "done"}
    poller = {"SK": keys.poller().sk, "first_poll_at": 5}
    rows = [{"index_sk": "1", "channel_id": "C1"}, {"index_sk": "2"}]
    journal.replace(poll, "of_invocation", DEADLINE)
    journal.replace(poll, "open_ids", ["a1"])
    journal.replace(table, "query_index", rows)
    journal.replace(table, "get_many", [poller, channel_row])
    journal.replace(poll, "_publish_hints", error or {"listed": 1})
    journal.replace(security_channel, "id_in", "C9")
    journal.replace(approvals, "poll")
    journal.replace(approver_watch, "check")
    journal.replace(security_channel_made, "synchronise")

    if error:
        with pytest.raises(ValueError, match="odd"):
            poll.handle({}, context)
    else:
        assert poll.handle({}, context) == {"listed": 1}

    assert journal.calls == [
        ("of_invocation", context, {"reserve": 30}),
        ("open_ids",),
        ("query_index", keys.CASES_INDEX),
        ("get_many", [keys.poller(), keys.security_channel()]),
        ("_publish_hints", {"1": rows[0], "2": rows[1]}, poller, DEADLINE),
        ("id_in", channel_row),
        ("poll", ["a1"], {"1": "C1", "2": ""}, "C9", DEADLINE),
        *([("check", DEADLINE), ("synchronise", DEADLINE)] if checks else []),
    ]


def publishing(journal: Journal, listing: poll._Listing, *, configured: bool = True) -> None:
    journal.replace(poll, "_listing", listing)
    journal.replace(poll, "_slack_is_configured", configured)
    journal.replace(poll, "_without_invented", {"1": {"old": 1}, "3": {}, "4": {}})
    journal.replace(poll, "_differences", {"1": Hint("1", "CaseCreated")})
    journal.replace(poll, "_due", {"3": Hint("3", "CaseUpdated")})
    journal.replace(poll, "_deep_checks", {"4": Hint("4", "CommentAdded")})
    journal.replace(hints, "publish", 1)
    journal.replace(availability, "noticed", {"code": "x"})
    journal.replace(poll, "_remember")
    journal.replace(poll, "_lag", 0.0)
    journal.replace(poll, "measure")
    journal.replace(poll._witness, "info")


KNOWN = {"1": {"old": 1}, "3": {}, "4": {}}


@pytest.mark.parametrize(
    ("poller", "cursor", "problem", "invented", "checked", "completed"),
    [
        ({"first_poll_at": 5, "unlisted": {"u": 1}}, None, None, True, True, True),
        (None, None, None, True, True, True),
        ({"first_poll_at": 5, "cursor": "c"}, None, None, False, True, True),
        ({"first_poll_at": 5}, "next", None, False, True, True),
        (None, None, Problem("x", is_persistent=True), False, False, False),
        (None, None, Problem("EndpointConnectionError", is_persistent=True), False, False, False),
    ],
)
def test_given_a_listing_when_hints_are_published_then_each_source_sees_what_the_earlier_ones_left(
    journal: Journal,
    poller: dict[str, Any] | None,
    cursor: str | None,
    problem: Problem | None,
    invented: bool,
    checked: bool,
    completed: bool,
) -> None:
    listing = poll._Listing([row_of("1"), row_of("2")], cursor, problem)
    publishing(journal, listing)

    answer = poll._publish_hints(dict(KNOWN), poller, DEADLINE)

    first = 5.0 if poller else NOW - 300
    found = [Hint("1", "CaseCreated"), Hint("3", "CaseUpdated"), *([Hint("4", "CommentAdded")] if checked else [])]
    assert answer == {"listed": 2, "published": len(found) - 1, "refused": 1}
    lag = next(call for call in journal.calls if call[0] == "_lag")
    assert list(lag[1]) == list(KNOWN.values())
    journal.calls.remove(lag)
    assert journal.calls == [
        ("_listing", (poller or {}).get("cursor")),
        *([("_without_invented", KNOWN, {"1", "2"})] if invented else []),
        ("_slack_is_configured",),
        ("_differences", listing.rows, KNOWN, first),
        ("_due", {"3": {}, "4": {}}),
        *([("_deep_checks", {"4": {}}, DEADLINE)] if checked else []),
        ("publish", found),
        ("noticed", (poller or {}).get("unlisted"), problem),
        ("_remember", poller, first, cursor, {"code": "x"}),
        ("info", "poll.completed") if completed else ("measure", "PollFailed"),
    ]


def test_given_no_slack_app_or_a_known_state_when_polled_then_nothing_is_copied_and_the_lag_is_measured(
    monkeypatch: pytest.MonkeyPatch, journal: Journal
) -> None:
    known = Problem("x", is_persistent=True)
    monkeypatch.setattr(Problem, "is_known_state", property(lambda _self: True))
    publishing(journal, poll._Listing([], None, known), configured=False)
    journal.replace(poll, "_lag", 7.0)

    assert poll._publish_hints({}, None, DEADLINE) == {"listed": 0, "published": -1, "refused": 1}

    names = [call[0] for call in journal.calls]
    assert names == ["_listing", "_slack_is_configured", "publish", "noticed", "_remember", "_lag", "measure", "info"]
    assert ("measure", "SyncLagSeconds", 7.0, "Seconds") in journal.calls


def test_given_the_slack_app_when_its_token_is_read_then_only_a_missing_one_is_no_failure(journal: Journal) -> None:
    journal.replace(credentials, "bot_token", "t", NotConfiguredError("x"), IrRouterError("x"))
    journal.replace(logger, "error")

    assert poll._slack_is_configured() is True
    assert poll._slack_is_configured() is False
    with pytest.raises(IrRouterError):
        poll._slack_is_configured()
    assert [call[:2] for call in journal.calls if call[0] == "error"] == [("error", "slack.not_configured")]


@pytest.mark.parametrize(
    ("cursor", "pages", "asked", "rows", "after"),
    [
        (None, [(["1"], None)], [None], ["1"], None),
        ("c", [(["1"], "d"), (["2"], None)], ["c", "d"], ["1", "2"], None),
        ("c", [(["1"], "c")], ["c"], ["1"], None),
        (None, [(["1"], f"p{number}") for number in range(10)], [None, *(f"p{n}" for n in range(9))], ["1"] * 10, "p9"),
    ],
)
def test_given_pages_when_listed_then_ten_are_read_and_a_repeated_token_ends_the_list(
    journal: Journal, cursor: str | None, pages: list[Any], asked: list[Any], rows: list[str], after: str | None
) -> None:
    journal.replace(poll, "_page", *(([row_of(one) for one in found], token) for found, token in pages))

    listing = poll._listing(cursor)

    assert ([row.case_id for row in listing.rows], listing.cursor, listing.problem) == (rows, after, None)
    assert journal.calls == [("_page", token) for token in asked]


@pytest.mark.parametrize(
    "error", [refused("x", "AWS"), RetryLaterError("AWS", "m", "x", 1), UncertainError("AWS", "m", "x")]
)
def test_given_a_failure_when_listed_then_the_rows_stay_and_the_next_poll_continues_at_the_page(
    journal: Journal, error: Any
) -> None:
    journal.replace(poll, "_page", ([row_of("1")], "d"), error, ValueError("odd"))

    listing = poll._listing("c")

    assert ([row.case_id for row in listing.rows], listing.cursor) == (["1"], "d")
    assert listing.problem == availability.problem_of(error)
    with pytest.raises(ValueError, match="odd"):
        poll._listing(None)


@pytest.mark.parametrize(
    ("token", "code", "restarts"),
    [
        ("t", "InvalidTokenException", True),
        ("t", "ValidationException", True),
        ("t", "AccessDenied", False),
        (None, "ValidationException", False),
    ],
)
def test_given_an_expired_token_when_a_page_is_read_then_the_first_page_is_read_instead(
    journal: Journal, token: str | None, code: str, restarts: bool
) -> None:
    journal.replace(security_ir, "list_cases", refused(code, "AWS"), ([], "n"))

    if restarts:
        assert poll._page(token) == ([], "n")
        assert journal.calls == [("list_cases", "t"), ("list_cases",)]
        assert poll._page("u") == ([], "n")
    else:
        with pytest.raises(RefusedError):
            poll._page(token)


def test_given_rows_when_compared_then_new_cases_come_in_their_order_and_known_ones_only_if_they_differ(
    monkeypatch: pytest.MonkeyPatch, journal: Journal
) -> None:
    monkeypatch.setattr(poll, "settings", lambda: SimpleNamespace(initial_import="none"))
    rows = [
        row_of("5", NOW + 5),
        row_of("4", NOW + 4),
        row_of("0", None),
        row_of("before", NOW - 1).model_copy(update={"case_status": "Closed"}),
        *(row_of(name, NOW - 50) for name in ("same", "changed", "waiting", "paused", "hinted")),
    ]
    digests = {row.case_id: fingerprints.row_digest(row) for row in rows}
    old = fingerprints.row_digest(row_of("changed", title="other"))
    stored: dict[str, dict[str, Any]] = {
        "same": {"row_digest": digests["same"]},
        "changed": {"row_digest": old},
        "waiting": {"row_digest": old, "hints": 1},
        "hinted": {"row_digest": old, "hints": 1, "channel_id": "C1"},
        "paused": {"row_digest": old, "next_try": NOW + 1},
    }

    found = poll._differences(rows, stored, NOW)

    named: Any = found
    assert named == {
        name: Hint(name, kind, digests[name])  # type: ignore[arg-type]
        for name, kind in (
            ("changed", "CaseUpdated"),
            ("hinted", "CaseUpdated"),
            ("0", "CaseCreated"),
            ("4", "CaseCreated"),
            ("5", "CaseCreated"),
        )
    }
    assert [name for name, hint in found.items() if hint.detail_type == "CaseCreated"] == ["0", "4", "5"]


def test_given_many_new_cases_when_compared_then_the_tags_of_100_are_read_and_20_are_published(
    monkeypatch: pytest.MonkeyPatch, journal: Journal
) -> None:
    monkeypatch.setattr(poll, "settings", lambda: SimpleNamespace(initial_import="none"))
    rows = [row_of(f"{number:03d}", NOW + number, case_arn=f"arn{number}") for number in range(101)]
    urgent = {"arn19": "HIGH", "arn99": "critical", "arn100": "HIGH", "arn3": "LOW"}
    journal.replace(security_ir, "tags", lambda arn: {"severity": urgent[arn]} if arn in urgent else {})

    found = list(poll._differences(rows, {}, NOW))

    assert found == ["019", "099", *(f"{number:03d}" for number in range(18))]
    assert len(journal.taken()) == 100
    assert poll._urgent_first(rows[:20]) == rows[:20]
    assert journal.calls == []
    assert [row.case_id for row in poll._urgent_first(rows[:21])][:2] == ["019", "000"]
    journal.replace(security_ir, "tags", refused("x", "AWS"), ValueError("odd"))
    assert poll._severity(rows[0]) == ""
    with pytest.raises(ValueError, match="odd"):
        poll._severity(rows[0])


@pytest.mark.usefixtures("journal")
def test_given_stored_cases_when_due_then_waiting_ones_come_in_their_turn_and_endless_ones_are_few() -> None:
    open_ = {"hints": 2, "synced_hints": 1}
    new = {f"n{number:02d}": {**open_, "hinted_at": NOW - number} for number in range(21)}
    stored: dict[str, dict[str, Any]] = {
        **new,
        "urgent": {**open_, "severity": "HIGH", "hinted_at": NOW},
        "revisit": {"due_at": NOW, "channel_id": "C1"},
        "later": {"due_at": NOW + 1, "channel_id": "C1"},
        "none": {"due_at": 0, "channel_id": "C1"},
        "synced": {"hints": 1, "synced_hints": 1, "channel_id": "C1"},
        "open": {**open_, "channel_id": "C1"},
        "paused": {**open_, "channel_id": "C1", "next_try": NOW + 1},
        "leased": {**open_, "channel_id": "C1", "lease_until": NOW},
        "tried": {**open_, "channel_id": "C1", "next_try": NOW, "lease_until": NOW - 1},
        **{f"e{number:02d}": {"closed": True} for number in range(11)},
        "ended": {"closed": True, "due_at": NOW + 9},
        "held": {"closed": True, "next_try": NOW + 9},
    }

    found = poll._due(stored)

    waiting = ["urgent", *(f"n{number:02d}" for number in range(20, 1, -1))]
    assert list(found) == [*(f"e{number:02d}" for number in range(10)), *waiting, "revisit", "open", "tried"]
    assert set(found.values()) == {Hint(case_id, "CaseUpdated") for case_id in found}
    assert poll._turn({}) == (True, 0.0)
    assert poll._lag(stored.values()) == 20.0
    assert poll._lag([{"hinted_at": NOW - 9}, {"hints": 1}]) == 0.0
