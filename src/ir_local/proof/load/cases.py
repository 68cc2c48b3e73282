"""An account with many open cases and all their comments is connected for the first time, at Slack's pace."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ir_local.proof import leaks
from ir_local.proof.load.order import Arrived, compare
from ir_local.world import World
from ir_local.world.world import own_world

_NAME = re.compile(r"\bc\d+-\d+\b")
_MOST_POLLS = 60


@dataclass(frozen=True)
class Amount:
    """How much: `each` comments on every one of `cases` cases."""

    cases: int
    each: int


@dataclass(frozen=True)
class Figures:
    """`minutes`: how long it took by the simulated clock, one function at a time."""

    arrived: Arrived
    channels: int
    minutes: float
    leaks: list[str]


def carry(amount: Amount) -> Figures:
    """Let the poller find the cases, and compare every case with its channel."""
    with leaks.watching() as watched, own_world(enforce_rate_limits=True) as world:
        world.drop_native_events = True  # AWS told of them before anybody listened
        found = _open_cases(world, amount)
        began = world.now()
        _bring_over(world)
        minutes = (world.now() - began) / 60
        world.live(2)
        watched.look(world)
        arrived = sum((compare(names, _shown(world, case_id)) for case_id, names in found.items()), Arrived())
        channels = sum(channel.kind == "private" for channel in world.workspace.store.channels.values())
    return Figures(arrived, channels, minutes, watched.found)


def _open_cases(world: World, amount: Amount) -> dict[str, list[str]]:
    """The cases, each with the names of its comments, in order."""
    found: dict[str, list[str]] = {}
    for case in range(amount.cases):
        case_id = world.create_case(title=f"Case number {case}")
        found[case_id] = [f"c{case}-{number}" for number in range(amount.each)]
        for number, name in enumerate(found[case_id]):
            world.security_ir.add_comment_as(case_id, body=f"{name} {leaks.CANARY} " + "a finding " * (number % 9))
            world.advance(0.01)  # AWS orders comments by the millisecond
    return found


def _bring_over(world: World) -> None:
    """Poll until there is nothing to do twice in a row. Raises AssertionError when that never comes."""
    idle = 0
    for _ in range(_MOST_POLLS):
        world.live(1)
        idle = idle + 1 if world.poll()["published"] == 0 else 0
        world.settle()
        if idle == 2:
            return
    raise AssertionError("the poller finds more and more to do")


def _shown(world: World, case_id: str) -> list[str]:
    if not any(channel.name.endswith(case_id) for channel in world.workspace.store.channels.values()):
        return []
    texts = [message["text"] for message in world.said(case_id)]
    return [name for text in texts for name in _NAME.findall(text)[:1]]
