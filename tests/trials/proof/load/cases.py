"""Connect an account that already has many open cases with comments, at Slack's rate limits."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ir_sandbox.security_ir import Settings
from tests.trials.proof import leaks
from tests.trials.proof.load.order import Deliveries, compare
from tests.trials.world import World
from tests.trials.world.running import running_world

_NAME = re.compile(r"\bc\d+-\d+\b")
_MOST_POLLS = 60


@dataclass(frozen=True)
class Amount:
    """The amount: `each` comments on each of `cases` cases."""

    cases: int
    each: int


@dataclass(frozen=True)
class Figures:
    """The result. `minutes` is simulated time, with one function running at a time."""

    arrived: Deliveries
    channels: int
    minutes: float
    leaks: list[str]


def measure_load(amount: Amount) -> Figures:
    """Let the poller find the cases, and compare every case with its channel."""
    with leaks.watching() as watched, running_world(enforce_rate_limits=True) as world:
        world.drop_native_events = True  # AWS sent these events before ir-router was connected
        found = _open_cases(world, amount)
        began = world.now()
        _poll_until_idle(world)
        minutes = (world.now() - began) / 60
        world.live(2)
        watched.scan(world)
        arrived = sum((compare(names, _shown(world, case_id)) for case_id, names in found.items()), Deliveries())
        channels = sum(channel.kind == "private" for channel in world.workspace.store.channels.values())
    return Figures(arrived, channels, minutes, watched.found)


def _open_cases(world: World, amount: Amount) -> dict[str, list[str]]:
    """Create the cases; return the names of the comments by case id, in order."""
    world.security_ir.configure(Settings(active_self_managed_cases=max(50, amount.cases)))
    found: dict[str, list[str]] = {}
    for case in range(amount.cases):
        case_id = world.create_case(title=f"Case number {case}")
        found[case_id] = [f"c{case}-{number}" for number in range(amount.each)]
        for number, name in enumerate(found[case_id]):
            world.security_ir.add_comment_as(case_id, body=f"{name} {leaks.CANARY} " + "a finding " * (number % 9))
            world.advance(0.01)  # AWS orders comments by the millisecond
    return found


def _poll_until_idle(world: World) -> None:
    """Poll until two polls in a row find nothing. Raises AssertionError if that never happens."""
    idle = 0
    for _ in range(_MOST_POLLS):
        world.live(1)
        idle = idle + 1 if world.poll()["published"] == 0 else 0
        world.settle()
        if idle == 2:
            return
    raise AssertionError("the poller never becomes idle")


def _shown(world: World, case_id: str) -> list[str]:
    if not any(channel.name.endswith(case_id) for channel in world.workspace.store.channels.values()):
        return []
    texts = [message["text"] for message in world.said(case_id)]
    return [name for text in texts for name in _NAME.findall(text)[:1]]
