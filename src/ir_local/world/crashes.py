"""The crash matrix: a scenario run once undisturbed, then once for each outbound call and each side of it, with the
function ended there and all that AWS and Slack then do by themselves.

A scenario is prepared undisturbed; `act` is what people do, up to and including the time in which it is carried over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal

from ir_local.world import picture
from ir_local.world.picture import Picture
from ir_local.world.wire import Call, Side
from ir_local.world.world import World

Kind = Literal["lost", "doubled", "different"]

SIDES: tuple[Side, Side] = ("before", "after")
# Longer than the settling of every claim and Lambda's retries; what waits for a queue's visibility comes after it.
_MINUTES_OF_POLLS = 6


@dataclass(frozen=True)
class Scenario:
    """`prepare` makes what is there before (its value is given to the others); both leave the world at rest."""

    name: str
    prepare: Callable[[World], object]
    act: Callable[[World, object], None]
    look: Callable[[World, object], Picture] = lambda world, _: picture.take(world)
    by_person: bool = False
    """`act` is a person's command or press: whoever is told that it failed does it again."""


@dataclass(frozen=True)
class Point:
    """A place to die: the `number`th outbound call (from 1), before or after its effect."""

    number: int
    side: Side
    call: Call

    def __str__(self) -> str:
        """As people write it."""
        return f"{self.side} call {self.number} ({self.call})"


@dataclass(frozen=True)
class Outcome:
    """What came of dying there: `differences` from the undisturbed run (empty: none)."""

    scenario: str
    point: Point
    died: bool
    differences: tuple[str, ...]

    @property
    def kind(self) -> Kind | None:
        """What came of it in one word; None when the end is as it should be.

        Something missing is lost, something too many doubled; both, or anything else, is different.
        """
        if not self.differences:
            return None
        missing = any(" missing: " in line for line in self.differences)
        too_many = any(" too many: " in line for line in self.differences)
        return "different" if missing == too_many else "lost" if missing else "doubled"


Worlds = Callable[[], AbstractContextManager[World]]


def undisturbed(scenario: Scenario, worlds: Worlds) -> tuple[list[Call], Picture]:
    """Run a scenario without a crash: its outbound calls, and what both sides show in the end."""
    with worlds() as world:
        prepared = scenario.prepare(world)
        first = len(world.wire.calls)
        scenario.act(world, prepared)
        calls = world.wire.calls[first:]
        recover(world)
        return calls, scenario.look(world, prepared)


def points(calls: Sequence[Call]) -> list[Point]:
    """Both sides of every call."""
    return [Point(number, side, call) for number, call in enumerate(calls, start=1) for side in SIDES]


def crash(scenario: Scenario, worlds: Worlds, point: Point, expected: Picture) -> Outcome:
    """Run a scenario with a crash, let everything be delivered again, and compare."""
    with worlds() as world:
        prepared = scenario.prepare(world)
        world.wire.kill_at(point.number, point.side)
        scenario.act(world, prepared)
        died = world.wire.died_at is not None
        world.wire.spare()
        recover(world)
        return Outcome(scenario.name, point, died, tuple(scenario.look(world, prepared).differences(expected)))


def matrix(scenario: Scenario, worlds: Worlds) -> Iterator[Outcome]:
    """Every point of a scenario."""
    calls, expected = undisturbed(scenario, worlds)
    for point in points(calls):
        yield crash(scenario, worlds, point, expected)


def recover(world: World) -> None:
    """Polls, retries and redeliveries until everything has come to rest, also what a dead sandbox held."""
    world.live(_MINUTES_OF_POLLS)
    world.settle()
    world.live(2)
