"""The protocol of a request for permission that several principals share, explored in every order and with crashes.

Execution 0 asks for the permission to contain its principal. Execution 1, by the same actor, has another principal,
which joins that request. Both have disabled the new key of their principal. Execution 2 is an event by another actor,
which contains the second principal without a permission. The rules (docs/containment.md) are:

1. A principal joins while the request is pending, in one transaction. Otherwise its event waits, or asks itself.
2. An approval contains all principals that joined. A denial enables all their new keys.
3. If another incident has contained a principal by then, it takes over the new key: its denial enables the key.
4. An event whose request is closed, or that does not ask in time, is replaced by the next event of the actor.

Without one of them, the exploration finds a key that stays disabled after all denials, or a principal without a
decision.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import pytest

from tests.support.explore import Exploration, explore

Rule = Literal["one transaction", "all that joined", "take over the key", "replace the opener"]
PRINCIPAL = (0, 1, 1)  # execution -> the principal of its event


class Row(NamedTuple):
    """A principal: its new key and deny policy in IAM, and its containment row. `restored`: the recorded key."""

    key: bool = True
    denied: bool = False
    incident: int | None = None
    restored: bool = True
    lock: int | None = None
    dead: bool = False  # the holder of the lock has crashed


class Task(NamedTuple):
    """The task of an execution, its step, and the principals that are left."""

    name: str
    step: str = "lock"
    left: tuple[int, ...] = ()


class State(NamedTuple):
    """Everything that outlives an invocation, and the programs."""

    rows: tuple[Row, ...] = (Row(), Row())
    opener: int | None = None
    permissions: tuple[tuple[str, frozenset[int]] | None, ...] = (None, None)
    tasks: tuple[Task, ...] = (Task("disable"), Task("disable"), Task("contain", left=(1,)))
    faults: int = 1
    wrong: str = ""


def with_row(state: State, principal: int, **values: Any) -> State:
    rows = list(state.rows)
    rows[principal] = rows[principal]._replace(**values)
    return state._replace(rows=tuple(rows))


def with_task(state: State, who: int, task: Task) -> State:
    tasks = list(state.tasks)
    tasks[who] = task
    return state._replace(tasks=tuple(tasks))


def with_permission(state: State, who: int, phase: str, members: frozenset[int]) -> State:
    permissions = list(state.permissions)
    permissions[who] = (phase, members)
    return state._replace(permissions=tuple(permissions))


def steps(state: State, without: Rule | None) -> Iterator[tuple[str, State]]:
    for principal, row in enumerate(state.rows):
        if row.dead:
            yield f"the lock on {principal} expires", with_row(state, principal, lock=None, dead=False)
    for who, task in enumerate(state.tasks):
        for name, following in _next(state, who, task, without):
            yield f"{who}: {name}", following
        if state.faults and task.name not in ("wait", "end"):
            crashed = with_task(state, who, task._replace(step="lock"))._replace(faults=state.faults - 1)
            for principal, row in enumerate(state.rows):
                if row.lock == who:
                    crashed = with_row(crashed, principal, dead=True)
            yield f"{who} crashes in {task.name} at {task.step}", crashed


def _next(state: State, who: int, task: Task, without: Rule | None) -> Iterator[tuple[str, State]]:
    match task.name:
        case "disable":
            yield from _disable(state, who, task)
        case "group":
            yield from _group(state, who, task, without)
        case "wait":
            yield from _decided(state, who, without)
        case "enable":
            yield from _enable(state, who, task, without)
        case "contain":
            yield from _contain(state, who, task, without)
        case "restore":
            yield from _restore(state, who, task)


def _locked(state: State, who: int, task: Task, step: str) -> Iterator[tuple[str, State]]:
    """Take the lock of the next principal, if it is free."""
    principal = task.left[0] if task.left else PRINCIPAL[who]
    if task.step == "lock" and state.rows[principal].lock is None:
        locked = with_row(state, principal, lock=who)
        yield f"locks {principal}", with_task(locked, who, task._replace(step=step))


def _disable(state: State, who: int, task: Task) -> Iterator[tuple[str, State]]:
    yield from _locked(state, who, task, "disable")
    principal = PRINCIPAL[who]
    if task.step == "disable":
        if state.rows[principal].incident is not None:
            joined = with_row(with_task(state, who, Task("end")), principal, lock=None)
            yield "joins the incident of its principal", joined
        else:
            disabled = with_row(state, principal, key=False, lock=None)
            yield "disables the new key", with_task(disabled, who, Task("group"))


def _group(state: State, who: int, task: Task, without: Rule | None) -> Iterator[tuple[str, State]]:
    own = frozenset({PRINCIPAL[who]})
    if task.step == "add":  # only without the transaction
        assert state.opener is not None
        yield "joins", _joined(state, who, state.opener)
        return
    asking = with_task(with_permission(state, who, "pending", own), who, Task("wait"))
    if state.opener in (None, who):
        yield "asks", asking._replace(opener=who)
        return
    request = state.permissions[state.opener]
    if request is not None and request[0] == "pending":
        if without == "one transaction":
            yield "sees a pending request", with_task(state, who, task._replace(step="add"))
        else:
            yield "joins", _joined(state, who, state.opener)
    elif without != "replace the opener":
        yield "asks itself, instead of the opener", asking._replace(opener=who)


def _joined(state: State, who: int, opener: int) -> State:
    request = state.permissions[opener]
    assert request is not None
    joined = with_permission(state, opener, request[0], request[1] | {PRINCIPAL[who]})
    if request[0] != "pending":
        joined = joined._replace(wrong="a principal joined a request that was decided")
    return with_task(joined, who, Task("end"))


def _decided(state: State, who: int, without: Rule | None) -> Iterator[tuple[str, State]]:
    request = state.permissions[who] if who < len(state.permissions) else None
    if request is None or request[0] != "pending":
        yield "the containment is denied", with_task(state, who, Task("restore", left=(0, 1)))
        return
    members = tuple(sorted(request[1])) if without != "all that joined" else (PRINCIPAL[who],)
    decided = with_permission(state, who, "decided", request[1])
    yield "the permission is denied", with_task(decided, who, Task("enable", left=members))
    yield "the permission is given", with_task(decided, who, Task("contain", left=members))


def _rest(task: Task, ends: Task) -> Task:
    return Task(task.name, left=task.left[1:]) if len(task.left) > 1 else ends


def _enable(state: State, who: int, task: Task, without: Rule | None) -> Iterator[tuple[str, State]]:
    yield from _locked(state, who, task, "enable")
    principal = task.left[0]
    following = _rest(task, Task("end"))
    if task.step != "enable":
        return
    if state.rows[principal].incident is None:
        enabled = with_row(state, principal, key=True, lock=None)
        yield f"enables the key of {principal}", with_task(enabled, who, following)
    else:
        restored = state.rows[principal].restored or without != "take over the key"
        handed = with_row(state, principal, restored=restored, lock=None)
        yield f"hands over the key of {principal}", with_task(handed, who, following)


def _contain(state: State, who: int, task: Task, without: Rule | None) -> Iterator[tuple[str, State]]:
    """Contain each principal, record its state before, and wait for the decision about all of them."""
    yield from _locked(state, who, task, "record")
    principal = task.left[0]
    row = state.rows[principal]
    following = _rest(task, Task("wait"))
    permitted = who < len(state.permissions)
    match task.step:
        case "record" if row.incident not in (None, who):
            restored = row.restored or (permitted and without != "take over the key")
            joined = with_row(state, principal, restored=restored, lock=None)
            yield f"joins the incident of {principal}", with_task(joined, who, following)
        case "record":
            # The keys that the permission's events disabled count as enabled.
            before = row.restored if row.incident == who else row.key or permitted
            recorded = with_row(state, principal, incident=who, restored=before)
            yield f"records {principal}", with_task(recorded, who, task._replace(step="deny"))
        case "deny":
            denied = with_row(state, principal, denied=True, key=False, lock=None)
            yield f"contains {principal}", with_task(denied, who, following)


def _restore(state: State, who: int, task: Task) -> Iterator[tuple[str, State]]:
    yield from _locked(state, who, task, "restore")
    principal = task.left[0]
    row = state.rows[principal]
    following = _rest(task, Task("end"))
    match task.step:
        case "restore" if row.incident != who:
            yield f"skips {principal}", with_task(with_row(state, principal, lock=None), who, following)
        case "restore":
            restored = with_row(state, principal, denied=False, key=row.restored)
            yield f"restores {principal}", with_task(restored, who, task._replace(step="clear"))
        case "clear":
            cleared = with_row(state, principal, incident=None, restored=True, lock=None)
            yield f"clears {principal}", with_task(cleared, who, following)


def violation(state: State) -> str | None:
    """Return the fault of the state, or None."""
    if state.wrong:
        return state.wrong
    for principal, row in enumerate(state.rows):
        if row.denied and row.incident is None:
            return f"{principal} is contained, and no incident has it"
    if all(task.name == "end" for task in state.tasks):
        for principal, row in enumerate(state.rows):
            if not row.key:
                return f"the key of {principal} stays disabled after every denial"
    return None


def explored(without: Rule | None = None) -> Exploration:
    ended = lambda state: all(task.name == "end" for task in state.tasks)  # noqa: E731
    return explore(State(), lambda state: steps(state, without), violation, ended)


def test_given_a_shared_request_for_permission_then_no_run_leaves_a_key_disabled_or_a_principal_undecided() -> None:
    result = explored()
    assert result.violation is None, "\n".join([result.violation, *result.run])
    assert result.states > 2_000


@pytest.mark.parametrize(
    ("rule", "violation"),
    [
        ("one transaction", "joined a request that was decided"),
        ("all that joined", "stays disabled after every denial"),
        ("take over the key", "stays disabled after every denial"),
        ("replace the opener", "no good end can be reached"),
    ],
)
def test_without_a_rule_the_exploration_finds_the_fault_that_it_prevents(rule: Rule, violation: str) -> None:
    assert violation in str(explored(rule).violation)
