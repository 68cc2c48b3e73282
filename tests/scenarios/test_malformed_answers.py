"""A truncated response of AWS proves nothing: neither that a row is missing nor that a call had no effect."""

from __future__ import annotations

import pytest

from tests.support.sync import from_slack, make_jane, settled_case
from tests.support.world import World
from tests.trials.world.incidents import IamState, contain, iam_state
from tests.trials.world.outages import Outage, struck_by
from tests.trials.world.state_machine import StateMachine


@pytest.mark.parametrize("operation", ["GetItem", "Query", "UpdateItem", "TransactWriteItems"])
def test_given_half_an_answer_of_dynamodb_when_a_message_is_carried_over_then_it_is_on_the_case_once(
    world: World, operation: str
) -> None:
    jane = make_jane(world)
    case_id = settled_case(world, watchers=[{"email": "jane.smith@example.com", "name": "Jane Smith"}])
    outage = Outage("dynamodb", operation, "malformed answer", None)

    with struck_by(world, outage):
        jane.post(world.channel_of(case_id), "seen")
        world.settle()
        world.live(3)

    assert outage.struck == 1
    assert ["\nseen\n" in body for body in from_slack(world, case_id)] == [True]


@pytest.mark.parametrize(
    ("service", "operation"), [("iam", "AttachUserPolicy"), ("iam", "ListAccessKeys"), ("dynamodb", "UpdateItem")]
)
def test_given_half_an_answer_when_a_user_is_contained_then_it_is_done_at_once(
    world: World, machine: StateMachine, service: str, operation: str
) -> None:
    outage = Outage(service, operation, "malformed answer", None)
    began = world.now()

    with struck_by(world, outage):
        execution, key = contain(world, machine)

    assert outage.struck == 1
    assert execution.path[-1] == "Wait for Analyst"
    assert iam_state(world, "backdoor") == IamState({key: "Inactive"}, denied=True)
    assert world.now() - began < 30
