"""Repairs of a containment, new keys after a denial, and records of failures that are retried."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from ir_router.errors import UncertainError
from ir_router.ledger import audit, containments
from ir_router.workflow import (
    accounts,
    changes,
    iam,
    identity,
    invocation,
    new_keys,
    reapplication,
    report_failure,
    third_parties,
    wording_decisions,
)
from ir_router.workflow.changes import ChangeFailedError, State
from tests.support.steps import Held, Steps
from tests.support.texts import facts

ARN = facts.MALLORY["arn"]
UNSURE = UncertainError("AWS", "any", "timeout")


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    return Steps(monkeypatch)


POLICY = facts.taken(changes.DENY, "", verified=False, error="LimitExceeded", reason="", retry="never")


@pytest.mark.parametrize(
    ("row", "active", "actions", "saved", "reported"),
    [
        ({}, ["k"], None, [{"deny_refused": None}, {"undone": None, "times_undone": 2, "keys_unknown": None}], True),
        ({}, [], None, [{"deny_refused": None}, {"undone": None, "times_undone": 2}], True),
        ({}, [], [POLICY], [{"deny_refused": True}, {"undone": None, "times_undone": 2}], True),
        ({"deny_refused": True}, [], [POLICY], [{"undone": None}], False),
        ({"deny_refused": True}, ["k"], [POLICY, facts.taken()],
         [{"deny_refused": True}, {"undone": None, "times_undone": 2, "keys_unknown": None}], True),
        ({}, ["k"], [facts.taken(verified=False)], [], False),
    ],
)  # fmt: skip
def test_given_a_containment_that_was_undone_when_reapplied_then_it_is_reported_and_stored_in_this_order(
    monkeypatch: pytest.MonkeyPatch, steps: Steps, row: dict[str, Any], active: list[str], actions: Any,
    saved: list[Any], reported: bool,
) -> None:  # fmt: skip
    undone = {"number": 2, "deny_policy": True, "active_keys": active}
    lock: Any = Held(
        steps, principal=facts.BOB, recorded={"keys": {"k": "Active"}}, opened_at=5, undone=undone, incident="i", **row
    )

    def make(_principal: Any, wanted: Any, *, until: float) -> Any:
        steps.done.append(("make", [(one.what, one.target) for one in wanted], until))
        if actions:
            raise ChangeFailedError(actions)
        return ["done"]

    monkeypatch.setattr(identity, "current_principal", lambda principal, known: facts.MALLORY if known else principal)
    monkeypatch.setattr(changes, "retry_until", lambda _lock: 8.0)
    monkeypatch.setattr(changes, "make", make)
    monkeypatch.setattr(reapplication, "measure", steps.step("measure"))
    monkeypatch.setattr(reapplication, "_report", lambda _lock, *given: steps.done.append(("report", *given)))
    if actions and not saved:
        with pytest.raises(ChangeFailedError):
            reapplication.reapply(lock)
        return

    reapplication.reapply(lock)

    first, *others = [("save", one) for one in saved]
    assert steps.done == [
        ("make", [(changes.DENY, ""), *((changes.DISABLED, key) for key in active)], 8.0),
        *([("measure", "ContainmentFailed")] if actions else []),
        first,
        *([("report", undone, actions or ["done"])] if reported else []),
        *others,
    ]
    steps.done.clear()
    earlier: Any = {"at": 9.0}
    lock.row["undone"] = {**undone, "active_keys": []}
    monkeypatch.setattr(changes, "make", lambda *_, **__: [])
    reapplication.reapply(lock, earlier=earlier)
    assert steps.done[-1] == ("save", {"undone": None, "times_undone": 2, "repaired_at": 9.0})
    steps.done.clear()
    monkeypatch.setattr(identity, "current_principal", lambda *_: None)
    reapplication.reapply(lock)
    assert steps.done == []


@pytest.mark.parametrize(
    ("row", "state", "made", "kept", "incidents"),
    [
        ({}, State({"AKIA2": "Inactive"}, denied=False), ["AKIA2"], 0, []),
        ({}, State({}, denied=True), None, 0, []),
        ({}, State({}, denied=False, earlier=True), None, 0, []),
        ({"incident": 9}, None, None, 0, ["9"]),
        ({}, State({"held": "x"}, denied=False), [], 1, []),
    ],
)
def test_given_new_keys_when_the_permission_is_denied_then_those_that_nothing_else_restricts_are_enabled(
    monkeypatch: pytest.MonkeyPatch, steps: Steps, row: dict[str, Any], state: Any, made: Any, kept: int,
    incidents: list[str],
) -> None:  # fmt: skip
    @contextmanager
    def locked(arn: str, until: Any) -> Iterator[Any]:
        assert (arn, until) == (ARN, "until c")
        yield SimpleNamespace(row=row)

    def make(principal: Any, wanted: Any, *, until: float) -> None:
        steps.done.append(("make", principal["name"], [(one.what, one.target) for one in wanted], until))

    held = {"AKIA2": "a reason"} if kept else {}
    monkeypatch.setattr(iam, "owner_of", lambda key, account: f"now {key}" if account == facts.ACCOUNT else None)
    monkeypatch.setattr(containments, "locked", locked)
    monkeypatch.setattr(invocation, "lock_until", lambda context: f"until {context}")
    monkeypatch.setattr(new_keys, "hand_over", lambda _lock, given: steps.done.append(("hand over", given)))
    monkeypatch.setattr(changes, "read", lambda _principal: state)
    monkeypatch.setattr(changes, "retry_until", lambda _lock: 8.0)
    monkeypatch.setattr(changes, "make", make)
    monkeypatch.setattr(third_parties, "held", lambda before, _state: held if before["incident"] == "e" else {"x": ""})
    monkeypatch.setattr(third_parties, "remember", steps.step("remember"))
    part = facts.part(outcome="limit_reached", actions=[facts.taken()])

    found = new_keys.enable_again("e", [part, facts.part(outcome="limit_reached"), facts.CONTAINED], "c")

    stays = "key AKIA2 stays disabled, because a reason since the containment. Release the principal to enable it"
    assert found == ([stays] * kept, incidents)
    before = {"recorded": {"keys": {"AKIA2": "Active"}, "policies": []}, "incident": "e"}
    principal = {**facts.MALLORY, "name": "now AKIA2"}
    wanted = [("key {target} enabled", key) for key in made or ()]
    enabled = [("remember", before, principal, held), ("make", "now AKIA2", wanted, 8.0)]
    assert steps.done == ([("hand over", ["AKIA2"])] if incidents else enabled if made is not None else [])


@pytest.mark.parametrize(
    ("seconds", "failures", "slept"),
    [(900.0, 0, []), (900.0, 2, [1.0, 2.0]), (20.999, 9, []), (21.0, 9, [1.0]), (900.0, 9, [1.0, 2.0, 4.0, 8.0, 16.0])],
)
def test_given_a_record_that_fails_when_a_failure_is_reported_then_it_is_retried_while_time_remains(
    monkeypatch: pytest.MonkeyPatch, steps: Steps, seconds: float, failures: int, slept: list[float]
) -> None:
    left = [UNSURE] * failures

    def record(*_: Any, **__: Any) -> None:
        if left:
            raise left.pop()

    context = SimpleNamespace(get_remaining_time_in_millis=lambda: 1000 * seconds)
    for name in ("_principals", "_mark", "_report_to_creator"):
        monkeypatch.setattr(report_failure, name, lambda *_: [])
    monkeypatch.setattr(report_failure, "_give_up_group", lambda *_: "")
    monkeypatch.setattr(audit, "append", record)
    if seconds == 21.0:
        context.get_remaining_time_in_millis = iter((21_000, 21_999)).__next__

    answer = report_failure.run_task({"step": "Open Case", "incident": facts.event()}, context)

    assert answer == {"decision": "not_asked"}
    assert [one[1] for one in steps.done if one[0] == "sleep"] == slept


def test_given_new_keys_beyond_the_limit_when_a_permission_is_requested_then_the_request_has_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(accounts, "settings", lambda: SimpleNamespace(organization_id=None))
    beyond = facts.result(facts.part(outcome="limit_reached", actions=[facts.taken()]), outcome="limit_reached")
    contained = facts.result(facts.CONTAINED)

    def requested(containment: Any, kind: Any) -> dict[str, Any]:
        return wording_decisions.approval_facts(facts.event(), containment, None, kind)

    found = requested(beyond, "contain")
    assert (found["disabled_keys"], found["principals"], found["principal"]) == (["AKIA2"], [], ARN)
    assert found["deny_does"] == "re-enables key AKIA2 of user mallory. Nothing else changes."
    assert "disabled_keys" not in requested(beyond, "remediate")
    assert "disabled_keys" not in requested(contained, "contain")
