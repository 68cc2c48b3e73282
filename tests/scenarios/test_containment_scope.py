"""C2: with containment_scope key, only the new key is disabled if another principal created it."""

from __future__ import annotations

import boto3
import pytest

from tests.support.tasks import run
from tests.support.world import ACCOUNT, World
from tests.trials.world import incidents as support
from tests.trials.world.incidents import IamState, alerts, asked, decide, iam_state
from tests.trials.world.state_machine import Execution, StateMachine

ARN = f"arn:aws:iam::{ACCOUNT}:user/backdoor"


@pytest.fixture(autouse=True)
def _scope(world: World) -> None:
    world.environment["IR_CONTAINMENT_SCOPE"] = "key"


def new_key(world: World, machine: StateMachine) -> tuple[Execution, str, str]:
    """Report a key that mallory created for a user with an older one; return the execution, the old and the new key."""
    old, new = support.user("backdoor", 2)
    return machine.start(support.key_created(world, "backdoor", new)), old, new


def test_given_a_key_by_another_principal_when_contained_and_denied_then_only_it_was_disabled_and_is_as_before(
    world: World, machine: StateMachine
) -> None:
    world.environment["IR_MAX_CONTAINMENTS_PER_HOUR"] = "0"  # it does not limit the disabling of new keys
    execution, old, new = new_key(world, machine)

    assert iam_state(world, "backdoor") == IamState({old: "Active", new: "Inactive"}, denied=False)
    (request,) = asked(world)
    text = alerts(world)[0]["Message"]
    assert f"key {new} of user backdoor contained." in text
    assert f"Still active: access key {old}, its password and its temporary credentials." in text
    assert request["approve"] == f"permanently deletes key {new}. Nothing else changes."
    assert request["deny"] == f"re-enables {new} of user backdoor. Nothing else changes."

    decide(world, request["taskToken"], "deny")
    machine.advance()
    assert execution.status == "SUCCEEDED"
    assert iam_state(world, "backdoor") == IamState({old: "Active", new: "Active"}, denied=False)


def test_given_only_a_key_when_approved_then_it_is_deleted_and_nothing_of_the_owner_stays_contained(
    world: World, machine: StateMachine
) -> None:
    execution, old, new = new_key(world, machine)
    boto3.client("iam").update_access_key(UserName="backdoor", AccessKeyId=new, Status="Active")
    machine.advance()
    decide(world, asked(world)[0]["taskToken"], "approve")
    world.advance(15)
    machine.advance()

    assert execution.status == "SUCCEEDED"
    assert iam_state(world, "backdoor") == IamState({old: "Active"}, denied=False)
    another = support.key_created(world, "backdoor")
    assert machine.start(another).path[-1] == "Wait for Analyst"
    assert iam_state(world, "backdoor").keys == {old: "Active", support.named_key(another): "Inactive"}


def test_given_only_a_key_when_nobody_decides_then_it_stays_disabled_until_a_release(
    world: World, machine: StateMachine
) -> None:
    execution, old, new = new_key(world, machine)
    world.advance(86_401)
    machine.advance()

    assert execution.status == "SUCCEEDED"
    assert iam_state(world, "backdoor") == IamState({old: "Active", new: "Inactive"}, denied=False)
    run(world, "release", principal=ARN, released_by="Ann", reason="known key")
    assert iam_state(world, "backdoor") == IamState({old: "Active", new: "Active"}, denied=False)


def test_given_only_a_key_when_its_owner_is_compromised_too_then_all_is_contained_and_a_denial_restores_all(
    world: World, machine: StateMachine
) -> None:
    _execution, old, new = new_key(world, machine)
    machine.start(support.exposed(old))

    assert iam_state(world, "backdoor") == IamState({old: "Inactive", new: "Inactive"}, denied=True)
    (shown,) = world.invoke("approval-handler", {"task": "list_approvals"})["approvals"]
    assert shown["headline"] == "user backdoor contained"
    assert "2 keys active, no deny policy" in shown["deny_does"]
    decide(world, asked(world)[0]["taskToken"], "deny")
    machine.advance()
    assert iam_state(world, "backdoor") == IamState({old: "Active", new: "Active"}, denied=False)


def test_given_a_key_of_its_own_when_created_then_the_owner_is_contained(world: World, machine: StateMachine) -> None:
    old, new = support.user("backdoor", 2)
    machine.start(support.key_created(world, "backdoor", new, userIdentity=support.user_identity("backdoor", old)))

    assert iam_state(world, "backdoor") == IamState({old: "Inactive", new: "Inactive"}, denied=True)
