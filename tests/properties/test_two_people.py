"""The protocol of a decision that needs two people, explored in every order of its steps and with crashes.

Ann and Bob decide in Slack. Ann can also decide on the command line, under her own name or an invented one. An event
may join in between. A holder of the task token may answer Step Functions directly, and the wait may time out. The
rules (docs/containment.md, "Two people") are:

1. Adding an approval, withdrawing one and deciding are one conditional write on the approvals that were read. The one
   that completes the number is the decision.
2. The second approval is by another person. Two names from the command line count as one person.
3. An approval counts only for the events that its person saw.
4. A person has one approval. It changes only by a withdrawal.
5. The workflow carries out only a decision that the row holds.

Without one of them, the exploration finds a decision that two people did not make, or one that is lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

import pytest

from tests.support.explore import Exploration, explore

Rule = Literal["one write", "another person", "command line", "events seen", "one each", "row decides"]


class Vote(NamedTuple):
    """A decision of one person: the name, the way, and how many joined events were seen."""

    name: str
    way: str
    decision: str
    seen: int


class Handler(NamedTuple):
    """An invocation of the approval handler: the pressed decision, and the approvals that it read."""

    step: str = "idle"
    vote: Vote | None = None
    read: frozenset[Vote] = frozenset()


class State(NamedTuple):
    """Everything that outlives an invocation, and the invocations."""

    votes: frozenset[Vote] = frozenset()
    joined: int = 0
    decided: tuple[str, frozenset[Vote]] | None = None
    execution: str = ""
    handlers: tuple[Handler, ...] = (Handler(), Handler())
    presses: tuple[int, ...] = (2, 1, 1, 1)
    withdrawn: frozenset[Vote] = frozenset()
    direct: int = 1
    faults: int = 1


# Ann has the first three ways. Which one is invented, only she knows.
PEOPLE = (("ann", "slack"), ("ann", "cli"), ("invented", "cli"), ("bob", "slack"))
IDLE = Handler()
DECISIONS = {"slack": ("approve", "deny", "withdraw"), "cli": ("approve",)}


def same_person(one: Vote, other: Vote, without: Rule | None = None) -> bool:
    """Whether two approvals may be by one person, as far as it can be known."""
    if one.way == other.way == "cli":
        return without != "command line"
    return one.name == other.name and without != "another person"


def with_handler(state: State, number: int, handler: Handler) -> State:
    handlers = list(state.handlers)
    handlers[number] = handler
    return state._replace(handlers=tuple(handlers))


def steps(state: State, without: Rule | None) -> Iterator[tuple[str, State]]:
    yield from _outside(state, without)
    if state.decided or state.execution:
        return
    idle = next((number for number, handler in enumerate(state.handlers) if handler == IDLE), None)
    if idle is not None:
        for who, (name, way) in enumerate(PEOPLE):
            if not state.presses[who]:
                continue
            left = tuple(count - (number == who) for number, count in enumerate(state.presses))
            for decision in DECISIONS[way]:
                vote = Vote(name, way, decision, state.joined)
                pressed = with_handler(state._replace(presses=left), idle, Handler("read", vote))
                yield f"{name} ({way}): {decision}", pressed
    for number, handler in enumerate(state.handlers):
        for text, following in _handle(state, number, handler, without):
            yield f"handler {number}: {text}", following
        if handler != IDLE and state.faults:
            crashed = with_handler(state, number, IDLE)._replace(faults=state.faults - 1)
            yield f"handler {number} crashes at {handler.step}", crashed


def _outside(state: State, without: Rule | None) -> Iterator[tuple[str, State]]:
    if state.decided is None and not state.joined:
        yield "an event joins", state._replace(joined=1)
    if state.execution:
        return
    state = state._replace(handlers=(IDLE, IDLE), presses=(0, 0, 0, 0))  # later presses are too late
    yield "the wait times out", state._replace(execution="timed out")
    if state.decided:
        yield "the decision is delivered", state._replace(execution=state.decided[0])
    if state.direct:
        taken = "deny" if without == "row decides" else "not asked"
        if state.decided and state.decided[0] == "deny":
            taken = "deny"
        yield "deny is sent to Step Functions directly", state._replace(execution=taken, direct=0)


def _handle(state: State, number: int, handler: Handler, without: Rule | None) -> Iterator[tuple[str, State]]:
    vote = handler.vote
    if vote is None:
        return
    done = with_handler(state, number, IDLE)
    match handler.step:
        case "read":
            yield "reads", with_handler(state, number, Handler("write", vote, state.votes))
        case "write":
            yield from _write(state, number, handler, without)
        case "decide":  # only without the one write
            yield "decides", done._replace(decided=(vote.decision, handler.read))


def _write(state: State, number: int, handler: Handler, without: Rule | None) -> Iterator[tuple[str, State]]:
    vote, read = handler.vote, handler.read
    assert vote is not None
    done = with_handler(state, number, IDLE)
    if read != state.votes:
        yield "finds other approvals and reads them", with_handler(state, number, Handler("read", vote))
        return
    if vote.seen < state.joined:
        yield "is refused, since an event joined", done
        return
    own = frozenset(one for one in read if same_person(one, vote, without))
    if vote.decision == "withdraw":
        own = frozenset(one for one in read if (one.name, one.way) == (vote.name, vote.way))
        yield "withdraws", done._replace(votes=read - own, withdrawn=state.withdrawn | own)
        return
    current = frozenset(one for one in own if one.seen >= state.joined)
    if current and without != "one each":
        yield "is refused, since the person approved before", done
        return
    counted = frozenset(
        one for one in read - own if one.decision == vote.decision and (one.seen >= state.joined or _unseen(without))
    )
    votes = (read - own if without != "one each" else read) | {vote}
    if without == "one each":
        counted = votes - {vote}  # the former decision of a person still counts
        counted = frozenset(one for one in counted if one.decision == vote.decision)
    added = done._replace(votes=votes, withdrawn=state.withdrawn - votes)
    if not counted:
        yield "records the first", added
    elif without == "one write":
        yield "adds the second", with_handler(added, number, Handler("decide", vote, counted | {vote}))
    else:
        yield "decides", added._replace(decided=(vote.decision, counted | {vote}))


def _unseen(without: Rule | None) -> bool:
    return without == "events seen"


def violation(state: State) -> str | None:
    """Return the fault of the state, or None."""
    if state.decided:
        _, by = state.decided
        first, *others = sorted(by)
        if not any(not same_person(first, one) for one in others):
            return "one person decided alone"
        if any(one.seen < state.joined for one in by):
            return "a decision covers an event that one of them did not see"
        if by & state.withdrawn:
            return "a withdrawn approval decided"
    if state.execution in ("approve", "deny") and (state.decided is None or state.decided[0] != state.execution):
        return "the workflow carried out what two people did not decide"
    if not state.decided and not state.execution and all(handler == IDLE for handler in state.handlers):
        current = [one for one in sorted(state.votes) if one.seen >= state.joined]
        for one in current:
            for other in current:
                if one.decision == other.decision and not same_person(one, other):
                    return "two people agree, and nothing is decided"
                if one != other and same_person(one, other):
                    return "one person has two approvals"
    return None


def explored(without: Rule | None = None) -> Exploration:
    ended = lambda state: bool(state.execution) and all(handler == IDLE for handler in state.handlers)  # noqa: E731
    return explore(State(), lambda state: steps(state, without), violation, ended)


def test_given_two_required_people_then_no_run_lets_one_decide_or_loses_a_decision() -> None:
    result = explored()
    assert result.violation is None, "\n".join([result.violation, *result.run])
    assert result.states > 2_000


@pytest.mark.parametrize(
    ("rule", "violation"),
    [
        ("one write", "nothing is decided"),
        ("another person", "one person decided alone"),
        ("command line", "one person decided alone"),
        ("events seen", "did not see"),
        ("one each", "one person"),
        ("row decides", "two people did not decide"),
    ],
)
def test_without_a_rule_the_exploration_finds_the_fault_that_it_prevents(rule: Rule, violation: str) -> None:
    assert violation in str(explored(rule).violation)
