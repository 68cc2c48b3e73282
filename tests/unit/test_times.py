"""Times and pauses that are the earlier or the later of several: retries, revisits, starts and the newest entry."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import clock, paging
from ir_router.cases.trail_calls import TrailCall
from ir_router.commands import alert_button, create, release
from ir_router.errors import RefusedError
from ir_router.ledger import alerts, approvals, assignees, keys, member_activity, table
from ir_router.sync import activity, attachments, awaited, bookmarks, request_people, slack_to_case
from ir_router.sync.case_sync import ClaimHeldError
from ir_router.workflow import later_verifications
from tests.support.world import World

FACTS = {"headline": "h", "owners": [], "principals": [], "approve_does": "a", "deny_does": "d"}
CASE = "1234567890"
NOW = 1_000_000.0


@pytest.fixture
def ledger(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    return world


@pytest.mark.parametrize(("at", "start"), [(NOW - 60, NOW - 60), (NOW + 60, NOW)])
def test_given_an_alert_when_its_form_opens_then_the_start_is_its_time_and_never_in_the_future(
    monkeypatch: pytest.MonkeyPatch, at: float, start: float
) -> None:
    forms: list[Any] = []
    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(alerts, "get", lambda _name: {"severity": "HIGH", "subject": "ACT: s", "text": "t", "at": at})
    monkeypatch.setattr(create, "open_filled", lambda _command, form, _again: forms.append(form))
    command: Any = SimpleNamespace(user_id="U1")
    alert_button._open(command, "name")
    assert [(form.start, form.title, form.severity) for form in forms] == [(int(start), "s", "High")]


@pytest.mark.parametrize(("pressed_at", "at"), [(None, NOW), (NOW - 5, NOW - 5), (NOW + 5, NOW)])
def test_given_a_press_when_a_request_is_assigned_then_its_time_is_never_in_the_future(
    ledger: World, pressed_at: float | None, at: float
) -> None:
    approval_id = str(approvals.request("one", "remediate", "token", FACTS)["approval_id"])
    assert assignees.assign(approval_id, {"name": "Jane", "slack_user_id": "U1", "via": "slack"}, pressed_at)
    assert float((approvals.get(approval_id) or {})["assignee"]["at"]) == at


def test_given_several_released_requests_when_nothing_is_left_then_the_latest_release_is_named() -> None:
    def released(by: str, at: float, state: str = "delivered") -> dict[str, Any]:
        return {"principals": ["a"], "released": ["a"], "released_by": by, "released_at": at, "state": state}

    rows = [released("Ann", 50), released("Bob", 90), released("Carl", 70)]
    assert "Bob" in release._nothing(rows)
    assert release._nothing([*rows, released("Eve", 10, approvals.PENDING)]) == release._NOTHING
    assert release._nothing([]) == release._NOTHING


def test_given_two_releases_when_the_button_withdraws_then_it_names_the_newest() -> None:
    row = {"approval_id": "a", "state": approvals.PENDING, "votes": [{"at": 5.5}, {"at": 7.5}, {"at": 6.5}]}
    (button,) = [one for one in request_people.buttons(row) if one["action_id"] == request_people.WITHDRAW]
    assert button["value"] == "a/7.5"


@pytest.mark.parametrize(
    ("waited", "kept_for"), [(0, 3_600), (86_400, 3_600), (48 * 3_600, 7_200), (24 * 86_400, 86_400), (9e9, 86_400)]
)
def test_given_a_containment_when_verified_then_the_next_time_is_in_an_hour_to_a_day(
    ledger: World, waited: float, kept_for: float
) -> None:
    later_verifications._put("arn:u", NOW - waited)
    assert float((table.get(keys.verification("arn:u")) or {})["next_at"]) == NOW + kept_for
    assert list(later_verifications.due()) == []


def test_given_cases_whose_calls_are_wanted_when_listed_then_the_longest_waiting_is_first(ledger: World) -> None:
    member_activity.save("1", wanted_at=10.0, tried_at=90.0)
    member_activity.save("2", wanted_at=50.0)
    member_activity.save("3", wanted_at=70.0, tried_at=20.0)
    member_activity.save("4", wanted_at=10.0, done_at=10.0)
    assert [row["SK"] for row in member_activity.wanted()] == ["2", "3", "1"]


class Revisits:
    """A case whose `revisit` keeps the times."""

    def __init__(self, **attributes: Any) -> None:
        self.times: list[float] = []
        self.case_id = CASE
        self.case = SimpleNamespace(pending_action="Customer", is_closed=False, **attributes)

    def row(self, key: Any) -> Any:
        return table.get(key)

    def is_done(self, _key: Any) -> bool:
        return False

    def revisit(self, at: float) -> None:
        self.times.append(at)


def test_given_a_case_that_waits_for_the_customer_when_synchronised_then_the_next_reminder_is_its_revisit(
    ledger: World,
) -> None:
    sync: Any = Revisits()
    awaited.synchronise(sync)
    assert sync.times == [NOW + 2 * 3_600]


@pytest.mark.parametrize(("age", "pause"), [(0, 60), (120, 60), (600, 300), (7_200, 3_600), (90_000, 3_600)])
def test_given_an_attachment_whose_scan_is_pending_when_synchronised_then_the_pause_grows_from_a_minute_to_an_hour(
    ledger: World, monkeypatch: pytest.MonkeyPatch, age: float, pause: float
) -> None:
    created = SimpleNamespace(timestamp=lambda: NOW - age)
    one = SimpleNamespace(created_date=created, attachment_id="a-1", attachment_status="Pending")
    monkeypatch.setattr(attachments, "_row_of_slack_file", lambda *_: None)
    sync: Any = Revisits(case_attachments=[one])
    attachments.synchronise(sync)
    assert sync.times == [NOW + pause]


def test_given_bookmarks_that_slack_rejects_when_retried_then_the_pause_doubles_up_to_a_day(
    ledger: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wanted(_sync: Any) -> Any:
        raise RefusedError("Slack", "bookmarks.add", "too_many_bookmarks")

    monkeypatch.setattr(bookmarks, "_wanted", wanted)
    pauses = []
    at = NOW
    for _ in range(13):
        monkeypatch.setattr(clock, "now", lambda at=at: at)
        sync: Any = Revisits()
        bookmarks.synchronise(sync)
        pauses.append(sync.times[0] - at)
        at = sync.times[0]
    assert pauses == [*(60.0 * 2**number for number in range(11)), 86_400.0, 86_400.0]


def test_given_a_message_of_ir_router_when_read_then_its_row_or_an_open_post_decides(ledger: World) -> None:
    known = {"state": "done", "ts": "5.0"}
    table.put(keys.note(CASE, "one"), known)
    table.put(keys.note(CASE, "two"), known | {"ts": "6.0"})
    for ts, is_known in (("5.0", True), ("6.0", True), ("7.0", False)):
        assert slack_to_case._is_in_ledger(CASE, {"ts": ts}, patient=True) is is_known

    for name, settled in (("three", NOW + 200), ("four", NOW + 100)):
        table.put(keys.note(CASE, name), {"state": "claimed", "claimed_at": 1.0, "settle_after": settled})
    with pytest.raises(ClaimHeldError) as held:
        slack_to_case._is_in_ledger(CASE, {"ts": "9999999.0"}, patient=True)
    assert held.value.until == NOW + 200
    assert not slack_to_case._is_in_ledger(CASE, {"ts": "9999999.0"}, patient=False)


def test_given_calls_after_a_containment_when_paged_then_the_newest_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pages: list[str] = []
    monkeypatch.setattr(paging, "page", lambda _reason, _headline, text: pages.append(text))
    calls = [
        TrailCall("e", at, "us-east-1", "iam", f"Call{at}", "", "a", "b", "k", "arn:c", "arn:u") for at in (1, 3, 2)
    ]
    found: Any = SimpleNamespace(escaped=calls)
    activity._page(CASE, found)
    assert "Calls so far: 3.\nThe newest: iam Call3 in us-east-1 by arn:c." in pages[0]
