"""Containment counted: what happens one after the other until the key is disabled, and what each part calls."""

from __future__ import annotations

from dataclasses import dataclass

from ir_local.bench.calls import Meter, Work, quietly
from ir_local.world import incidents
from ir_local.world.state_machine import Execution, StateMachine
from ir_local.world.world import World, own_world

_CONTAINING = "Immediate Containment"
_DISABLES = ("iam", "UpdateAccessKey")


@dataclass(frozen=True)
class Steps:
    """States entered and outbound calls made, one after the other, up to the call that disables the key."""

    states: int
    calls: int


def steps() -> Steps:
    """From the detection to the disabled key."""
    with own_world() as world, quietly():
        machine = _ready(world)
        before = len(world.wire.calls)
        execution = _detected(machine)
        made = [(call.service, call.operation) for call in world.wire.calls[before:]]
        return Steps(execution.path.index(_CONTAINING) + 1, made.index(_DISABLES) + 1)


def parts() -> dict[str, Work]:
    """From the detection until people are asked; the approval; a denial of another incident: each until rest."""
    with own_world() as world, quietly():
        machine = _ready(world)
        meter = Meter(world)
        execution = _detected(machine)
        world.settle()
        found = {"containment": meter.read(len(execution.path))}
        found["containment_approve"] = _decided(world, execution, "approve")
        other = machine.start(incidents.key_created(world, "other", incidents.user("other")[0]))
        world.settle()
        found["containment_deny"] = _decided(world, other, "deny")
        return found


def _ready(world: World) -> StateMachine:
    """The workflow, a security channel with the app in it, and a response team; all functions warm."""
    incidents.jane_and_her_channel(world)
    machine = StateMachine(world)
    world.carriers.append(machine.carry)
    machine.start(incidents.key_created(world, "first", incidents.user("first")[0]))
    world.live(2)
    incidents.asked(world)
    return machine


def _detected(machine: StateMachine) -> Execution:
    return machine.start(incidents.key_created(machine.world, "backdoor", incidents.user("backdoor")[0]))


def _decided(world: World, execution: Execution, decision: str) -> Work:
    (message,) = incidents.asked(world)
    entered = len(execution.path)
    meter = Meter(world)
    answer = {"task_token": message["taskToken"], "decision": decision, "analyst": "jane", "notes": "seen"}
    world.invoke("approval-handler", answer)
    world.settle()
    return meter.read(len(execution.path) - entered)
