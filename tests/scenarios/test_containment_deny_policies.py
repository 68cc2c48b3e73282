"""AWSDenyAll belongs to AWS, so other tools use it too, and versions before 0.2.0 attached a policy of their own."""

from __future__ import annotations

from typing import Any

import boto3
import pytest

from tests.support.iam_answers import Answers
from tests.support.world import World
from tests.trials.world import incidents as support
from tests.trials.world.deployment import DENY_POLICY, earlier_deny_policy
from tests.trials.world.incidents import IamState, alerts, asked, audit_actions, contain, decide, iam_state
from tests.trials.world.state_machine import StateMachine

QUOTA = ("LimitExceeded", 409, "Cannot exceed quota for PoliciesPerUser: 10")


def attached(name: str = "backdoor") -> list[str]:
    policies = boto3.client("iam").list_attached_user_policies(UserName=name)["AttachedPolicies"]
    return sorted(policy["PolicyArn"] for policy in policies)


def detached(world: World, name: str) -> Any:
    """Detach AWSDenyAll as another principal, and return the event of this call."""
    boto3.client("iam").detach_user_policy(UserName=name, PolicyArn=DENY_POLICY)
    identity = support.user_identity("ann", "AKIAPERSON0000000001")
    request = {"userName": name, "policyArn": DENY_POLICY}
    return support.event(support.call(world, "DetachUserPolicy", requestParameters=request, userIdentity=identity))


def contained_by_earlier_version(world: World, machine: StateMachine) -> tuple[str, str]:
    """Contain a user, and exchange the policies as an earlier version would have left them.

    Returns:
        The key, and the ARN of the earlier policy.
    """
    _execution, key = contain(world, machine)
    iam = boto3.client("iam")
    earlier = earlier_deny_policy(iam)
    iam.attach_user_policy(UserName="backdoor", PolicyArn=earlier)
    iam.detach_user_policy(UserName="backdoor", PolicyArn=DENY_POLICY)
    return key, earlier


def test_given_a_user_that_another_tool_denied_when_it_detaches_the_policy_then_the_user_is_not_contained(
    world: World, machine: StateMachine
) -> None:
    (key,) = support.user("carol")
    boto3.client("iam").attach_user_policy(UserName="carol", PolicyArn=DENY_POLICY)

    execution = machine.start(detached(world, "carol"))

    assert execution.status == "SUCCEEDED"
    assert iam_state(world, "carol") == IamState({key: "Active"}, denied=False)
    assert asked(world) == []
    (alert,) = alerts(world)
    assert "MEDIUM" in alert["Subject"]
    assert "AWSDenyAll was detached from a principal that ir-router did not contain" in alert["Message"]
    assert "carol" in alert["Message"]


def test_given_a_contained_user_when_the_policy_is_detached_then_it_is_contained_again_with_severity_high(
    world: World, machine: StateMachine
) -> None:
    _execution, key = contain(world, machine)
    world.advance(60)

    machine.start(detached(world, "backdoor"))

    assert iam_state(world, "backdoor") == IamState({key: "Inactive"}, denied=True)
    assert "containment_reapplied" in audit_actions()


@pytest.mark.parametrize("decision", ["approve", "deny"])
def test_given_a_containment_of_an_earlier_version_when_decided_then_it_ends_without_a_report_of_tampering(
    world: World, machine: StateMachine, decision: str
) -> None:
    key, earlier = contained_by_earlier_version(world, machine)

    decide(world, asked(world)[0]["taskToken"], decision)
    machine.advance()

    if decision == "deny":
        assert (attached(), iam_state(world, "backdoor").keys) == ([], {key: "Active"})
    else:
        assert attached() == [earlier]
    assert "no longer attached" not in alerts(world)[-1]["Message"]


def test_given_a_containment_of_an_earlier_version_when_verified_then_the_policy_is_replaced_silently(
    world: World, machine: StateMachine
) -> None:
    key, _earlier = contained_by_earlier_version(world, machine)
    alerts(world)

    world.verify_containments()

    assert attached() == [DENY_POLICY]
    assert alerts(world) == []
    assert "containment_reapplied" not in audit_actions()
    decide(world, asked(world)[0]["taskToken"], "deny")
    machine.advance()
    assert (attached(), iam_state(world, "backdoor").keys) == ([], {key: "Active"})
    assert "others" not in alerts(world)[-1]["Message"]


def test_given_an_earlier_policy_that_iam_lets_nothing_replace_when_verified_then_it_stays_until_a_later_verification(
    world: World, machine: StateMachine
) -> None:
    _key, earlier = contained_by_earlier_version(world, machine)
    quota = Answers(world, "AttachUserPolicy", QUOTA, until=float("inf"))

    world.verify_containments()

    assert attached() == [earlier]
    quota.end()
    world.verify_containments()
    assert attached() == [DENY_POLICY]


def test_given_a_containment_of_an_earlier_version_that_is_undone_when_verified_then_it_is_applied_with_the_new_policy(
    world: World, machine: StateMachine
) -> None:
    _key, earlier = contained_by_earlier_version(world, machine)
    boto3.client("iam").detach_user_policy(UserName="backdoor", PolicyArn=earlier)

    world.verify_containments()

    assert attached() == [DENY_POLICY]
    assert "containment_reapplied" in audit_actions()


def test_given_awsdenyall_that_was_attached_before_when_denied_then_it_stays(
    world: World, machine: StateMachine
) -> None:
    support.user("backdoor", 0)
    boto3.client("iam").attach_user_policy(UserName="backdoor", PolicyArn=DENY_POLICY)
    key = boto3.client("iam").create_access_key(UserName="backdoor")["AccessKey"]["AccessKeyId"]

    machine.start(support.key_created(world, "backdoor", key))
    decide(world, asked(world)[0]["taskToken"], "deny")
    machine.advance()

    assert attached() == [DENY_POLICY]
    assert iam_state(world, "backdoor").keys == {key: "Active"}
