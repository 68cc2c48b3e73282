"""Writes whose condition fails: a row that changed, ended or never existed stays as it is, and no error is raised."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import clock
from ir_router.ledger import (
    activity,
    alerts,
    allowlisted_hours,
    approvals,
    assignees,
    contained_names,
    containments,
    creators,
    deciders,
    groups,
    joined_events,
    keys,
    mentions,
    releases,
    security_channel,
    table,
    urgent,
)
from ir_router.ledger.alerts import Alert
from ir_router.ledger.table import ConditionFailedError, TransactionFailedError
from ir_router.sync import security_channel_made
from ir_router.workflow import attempts, third_parties
from tests.support.world import World
from tests.trials.world.incidents import audit_rows

FACTS = {"headline": "h", "owners": [], "principals": [], "approve_does": "a", "deny_does": "d"}
ARN = "arn:aws:iam::123456789012:user/carol"
NEVER = "never-asked"


@pytest.fixture(autouse=True)
def _world(world: World) -> World:
    return world


def asked(execution: str = "one") -> str:
    return str(approvals.request(execution, "remediate", f"token-{execution}", FACTS)["approval_id"])


def row_of(approval_id: str) -> dict[str, Any]:
    return approvals.get(approval_id) or {}


def stored() -> dict[str, Any]:
    return containments.get(ARN) or {}


def contained(incident: str = "e1", **more: Any) -> dict[str, Any]:
    table.put(keys.containment(ARN), {"incident": incident, "principal": {"name": "carol"}} | more)
    return stored()


def test_given_an_incident_that_ended_when_its_principal_is_renamed_then_the_next_incident_keeps_its_name() -> None:
    earlier = contained("e1")
    contained_names.rename(earlier, "caroline")
    assert stored()["principal"] == {"name": "caroline"}

    contained("e2")
    contained_names.rename(earlier, "mallory")
    assert stored()["principal"] == {"name": "carol"}


@pytest.mark.parametrize(
    ("known", "asked_id", "is_found"),
    [("AIDA1", "AIDA1", True), (None, "AIDA1", True), ("AIDA1", None, True), ("AIDA1", "AIDA2", False)],
)
def test_given_a_row_without_a_stored_name_when_asked_for_then_only_that_of_another_id_is_not_its_principals(
    known: str | None, asked_id: str | None, *, is_found: bool
) -> None:
    contained("e1", principal={"name": "carol", "id": known})
    assert (contained_names.row_of(ARN, asked_id) is not None) is is_found
    table.put(keys.containment(ARN), {"principal": {"name": "carol", "id": known}})  # its incident has ended
    assert contained_names.row_of(ARN, asked_id) is not None
    assert contained_names.row_of("", asked_id) is None


def test_given_an_open_or_unknown_approval_when_its_users_are_erased_then_only_a_closed_one_changes() -> None:
    approval_id = asked()
    deciders.freeze(approval_id, ["U1"])
    deciders.forget(approval_id)
    deciders.forget(NEVER)
    assert (row_of(approval_id)["approvers"], approvals.get(NEVER)) == (["U1"], None)

    approvals.record_expired(approval_id, "too late")
    deciders.forget(approval_id)
    assert "approvers" not in row_of(approval_id)


def test_given_an_unknown_approval_when_something_is_stored_about_it_then_it_gets_no_row() -> None:
    deciders.note_owners(NEVER, ["jane"], ["U1"], [])
    mentions.freeze(NEVER, ["U1"])
    mentions.move_to_case(NEVER)
    approvals.note_shown(NEVER, "digest")
    urgent.keep(NEVER)
    urgent.end({"approval_id": NEVER})
    assert not urgent.note(NEVER, "m", "text")
    assert approvals.get(NEVER) is None

    approval_id = asked()
    deciders.note_owners(approval_id, ["jane"], ["U1"], [])
    mentions.freeze(approval_id, ["U1"])
    mentions.move_to_case(approval_id)
    approvals.note_shown(approval_id, "digest")
    row = row_of(approval_id)
    assert (row["owner_ids"], row["mentions"], row["mentions_in_case"], row["shown_as"]) == (
        ["U1"],
        ["U1"],
        True,
        "digest",
    )


def test_given_two_urgent_messages_at_once_when_noted_then_both_stay_and_a_closed_request_stays_listed_for_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    approval_id = asked()
    read = approvals.get
    between = [lambda: urgent.note(approval_id, "second", "2")]

    def get(name: str) -> Any:
        row = read(name)
        if between:
            between.pop()()
        return row

    monkeypatch.setattr(approvals, "get", get)
    assert urgent.note(approval_id, "first", "1")

    row = row_of(approval_id)
    assert sorted(one["name"] for one in row["urgent"]) == ["first", "second"]
    approvals.record_expired(approval_id, "too late")
    assert urgent.note(approval_id, "third", "3")
    urgent.end(row)
    assert "index_pk" in row_of(approval_id)
    urgent.end(row_of(approval_id))
    assert "index_pk" not in row_of(approval_id)


def test_given_a_counter_that_another_execution_reports_when_reported_then_its_row_is_empty() -> None:
    groups.count("one", "e1")

    assert groups.reported("one")["reported_by"] == "one"
    table.update(groups._counter("one"), "SET reported_by = :other", other="two")
    assert groups.reported("one") == {}


def test_given_a_principal_that_was_released_when_it_joins_again_then_only_a_pending_request_takes_it() -> None:
    approval_id = asked()

    def with_row(name: str) -> Any:
        return table.put_item(keys.deduplication(name), {"expires_at": int(clock.now()) + 9})

    assert joined_events._join_again(approval_id, ARN, with_row("a"))
    assert approvals.decide(row_of(approval_id), "approve", {"name": "Jane", "via": "slack"}, "")
    assert not joined_events._join_again(approval_id, "arn:other", with_row("b"))

    assert row_of(approval_id)["joined_principals"] == {ARN}
    assert table.get(keys.deduplication("b")) is None


def test_given_a_security_channel_that_was_replaced_when_invitations_are_stored_then_the_new_row_keeps_its_own() -> (
    None
):
    table.put(keys.security_channel(), {"channel_id": "C2", "invited": ["U2"]})

    security_channel_made._remember("C2", ["U2", "U3"])
    with pytest.raises(ConditionFailedError):
        security_channel_made._remember("C1", ["U1"])

    assert (table.get(keys.security_channel()) or {})["invited"] == ["U2", "U3"]


def test_given_a_security_channel_that_another_run_replaced_when_it_is_found_unusable_then_the_new_row_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table.put(keys.security_channel(), {"channel_id": "C1", "state": "done"})

    def is_usable(*_: Any) -> bool:
        table.put(keys.security_channel(), {"channel_id": "C2", "state": "done"})
        return False

    monkeypatch.setattr(security_channel, "known_id", lambda: "C1")
    monkeypatch.setattr(security_channel_made, "_is_usable", is_usable)
    monkeypatch.setattr(security_channel_made, "_make", lambda _slack: None)
    deadline: Any = SimpleNamespace(settle_after=clock.now() + 9)
    security_channel_made.synchronise(deadline)

    assert (table.get(keys.security_channel()) or {})["channel_id"] == "C2"


@pytest.mark.parametrize(("first", "second", "stored"), [("09", "10", "10"), ("10", "09", "10")])
def test_given_two_calls_that_disabled_a_key_when_they_arrive_in_any_order_then_the_newer_one_is_stored(
    first: str, second: str, stored: str
) -> None:
    event = {"detail": {"requestParameters": {"accessKeyId": "AKIA1"}}}
    found: Any = [SimpleNamespace(id="access_key_disabled")]
    for hour in (first, second):
        actor = {"arn": f"arn:aws:iam::123456789012:user/at-{hour}", "name": f"at-{hour}", "kind": "user"}
        incident: Any = {"event_time": f"2026-01-15T{hour}:00:00+00:00", "actor": actor}
        third_parties.note_disabled(incident, event, found)

    assert f"at-{stored}" in (table.get(keys.disabled_key("AKIA1")) or {})["by"]


def denied_call(execution: str) -> Any:
    incident = {"event_time": "2026-01-15T09:00:00+00:00", "event_name": "GetUser", "source_ip": None, "event_id": "x"}
    return {**incident, "execution": {"id": execution}}


def test_given_denied_calls_when_counted_then_each_execution_counts_once_and_only_for_its_own_incident() -> None:
    row = contained("e1")

    assert [attempts._count(denied_call(one), ARN, row) for one in ("x1", "x1", "x2")] == [True] * 3
    assert stored()["attempts"] == 2

    contained("e2")
    assert not attempts._count(denied_call("x3"), ARN, row)
    assert "attempts" not in stored()


def test_given_two_runs_that_saw_the_same_number_when_they_report_it_then_one_does_and_none_for_another_incident() -> (
    None
):
    row = contained("e1")
    assert [attempts._is_ours(ARN, row, now) for now in (100.0, 101.0)] == [True, False]
    seen = stored()
    assert [attempts._is_ours(ARN, seen, now) for now in (500.0, 501.0)] == [True, False]

    contained("e2")
    assert not attempts._is_ours(ARN, row, 900.0)


def test_given_an_hour_that_a_late_batch_changes_when_recorded_then_it_is_recorded_once_with_the_new_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key = keys.allowlisted_hour("2020-01-01T00", "entry")
    row = {"started": "2020-01-01T00:00:00Z", "allowed_by": "a", "because": "b", "events": 1, "ids_sum": 5}
    table.put(key, row)
    query = table.query

    def stale(pk: str) -> Any:
        found = list(query(pk))
        table.update(key, "SET events = :events", events=2)
        return found

    monkeypatch.setattr(table, "query", stale)
    assert allowlisted_hours.record_ended() == 0
    assert table.get(key) is not None
    monkeypatch.setattr(table, "query", query)
    assert allowlisted_hours.record_ended() == 1

    assert table.get(key) is None
    assert [one["action"] for one in audit_rows()] == ["events_allowlisted"]
    with pytest.raises(TransactionFailedError):
        table.transact([table.delete_item(key, "events = :events", events=2)])


def test_given_a_case_without_contained_credentials_when_a_reading_is_requested_then_it_gets_no_request() -> None:
    assert not activity.request("1", 5.0)
    activity.save("2", progress="p")
    assert not activity.request("2", 5.0)
    assert (activity.get("1"), "requested_at" in (activity.get("2") or {})) == (None, False)

    activity.save("2", credentials=[{"arn": ARN}])
    assert activity.request("2", 5.0)
    assert (activity.get("2") or {})["requested_at"] == 5


def test_given_an_alert_that_a_retry_stores_with_other_text_when_read_then_it_has_the_first_text(world: World) -> None:
    name = alerts.note(Alert("e1/alert", "HIGH", "s", "first"))
    before = alerts.get(name)
    world.advance(60)

    assert alerts.note(Alert("e1/alert", "HIGH", "s", "second")) == name
    assert alerts.get(name) == before
    assert (before or {})["text"] == "first"


def test_given_a_request_that_was_decided_when_texts_or_creators_change_then_it_keeps_what_the_analyst_saw() -> None:
    approval_id = asked()
    offer: Any = {"who": "user mallory", "arn": ARN, "note": "n"}
    approvals.amend(approval_id, approve_does="b")
    creators.add(approval_id, {"c1": offer})
    assert approvals.decide(row_of(approval_id), "approve", {"name": "Jane", "via": "slack"}, "")

    approvals.amend(approval_id, approve_does="c")
    creators.add(approval_id, {"c1": offer, "c2": offer})
    creators.add(NEVER, {"c1": offer})

    row = row_of(approval_id)
    assert (row["approve_does"], row["creators"].keys(), approvals.get(NEVER)) == ("b", {"c1"}, None)


def test_given_presses_in_any_order_when_a_user_takes_a_request_then_the_latest_one_of_an_open_request_counts(
    world: World,
) -> None:
    def press(user: str, at: float, approval_id: str = "") -> bool:
        analyst = {"name": user, "slack_user_id": user, "via": "slack"}
        return assignees.assign(approval_id or request, analyst, at)

    request, now = asked(), clock.now()
    assert not press("U1", now, NEVER)
    assert approvals.get(NEVER) is None
    assert [press("U1", now - 50), press("U1", now - 40), press("U2", now - 60)] == [True, False, False]
    assert row_of(request)["assignee"]["slack_user_id"] == "U1"
    assert press("U2", now - 30)
    assert approvals.decide(row_of(request), "deny", {"name": "Jane", "via": "slack"}, "")
    assert not press("U3", now)
    assert row_of(request)["assignee"]["slack_user_id"] == "U2"


def locked() -> containments.Lock:
    return containments.take(ARN, clock.now() + 60)


def test_given_a_request_that_expired_when_its_principal_is_released_then_the_containment_ends_and_no_row_is_made() -> (
    None
):
    contained("e1")
    lock = locked()

    releases.end(lock, NEVER, "Jane")

    assert "incident" not in stored()
    assert approvals.get(NEVER) is None


def test_given_a_lock_that_another_run_took_over_when_a_release_ends_then_nothing_is_recorded(world: World) -> None:
    approval_id = asked()
    contained("e1")
    lock = locked()
    world.advance(61)
    locked()

    with pytest.raises(containments.ContainmentBusyError):
        releases.end(lock, approval_id, "Jane")

    assert (stored()["incident"], "released" in row_of(approval_id)) == ("e1", False)
    with pytest.raises(TransactionFailedError):
        table.transact([lock.saving(phase="kept")])
    assert "phase" not in stored()


def test_given_a_group_that_another_execution_opened_when_it_is_opened_as_a_new_one_then_its_row_stays() -> None:
    first, second = (groups.opening("g", execution, None, takes_over=False) for execution in ("one", "two"))
    table.transact(first)

    with pytest.raises(TransactionFailedError):
        table.transact(second)

    assert (groups.last("g") or {})["execution"] == "one"
    groups.annotate("g", "one", "SET case_id = :case_id", case_id="1")
    with pytest.raises(ConditionFailedError):
        groups.annotate("g", "two", "SET case_id = :case_id", case_id="2")
    assert (groups.last("g") or {})["case_id"] == "1"


def test_given_an_event_that_joins_twice_or_a_decided_request_when_noted_then_it_counts_once() -> None:
    approval_id = asked()
    for execution in ("x1", "x1", "x2"):
        joined_events.note(approval_id, {"execution": execution, "what": execution})
    assert (row_of(approval_id)["joined_events"], row_of(approval_id)["last_joined"]["what"]) == (2, "x2")

    assert approvals.decide(row_of(approval_id), "deny", {"name": "Jane", "via": "slack"}, "")
    with pytest.raises(containments.ContainmentBusyError):
        joined_events.note(approval_id, {"execution": "x3", "what": "x3"})
    joined_events.note(NEVER, {"execution": "x3", "what": "x3"})
    assert (row_of(approval_id)["joined_events"], approvals.get(NEVER)) == (2, None)
