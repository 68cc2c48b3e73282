"""The protocol of an incident with several principals, explored in every order of its steps and with crashes.

Execution 0 leads the incident of an actor. Execution 1 contains another principal for the same actor, and its principal
joins. Execution 2 is an event by another actor about that second principal. An operator may release the second
principal while the decision is pending. A task can end at every step: its lock stays until it expires, and the state
machine starts the task again or gives up. The rules (docs/containment.md, "Rules that make it safe") are:

1. The principal is contained first. It joins when the request exists and is pending. Until then its event waits.
2. One transaction adds the principal to the request, if that is still pending, and marks its row as open.
3. A decision is carried out for the principals of the request, each under its lock, if it still has the incident.
4. A leader that does not ask in time, or whose request is closed, is replaced by the next event.

Without one of them, the exploration finds a principal that a decision covers unseen, or that no decision covers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import pytest

from tests.support.explore import Exploration, explore

Rule = Literal["join in one transaction", "open with the join", "principals of the request", "replace the leader"]
OF_ACTOR = (0, 1)  # the executions of the first actor
PRINCIPAL = (0, 1, 1)  # execution -> the principal of its event


class Row(NamedTuple):
    """A principal: its deny policy in IAM, and its containment row with the lock."""

    denied: bool = False
    incident: int | None = None
    phase: str = ""
    lock: int | None = None
    dead: bool = False  # the holder of the lock has crashed


class Task(NamedTuple):
    """The task of an execution, the next step in it, and the leader or the principals that are left."""

    name: str
    step: str = "lock"
    arg: int | tuple[int, ...] | None = None


class State(NamedTuple):
    """Everything that outlives an invocation, and the programs."""

    rows: tuple[Row, Row] = (Row(), Row())
    leader: int | None = None
    requests: tuple[tuple[str, frozenset[int]] | None, ...] = (None, None, None)
    tasks: tuple[Task, ...] = (Task("contain"), Task("contain"), Task("contain"))
    operator: Task = Task("idle")
    faults: int = 1
    wrong: str = ""


OPERATOR = 3


def with_row(state: State, principal: int, **values: Any) -> State:
    rows = list(state.rows)
    rows[principal] = rows[principal]._replace(**values)
    return state._replace(rows=(rows[0], rows[1]))


def with_task(state: State, who: int, task: Task) -> State:
    if who == OPERATOR:
        return state._replace(operator=task)
    tasks = list(state.tasks)
    tasks[who] = task
    return state._replace(tasks=tuple(tasks))


def with_request(state: State, who: int, request: tuple[str, frozenset[int]]) -> State:
    requests = list(state.requests)
    requests[who] = request
    return state._replace(requests=tuple(requests))


def steps(state: State, without: Rule | None) -> Iterator[tuple[str, State]]:
    for principal, row in enumerate(state.rows):
        if row.dead:
            yield f"the lock on {principal} expires", with_row(state, principal, lock=None, dead=False)
    for who, task in enumerate(state.tasks):
        found = [
            *_contain(state, who, task, without),
            *_decide(state, who, task),
            *_carry_out(state, who, task, without),
        ]
        for name, following in found:
            yield f"{who}: {name}", following
        if state.faults and task.name in ("contain", "carry out"):
            for ends in (Task(task.name, "lock", task.arg if task.name == "carry out" else None), Task("failed")):
                crashed = with_task(state, who, ends)._replace(faults=state.faults - 1)
                for principal, row in enumerate(state.rows):
                    if row.lock == who:
                        crashed = with_row(crashed, principal, dead=True)
                if ends.name == "failed":  # the state machine reports the failure
                    if request := state.requests[who]:
                        crashed = with_request(crashed, who, ("closed", request[1]))
                    for principal, row in enumerate(state.rows):
                        if row.incident == who:
                            crashed = with_row(crashed, principal, phase="failed")
                yield f"{who} crashes in {task.name} at {task.step}, then {ends.name}", crashed
    for name, following in _release(state):
        yield f"operator: {name}", following


def _contain(state: State, who: int, task: Task, without: Rule | None) -> Iterator[tuple[str, State]]:
    if task.name != "contain":
        return
    principal = PRINCIPAL[who]
    row = state.rows[principal]
    again = with_row(with_task(state, who, Task("contain")), principal, lock=None)
    match task.step:
        case "lock" if row.lock is None:
            yield "locks", with_row(with_task(state, who, Task("contain", "read")), principal, lock=who)
        case "read":
            request = state.requests[row.incident] if row.incident is not None else None
            if row.incident not in (None, who) and row.phase == "open" and request:
                if request[0] == "pending":
                    joined = with_row(with_task(state, who, Task("end")), principal, lock=None)
                    yield "joins the incident of its principal", joined
                    return
                if request[0] == "decided":
                    yield "waits, since a decision is being carried out", again
                    return
            if who not in OF_ACTOR:
                yield "leads its own incident", with_task(state, who, Task("contain", "record", who))
                return
            leader = state.leader
            stale = leader is not None and leader != who and not _may_follow(state, leader)
            if leader is None or (stale and without != "replace the leader"):
                yield "leads", with_task(state, who, Task("contain", "record", who))._replace(leader=who)
                return
            yield f"follows {leader}", with_task(state, who, Task("contain", "record", leader))
            if leader != who and state.requests[leader] is None and without != "replace the leader":
                replaced = with_task(state, who, Task("contain", "record", who))._replace(leader=who)
                yield "leads, since the leader did not ask in time", replaced
        case "record":
            recorded = with_row(state, principal, incident=task.arg, phase="failed")
            yield "records", with_task(recorded, who, Task("contain", "deny", task.arg))
        case "deny":
            step = "open" if without == "open with the join" else "join"
            yield "denies", with_row(with_task(state, who, Task("contain", step, task.arg)), principal, denied=True)
        case "open":
            yield "opens", with_row(with_task(state, who, Task("contain", "join", task.arg)), principal, phase="open")
        case "join":
            assert isinstance(task.arg, int)
            if task.arg == who:
                opened = with_row(with_task(state, who, Task("ask")), principal, phase="open", lock=None)
                yield "contained", opened
                return
            request = state.requests[task.arg]
            if request is None or request[0] != "pending":
                yield "waits for the request", again
            elif without == "join in one transaction":
                yield "sees a pending request", with_task(state, who, Task("contain", "add", task.arg))
            else:
                yield "joins", _added(state, who, task.arg)
        case "add":
            assert isinstance(task.arg, int)
            yield "adds its principal", _added(state, who, task.arg)


def _may_follow(state: State, leader: int) -> bool:
    request = state.requests[leader]
    return request is None or request[0] == "pending"


def _added(state: State, who: int, leader: int) -> State:
    request = state.requests[leader]
    assert request is not None
    added = with_request(state, leader, (request[0], request[1] | {PRINCIPAL[who]}))
    if request[0] != "pending":
        added = added._replace(wrong="a principal joined a request that was decided")
    return with_row(with_task(added, who, Task("end")), PRINCIPAL[who], phase="open", lock=None)


def _decide(state: State, who: int, task: Task) -> Iterator[tuple[str, State]]:
    request = state.requests[who]
    if task.name == "ask":
        yield "asks", with_task(with_request(state, who, ("pending", frozenset({PRINCIPAL[who]}))), who, Task("wait"))
    elif task.name == "wait" and request is not None:
        decided = with_request(state, who, ("decided", request[1]))
        yield "denied", with_task(decided, who, Task("carry out", "lock", tuple(sorted(request[1]))))


def _carry_out(state: State, who: int, task: Task, without: Rule | None) -> Iterator[tuple[str, State]]:
    if task.name != "carry out":
        return
    assert isinstance(task.arg, tuple)
    request = state.requests[who]
    assert request is not None
    left = [
        principal for principal in task.arg if without != "principals of the request" or principal == PRINCIPAL[who]
    ]
    if not left:
        yield "ends", with_task(with_request(state, who, ("closed", request[1])), who, Task("end"))
        return
    principal = left[0]
    row = state.rows[principal]
    rest = Task("carry out", "lock", tuple(left[1:]))
    match task.step:
        case "lock" if row.lock is None and row.incident != who:
            yield f"skips {principal}", with_task(state, who, rest)
        case "lock" if row.lock is None:
            locked = with_row(state, principal, lock=who)
            yield f"locks {principal}", with_task(locked, who, Task("carry out", "restore", task.arg))
        case "restore":
            restored = with_row(state, principal, denied=False)
            if principal not in request[1]:
                restored = restored._replace(wrong="a decision was carried out for a principal that it did not cover")
            yield f"restores {principal}", with_task(restored, who, Task("carry out", "clear", task.arg))
        case "clear":
            cleared = with_row(state, principal, incident=None, phase="", lock=None)
            yield f"clears {principal}", with_task(cleared, who, rest)


def _release(state: State) -> Iterator[tuple[str, State]]:
    row = state.rows[1]
    match state.operator.step:
        case "lock" if row.lock is None and row.phase == "open" and row.incident is not None:
            request = state.requests[row.incident]
            if state.operator.name == "idle" and request and request[0] == "pending" and len(request[1]) > 1:
                locked = with_row(state, 1, lock=OPERATOR)
                yield "locks to release", locked._replace(operator=Task("release", "restore"))
        case "restore":
            restored = with_row(state, 1, denied=False)
            yield "restores", restored._replace(operator=Task("release", "clear"))
        case "clear":
            cleared = with_row(state, 1, incident=None, phase="", lock=None)
            yield "releases", cleared._replace(operator=Task("released"))


def violation(state: State) -> str | None:
    """Return the fault of the state, or None."""
    if state.wrong:
        return state.wrong
    for principal, row in enumerate(state.rows):
        if row.denied and row.incident is None:
            return f"{principal} is contained, and no incident has it"
        if row.phase != "open" or row.incident is None:
            continue
        request = state.requests[row.incident]
        own = PRINCIPAL[row.incident] == principal
        if request is None:
            if not own:
                return f"{principal} is open in an incident without a request"
        elif principal not in request[1] and not own:
            return f"{principal} is open, and the request does not list it"
        elif request[0] == "closed":
            return f"{principal} is open after its incident has ended"
    return None


def ended(state: State) -> bool:
    """Whether every execution has ended. A failed one leaves its principal to the next event, with an alert."""
    return all(task.name in ("end", "failed") for task in state.tasks) and state.operator.step == "lock"


def explored(without: Rule | None = None, faults: int = 1) -> Exploration:
    first = State(faults=faults)
    return explore(first, lambda state: steps(state, without), violation, ended)


def test_the_protocol_has_no_run_in_which_a_principal_is_decided_unseen_or_left_without_a_decision() -> None:
    result = explored()
    assert result.violation is None, "\n".join([result.violation, *result.run])
    assert result.states > 10_000


@pytest.mark.parametrize(
    ("rule", "violation"),
    [
        ("join in one transaction", "joined a request that was decided"),
        ("open with the join", "without a request"),
        ("principals of the request", "open after its incident has ended"),
        ("replace the leader", "no good end can be reached"),
    ],
)
def test_without_a_rule_the_exploration_finds_the_fault_that_it_prevents(rule: Rule, violation: str) -> None:
    assert violation in str(explored(rule).violation)
