"""Count the sequential steps until the key is disabled, and the calls of each part of a containment."""

from __future__ import annotations

from dataclasses import dataclass

from tests.trials.bench.calls import Meter, Work, quietly
from tests.trials.world import incidents
from tests.trials.world.running import running_world
from tests.trials.world.state_machine import Execution, StateMachine
from tests.trials.world.world import World

_CONTAINING = "Immediate Containment"
_DISABLES = ("iam", "UpdateAccessKey")


@dataclass(frozen=True)
class Steps:
    """Sequential states and outbound calls, up to the call that disables the key."""

    states: int
    calls: int


def steps() -> Steps:
    """Count the steps from the detection to the disabled key."""
    with running_world() as world, quietly():
        machine = _ready(world)
        before = len(world.wire.calls)
        execution = _detected(machine)
        made = [(call.service, call.operation) for call in world.wire.calls[before:]]
        return Steps(execution.path.index(_CONTAINING) + 1, made.index(_DISABLES) + 1)


def parts() -> dict[str, Work]:
    """Measure a detection until its approval request, an approval, and a denial of another incident."""
    with running_world() as world, quietly():
        machine = _ready(world)
        meter = Meter(world)
        execution = _detected(machine)
        world.settle()
        found = {"containment": meter.read(len(execution.path))}
        found["containment_approve"] = _decided(world, execution, "approve")
        other, _key = incidents.contain(world, machine, "other")
        world.settle()
        found["containment_deny"] = _decided(world, other, "deny")
        return found


def _ready(world: World) -> StateMachine:
    """Return the workflow with a security channel, the app in it, a response team and warm functions."""
    incidents.jane_and_her_channel(world)
    machine = StateMachine(world)
    world.carriers.append(machine.carry)
    incidents.contain(world, machine, "first")
    world.live(2)
    incidents.asked(world)
    return machine


def _detected(machine: StateMachine) -> Execution:
    return incidents.contain(machine.world, machine)[0]


def _decided(world: World, execution: Execution, decision: str) -> Work:
    (message,) = incidents.asked(world)
    entered = len(execution.path)
    meter = Meter(world)
    answer = {"task_token": message["taskToken"], "decision": decision, "analyst": "jane", "notes": "seen"}
    world.invoke("approval-handler", answer)
    world.settle()
    return meter.read(len(execution.path) - entered)
