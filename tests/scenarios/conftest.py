"""Users, the case and the state machine of scenarios. Every AWS call of a function must be allowed by its role."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest

from ir_sandbox.slack.people import Person
from tests.support.aws_calls import AwsCall, record
from tests.support.sync import make_jane, settled_case
from tests.support.world import World
from tests.terraform.deployments import role_policies
from tests.terraform.iam import allows
from tests.trials.world import incidents
from tests.trials.world.state_machine import Execution, StateMachine

_WORLDS = ("world", "paced_world")
# Calls that fail because the test has removed their target.
_NOT_THERE = ("gone.fifo", "table/gone", "deny-missing")


@pytest.fixture(autouse=True)
def _within_rights(request: pytest.FixtureRequest) -> Iterator[None]:
    """Check every call of the scenario's functions against the planned roles."""
    calls: set[AwsCall] = set()
    for name in _WORLDS:
        if name in request.fixturenames:
            record(request.getfixturevalue(name), calls)
    yield
    assert {call for call in calls if not _is_allowed(call)} == set(), "a role lacks these permissions"


@cache
def _is_allowed(call: AwsCall) -> bool:
    if f"{call.resource} {call.policy or ''}".rstrip().endswith(_NOT_THERE):
        return True
    return allows(role_policies()[call.deployment], call.action, call.resource, **call.context)


@pytest.fixture
def jane(world: World) -> Person:
    return make_jane(world)


@pytest.fixture
def ann(world: World, jane: Person, security_channel: str) -> Person:
    """A second user in the security channel."""
    person = world.workspace.create_user("ann", email="ann@example.com", real_name="Ann Lee")
    jane.invite(security_channel, person.id)
    return person


@pytest.fixture
def case_id(world: World, jane: Person) -> str:
    return settled_case(world)


@pytest.fixture
def channel(world: World, case_id: str) -> str:
    return world.channel_of(case_id)


@pytest.fixture
def machine(world: World) -> StateMachine:
    return StateMachine(world)


@pytest.fixture
def security_channel(world: World, jane: Person) -> str:
    """Create the security channel with the app and all watching users in it."""
    return incidents.security_channel(world, jane)


@pytest.fixture
def contained(world: World, machine: StateMachine, jane: Person, security_channel: str) -> tuple[Execution, str]:
    found = incidents.contain(world, machine)
    world.settle()
    return found


@pytest.fixture
def waiting(world: World, machine: StateMachine) -> tuple[Execution, str, str]:
    """Return a waiting execution, the contained key and the token from the queue."""
    execution, key = incidents.contain(world, machine)
    return execution, key, incidents.asked(world)[0]["taskToken"]
