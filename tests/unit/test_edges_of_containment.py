"""Containment: the stored record, the result of several principals, retries, and the reasons of a partial one."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import clock
from ir_router.ledger import approvals, containments, table
from ir_router.ledger.containments import ContainmentBusyError
from ir_router.workflow import (
    changes,
    enforcement,
    examination,
    found_state,
    immediate_containment,
    invocation,
    notices,
    reapplication,
    remediation,
    request_approval,
    sessions,
    third_parties,
)
from ir_router.workflow.changes import ChangeFailedError, State
from tests.support.texts import facts

NOW = 1768480300.0
DENY = "arn:aws:iam::aws:policy/AWSDenyAll"


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(sessions, "deny_policy_arn", lambda: DENY)


class Held:
    """A lock whose row changes as it is saved: a value of None removes the attribute."""

    def __init__(self, **row: Any) -> None:
        self.row = row
        self.principal = facts.MALLORY["arn"]
        self.saved: list[dict[str, Any]] = []
        self.cleared = 0

    def save(self, **values: Any) -> None:
        self.saved.append(values)
        self.row = {name: value for name, value in (self.row | values).items() if value is not None}

    def clear(self) -> None:
        self.cleared += 1


def record(lock: Held, state: State, *, key: str | None = "k1", at: float | None = None, since: float = 90.0,
           incident: str = "i", joins: bool = False, only_key: bool = False) -> dict[str, Any]:  # fmt: skip
    held: Any = lock
    found_state.record(held, incident, facts.MALLORY, key, state, ["k1"], since, at, joins=joins, only_key=only_key)
    return lock.row


STATE = State({"k1": "Active", "k2": "Inactive"}, denied=False, policies=["p"], earlier=True)
OLD: dict[str, Any] = {
    "case_id": "1", "joined_by": ["x"], "joined_owners": ["o"], "joined_creators": {"c": 1}, "undone": {"n": 1},
    "times_undone": 3, "repaired_at": 5, "left_behind": ["l"], "left_behind_reported": True, "inline_policies": ["q"],
    "left_at_end": ["e"], **dict.fromkeys(containments.ATTEMPTS, 1),
}  # fmt: skip


def test_given_a_new_incident_when_recorded_then_nothing_of_an_earlier_one_stays() -> None:
    row = record(Held(**OLD), STATE)

    assert row == {
        "recorded": {
            "deny_attached": False,
            "earlier_attached": True,
            "policies": ["p"],
            "keys": {"k1": "Active", "k2": "Inactive"},
        },
        "named_keys": ["k1"],
        "disabled_keys": ["k1"],
        "incident": "i",
        "phase": containments.FAILED,
        "opened_at": NOW,
        "principal": facts.MALLORY,
        "suspicious_since": 90.0,
    }
    only = record(Held(), STATE, only_key=True, at=7.0)
    assert (only["scope"], only["recorded"]["keys"], only["found_at"]) == ("key", {"k1": "Active"}, 7.0)


def test_given_an_open_incident_when_an_event_joins_then_the_first_state_stays_and_missing_keys_are_dropped() -> None:
    first = record(Held(), STATE)
    before = {
        **first,
        "named_keys": ["gone", "k2"],
        "recorded": {**first["recorded"], "keys": {"k1": "Inactive", "gone": "Active"}},
    }
    later = State({"k1": "Active", "k2": "Active", "k3": "Active"}, denied=True, policies=["p", "q"])

    row = record(Held(**before, **OLD), later, key="k4", joins=True, since=80.0, incident="other")

    assert row["recorded"] == {
        **first["recorded"], "keys": {"k1": "Inactive", "k2": "Active", "k3": "Active"}
    }  # fmt: skip
    assert (row["named_keys"], row["incident"], row["suspicious_since"]) == (["k2", "k4"], "i", 80.0)
    assert {name: row[name] for name in OLD} == OLD
    assert record(Held(**before), later, joins=True, since=99.0)["suspicious_since"] == 90.0
    again = record(Held(**first, times_undone=2), later)
    assert (again["times_undone"], again["recorded"]["keys"]["k1"]) == (2, "Active")


@pytest.mark.parametrize(
    ("row", "at", "joins", "earlier"),
    [({"opened_at": 50.0}, 49.0, True, True), ({"opened_at": 50.0}, 50.0, True, False),
     ({"opened_at": 50.0, "found_at": 40.0}, 45.0, True, False), ({"opened_at": 50.0}, None, True, False),
     ({"opened_at": 50.0}, 49.0, False, False)],
)  # fmt: skip
def test_given_a_state_without_the_ledger_when_it_is_the_earliest_then_it_replaces_the_recorded_one(
    row: dict[str, Any], at: float | None, joins: bool, earlier: bool
) -> None:
    recorded = {"deny_attached": True, "earlier_attached": False, "policies": [DENY], "keys": {"k1": "Inactive"}}
    held = Held(recorded=recorded, incident="i", named_keys=[], disabled_keys=[], **row)

    found = record(held, STATE, at=at, joins=joins)

    assert found["recorded"]["deny_attached"] is not earlier
    assert found["recorded"]["keys"]["k1"] == ("Active" if earlier else "Inactive")
    assert found.get("found_at") == (at if earlier else row.get("found_at"))
    assert record(Held(recorded=recorded, incident="i", named_keys=[], scope="key"), STATE)["recorded"]["policies"] == [
        "p"
    ]
    assert "disabled_keys" not in record(Held(recorded=recorded, incident="i", named_keys=[]), STATE)


def failure(*actions: Any) -> ChangeFailedError:
    return ChangeFailedError(list(actions))


POLICY = facts.taken(changes.DENY, "", verified=False, error="AccessDenied", retry="soon")


@pytest.mark.parametrize(
    ("error", "started", "start"),
    [
        (failure(POLICY, facts.taken()), 60, "deny policy NOT attached to user mallory: IAM rejected it"),
        (failure(POLICY, facts.taken()), 59, ""),
        (failure({**POLICY, "retry": "never"}, facts.taken()), 0, "deny policy NOT attached to user mallory"),
        (failure({**POLICY, "retry": "never"}), 60, ""),
        (failure({**POLICY, "retry": "never"}, facts.taken(verified=False)), 60, ""),
        (failure({**POLICY, "retry": "later"}, facts.taken()), 60, ""),
    ],
)
def test_given_a_policy_that_iam_rejects_when_a_key_is_disabled_then_it_is_reported_after_a_minute_of_retries(
    monkeypatch: pytest.MonkeyPatch, error: ChangeFailedError, started: float, start: str
) -> None:
    monkeypatch.setattr(examination, "seconds_since", lambda moment: started if moment == "s" else None)
    execution = {**facts.INCIDENT["execution"], "started_at": "s"}

    why = immediate_containment._why_in_part(facts.event(execution=execution), facts.MALLORY, error, None)

    assert why.startswith(start)
    assert bool(why) is bool(start)
    assert not why or "Only the access keys are disabled. Console sessions and" in why
    unlisted: Any = {"what": changes.LISTED, "target": "", "verified": False, "error": "AccessDenied", "retry": "never"}
    both = failure(facts.DENIED, unlisted)
    listed = immediate_containment._why_in_part(facts.event(execution=execution), facts.MALLORY, both, unlisted)
    assert listed == f"{enforcement.without_keys(facts.MALLORY, unlisted)}."


@pytest.mark.parametrize(
    ("key", "what"),
    [(None, None), ("k1", None), ("k2", None), ("k3", "key k3 has expired"), ("k4", "key k4 no longer exists")],
)
def test_given_the_key_of_an_event_when_it_needs_no_change_then_the_reason_is_stated(
    key: str | None, what: str | None
) -> None:
    state = State({"k1": "Active", "k2": "Inactive", "k3": "Expired"}, denied=True)

    found = immediate_containment._not_disabled(key, state)

    assert [changes.describe(one) for one in found] == ([what] if what else [])
    assert all(one["verified"] for one in found)


def test_given_results_when_summed_up_then_the_first_containment_gives_the_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(examination, "seconds_since", lambda moment: {"s": 3.0}.get(str(moment), 5.0))
    incident = facts.event(execution={**facts.INCIDENT["execution"], "started_at": "s"})
    before = facts.result(owners=["x"], contained_at="t", seconds_from_event=1.0)
    unknown: Any = {**before, "contained_at": None}
    parts = [facts.part(facts.BOB, "gone"), facts.part()]

    fresh = immediate_containment.summary(incident, parts)
    assert (fresh["outcome"], fresh["principals"], fresh["owners"]) == ("contained", parts, [])
    assert (fresh["seconds_from_event"], fresh["seconds_from_arrival"]) == (5.0, 3.0)
    assert (fresh["contained_at"] or "").endswith("Z")
    kept = immediate_containment.summary(incident, parts, before)
    assert (kept["contained_at"], kept["seconds_from_event"], kept["principals"]) == ("t", 1.0, parts)
    never = immediate_containment.summary(incident, parts, unknown)
    assert never["seconds_from_event"] == 5.0
    gone = immediate_containment.summary(incident, parts[:1], before)
    assert (gone["outcome"], gone["contained_at"], gone["seconds_from_event"], gone["seconds_from_arrival"]) == (
        "gone", None, None, None
    )  # fmt: skip


@pytest.mark.parametrize(("milliseconds", "is_short"), [(11_999, True), (12_000, False)])
def test_given_an_invocation_that_ends_when_further_principals_wait_then_a_retry_continues(
    monkeypatch: pytest.MonkeyPatch, milliseconds: int, is_short: bool
) -> None:
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: milliseconds)
    assert immediate_containment._is_short_of_time(context) is is_short

    done: list[str] = []
    approval = {"principals": [facts.MALLORY["arn"]], "joined_principals": {facts.BOB["arn"]}}
    monkeypatch.setattr(approvals, "get", lambda _id: approval)
    monkeypatch.setattr(approvals, "principals_of", lambda _row: [facts.MALLORY["arn"], facts.BOB["arn"]])
    monkeypatch.setattr(invocation, "lock_until", lambda _context: 0.0)
    monkeypatch.setattr(remediation, "_list_left_behind", lambda *_: ["thing"])
    monkeypatch.setattr(remediation, "_done_before", lambda *_: None)

    class Locked(Held):
        def __enter__(self) -> Locked:
            return self

        def __exit__(self, *_: object) -> None:
            pass

    row = {"incident": facts.INCIDENT["execution"]["id"], "principal": facts.BOB}
    monkeypatch.setattr(containments, "locked", lambda *_: Locked(**row))
    task = {"incident": facts.event(), "containment": facts.result(facts.CONTAINED)}

    def work(_lock: Any, principal: Any) -> remediation.Done:
        done.append(principal["name"])
        return remediation.Done([facts.taken()], "note", denied=principal["name"] == "bob", held=True)

    if is_short:
        with pytest.raises(ContainmentBusyError, match="a retry continues"):
            remediation.for_each_principal(task, context, work)
        assert done == ["mallory"]
        return
    assert remediation.for_each_principal(task, context, work) == {
        "actions": [facts.taken(), facts.taken()],
        "notes": ["note"],
        "denied": {facts.MALLORY["arn"]: False, facts.BOB["arn"]: True},
        "joined": [facts.BOB],
        "released": [],
        "held": [facts.MALLORY["arn"], facts.BOB["arn"]],
        "left_behind": ["user mallory: thing", "user bob: thing"],
    }


def test_given_changes_of_others_when_a_principal_is_restored_then_each_is_listed_and_stays() -> None:
    recorded = {"keys": {"k1": "Active"}, "policies": [DENY, "arn:p/Old", "arn:p/Both"], "deny_attached": False}
    quarantine = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV2"
    found = State(
        {"k3": "Inactive", "k1": "Inactive", "k2": "Active"},
        denied=True,
        policies=["arn:p/Both", quarantine, "arn:p/New"],
    )

    def texts(recorded: dict[str, Any], *, only_keys: bool = False) -> list[str]:
        return [changes.describe(one) for one in remediation._changed_by_others(recorded, found, only_keys=only_keys)]

    keys = ["key k2 was created by others and is Active", "key k3 was created by others and is Inactive"]
    policies = [
        "AWS attached AWSCompromisedKeyQuarantineV2, because it found a key exposed; it stays attached",
        "others attached the policy New; it stays attached",
        "others detached the policy Old; it stays detached",
    ]
    assert texts(recorded) == [*keys, *policies]
    assert texts(recorded, only_keys=True) == policies
    assert texts({"keys": {"k1": "Active"}}) == keys


@pytest.mark.parametrize(("phase", "changed", "published"), [
    (containments.OPEN, True, 1), (containments.OPEN, False, 0), (containments.APPROVED, True, 0),
    (containments.KEPT, True, 0),
])  # fmt: skip
def test_given_keys_that_others_restricted_when_verified_then_only_a_pending_request_shows_them_once(
    monkeypatch: pytest.MonkeyPatch, phase: str, changed: bool, published: int
) -> None:
    events: list[Any] = []
    monkeypatch.setattr(third_parties, "held", lambda *_: {"k1": "why"})
    monkeypatch.setattr(request_approval, "refresh", lambda approval_id: {"approval_id": approval_id})
    monkeypatch.setattr(notices, "publish", lambda *given: events.append(given))
    lock = Held(phase=phase, incident="i", held=None if changed else {"k1": "why"})
    given: Any = lock

    reapplication._note_held(given, STATE)

    approval_id = approvals.id_of("i", "remediate")
    assert events == [("ApprovalRequested", {"approval_id": approval_id, "joined": True})] * published
    assert lock.saved == [{"held": {"k1": "why"}}] * published
    monkeypatch.setattr(third_parties, "held", lambda *_: {})
    reapplication._note_held(given, STATE)
    assert lock.saved[published:] == ([{"held": None}] if phase == containments.OPEN else [])


def test_given_a_gap_when_stored_then_the_keys_and_the_policy_of_others_are_known() -> None:
    recorded = {"keys": {"k1": "Inactive"}, "policies": [DENY, "p"], "deny_attached": True, "earlier_attached": False}
    lock = Held(recorded=recorded, disabled_keys=["k1"], times_undone=2, deny_refused=True)
    given: Any = lock

    undone = reapplication._store(given, reapplication._Gap(True, ["k1", "k2"], {"k1": "Active", "k2": "Active"}))

    assert undone == {
        "number": 3, "deny_policy": True, "active_keys": ["k1", "k2"], "new_keys": ["k2"], "was_refused": True,
        "were_unknown": False,
    }  # fmt: skip
    assert lock.row["recorded"] == {
        **recorded, "deny_attached": False, "policies": ["p"], "keys": {"k1": "Inactive", "k2": "Active"}
    }  # fmt: skip
    assert lock.row["disabled_keys"] == ["k1", "k2"]
    other = Held(recorded=recorded, keys_unknown=True)
    given = other
    first = reapplication._store(given, reapplication._Gap(False, [], {}))
    assert (first["number"], first["was_refused"], first["were_unknown"]) == (1, False, True)
    assert (other.row["recorded"], "disabled_keys" in other.row) == (recorded, False)


def test_given_a_decision_that_is_done_when_the_incident_ends_then_an_earlier_approval_keeps_its_row(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stored: list[Any] = []
    monkeypatch.setattr(table, "put", lambda _key, row: stored.append(row))
    forget: Callable[[Any, remediation.Done], None] = remediation.forget
    first, second = Held(incident="i", left_at_end=["l"]), Held(incident="i", sealed_keys=["k1"])
    done = remediation.Done([facts.taken()], "note", denied=True, held=True)

    forget(first, done)
    forget(second, remediation.Done([]))

    assert (first.cleared, first.saved, second.cleared, second.saved) == (
        1, [], 0, [{"phase": containments.APPROVED}]
    )  # fmt: skip
    end = int(NOW) + 7 * 86_400
    assert stored == [
        {"actions": [facts.taken()], "note": "note", "denied": True, "held": True, "left": ["l"], "expires_at": end},
        {"actions": [], "note": "", "denied": None, "held": False, "left": [], "expires_at": end},
    ]


@pytest.mark.parametrize(
    ("row", "is_done"),
    [
        ({"incident": "e", "phase": containments.OPEN}, False),
        ({"incident": "e", "phase": containments.APPROVED}, True),
        ({"incident": "e", "phase": containments.KEPT}, True),
        ({"incident": "other", "phase": containments.OPEN}, True),
        ({}, True),
    ],
)
def test_given_a_state_that_is_retried_when_a_principal_is_done_then_its_first_result_is_reported(
    monkeypatch: pytest.MonkeyPatch, row: dict[str, Any], is_done: bool
) -> None:
    kept = {"actions": [facts.taken()], "note": "n", "denied": False, "held": True, "left": ["l"]}
    monkeypatch.setattr(table, "get", lambda _key: kept)
    lock: Any = Held(**row)

    found = remediation._done_before("e", "arn", lock)

    assert found == (remediation.Done([facts.taken()], "n", denied=False, held=True, left=["l"]) if is_done else None)
    monkeypatch.setattr(table, "get", lambda _key: {"actions": (facts.taken(),)})  # of an earlier version
    bare = remediation._done_before("e", "arn", lock)
    assert bare == (remediation.Done([facts.taken()], "", denied=None, held=False, left=()) if is_done else None)
    monkeypatch.setattr(table, "get", lambda _key: None)
    assert remediation._done_before("e", "arn", lock) is None
