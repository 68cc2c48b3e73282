"""Two people decide, and an approval request that its owner, or anyone, leaves without a decision."""

from __future__ import annotations

import json
from dataclasses import replace

from tests.trials.world import incidents
from tests.trials.world.crashes import Scenario
from tests.trials.world.picture import Picture
from tests.trials.world.scenarios.containment import Incident, acting, contained, deciding, look, pressing
from tests.trials.world.world import World

_MINUTE = 60.0
# Work that a dead poll had started is settled after the poll's latest possible end.
_MINUTES_UNTIL_SETTLED = 20
# Lambda repeats a press whose function died, at the latest three minutes later. Only then the next person acts.
_MINUTES_UNTIL_REPEATED = 4
_REQUIRED = {"remediate_approve": 2, "remediate_deny": 2, "release": 2, "contain_over_limit": 2}


def _contained_for_two(world: World) -> Incident:
    world.environment["IR_APPROVALS_REQUIRED"] = json.dumps(_REQUIRED)
    world.environment["IR_REMINDER_MINUTES"] = "[1200]"  # a dead poll holds its claim of a reminder for 15 minutes
    return contained(world)


def _second(world: World, there: Incident) -> Incident:
    ann = world.workspace.create_user("ann", email="ann@example.com", real_name="Ann Lee")
    there.jane.invite(there.channel, ann.id)
    return replace(there, jane=ann)


def _two_deny(world: World, there: Incident) -> None:
    ann = _second(world, there)
    for person in (there, ann):
        deciding("approval_deny", {"reason": "planned rotation"})(world, person)
        world.settle(patience=30)
        world.live(_MINUTES_UNTIL_REPEATED)


def _withdrawn_then_approved(world: World, there: Incident) -> None:
    ann = _second(world, there)
    deciding("approval_deny", {"reason": "planned rotation"})(world, there)
    world.settle(patience=30)
    world.live(_MINUTES_UNTIL_REPEATED)  # the button may come with the next poll only
    pressing("request_withdraw")(world, there)
    world.settle(patience=30)
    world.live(_MINUTES_UNTIL_REPEATED)
    for person in (there, ann):
        deciding("approval_approve", {})(world, person)
        world.settle(patience=30)
        world.live(_MINUTES_UNTIL_REPEATED)


def _taken_on_late(world: World, there: Incident) -> None:
    """Let a page ring, take the request on, and let the others hear that nothing followed."""
    world.advance(11 * _MINUTE)
    world.live(_MINUTES_UNTIL_SETTLED)
    pressing("request_assign")(world, there)
    world.settle(patience=30)
    world.advance(31 * _MINUTE)
    world.live(_MINUTES_UNTIL_SETTLED)


def _look_with_pages(world: World, there: object) -> Picture:
    """Return the state with each page once: on-call services add a message with the same name to the open incident."""
    assert isinstance(there, Incident)
    alarms = {str(json.loads(page["Message"])["AlarmName"]) for page in incidents.pages(world)}
    assert len({name.rpartition(" (")[2] for name in alarms}) == len({name.rpartition(" (")[0] for name in alarms})
    there.alerted.update(f"page: {name.rpartition(' (')[0]}" for name in alarms)
    return look(world, there)


PEOPLE = (
    Scenario("containment: denied by two people", _contained_for_two, acting(_two_deny), look, by_person=True),
    Scenario(
        "containment: withdrawn, then approved by two people",
        _contained_for_two,
        acting(_withdrawn_then_approved),
        look,
        by_person=True,
    ),
    Scenario(
        "containment: paged, taken on and left",
        contained,
        acting(_taken_on_late),
        _look_with_pages,
        by_person=True,
    ),
)
