"""Moments and numbers at which rows of the ledger change their meaning: hours, limits, urgent messages, releases."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from ir_router import clock
from ir_router.errors import IrRouterError
from ir_router.ledger import (
    allowlist,
    approvals,
    audit_reading,
    containments,
    groups,
    incidents,
    keys,
    releases,
    table,
    two_people,
    urgent,
)
from ir_router.ledger.containments import ContainmentBusyError, Limit
from ir_router.ledger.keys import Key
from ir_router.ledger.table import ConditionFailedError

NOW = 1_767_261_720.0
ARN = "arn:aws:iam::{}:user/{}"
ONE, TWO, OTHER = ARN.format("111111111111", "a"), ARN.format("111111111111", "b"), ARN.format("222222222222", "c")


@pytest.fixture(autouse=True)
def _fixed_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)


@pytest.fixture
def puts(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    written: list[dict[str, Any]] = []
    monkeypatch.setattr(table, "put", lambda key, row, condition=None, **values: written.append({**row, **values}))
    return written


def counted(monkeypatch: pytest.MonkeyPatch, recent: dict[str, float] | None) -> None:
    row = None if recent is None else {"recent": recent, "version": 4}
    monkeypatch.setattr(table, "get", lambda key: row if key == keys.recently_contained() else None)


@pytest.mark.parametrize(
    ("recent", "limit", "account_limit", "expected"),
    [
        ({}, 0, None, Limit(0, "")),
        ({}, 1, None, None),
        ({TWO: NOW}, 1, None, Limit(1, "")),
        ({TWO: NOW}, 2, None, None),
        ({TWO: NOW - 3_600}, 1, None, None),
        ({TWO: NOW - 3_599}, 1, None, Limit(1, "")),
        ({ONE: NOW - 10, TWO: NOW}, 1, None, None),
        ({TWO: NOW}, 9, 1, Limit(1, "111111111111")),
        ({TWO: NOW}, 9, 2, None),
        ({OTHER: NOW}, 9, 1, None),
        ({ONE: NOW - 10}, 9, 1, None),
        ({TWO: NOW}, 1, 1, Limit(1, "")),
        ({}, 9, 0, Limit(0, "111111111111")),
    ],
)
def test_given_principals_of_the_last_hour_when_another_is_contained_then_both_limits_count(
    monkeypatch: pytest.MonkeyPatch,
    puts: list[dict[str, Any]],
    recent: dict[str, float],
    limit: int,
    account_limit: int | None,
    expected: Limit | None,
) -> None:
    counted(monkeypatch, recent)
    assert containments.admit(ONE, limit, account_limit) == expected
    kept = {name: at for name, at in recent.items() if at > NOW - 3_600}
    assert puts == ([] if expected else [{"recent": {**kept, ONE: NOW}, "version": 4}])


def test_given_the_first_principal_when_counted_then_the_row_has_version_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counted(monkeypatch, None)
    written: list[tuple[Any, ...]] = []
    monkeypatch.setattr(table, "put", lambda *given, **values: written.append((*given[1:], values)))
    containments.admit(ONE, 1)
    counted(monkeypatch, {})
    containments.admit(ONE, 1)
    condition = "attribute_not_exists(PK) OR version = :version"
    assert written == [
        ({"recent": {ONE: NOW}, "version": 1}, condition, {"version": 0}),
        ({"recent": {ONE: NOW}, "version": 5}, condition, {"version": 4}),
    ]


def test_given_other_runs_that_count_at_once_when_counted_then_twenty_attempts_are_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counted(monkeypatch, {})
    attempts: list[Key] = []

    def conflict(key: Key, *_: Any, **__: Any) -> None:
        attempts.append(key)
        raise ConditionFailedError({})

    monkeypatch.setattr(table, "put", conflict)
    with pytest.raises(ContainmentBusyError):
        containments.admit(ONE, 1)
    assert len(attempts) == 20


def rejection(status: int | None) -> ClientError:
    answer: Any = {"Error": {"Code": "Any"}}
    if status is not None:
        answer["ResponseMetadata"] = {"HTTPStatusCode": status}
    return ClientError(answer, "any")


@pytest.mark.parametrize(
    ("error", "is_certain"),
    [
        (rejection(400), True),
        (rejection(499), True),
        (rejection(500), False),
        (rejection(None), False),
        (IrRouterError("any"), True),
        (ValueError("any"), False),
    ],
)
def test_given_an_error_when_a_lock_ends_then_it_is_released_only_if_no_request_is_in_flight(
    error: Exception, *, is_certain: bool
) -> None:
    assert containments._is_certain(error) is is_certain


def test_given_messages_of_a_day_when_read_then_those_of_24_hours_ago_are_no_longer_urgent() -> None:
    row: dict[str, Any] = {"urgent": [{"name": str(age), "at": NOW - age} for age in (86_401, 86_400, 86_399, 0)]}
    assert [one["name"] for one in urgent.current(row)] == ["86399", "0"]
    assert urgent.current({}) == urgent.current({"urgent": None}) == []
    assert [urgent.is_unshown({"unshown": NOW - age}) for age in (86_399, 86_400)] == [True, False]
    assert not urgent.is_unshown({})
    rows: list[dict[str, Any]] = [{}, {"urgent": []}, {"unshown": 1}, {"urgent": [], "unshown": 1}]
    kept = [urgent.is_kept(one) for one in rows]
    assert kept == [False, True, True, True]


def test_given_ten_urgent_messages_when_another_is_noted_then_the_oldest_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = [{"name": f"m{number}", "text": "t", "at": NOW} for number in range(10)]
    row = {"approval_id": "a", "case_id": "7", "urgent": before}
    written: list[dict[str, Any]] = []
    monkeypatch.setattr(approvals, "get", lambda approval_id: row)
    monkeypatch.setattr(table, "update", lambda *given, **values: written.append(values))

    assert urgent.note("a", "m3", "again")
    assert written == []
    assert urgent.note("a", "new", "text")

    assert written[0]["after"] == [*before[1:], {"name": "new", "text": "text", "at": NOW}]
    assert (written[0]["before"], written[0]["index_sk"]) == (before, "7#a")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [ONE, TWO]),
        ({"released": {ONE}}, [TWO]),
        ({"released": {ONE, TWO}}, []),
        ({"result": ""}, []),
        ({"decision": "deny"}, []),
        ({"kind": "contain"}, []),
        ({"state": "decided"}, []),
        ({"state": "pending"}, []),
        ({"state": "expired", "decision": None, "result": None}, [ONE, TWO]),
        ({"state": "expired", "kind": "contain"}, []),
    ],
)
def test_given_a_request_when_its_release_is_asked_for_then_only_an_ended_one_has_principals(
    changes: dict[str, Any], expected: list[str]
) -> None:
    row = {"kind": "remediate", "state": "delivered", "decision": "approve", "result": "done", "principals": [ONE, TWO]}
    assert releases.releasable({**row, **changes}) == expected


@pytest.mark.parametrize(
    ("released", "principal", "sentence"),
    [
        ([], "", ""),
        ([], ONE, ""),
        ([ONE], "", ""),
        ([ONE], TWO, ""),
        ([ONE], ONE, "Already released by Jane, 2026-01-01 10:02:00 UTC."),
        ([ONE, TWO], "", "Already released. The last release of this request was by Jane, 2026-01-01 10:02:00 UTC."),
        ([ONE, TWO], TWO, "Already released. The last release of this request was by Jane, 2026-01-01 10:02:00 UTC."),
    ],
)
def test_given_released_principals_when_released_again_then_the_sentence_names_the_last_release(
    released: list[str], principal: str, sentence: str
) -> None:
    row = {"principals": [ONE], "joined_principals": {TWO}, "released": set(released)}
    assert releases.earlier({**row, "released_by": "Jane", "released_at": NOW}, principal) == sentence


def test_given_a_group_when_asked_for_then_its_hour_ends_at_its_last_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    for until, is_open in ((NOW - 1, False), (NOW, False), (NOW + 0.1, True)):
        row = {"execution": "e", "until": until}
        monkeypatch.setattr(table, "get", {keys.deduplication("ALERT#g"): row}.get)
        assert groups.find("g") == (row if is_open else None)
        assert groups.last("g") == row
    monkeypatch.setattr(table, "get", lambda key: None)
    assert groups.find("g") is None
    assert groups.counter_of({"execution": "e"}) == "e"
    assert groups.counter_of({"execution": "e", "counted_in": "first"}) == "first"
    assert groups.name_of("a", "b") == groups.name_of("a|b") != groups.name_of("b", "a")


@pytest.mark.parametrize(("known", "is_kept"), [(0, True), (19, True), (20, False), (21, False)])
def test_given_callers_of_a_counter_when_an_event_is_counted_then_twenty_callers_are_kept(
    monkeypatch: pytest.MonkeyPatch, known: int, *, is_kept: bool
) -> None:
    row = {"callers": {str(number) for number in range(known)}}
    monkeypatch.setattr(table, "get", lambda key: row)
    monkeypatch.setattr(table, "put_item", lambda *given, **values: ("put", values))
    monkeypatch.setattr(table, "update_item", lambda *given, **values: ("update", given[1], values))
    written: list[Any] = []
    monkeypatch.setattr(table, "transact", written.extend)

    groups.count("reporter", "execution", "caller")
    groups.count("reporter", "execution")

    kept = {"one": 1, "expires_at": int(NOW) + 2 * 3_600 + 86_400}
    plain = ("update", "ADD events :one SET expires_at = :expires_at", kept)
    named = (
        "update",
        "ADD events :one, callers :callers SET expires_at = :expires_at",
        {**kept, "callers": {"caller"}},
    )
    assert written[1::2] == [named if is_kept else plain, plain]


@pytest.mark.parametrize(("votes", "counts"), [(1, False), (2, True), (3, True)])
def test_given_events_that_joined_when_approvals_are_counted_then_those_of_persons_who_saw_all_events_count(
    votes: int, *, counts: bool
) -> None:
    vote = {"seen": votes, "at": 1, "analyst": {"slack_user_id": "U1"}}
    row = {"joined_events": 2, "votes": [vote]}
    assert two_people.current(row) == ([vote] if counts else [])
    assert two_people.has_own(row, "votes", "U1", 1.0) is counts
    assert two_people.current({"votes": [{"seen": 0}]}) == [{"seen": 0}]


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ({"via": "cli", "name": "a"}, {"via": "cli", "name": "b"}, True),
        ({"via": "cli", "name": "A  b"}, {"via": "slack", "name": "a B", "slack_user_id": "U1"}, True),
        ({"via": "cli", "name": "x@y.com"}, {"via": "slack", "name": "b", "email": "X@y.com"}, True),
        ({"via": "slack", "name": "x@y.com"}, {"via": "slack", "name": "b", "email": "x@y.com"}, False),
        (
            {"via": "slack", "slack_user_id": "U1", "email": "x@y.com"},
            {"via": "slack", "slack_user_id": "U2", "email": "x@y.com"},
            True,
        ),
        ({"via": "slack", "slack_user_id": "U1"}, {"via": "slack", "slack_user_id": "U2"}, False),
        ({"via": "slack", "slack_user_id": "U1", "name": "a"}, {"via": "slack", "name": "a"}, True),
        ({"via": "step_functions", "name": "a"}, {"via": "step_functions", "name": "b"}, False),
    ],
)
def test_given_two_analysts_when_compared_then_ids_addresses_and_typed_names_can_show_one_person(
    one: dict[str, Any], other: dict[str, Any], *, is_same: bool
) -> None:
    assert two_people.is_same_person(one, other) is is_same
    assert two_people.is_same_person(other, one) is is_same


def request(name: str, execution: str, kind: str, phase: str, result: str = "") -> dict[str, Any]:
    return {f"approval_{name}": {"execution": execution, "kind": kind, "phase": phase, "result": result}}


@pytest.mark.parametrize(
    ("row", "phase", "results"),
    [
        ({}, None, []),
        ({"case_id": "7"}, None, []),
        (request("a", "e", "contain", "asked"), "asked", []),
        (request("a", "e", "remediate", "ended", "kept") | request("b", "f", "contain", "asked"), "asked", ["kept"]),
        (request("a", "e", "contain", "asked") | request("b", "f", "remediate", "contained"), "contained", []),
        (request("a", "e", "remediate", "kept") | request("b", "f", "remediate", "ended", "r"), "kept", ["r"]),
        (
            request("a", "e", "contain", "ended", "old") | request("b", "e", "remediate", "ended", "new"),
            "ended",
            ["new"],
        ),
        (
            request("a", "e", "contain", "ended", "z") | request("b", "f", "remediate", "ended", "a"),
            "ended",
            ["a", "z"],
        ),
        (request("a", "e", "remediate", "ended", "x") | request("b", "f", "remediate", "ended", "x"), "ended", ["x"]),
    ],
)
def test_given_requests_of_a_case_when_its_phase_is_read_then_the_least_advanced_one_decides(
    row: dict[str, Any], phase: str | None, results: list[str]
) -> None:
    assert incidents.phase(row) == phase
    assert incidents.results(row) == results


def test_given_entries_of_the_allowlist_when_read_then_one_ends_at_the_moment_of_its_expiry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [{"value": "a", "expires_at": NOW}, {"value": "b", "expires_at": NOW + 1}, {"value": "c"}]
    found = {keys.allowlist("ip", "").pk: rows}
    monkeypatch.setattr(table, "query", lambda pk: found.get(pk, []))
    assert [row["value"] for row in allowlist.entries()] == ["b", "c"]


@pytest.mark.parametrize(
    ("month", "before"),
    [("2026-01", "2025-12"), ("2026-02", "2026-01"), ("2026-10", "2026-09"), ("2026-12", "2026-11")],
)
def test_given_a_month_when_the_one_before_is_read_then_january_follows_december(month: str, before: str) -> None:
    assert audit_reading._month_before(month) == before
