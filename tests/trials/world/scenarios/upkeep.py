"""The work of the rule `-upkeep`: a case that had no room is opened, and the deployment is verified."""

from __future__ import annotations

import boto3

from ir_sandbox.security_ir import Settings
from tests.support.operations import Resources
from tests.trials.world.crashes import Scenario
from tests.trials.world.scenarios.containment import Incident, look, watched
from tests.trials.world.world import World

_NO_ROOM = Settings(active_self_managed_cases=0)
_RULE = "security-incident-detect-create-access-key"
_EVERY_SECONDS = 60.0
"""The rule's pause is 15 minutes. A trial measures the recovery by the next run, so it need not wait that long."""
_AFTER_DEATH_SECONDS = 960.0
"""A verification that died holds its claims until the end of its function, 15 minutes. The next one comes hourly."""


def _without_a_case(world: World) -> Incident:
    """Contain a user while AWS opens no case."""
    world.environment["IR_REMINDER_MINUTES"] = "[1200]"  # other scenarios have reminders
    there = watched(world)
    world.security_ir.configure(_NO_ROOM)
    there.event(world, 1)
    world.live(1)
    return there


def _room_again(world: World, _there: object) -> None:
    world.security_ir.configure(Settings())
    _schedule(world, "workflow", "open_missing_cases")
    world.settle(patience=30)
    world.live(2)


def _deployed(world: World) -> Incident:
    """Create Terraform's other resources, and let the first verification report the parts that the simulator lacks."""
    there = watched(world)
    Resources(world)
    world.invoke("operations", {"task": "watch", "now": True})
    world.settle()
    return there


def _rule_disabled(world: World, _there: object) -> None:
    boto3.client("events").disable_rule(Name=_RULE)
    _schedule(world, "operations", "watch", _AFTER_DEATH_SECONDS, now=True)
    world.settle(patience=30)
    world.advance(_AFTER_DEATH_SECONDS)
    world.settle(patience=30)
    world.live(2)


def _schedule(world: World, deployment: str, task: str, every: float = _EVERY_SECONDS, **more: object) -> None:
    """Run a task now and then every `every` seconds."""
    due = world.now()

    def carry() -> bool:
        nonlocal due
        if world.now() < due:
            return False
        due = world.now() + every
        world.try_invoke(deployment, {"task": task, **more})
        return True

    world.carriers.append(carry)


UPKEEP = (
    Scenario("upkeep open_missing_cases: there is room again", _without_a_case, _room_again, look),
    Scenario("upkeep watch: a rule is disabled", _deployed, _rule_disabled, look),
)
