"""Denied and allowlisted calls arrive at a hundred a second, some twice, while batches die and a key is contained.

EventBridge and a standard queue deliver an event at least once, and an invocation can end at any call. Each event must
count exactly once all the same: in the summary of its caller, or in the hour's record of its allowlist entry.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

from tests.trials.proof import leaks
from tests.trials.proof.load.order import Deliveries
from tests.trials.world import ACCOUNT, FunctionDiedError, incidents
from tests.trials.world.running import running_world
from tests.trials.world.state_machine import StateMachine
from tests.trials.world.world import World

_SUMMARY = re.compile(r"^CHECK: user (caller-\d+), (\d+) times in an hour ")
_EXPECTED = "deploy"
_ALLOWLISTED_SHARE, _TWICE_SHARE, _DIES_SHARE = 0.3, 0.05, 0.2
# A batch of a hundred events makes about this many calls.
_CALLS_OF_A_BATCH = 20
_FUNCTIONS = 2


@dataclass(frozen=True)
class Amount:
    """The amount: `a_second` events by `callers` callers in each of `seconds` seconds."""

    seconds: int
    a_second: int
    callers: int


@dataclass(frozen=True)
class Figures:
    """The result. `executions` counts those of the flood; `contained` is whether the key was contained meanwhile."""

    arrived: Deliveries
    twice: int
    died: int
    executions: int
    contained: bool
    leaks: list[str]


def measure_load(amount: Amount) -> Figures:
    """Send the events, contain a key in the middle, and compare the counts an hour later with the events."""
    with leaks.watching() as watched, running_world() as world:
        world.unexpected.allow(FunctionDiedError)
        world.environment["IR_ALLOWED_PRINCIPALS"] = json.dumps([f"arn:aws:iam::{ACCOUNT}:user/{_EXPECTED}"])
        machine = StateMachine(world)
        world.carriers.append(machine.carry)
        flood = _Flood(world, machine, amount)
        contained = False
        for second in range(amount.seconds):
            flood.send()
            if second == amount.seconds // 2:
                execution, _key = incidents.contain(world, machine)
                contained = execution.path[-1] == "Wait for Analyst"
            for _function in range(_FUNCTIONS):
                flood.take()
            world.advance(1)
        executions = len(machine.executions) - 1
        world.settle()
        world.advance(3_661)
        machine.advance()
        world.advance(2 * 3_600)
        world.invoke("workflow", {"task": "check_allowlist_entries"})
        arrived = _compared(flood.sent, _counted(world))
        watched.scan(world)
    return Figures(arrived, flood.twice, flood.died, executions, contained, watched.found)


class _Flood:
    """Sends events and lets functions take batches. `sent` counts the different events of each caller."""

    def __init__(self, world: World, machine: StateMachine, amount: Amount) -> None:
        self._world, self._machine, self._amount = world, machine, amount
        self._random = random.Random(20_261_130)
        self.sent: Counter[str] = Counter()
        self.twice = self.died = 0

    def send(self) -> None:
        """Send the events of one second. Some are delivered twice."""
        for _ in range(self._amount.a_second):
            expected = self._random.random() < _ALLOWLISTED_SHARE
            caller = _EXPECTED if expected else f"caller-{self._random.randrange(self._amount.callers)}"
            event = self._denied(caller)
            self.sent[caller] += 1
            self._machine.send_to_intake(event)
            if self._random.random() < _TWICE_SHARE:
                self.twice += 1
                self._machine.send_to_intake(event)

    def take(self) -> None:
        """Let one function take a batch. Some end in the middle of it."""
        if dies := self._random.random() < _DIES_SHARE:
            self._world.wire.kill_at(self._random.randint(1, _CALLS_OF_A_BATCH), "after")
        self._world.run_intake()
        self.died += self._world.wire.died_at is not None
        if dies:
            self._world.wire.spare()

    def _denied(self, caller: str) -> Any:
        by = incidents.user_identity(caller, "AKIACALLER0000000001")
        denied = incidents.call(self._world, "PutUser", errorCode="AccessDenied", userIdentity=by)
        return incidents.event(denied)


def _counted(world: World) -> Counter[str]:
    """Return the count that analysts and auditors see for each caller."""
    counted: Counter[str] = Counter()
    for alert in incidents.alerts(world):
        if found := _SUMMARY.match(alert["Subject"]):
            counted[found[1]] += int(found[2])
    for row in incidents.audit_rows():
        if row["action"] == "events_allowlisted":
            counted[_EXPECTED] += int(json.loads(row["details"])["events"])
    return counted


def _compared(sent: Counter[str], counted: Counter[str]) -> Deliveries:
    return Deliveries(sent.total(), (sent - counted).total(), (counted - sent).total())
