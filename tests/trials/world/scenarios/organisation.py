"""Containment of a user in a member of the organisation, whose name a user of the hub has too."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from ir_sandbox import cloud_trail
from tests.trials.world import incidents, organisation
from tests.trials.world.crashes import Scenario
from tests.trials.world.organisation import SHOP, moved
from tests.trials.world.picture import Picture
from tests.trials.world.scenarios.containment import USER, Incident, acting, invoking, look, watched
from tests.trials.world.world import World


def _founded(world: World) -> Incident:
    """Let the hub and two members form an organisation, with a user of the same name in one of them."""
    organisation.found(world)
    there = watched(world)
    there.keys.extend(incidents.user(USER, 1, SHOP))
    return there


def _event(world: World, there: Incident) -> None:
    created = incidents.key_created(world, USER, there.keys[-1], eventID="event-1", requestID="request-1")
    there.machine.start(moved(created, SHOP) | {"id": "event-1"}, "execution-1")


def _contained(world: World) -> Incident:
    there = _founded(world)
    acting(_event)(world, there)
    return there


def _contained_with_calls(world: World) -> Incident:
    """Contain the user of the member. CloudTrail of the member shows its calls on two pages."""
    world.environment["IR_REMINDER_MINUTES"] = "[1200]"  # other scenarios have reminders
    there = _founded(world)
    _event(world, there)
    world.settle(patience=20)  # a poll that posts the request and dies holds its claim for 15 minutes
    moment = datetime.fromtimestamp(world.now(), UTC)
    caller = moved(incidents.user_identity(USER, there.keys[-1]), SHOP)
    world.trail.add(
        *(
            cloud_trail.record("ListUsers", moment - timedelta(seconds=60 + number), caller, eventID=f"call-{number}")
            for number in range(60)
        )
    )
    return there


def _calls_are_read(world: World, _there: Incident) -> None:
    world.live(3)


def _look(world: World, there: object) -> Picture:
    """Return the state of both sides with the IAM of the member."""
    assert isinstance(there, Incident)
    taken = look(world, there)
    state = incidents.iam_state(world, USER, SHOP)
    lines = [f"{USER} in the member: key {number} {status}" for number, status in enumerate(state.keys.values())]
    lines.append(f"{USER} in the member: deny policy attached: {state.denied}")
    return replace(taken, workflow=taken.workflow + Counter(lines))


ORGANISATION = (
    Scenario("containment: a user of a member is contained", _founded, acting(_event), _look),
    Scenario("containment: calls in a member are read", _contained_with_calls, acting(_calls_are_read), _look),
    Scenario("containment: a user of a member, denied", _contained, acting(invoking("deny")), _look, by_person=True),
)
