"""The crash matrix: run a scenario without a crash, then end the function between every two outbound calls.

After the crash AWS and Slack retry as they do in production. A scenario is prepared without a crash. `act` is the
users' part, including the time until both sides are synchronised.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Literal

from ir_router.errors import IrRouterError
from tests.trials.world import picture
from tests.trials.world.branches import Branches, BranchFailedError
from tests.trials.world.picture import Picture
from tests.trials.world.wire import Call, Side
from tests.trials.world.world import World

Kind = Literal["lost", "doubled", "different"]

# Longer than the lifetime of every claim and Lambda's retries. Messages hidden in a queue reappear after that.
_MINUTES_OF_POLLS = 6


@dataclass(frozen=True)
class Scenario:
    """`prepare` creates the initial state and returns a value for the other two. Both leave no work behind."""

    name: str
    prepare: Callable[[World], object]
    act: Callable[[World, object], None]
    look: Callable[[World, object], Picture] = lambda world, _: picture.take(world)
    by_person: bool = False
    """`act` is a user's command or button, and a user who is notified of a failure repeats it."""


@dataclass(frozen=True)
class Point:
    """A crash point: the `number`th outbound call (from 1), before or after its effect."""

    number: int
    side: Side
    call: Call

    def __str__(self) -> str:
        """Return the name in reports."""
        return f"{self.side} call {self.number} ({self.call})"


@dataclass(frozen=True)
class Outcome:
    """The result of a crash: the `differences` from the run without a crash (empty if there are none)."""

    scenario: str
    point: Point
    died: bool
    differences: tuple[str, ...]

    @property
    def kind(self) -> Kind | None:
        """Classify the result; None if there is no difference.

        If something is missing, it is "lost". If something occurs too often, it is "doubled". Both, or anything else,
        is "different".
        """
        if not self.differences:
            return None
        missing = any(" missing: " in line for line in self.differences)
        too_many = any(" too many: " in line for line in self.differences)
        return "different" if missing == too_many else "lost" if missing else "doubled"


Worlds = Callable[[], AbstractContextManager[World]]


def undisturbed(scenario: Scenario, worlds: Worlds) -> tuple[list[Call], Picture]:
    """Run a scenario without a crash; return its outbound calls and the final state of both sides."""
    with worlds() as world:
        return _to_its_end(scenario, world, scenario.prepare(world))


def _to_its_end(scenario: Scenario, world: World, prepared: object) -> tuple[list[Call], Picture]:
    first = len(world.wire.calls)
    scenario.act(world, prepared)
    calls = world.wire.calls[first:]
    recover(world)
    return calls, scenario.look(world, prepared)


def points(calls: Sequence[Call]) -> list[Point]:
    """Return the points before each call and after the last call of each invocation.

    A crash after another call leaves the same state as a crash before the next one: a function changes nothing outside
    in between, and its memory ends with it.
    """
    found = []
    for number, (call, following) in enumerate(zip_longest(calls, calls[1:]), start=1):
        found.append(Point(number, "before", call))
        if following is None or following.invocation != call.invocation:
            found.append(Point(number, "after", call))
    return found


def each_crash(
    scenario: Scenario,
    worlds: Worlds,
    chosen: Sequence[Point],
    expected: Picture,
    inspect: Callable[[World], object] = lambda _: None,
) -> Iterator[tuple[Outcome, Any]]:
    """Run a scenario once. At each chosen point, a branch crashes there, processes all retries, and compares the end.

    Args:
        scenario: The scenario.
        worlds: Opens a simulator.
        chosen: The points.
        expected: The end without a crash.
        inspect: Called at the end of each branch. Its result must be picklable.

    Yields:
        The result of each point, with that of `inspect`. A point without a call has not died.
    """
    left = {(point.number, point.side): point for point in chosen}
    found: list[tuple[Outcome, Any]] = []
    with worlds() as world, Branches(world) as branches:
        prepared = scenario.prepare(world)
        crashed: list[Point] = []

        def dies(number: int, side: Side) -> bool:
            point = left.pop((number, side), None)
            if point is None:
                return False
            try:
                in_branch, result = branches.enter()
            except BranchFailedError as error:
                differences = (f"the scenario did not finish: {error}",)
                result, in_branch = (Outcome(scenario.name, point, died=True, differences=differences), None), False
            if in_branch:
                world.unexpected.allow(IrRouterError)  # the leases of the crashed function are still held for a time
                crashed.append(point)
                return True
            found.append(result)
            return False

        world.wire.branch_at(dies)
        try:
            scenario.act(world, prepared)
            world.wire.spare()
            if branches.in_branch:
                recover(world)
                differences = tuple(scenario.look(world, prepared).effects(expected))
                seen = inspect(world)
                world.unexpected.check()
                branches.end((Outcome(scenario.name, crashed[0], died=True, differences=differences), seen))
        except BaseException as error:
            if branches.in_branch:
                branches.fail(error)
            raise
    yield from found
    yield from ((Outcome(scenario.name, point, died=False, differences=()), None) for point in left.values())


def crash(scenario: Scenario, worlds: Worlds, choose: Callable[[list[Call]], Point]) -> tuple[Outcome, Picture]:
    """Crash a scenario at one point, process all retries, and compare the end.

    It is prepared once. A branch runs it without a crash, then the simulator itself runs it with one.

    Args:
        scenario: The scenario.
        worlds: Opens a simulator.
        choose: Returns the point. It gets the calls of the run without a crash.

    Returns:
        The result, and the end without a crash.
    """
    with worlds() as world, Branches(world) as branches:
        prepared = scenario.prepare(world)
        calls, expected = branches.run(lambda: _to_its_end(scenario, world, prepared))
        point = choose(calls)
        world.unexpected.allow(IrRouterError)  # the leases of the crashed function are still held for a time
        world.wire.kill_at(point.number, point.side)
        scenario.act(world, prepared)
        died = world.wire.died_at is not None
        world.wire.spare()
        recover(world)
        differences = tuple(scenario.look(world, prepared).effects(expected))
        return Outcome(scenario.name, point, died, differences), expected


def recover(world: World) -> None:
    """Poll, retry and redeliver until no work is left, including messages that a dead sandbox held."""
    world.live(_MINUTES_OF_POLLS)
    world.settle()
    world.live(2)
