"""New keys beyond the limit, events that join an incident, and the result for all principals of an event."""

from __future__ import annotations

from typing import Any

import pytest

from ir_router.errors import UncertainError
from ir_router.ledger.containments import ContainmentBusyError, Limit
from ir_router.workflow import (
    changes,
    event_claims,
    iam,
    identity,
    immediate_containment,
    joining,
    new_keys,
    not_contained,
    owners,
    patterns,
)
from ir_router.workflow.changes import ChangeFailedError, State
from ir_router.workflow.immediate_containment import Permission
from ir_router.workflow.patterns import PatternError
from ir_router.workflow.phase import Phase
from tests.support.steps import Held, Steps
from tests.support.texts import facts

EXECUTION = facts.INCIDENT["execution"]["id"]
UNLISTED: Any = {"what": changes.LISTED, "target": "", "verified": False}
REFUSED = facts.taken(verified=False)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    return Steps(monkeypatch)


@pytest.mark.parametrize(
    ("event", "account", "found", "unlisted", "why", "actions"),
    [
        ({}, "", {"AKIA2": "Active"}, None, "3 principals were", ["done"]),
        ({}, "7", {"AKIA2": "Active"}, None, "3 principals of account 7 were", ["done"]),
        ({"in_account": "shop (7)"}, "7", {}, None, "3 principals of account shop (7) were", []),
        ({}, "", {"AKIA2": "Active"}, UNLISTED, "3 principals were", [UNLISTED]),
        ({"event_name": "ConsoleLogin"}, "", {"AKIA2": "Active"}, None, "3 principals were", []),
        ({"refused": True}, "", {"AKIA2": "Active"}, None, "3 principals were", [REFUSED]),
    ],
)
def test_given_the_hourly_limit_when_it_is_reached_then_only_a_new_key_is_disabled_and_the_reason_is_stated(
    monkeypatch: pytest.MonkeyPatch, steps: Steps, event: dict[str, Any], account: str, found: Any, unlisted: Any,
    why: str, actions: list[Any],
) -> None:  # fmt: skip
    made: list[Any] = []

    def make(principal: Any, wanted: Any, *, until: float) -> Any:
        made.append((principal, [(one.what, one.target) for one in wanted], until))
        if "refused" in event:
            raise ChangeFailedError([REFUSED])
        return ["done"]

    monkeypatch.setattr(changes, "read_as_permitted", lambda _principal: (State(found, denied=False), unlisted))
    monkeypatch.setattr(changes, "retry_until", lambda _lock: 8.0)
    monkeypatch.setattr(changes, "make", make)
    lock: Any = Held(steps)
    incident = facts.event(**event)

    result = new_keys.beyond_limit(lock, incident, facts.MALLORY, "AKIA2", Limit(3, account))

    who = "this one" if "event_name" in event else "user mallory"
    assert result == {
        "principal": facts.MALLORY,
        "outcome": "limit_reached",
        "why": f"{why} contained within the last hour, so ir-router contains {who} only after an approval.",
        "actions": actions,
        "named_keys": [],
        "recorded": {},
        **({"beyond_account": account} if account else {}),
    }
    is_changed = actions in (["done"], [REFUSED])
    assert made == ([(facts.MALLORY, [(changes.DISABLED, "AKIA2")], 8.0)] if is_changed else [])
    cleared: list[str] = []
    lock.clear = lambda: cleared.append(str(lock.row))
    for lock.row in ({"scope": "key"}, {"scope": "key", "contained_at": 1}, {}):
        new_keys.beyond_limit(lock, facts.event(event_name="x"), facts.MALLORY, None, Limit(3, account))
    assert cleared == [str({"scope": "key"})]


def test_given_keys_that_were_disabled_before_when_their_owner_is_contained_then_its_record_restores_them(
    steps: Steps,
) -> None:
    keys = {"a": "Inactive", "b": "Active", "c": "Inactive"}
    lock: Any = Held(steps, recorded={"keys": keys, "x": 1}, disabled_keys=["z"])
    new_keys.hand_over(lock, ["c", "b", "gone", "a"])
    recorded = {"keys": {"a": "Active", "b": "Active", "c": "Active"}, "x": 1}
    assert steps.done == [("save", {"recorded": recorded, "disabled_keys": ["a", "c", "z"]})]
    lock = Held(steps, recorded={"keys": keys, "x": 1})
    new_keys.hand_over(lock, ["a", "c"])
    assert steps.done[1:] == [("save", {"recorded": recorded})]
    new_keys.hand_over(lock, ["b"])
    assert len(steps.done) == 2


@pytest.mark.parametrize(
    ("row", "phase", "joins", "denied"),
    [
        ({}, Phase.AWAITED, False, []),
        ({"incident": "e"}, Phase.AWAITED, False, []),
        ({"incident": "i"}, Phase.AWAITED, True, []),
        ({"incident": "i"}, Phase.ENDED, False, []),
        ({"incident": "i"}, Phase.DECIDED, None, [facts.MALLORY]),
        ({"incident": "i", "scope": "key"}, Phase.DECIDED, None, []),
    ],
)
def test_given_an_event_when_an_incident_of_its_principal_is_open_then_it_joins_or_waits_for_the_decision(
    monkeypatch: pytest.MonkeyPatch, row: dict[str, Any], phase: Phase, joins: bool | None, denied: list[Any]
) -> None:
    attached: list[Any] = []
    monkeypatch.setattr(joining, "phase_of", lambda _row: phase)
    monkeypatch.setattr(iam, "deny", attached.append)

    if joins is None:
        with pytest.raises(ContainmentBusyError, match="a decision about an earlier event is being carried out"):
            joining.joins(row, "e", facts.MALLORY)
    else:
        assert joining.joins(row, "e", facts.MALLORY) is joins
    assert attached == denied


class Containment:
    """The containment of each target: `results` are the answers by name, or errors."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **results: Any) -> None:
        self.calls: list[Any] = []
        self.measured: list[Any] = []
        self.results = results
        joined = [facts.part(facts.BOB, actions=[facts.taken(target="AKIA7")])]
        monkeypatch.setattr(identity, "targets", lambda _incident, _context: [*results])
        monkeypatch.setattr(not_contained, "joined", lambda execution, _own: joined if execution == EXECUTION else [])
        monkeypatch.setattr(immediate_containment, "_contain", self._contain)
        monkeypatch.setattr(immediate_containment, "_contain_joined", self._contain_joined)
        monkeypatch.setattr(immediate_containment, "_creators", lambda *_: None)
        monkeypatch.setattr(immediate_containment, "measure", lambda *given: self.measured.append(given))
        monkeypatch.setattr(event_claims, "claim_later", lambda *given: self.calls.append(("claim", *given)))
        monkeypatch.setattr(owners, "tags_of", lambda *_: {"t": "o"})
        monkeypatch.setattr(owners, "addresses", lambda _incident, tags: [*tags.values()])
        monkeypatch.setattr(owners, "kept_apart", lambda answer, execution: {**answer, "kept": execution})

    def _contain(self, _incident: Any, target: str, permission: Permission, context: Any) -> Any:
        self.calls.append((target, permission, context))
        if isinstance(self.results[target], Exception):
            raise self.results[target]
        return self.results[target]

    def _contain_joined(self, _incident: Any, part: Any, permission: Permission, context: Any) -> Any:
        self.calls.append((part["principal"]["name"], permission, context))
        return part


@pytest.mark.parametrize(
    ("parts", "changed", "measured"),
    [
        ([facts.CONTAINED], {}, True),
        ([facts.part(outcome="joined", added=True), facts.part(outcome="joined")], {}, True),
        ([facts.part(outcome="joined")], {}, False),
        ([facts.part(outcome="gone")], {}, False),
    ],
)
def test_given_the_principals_of_an_event_when_contained_then_times_are_measured_only_for_a_new_containment(
    monkeypatch: pytest.MonkeyPatch, parts: list[Any], changed: dict[str, Any], measured: bool
) -> None:
    run = Containment(monkeypatch, **{f"t{number}": part for number, part in enumerate(parts)})
    times = {"seconds_from_event": 4.0, "seconds_from_arrival": 2.0}
    summary = lambda _incident, results, _before: {"outcome": results[0]["outcome"], **times}  # noqa: E731
    monkeypatch.setattr(immediate_containment, "summary", summary)
    incident = facts.event(unclaimed={"name": "n"})

    answer: Any = immediate_containment._contain_all({"incident": incident}, "c")

    none = Permission(given=False, disabled=frozenset(), earlier={})
    assert run.calls == [("claim", {"name": "n"}, EXECUTION), *((f"t{n}", none, "c") for n in range(len(parts)))]
    both = [("ContainmentSeconds", 4.0, "Seconds"), ("ContainmentReactionSeconds", 2.0, "Seconds")]
    assert run.measured == (both if measured else [])
    owned = {"owner_tags": {"t": "o"}, "owners": ["o"]} if parts[0]["outcome"] == "contained" else {}
    assert answer == {"outcome": parts[0]["outcome"], **times, **owned, "kept": EXECUTION}
    monkeypatch.setattr(immediate_containment, "_creators", lambda *_: {"offer": 1})
    offered: Any = immediate_containment.run_task({"incident": incident}, "c")
    assert offered == {**answer, "creators": {"offer": 1}}
    times |= {"seconds_from_event": None, "seconds_from_arrival": None}  # type: ignore[dict-item]
    run.measured.clear()
    immediate_containment._contain_all({"incident": incident}, "c")
    assert run.measured == []


def test_given_principals_that_fail_when_contained_then_the_others_are_contained_and_one_error_has_all_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done = facts.taken(target="AKIA5")
    run = Containment(monkeypatch, a=ChangeFailedError([REFUSED]), b=facts.part(actions=[done]))
    earlier = {"user mallory": {"at": 1.0}}
    own = [facts.part(actions=[facts.taken(target="AKIA6")])]
    task = {
        "incident": facts.event(), "permission": {"decision": "approve"}, "before": {"principals": own},
        "earlier": earlier,
    }  # fmt: skip

    with pytest.raises(ChangeFailedError) as failure:
        immediate_containment._contain_all(task, "c")

    given = Permission(given=True, disabled=frozenset({"AKIA6", "AKIA7"}), earlier=earlier)  # type: ignore[arg-type]
    assert run.calls == [(name, given, "c") for name in ("a", "b", "bob")]
    assert failure.value.actions == [REFUSED, done, facts.taken(target="AKIA7")]
    assert run.measured == [("ContainmentFailed",)]
    task["permission"] = {"decision": "deny"}
    run.calls.clear()
    with pytest.raises(ChangeFailedError):
        immediate_containment._contain_all(task, "c")
    assert [(one[0], one[1].given, sorted(one[1].disabled)) for one in run.calls] == [
        (name, False, ["AKIA6"]) for name in ("a", "b")
    ]
    run.results["a"] = UncertainError("IAM", "x", "y")
    with pytest.raises(UncertainError):
        immediate_containment._contain_all(task, "c")


EITHER = {"$or": [{"a": [{"exists": False}]}, {"b": ["x"]}]}


@pytest.mark.parametrize(
    ("pattern", "event", "expected"),
    [
        ({"d": EITHER}, {}, True),
        ({"d": EITHER}, {"d": {"a": 1}}, False),
        ({"d": EITHER}, {"d": {"a": 1, "b": "x"}}, True),
        ({"d": {**EITHER, "c": ["y"]}}, {}, False),
        ({"d": {"$or": [{"a": ["x"]}, {"b": ["x"]}]}}, {}, False),
        ({"d": {"a": [{"exists": False}], "b": [{"exists": False}]}}, {}, True),
        ({"d": {"a": [{"exists": False}], "b": ["x"]}}, {}, False),
        ({"d": {"a": [1]}}, {"d": [{"a": 2}, {"a": 1}]}, True),
        ({"a": [{"exists": False}]}, {"a": []}, True),
        ({"a": [True]}, {"a": 1}, False),
        ({"a": [1]}, {"a": True}, False),
        ({"a": [1]}, {"a": 1.0}, True),
        ({"a": [{"numeric": [">", 4]}]}, {"a": 4}, False),
        ({"a": [{"numeric": ["<=", 4]}]}, {"a": 4}, True),
        ({"a": [{"numeric": ["=", 1]}]}, {"a": True}, False),
        ({"a": [{"wildcard": "x*.y"}]}, {"a": "x\nz.y"}, True),
        ({"a": [{"wildcard": "x*.y"}]}, {"a": "xzy"}, False),
        ({"a": [{"wildcard": "x\\*y"}]}, {"a": "xzy"}, False),
        ({"a": [{"wildcard": "x\\*y"}]}, {"a": "x*y"}, True),
        ({"a": ["z", {"suffix": "y"}]}, {"a": "xy"}, True),
    ],
)
def test_given_a_pattern_of_several_fields_when_matched_then_absent_objects_and_types_follow_eventbridge(
    pattern: dict[str, Any], event: dict[str, Any], expected: bool
) -> None:
    assert patterns.compiled(pattern)(event) is expected


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ({"$or": [{"a": ["x"]}]}, "$or requires a list of at least two patterns"),
        ({"$or": [{"a": ["x"]}, "b"]}, "$or requires a list of at least two patterns"),
        ({"a": "x"}, "a: a pattern's field must be an object or a non-empty list"),
        ({"a": [{"cidr": ["10.0.0.0/8"]}]}, "a: the operator cidr is not supported"),
        ({"a": [{"numeric": 4}]}, "a: the operator numeric is not supported"),
        ({"a": [{"numeric": [">", 1, "<"]}]}, "a: numeric requires one or two comparisons"),
        ({"a": [{"prefix": "x", "suffix": "y"}]}, "a: an entry must have exactly one operator"),
        ({"a": [{"anything-but": {"exists": True}}]}, "a: anything-but supports only prefix, suffix, wildcard"),
    ],
)
def test_given_an_unsupported_pattern_when_compiled_then_the_error_names_the_field_and_the_cause(
    pattern: dict[str, Any], message: str
) -> None:
    with pytest.raises(PatternError) as refused:
        patterns.compiled(pattern)
    assert str(refused.value) == message
