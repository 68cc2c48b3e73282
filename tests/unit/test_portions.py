"""Work in portions and stored lists with a limit: each entry is handled once, and a row stays small."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ir_router.cases.models import CaseRow
from ir_router.ledger import approvals, containments, groups, keys, table
from ir_router.settings import settings
from ir_router.sync import poll
from ir_router.workflow import changes, check_allowlist, detections, members, notices, release, stale_allowlist
from ir_router.workflow.allowlist import Entry
from ir_router.workflow.member_checks import Problem
from tests.support.world import World

ACCOUNT = "123456789012"


def test_given_more_entries_than_a_run_checks_when_checked_then_each_is_checked_once_a_day_in_portions(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = stale_allowlist._AT_ONCE
    entries = [Entry("principal", f"arn:aws:iam::{ACCOUNT}:user/u{number:04}", "r") for number in range(2 * most + 1)]
    portions: list[list[str]] = []
    alerted: list[list[str]] = []

    def is_missing(value: str, *_: Any) -> bool:
        portions[-1].append(value)
        return value.endswith(("u0000", "u0400"))

    monkeypatch.setattr(check_allowlist, "known_entries", lambda: entries)
    monkeypatch.setattr(stale_allowlist, "_exact", lambda found: (one.value for one in found))
    monkeypatch.setattr(stale_allowlist, "_is_missing", is_missing)
    monkeypatch.setattr(stale_allowlist, "_alert", alerted.append)
    context = SimpleNamespace(invoked_function_arn=f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:w")
    for _ in range(4):
        portions.append([])
        stale_allowlist.run_task({}, context)

    assert [len(one) for one in portions] == [most, most, 1, 0]
    assert [value for one in portions for value in one] == [entry.value for entry in entries]
    assert [[arn[-5:] for arn in one] for one in alerted] == [["u0000", "u0400"]]


def test_given_more_missing_principals_than_an_alert_lists_when_alerted_then_the_others_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alerts: list[Any] = []
    monkeypatch.setattr(notices, "alert_everywhere", alerts.append)
    most = stale_allowlist._SHOWN
    for number in (1, most, most + 2):
        stale_allowlist._alert([f"arn-{one:03}" for one in range(number)])
    stale_allowlist._alert([])

    assert [one.text.count("arn-") for one in alerts] == [1, most, most]
    assert [" more\n" in one.text for one in alerts] == [False, False, True]
    assert "\nand 2 more\n" in alerts[-1].text
    assert [one.subject[:16] for one in alerts] == ["REMOVE 1 entry o", "REMOVE 20 entrie", "REMOVE 22 entrie"]
    assert {len(one.id) for one in alerts} == {len("allowlist-") + 12}


def test_given_many_members_with_problems_when_checked_then_the_row_keeps_200_of_each_list_and_their_number(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = members._KEPT_PROBLEMS
    active = {f"{number:012}": f"n{number:04}" for number in range(2 * (most + 1))}
    broken = set(list(active)[: most + 1])
    monkeypatch.setenv("IR_ORGANIZATION_ID", "o-1234567890")
    settings.cache_clear()
    monkeypatch.setattr(members, "_active", lambda _known: (active, True))
    monkeypatch.setattr(
        members, "_problems", lambda account, **_: [Problem("d" * 901, "fix")] if account in broken else None
    )
    members.run_task({}, SimpleNamespace(get_remaining_time_in_millis=lambda: 600_000))
    settings.cache_clear()

    row = table.get(keys.members()) or {}
    assert (len(row["not_ready"]), row["not_ready_count"]) == (most, most + 1)
    assert (len(row["others"]), row["others_count"]) == (most, most + 1)
    assert {entry["detail"] for entry in row["not_ready"].values()} == {"d" * 900}


def test_given_more_new_cases_than_tags_are_read_when_ordered_then_only_the_first_hundred_can_come_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: list[str] = []

    def severity(row: CaseRow) -> str:
        read.append(row.case_id)
        return "HIGH" if row.case_id in ("030", "099", "100") else "LOW"

    monkeypatch.setattr(poll, "_severity", severity)
    rows = [CaseRow(case_id=f"{number:03}") for number in range(102)]
    ordered = [row.case_id for row in poll._urgent_first(rows)]

    assert read == [f"{number:03}" for number in range(100)]
    assert ordered[:3] == ["030", "099", "000"]
    assert sorted(ordered) == [row.case_id for row in rows]
    assert poll._urgent_first(rows[:20]) == rows[:20]
    assert len(read) == 100


def test_given_callers_of_a_group_when_kept_then_there_are_twenty_at_most() -> None:
    many = {f"c{number:02}" for number in range(25)}
    assert groups.some_more(many, set()) == {f"c{number:02}" for number in range(20)}
    assert groups.some_more(many, {f"k{number}" for number in range(18)}) == {"c00", "c01"}
    assert groups.some_more(many, {"c00"}) == {f"c{number:02}" for number in range(1, 20)}
    assert groups.some_more(many, {f"k{number}" for number in range(30)}) == set()


@pytest.mark.parametrize(
    ("pattern", "sources"),
    [
        ({"source": ["aws.iam", "aws.sts"]}, {"aws.iam", "aws.sts"}),
        ({"source": ["aws.iam", {"prefix": "aws.s"}]}, set()),  # any source may match
        ({"detail": {}}, set()),
    ],
)
def test_given_a_pattern_when_its_sources_are_read_then_only_plain_names_limit_them(
    pattern: dict[str, Any], sources: set[str]
) -> None:
    assert detections._sources(pattern) == sources


def test_given_changes_that_iam_rejects_when_they_fail_then_only_without_any_retry_it_is_final() -> None:
    def action(*, verified: bool = False, retry: str = "never") -> Any:
        return {"what": "key disabled", "target": "AKIA1", "verified": verified, "error": "E", "retry": retry}

    never, later, done = action(), action(retry="later"), action(verified=True, retry="later")
    assert type(changes.failed([never, done])) is changes.ChangeRefusedError
    assert type(changes.failed([never, later])) is changes.ChangeFailedError
    assert type(changes.failed([later, never])) is changes.ChangeFailedError


def test_given_a_decision_about_several_principals_when_one_is_released_then_others_count_while_contained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arns = [f"arn:aws:iam::{ACCOUNT}:user/{name}" for name in ("a", "b", "c")]
    incidents = {arns[1]: "e1", arns[2]: "e0"}
    monkeypatch.setattr(approvals, "get", lambda _id: {"principals": arns})
    monkeypatch.setattr(containments, "get", lambda arn: {"incident": incidents[arn]} if arn in incidents else None)
    row = {"PK": f"CONTAINMENT#{arns[0]}", "incident": "e1"}

    assert release._has_others(row)
    incidents[arns[1]] = "e0"
    assert not release._has_others(row)
