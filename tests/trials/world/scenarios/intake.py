"""A batch of the intake: repeated, allowlisted and new events, and a call that a contained principal was denied."""

from __future__ import annotations

import json
from typing import Any

from tests.trials.world import ACCOUNT, incidents
from tests.trials.world.crashes import Scenario
from tests.trials.world.picture import Picture
from tests.trials.world.scenarios.containment import USER, Incident, contained, look
from tests.trials.world.world import World

_EXPECTED = "deploy"
_HOUR = 3_600.0
# SQS shows the events of a batch that died after this time.
_HIDDEN_SECONDS = 900.0
_EVERY_SECONDS = 60.0


def _watching(world: World) -> Incident:
    """Contain a user, and deny one caller a call, so that the next denied call of this caller is a repetition."""
    there = contained(world)
    incidents.user(_EXPECTED, keys=0)
    world.environment["IR_REMINDER_MINUTES"] = "[1200]"  # other scenarios have reminders
    world.environment["IR_ALLOWED_PRINCIPALS"] = json.dumps([f"arn:aws:iam::{ACCOUNT}:user/{_EXPECTED}"])
    there.machine.start(_denied(world, "mallory", 1), "execution-2")
    world.live(1)
    return there


def _batch(world: World, there: object) -> None:
    """Deliver the batch, and let the hour pass after which its counts are reported."""
    assert isinstance(there, Incident)
    for number, caller in enumerate(("mallory", _EXPECTED, "eve", "mallory", _EXPECTED, "eve", USER), start=2):
        there.machine.send_to_intake(_denied(world, caller, number))
    world.settle(patience=_HIDDEN_SECONDS)
    world.live(1)
    world.advance(2 * _HOUR)
    world.live(1)
    _report_allowlisted(world)
    world.settle(patience=30)
    world.live(2)


def _denied(world: World, caller: str, number: int) -> Any:
    denied = incidents.call(
        world,
        "PutUser",
        errorCode="AccessDenied",
        eventID=f"denied-{number}",
        requestID=f"denied-request-{number}",
        userIdentity=incidents.user_identity(caller, f"AKIA{caller.upper():0<16}"),
    )
    return incidents.event(denied) | {"id": f"denied-{number}"}


def _report_allowlisted(world: World) -> None:
    """Run the hourly task now and then every minute, so that a trial need not wait an hour for its repetition."""
    due = world.now()

    def carry() -> bool:
        nonlocal due
        if world.now() < due:
            return False
        due = world.now() + _EVERY_SECONDS
        world.try_invoke("workflow", {"task": "check_allowlist_entries"})
        return True

    world.carriers.append(carry)


def _counted(world: World, there: object) -> Picture:
    """Return the state of both sides, with the number of allowlisted events in each hour's record."""
    taken = look(world, there)
    for row in incidents.audit_rows():
        if row["action"] == "events_allowlisted":
            details = json.loads(row["details"])
            taken.workflow[f"allowlisted: {details['events']} of {details['callers']}, {details['ids_digest']}"] += 1
    return taken


INTAKE = (Scenario("intake: a batch of repeated, allowlisted and new events", _watching, _batch, _counted),)
