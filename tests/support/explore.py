"""Explore a model of a protocol: every order of its steps, with crashes, up to the first violation."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

State = TypeVar("State", bound=Hashable)


@dataclass(frozen=True)
class Exploration:
    """The number of states, and the shortest run to a violation. `violation` is None if there is none."""

    states: int
    violation: str | None = None
    run: Sequence[str] = ()


def explore(
    first: State,
    steps: Callable[[State], Iterable[tuple[str, State]]],
    violation: Callable[[State], str | None],
    ended: Callable[[State], bool],
) -> Exploration:
    """Visit every state that can be reached, breadth first.

    Args:
        first: The initial state.
        steps: Return the named steps from a state and the states they lead to.
        violation: Return the fault of a state, or None.
        ended: Whether a state is a good end. From every state, some run must lead to one.
    """
    reached: dict[State, tuple[State | None, str]] = {first: (None, "")}
    before: dict[State, list[State]] = {first: []}
    waiting = deque([first])
    while waiting:
        state = waiting.popleft()
        if wrong := violation(state):
            return Exploration(len(reached), wrong, _run(reached, state))
        for name, following in steps(state):
            if following not in reached:
                reached[following] = (state, name)
                before[following] = []
                waiting.append(following)
            before[following].append(state)
    good = {state for state in reached if ended(state)}
    waiting.extend(good)
    while waiting:
        for earlier in before[waiting.popleft()]:
            if earlier not in good:
                good.add(earlier)
                waiting.append(earlier)
    stuck = next((state for state in reached if state not in good), None)
    if stuck is not None:
        return Exploration(len(reached), "no good end can be reached", _run(reached, stuck))
    return Exploration(len(reached))


def _run(reached: dict[State, tuple[State | None, str]], state: State) -> list[str]:
    names: list[str] = []
    current: State | None = state
    while current is not None:
        current, name = reached[current]
        names.append(name)
    return names[-2::-1]
