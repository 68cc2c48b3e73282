"""Attacks with IAM's names: a user that is renamed, and a user that takes the name of another one."""

from __future__ import annotations

import boto3
import pytest

from tests.scenarios.test_containment_identity import rename
from tests.scenarios.test_containment_of_one_actor import cases
from tests.support.world import World
from tests.trials.world import incidents as support
from tests.trials.world.incidents import IamState, alerts, asked, decide, iam_state
from tests.trials.world.state_machine import Execution, StateMachine

TIMES = 10


def key_reported(world: World, machine: StateMachine, name: str, key: str) -> Execution:
    """Report the creation of a key by a caller that no other event has."""
    caller = f"creator-{len(machine.executions)}"
    identity = support.user_identity(caller, f"AKIACREATOR{len(machine.executions):09}")
    return machine.start(support.key_created(world, name, key, userIdentity=identity))


def test_given_a_contained_user_that_is_renamed_ten_times_when_events_name_it_then_one_incident_and_one_denial_cover_it(
    world: World, machine: StateMachine
) -> None:
    (key,) = support.user("mallory-0")
    key_reported(world, machine, "mallory-0", key)
    for number in range(1, TIMES + 1):
        rename(f"mallory-{number - 1}", f"mallory-{number}")
        key_reported(world, machine, f"mallory-{number}", key)
    (request,) = asked(world)
    assert len(cases(world)) == 1
    assert iam_state(world, f"mallory-{TIMES}") == IamState({key: "Inactive"}, denied=True)

    decide(world, request["taskToken"], "deny", notes="a rename job", joined_events=TIMES)
    machine.advance()

    assert iam_state(world, f"mallory-{TIMES}") == IamState({key: "Active"}, denied=False)


def test_given_a_user_that_takes_the_name_of_a_contained_one_when_contained_too_then_neither_decision_undoes_the_other(
    world: World, machine: StateMachine
) -> None:
    (first,) = support.user("mallory")
    key_reported(world, machine, "mallory", first)
    rename("mallory", "elsewhere")
    (second,) = support.user("mallory")
    key_reported(world, machine, "mallory", second)
    requests = asked(world)
    assert len(requests) == 2

    decide(world, requests[1]["taskToken"], "deny", notes="a new employee")
    machine.advance()

    assert iam_state(world, "mallory") == IamState({second: "Active"}, denied=False)
    assert iam_state(world, "elsewhere") == IamState({first: "Inactive"}, denied=True)

    decide(world, requests[0]["taskToken"], "deny", notes="a test")
    machine.advance()

    assert iam_state(world, "elsewhere") == IamState({first: "Active"}, denied=False)


def test_given_a_contained_user_that_is_renamed_when_the_limit_counts_then_it_counts_once(
    world: World, machine: StateMachine
) -> None:
    world.environment["IR_MAX_CONTAINMENTS_PER_HOUR"] = "2"
    (key,) = support.user("mallory-0")
    key_reported(world, machine, "mallory-0", key)
    for number in range(1, 4):
        rename(f"mallory-{number - 1}", f"mallory-{number}")
        key_reported(world, machine, f"mallory-{number}", key)
    (other,) = support.user("bob")

    assert key_reported(world, machine, "bob", other).path[-1] == "Wait for Analyst"


@pytest.mark.parametrize("renamed", [False, True])
def test_given_a_contained_user_when_its_calls_are_denied_then_they_count_on_its_case_under_every_name(
    world: World, machine: StateMachine, renamed: bool
) -> None:
    execution, key = support.contain(world, machine, "mallory")
    its_id = str(boto3.client("iam").get_user(UserName="mallory")["User"]["UserId"])
    if renamed:
        rename("mallory", "elsewhere")
    before = len(alerts(world))
    world.advance(60)
    identity = support.user_identity("elsewhere" if renamed else "mallory", key) | {"principalId": its_id}
    denied = support.call(world, "ListUsers", errorCode="AccessDenied", userIdentity=identity)

    machine.start(denied)

    assert execution.status == "RUNNING"
    assert len(alerts(world)) == before


def test_given_a_renamed_user_whose_containment_was_kept_when_released_by_its_new_name_then_it_is_restored(
    world: World, machine: StateMachine
) -> None:
    (key,) = support.user("mallory")
    key_reported(world, machine, "mallory", key)
    decide(world, asked(world)[0]["taskToken"], "approve")
    machine.advance()
    rename("mallory", "elsewhere")
    arn = boto3.client("iam").get_user(UserName="elsewhere")["User"]["Arn"]

    world.invoke("workflow", {"task": "release", "principal": arn, "released_by": "Ann", "reason": "known user"})

    assert not iam_state(world, "elsewhere").denied
