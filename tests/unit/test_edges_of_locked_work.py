"""The work under the lock of a principal: its containment, its approval, and a containment that stays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import together
from ir_router.ledger import contained_names, containments, keys, table
from ir_router.ledger.containments import ContainmentBusyError, Limit
from ir_router.workflow import (
    actor_incidents,
    changes,
    creators,
    deployed_lists,
    enforcement,
    examination,
    found_state,
    identity,
    immediate_containment,
    invocation,
    joining,
    later_verifications,
    lock_ahead,
    new_keys,
    owners,
    reapplication,
    remediation,
    roles,
    sessions,
    tampering,
)
from ir_router.workflow.actor_incidents import Leader
from ir_router.workflow.changes import ChangeFailedError, State
from ir_router.workflow.enforcement import Enforcement
from ir_router.workflow.immediate_containment import Permission
from ir_router.workflow.remediation import Done
from tests.support.steps import NOW, Held, Steps
from tests.support.texts import facts

EXECUTION = facts.INCIDENT["execution"]["id"]
ARN = facts.MALLORY["arn"]
POLICY = facts.taken(changes.DENY, "", verified=False, error="LimitExceeded", retry="never")
UNLISTED: Any = {"what": changes.LISTED, "target": "", "verified": False, "error": "AccessDenied", "reason": "no",
                 "retry": "never"}  # fmt: skip


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    return Steps(monkeypatch)


class Work:
    """The steps of a containment under a lock. Attributes state the answers of its helpers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, steps: Steps, **given: Any) -> None:
        self.joins, self.why_ask, self.only_key, self.leader = False, "", False, Leader(EXECUTION, first=True)
        self.limit: Limit | None = None
        self.unlisted: Any = None
        self.failure: Any = None
        self.row: dict[str, Any] = {}
        vars(self).update(given)
        self.steps, self.limits = steps, []  # type: tuple[Steps, list[Any]]
        self.permission = Permission(given.get("permitted", False), frozenset({"k0"}), given.get("earlier", {}))
        state = State({"AKIA2": "Active", "k0": "Inactive"}, denied=False, policies=["p"])
        setting = SimpleNamespace(max_containments_per_hour=5, max_containments_per_hour_per_account=2,
                                  organization_id=given.get("organization"))  # fmt: skip

        def admit(*of: Any) -> Limit | None:
            self.limits.append(of)
            return self.limit

        def make(_principal: Any, wanted: Any, *, until: float) -> Any:
            steps.done.append(("make", [(one.what, one.target) for one in wanted], until))
            if self.failure:
                raise ChangeFailedError(self.failure)
            return [facts.DENIED]

        def record(lock: Any, *of: Any, **more: Any) -> None:
            steps.done.append(("record", *of, more))
            lock.row = {**lock.row, "named_keys": ["AKIA2"], "recorded": {"keys": {}}}

        read = steps.step("read ahead", (state, self.unlisted))
        self.read = steps.step("read", read)
        for module, name, answer in (
            (joining, "joins", lambda *_: self.joins),
            (actor_incidents, "leader", lambda *_: self.leader),
            (examination, "only_key_of", lambda *_: self.only_key),
            (roles, "why_ask", lambda *_: self.why_ask),
            (immediate_containment, "settings", lambda: setting),
            (containments, "admit", admit),
            (creators, "creates_key_of_another", lambda _incident: given.get("of_another", False)),
            (new_keys, "beyond_limit", lambda *_: "beyond the limit"),
            (reapplication, "reapply", lambda _lock, *of: steps.done.append(("reapply", *of))),
            (changes, "read_as_permitted", steps.step("read now", (state, self.unlisted))),
            (examination, "changes_for", lambda _principal, key, _state, only_key: [
                changes.deny(facts.MALLORY), *(changes.disable(facts.MALLORY, one) for one in (key, "k0", "z"))
            ][only_key:]),
            (found_state, "suspicious_since", lambda _incident: 4.0),
            (found_state, "record", record),
            (new_keys, "hand_over", lambda _lock, disabled: steps.done.append(("hand over", set(disabled)))),
            (changes, "retry_until", lambda _lock: 8.0),
            (changes, "make", make),
            (immediate_containment, "measure", steps.step("measure")),
            (immediate_containment, "_creators", lambda *_: {"offer": 1}),
            (owners, "tags_of", lambda *_: {"t": "o"}),
            (owners, "addresses", lambda _incident, tags: [*tags.values()]),
            (joining, "join", lambda _lock, _incident, _result, *of, added: steps.done.append(("join", *of, added))),
        ):  # fmt: skip
            monkeypatch.setattr(module, name, answer)

    def run(self, **event: Any) -> Any:
        lock: Any = Held(self.steps, **self.row)
        incident = facts.event(execution={**facts.INCIDENT["execution"], "started_at": None}, **event)
        return immediate_containment._under_lock(
            lock, self.read, incident, facts.MALLORY, "AKIA2", self.permission, "c"
        )  # fmt: skip


STATE = State({"AKIA2": "Active", "k0": "Active"}, denied=False, policies=["p"])
MADE = ("make", [(changes.DENY, ""), *((changes.DISABLED, key) for key in ("AKIA2", "k0", "z"))], 8.0)


def recorded(incident: str = EXECUTION, state: State = STATE, at: Any = None, **more: Any) -> Any:
    given = {"joins": False, "only_key": False, **more}
    return ("record", incident, facts.MALLORY, "AKIA2", state, ["AKIA2", "k0"], 4.0, at, given)


def opened(**lacking: Any) -> Any:
    values = {"deny_refused": None, "keys_unknown": None, **lacking}
    return ("save", {"contained_at": NOW, "phase": containments.OPEN, **values})


@pytest.mark.parametrize("organization", [None, "o"])
def test_given_a_new_principal_when_contained_then_it_is_read_recorded_changed_and_opened_in_this_order(
    monkeypatch: pytest.MonkeyPatch, steps: Steps, organization: str | None
) -> None:
    work = Work(monkeypatch, steps, organization=organization, row={"sealed_keys": ("s",)})

    assert work.run() == {
        "principal": facts.MALLORY, "outcome": "contained", "why": "", "actions": [facts.DENIED],
        "named_keys": ["AKIA2"], "recorded": {"keys": {}}, "sealed_keys": ["s"],
    }  # fmt: skip
    assert steps.done == [("read",), ("read ahead",), recorded(), ("hand over", {"k0"}), MADE, opened()]
    assert work.limits == [(ARN, 5, 2 if organization else None)]


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        ({"why_ask": "shared"}, "ask_first"),
        ({"why_ask": "shared", "permitted": True}, "contained"),
        ({"why_ask": "shared", "row": {"incident": "i"}}, "contained"),
        ({"why_ask": "shared", "row": {"incident": "i", "scope": "key"}}, "ask_first"),
        ({"limit": Limit(3, "")}, "beyond the limit"),
        ({"limit": Limit(3, ""), "permitted": True}, "contained"),
        ({"limit": Limit(3, ""), "of_another": True}, "beyond the limit"),
        ({"limit": Limit(3, ""), "of_another": True, "leader": Leader(EXECUTION, first=False)}, "only the key"),
        (
            {"limit": Limit(3, ""), "earlier": {ARN: {"at": 2.0, "keys": {}, "denied": True, "policies": []}}},
            "contained",
        ),
        ({"only_key": True, "limit": Limit(3, "")}, "only the key of the event"),
    ],
)
def test_given_a_principal_when_a_permission_or_a_limit_counts_then_nothing_or_only_the_key_is_changed(
    monkeypatch: pytest.MonkeyPatch, steps: Steps, given: dict[str, Any], answer: str
) -> None:
    found = Work(monkeypatch, steps, **given).run()

    made = [one[1] for one in steps.done if one[0] == "make"]
    if answer in ("ask_first", "beyond the limit"):
        assert made == []
        asked: Any = examination.result_of(facts.MALLORY, "ask_first", "shared")
        assert found == (asked if answer == "ask_first" else answer)
        return
    assert found["outcome"] == "contained"
    is_key = answer.startswith("only the key")
    assert made == [MADE[1][is_key:]]
    scope = {"scope": "key", "still_active": [], "limited": answer == "only the key"}
    assert {name: found[name] for name in scope if name in found} == (scope if is_key else {})


def test_given_an_event_that_joins_when_contained_then_the_containment_is_repaired_first(
    monkeypatch: pytest.MonkeyPatch, steps: Steps
) -> None:
    work = Work(monkeypatch, steps, joins=True, row={"incident": "i", "scope": "key"})
    result = work.run(detections=[tampering.DETACHED])

    assert (result["outcome"], result["undone"], result["owner_tags"]) == ("joined", True, {"t": "o"})
    assert steps.done == [
        ("reapply", "AKIA2", None),
        ("read now", facts.MALLORY),
        recorded("i", joins=True),
        ("hand over", {"k0"}),
        MADE,
        ("join", ["o"], {"offer": 1}, False),
    ]
    assert work.run(detections=["new_key"])["undone"] is False
    work.joins, work.leader, work.row = False, Leader("leader", first=False), {}
    steps.done.clear()
    result = work.run(detections=[tampering.DETACHED])
    assert (result["outcome"], result["undone"]) == ("joined", False)
    assert steps.done[2:] == [
        recorded("leader"), ("hand over", {"k0"}), MADE, ("join", ["o"], {"offer": 1}, True)
    ]  # fmt: skip


def test_given_a_state_without_the_ledger_when_recorded_then_it_takes_the_place_of_the_current_one(
    monkeypatch: pytest.MonkeyPatch, steps: Steps
) -> None:
    earlier = {"at": 2.0, "keys": {"k0": "Expired", "e": "Active"}, "denied": True, "policies": ["q"], "earlier": True}
    work = Work(monkeypatch, steps, earlier={ARN: earlier})
    work.run()
    keys_then = {"AKIA2": "Active", "k0": "Expired", "e": "Active"}
    state = State(keys_then, denied=True, policies=["q"], earlier=True)
    assert steps.done[2] == ("record", EXECUTION, facts.MALLORY, "AKIA2", state, ["AKIA2"], 4.0, 2.0,
                             {"joins": False, "only_key": False})  # fmt: skip
    steps.done.clear()
    work = Work(monkeypatch, steps, row={"incident": EXECUTION, "recorded": {"keys": {"AKIA2": "Inactive"}}})
    work.run()
    first = State({"AKIA2": "Inactive", "k0": "Active"}, denied=False, policies=["p"])
    assert (steps.done[2][4], steps.done[2][5]) == (first, ["k0"])


def test_given_changes_that_iam_refuses_when_contained_then_a_part_is_decided_about_and_nothing_is_hidden(
    monkeypatch: pytest.MonkeyPatch, steps: Steps
) -> None:
    result = Work(monkeypatch, steps, failure=[POLICY, facts.taken()]).run()
    assert (result["actions"], result["why"].startswith("deny policy NOT attached")) == ([POLICY, facts.taken()], True)
    assert steps.done[-2:] == [("measure", "ContainmentFailed"), opened(deny_refused=True)]

    result = Work(monkeypatch, steps, unlisted=UNLISTED).run()
    assert (result["actions"], result["keys_unknown"]) == ([facts.DENIED, UNLISTED], True)
    assert result["why"].startswith("access keys of user mallory NOT disabled")
    assert steps.done[-1] == opened(keys_unknown=True)

    for failure, unlisted, actions in (
        ([facts.taken(verified=False)], None, [facts.taken(verified=False)]),
        ([POLICY, facts.taken()], UNLISTED, [POLICY, facts.taken(), UNLISTED]),
    ):
        with pytest.raises(ChangeFailedError) as error:
            Work(monkeypatch, steps, failure=failure, unlisted=unlisted).run()
        assert error.value.actions == actions


@pytest.mark.parametrize(
    ("changed", "is_done"),
    [({}, True), ({"phase": "failed"}, False), ({"deny_refused": True}, False), ({"keys_unknown": True}, False),
     ({"incident": "other"}, False)],
)  # fmt: skip
def test_given_a_principal_that_joined_a_request_when_an_attempt_contained_it_then_a_retry_reports_it(
    monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any], is_done: bool
) -> None:
    row = {
        "incident": EXECUTION, "phase": containments.OPEN, "principal": facts.MALLORY, "disabled_keys": ["a"],
        "named_keys": ("a",), "recorded": {"keys": {"a": "Active"}}, **changed,
    }  # fmt: skip
    monkeypatch.setattr(containments, "get", lambda arn: row if arn == ARN else None)
    monkeypatch.setattr(immediate_containment, "_contain", lambda _incident, *given: given)
    part = facts.part(actions=[facts.taken(target="b")])
    permission: Any = "permission"
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: 12_000)

    found: Any = immediate_containment._contain_joined(facts.event(), part, permission, context)

    if is_done:
        actions = [{"what": what, "target": key, "verified": True, "principal": ARN}
                   for what, key in ((changes.DENY, ""), (changes.DISABLED, "a"))]  # fmt: skip
        more = {"actions": actions, "named_keys": ["a"], "recorded": {"keys": {"a": "Active"}}}
        assert found == {**examination.result_of(facts.MALLORY, "contained", ""), **more}
        return
    assert found == (identity.Target(facts.MALLORY, None, ["b"]), permission, context)
    context.get_remaining_time_in_millis = lambda: 11_999
    with pytest.raises(ContainmentBusyError, match="a retry contains the other principals"):
        immediate_containment._contain_joined(facts.event(), part, permission, context)


@pytest.mark.parametrize("state", ["there", "gone", "key only"])
def test_given_a_decision_when_carried_out_then_its_result_is_stored_before_the_row_changes(
    monkeypatch: pytest.MonkeyPatch, steps: Steps, state: str
) -> None:
    kept = Enforcement([facts.taken()], "note", denied=False)
    monkeypatch.setattr(identity, "current_principal", lambda *_: None if state == "gone" else facts.BOB)

    def keep_in_place(_lock: Any, *given: Any) -> Enforcement:
        steps.done.append(("keep", *given))
        return kept

    monkeypatch.setattr(enforcement, "keep_in_place", keep_in_place)
    monkeypatch.setattr(later_verifications, "schedule", steps.step("schedule"))
    monkeypatch.setattr(table, "put", steps.step("put"))
    monkeypatch.setattr(remediation, "forget", lambda _lock, done: steps.done.append(("forget", done)))
    lock: Any = Held(steps, incident="i", recorded={"keys": {"b": 1, "a": 2}}, named_keys=["a"], left_at_end=["l"])
    if state == "key only":
        lock.row["scope"] = "key"
    missing: Any = {
        "what": "nothing to change: IAM no longer has a user mallory with this id", "target": "", "verified": True
    }  # fmt: skip

    def stored(done: Done) -> list[Any]:
        row = {"actions": done.actions, "note": done.note, "denied": done.denied, "held": False, "left": ["l"],
               "expires_at": int(NOW) + 7 * 86_400}  # fmt: skip
        return [("put", keys.done("i", ARN), row), ("schedule", ARN)]

    deleted = remediation.delete_named_keys(lock, facts.MALLORY)

    full = Done([facts.taken()], "note", False)
    expected = {"there": full, "gone": Done([missing]), "key only": Done([facts.taken()], "note")}[state]
    assert deleted == expected
    sealed = ("save", {"phase": containments.APPROVED, "sealed_keys": ["a", "b"]})
    keeping: list[Any] = [] if state == "gone" else [("keep", facts.BOB, "the deny policy", ["a"])]
    assert steps.done == [*keeping, *([*stored(full), sealed] if state == "there" else [("forget", expected)])]

    steps.done.clear()
    left = remediation.keep(lock, facts.MALLORY)
    expected = Done([missing]) if state == "gone" else full
    assert left == expected
    keeping = [] if state == "gone" else [("keep", facts.BOB, "the containment")]
    assert steps.done == [*keeping, *stored(expected), ("save", {"phase": containments.KEPT})]


@pytest.mark.parametrize(
    ("mode", "unreachable", "refused", "likely"),
    [("enforce", None, False, True), ("enforce", "x", False, False), ("enforce", None, True, False),
     ("dry_run", None, False, False)],
)  # fmt: skip
@pytest.mark.parametrize("spared", [None, "spared"])
def test_given_a_target_when_contained_then_its_lock_is_taken_ahead_only_if_it_is_likely_needed(
    monkeypatch: pytest.MonkeyPatch, steps: Steps, mode: str, unreachable: Any, refused: bool, likely: bool, spared: Any
) -> None:
    target = identity.Target(facts.MALLORY, "AKIA2", [])._replace(unreachable=unreachable)
    found = {**facts.MALLORY, "id": "AIDA1"}
    lock = SimpleNamespace(principal="arn:of the row")
    ahead = SimpleNamespace(take_over="take over", reading_under=lambda *given: ("reading", *given))

    @contextmanager
    def started(*given: Any, wanted: bool) -> Iterator[Any]:
        steps.done.append(("ahead", *given, wanted))
        yield ahead

    @contextmanager
    def locked(*given: Any) -> Iterator[Any]:
        steps.done.append(("lock", *given))
        yield lock

    def examine(*given: Any) -> Any:
        steps.done.append(("examine", *given[1:3], given[3]()))
        return found, spared

    monkeypatch.setattr(immediate_containment, "settings", lambda: SimpleNamespace(containment_mode=mode))
    monkeypatch.setattr(invocation, "contained_account", lambda _incident, context: f"account {context}")
    monkeypatch.setattr(invocation, "lock_until", lambda context: f"until {context}")
    monkeypatch.setattr(examination, "is_refused_by_event", lambda *_: refused)
    monkeypatch.setattr(examination, "examine", examine)
    monkeypatch.setattr(lock_ahead, "started", started)
    monkeypatch.setattr(contained_names, "locked", locked)
    monkeypatch.setattr(together, "started", lambda call: steps.done.append((call.func, *call.args)))
    monkeypatch.setattr(deployed_lists, "current", lambda: SimpleNamespace(protected_principals="protected"))
    monkeypatch.setattr(immediate_containment, "_under_lock", lambda _lock, read, _incident, *given: (read(), *given))
    permission: Any = "permission"

    answer: Any = immediate_containment._contain(facts.event(), target, permission, "c")

    principal = {**found, "arn": "arn:of the row"}
    done = (("reading", lock, principal), principal, "AKIA2", "permission", "c")
    assert answer == (spared or done)
    opened_ahead = [(sessions.open_ahead, found), ("lock", ARN, "AIDA1", "until c", "take over")]
    assert steps.done == [
        ("ahead", target, "until c", likely),
        ("examine", target, "account c", "protected"),
        *([] if spared else opened_ahead),
    ]
