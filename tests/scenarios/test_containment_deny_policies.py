"""AWSDenyAll belongs to AWS, so other tools use it too, and versions before 0.2.0 attached a policy of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import boto3
import pytest

from ir_router.ledger import containments
from ir_router.workflow.changes import ChangeFailedError
from tests.support.iam_answers import Answers
from tests.support.world import ACCOUNT, World
from tests.trials.world import incidents as support
from tests.trials.world.deployment import DENY_POLICY, earlier_deny_policy
from tests.trials.world.incidents import IamState, alerts, asked, audit_actions, contain, decide, iam_state
from tests.trials.world.organisation import Guard
from tests.trials.world.state_machine import StateMachine

USER = f"arn:aws:iam::{ACCOUNT}:user/backdoor"
NOT_YET = ("AccessDenied", 403, "not authorized to perform: iam:{call} because no identity-based policy allows it")
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


def contained_by_earlier_version(world: World, machine: StateMachine, others: Sequence[str] = ()) -> tuple[str, str]:
    """Contain a user, and leave the policies and the recorded state as an earlier version would have left them.

    Args:
        world: The simulated deployment.
        machine: The state machine.
        others: The policies that were attached before.

    Returns:
        The key, and the ARN of the earlier policy.
    """
    _execution, key = contain(world, machine)
    iam = boto3.client("iam")
    earlier = earlier_deny_policy(iam)
    iam.attach_user_policy(UserName="backdoor", PolicyArn=earlier)
    if DENY_POLICY not in others:
        iam.detach_user_policy(UserName="backdoor", PolicyArn=DENY_POLICY)
    recorded = {**row()["recorded"], "policies": list(others)}
    del recorded["earlier_attached"]
    containments.annotate(USER, row()["incident"], recorded=recorded)
    return key, earlier


def contained_after_another_tool(world: World, machine: StateMachine) -> str:
    """Contain a user that had AWSDenyAll of another tool before; return the key."""
    support.user("backdoor", 0)
    iam = boto3.client("iam")
    iam.attach_user_policy(UserName="backdoor", PolicyArn=DENY_POLICY)
    key = iam.create_access_key(UserName="backdoor")["AccessKey"]["AccessKeyId"]
    machine.start(support.key_created(world, "backdoor", key))
    return key


def row() -> Any:
    found = containments.get(USER)
    assert found is not None
    return found


def verify(world: World, times: int = 1) -> None:
    for _ in range(times):
        world.advance(20)
        world.verify_containments()


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
    key, earlier = contained_by_earlier_version(world, machine)
    alerts(world)

    verify(world)

    assert attached() == sorted([DENY_POLICY, earlier])
    verify(world)
    assert attached() == [DENY_POLICY]
    assert alerts(world) == []
    assert "containment_reapplied" not in audit_actions()
    decide(world, asked(world)[0]["taskToken"], "deny")
    machine.advance()
    assert (attached(), iam_state(world, "backdoor").keys) == ([], {key: "Active"})
    assert "others" not in alerts(world)[-1]["Message"]


@pytest.mark.parametrize("rejection", [QUOTA, NOT_YET])
def test_given_an_earlier_policy_that_iam_lets_nothing_replace_when_verified_then_it_stays_until_a_later_verification(
    world: World, machine: StateMachine, rejection: tuple[str, int, str]
) -> None:
    _key, earlier = contained_by_earlier_version(world, machine)
    quota = Answers(world, "AttachUserPolicy", rejection, until=float("inf"))

    began = world.now()
    verify(world)

    assert attached() == [earlier]
    assert world.now() - began < 40  # nothing waits for it
    quota.end()
    verify(world, 2)
    assert attached() == [DENY_POLICY]


def test_given_a_containment_of_an_earlier_version_that_is_undone_when_verified_then_it_is_applied_with_the_new_policy(
    world: World, machine: StateMachine
) -> None:
    _key, earlier = contained_by_earlier_version(world, machine)
    boto3.client("iam").detach_user_policy(UserName="backdoor", PolicyArn=earlier)

    verify(world)

    assert attached() == [DENY_POLICY]
    assert "containment_reapplied" in audit_actions()


def test_given_a_new_containment_when_awsdenyall_is_exchanged_for_the_earlier_policy_then_it_is_undone(
    world: World, machine: StateMachine
) -> None:
    contain(world, machine)
    iam = boto3.client("iam")
    iam.attach_user_policy(UserName="backdoor", PolicyArn=earlier_deny_policy(iam))
    iam.detach_user_policy(UserName="backdoor", PolicyArn=DENY_POLICY)

    verify(world)

    assert DENY_POLICY in attached()
    assert "containment_reapplied" in audit_actions()


def test_given_awsdenyall_that_was_attached_before_when_denied_then_it_stays(
    world: World, machine: StateMachine
) -> None:
    key = contained_after_another_tool(world, machine)

    decide(world, asked(world)[0]["taskToken"], "deny")
    machine.advance()

    assert attached() == [DENY_POLICY]
    assert iam_state(world, "backdoor").keys == {key: "Active"}


def test_given_an_earlier_version_and_awsdenyall_of_another_tool_when_denied_then_only_the_earlier_policy_is_detached(
    world: World, machine: StateMachine
) -> None:
    key, _earlier = contained_by_earlier_version(world, machine, [DENY_POLICY])

    decide(world, asked(world)[0]["taskToken"], "deny")
    machine.advance()

    assert (attached(), iam_state(world, "backdoor").keys) == ([DENY_POLICY], {key: "Active"})
    assert "others" not in alerts(world)[-1]["Message"]


def test_given_awsdenyall_of_another_tool_that_was_detached_when_denied_then_that_of_ir_router_is_detached_too(
    world: World, machine: StateMachine
) -> None:
    key = contained_after_another_tool(world, machine)
    boto3.client("iam").detach_user_policy(UserName="backdoor", PolicyArn=DENY_POLICY)
    verify(world)
    assert attached() == [DENY_POLICY]

    decide(world, asked(world)[0]["taskToken"], "deny")
    machine.advance()

    assert (attached(), iam_state(world, "backdoor").keys) == ([], {key: "Active"})


def test_given_a_role_with_a_changed_earlier_policy_and_no_room_when_contained_then_it_is_not_verified(
    world: World, machine: StateMachine
) -> None:
    world.expect(ChangeFailedError)
    support.role("deploy")
    iam = boto3.client("iam")
    iam.attach_role_policy(RoleName="deploy", PolicyArn=earlier_deny_policy(iam))
    Answers(world, "AttachRolePolicy", QUOTA, until=float("inf"))

    execution = machine.start(support.finding("deploy", 8.0, user_type="AssumedRole"))

    assert (execution.status, execution.error) == ("FAILED", "ContainmentFailed")


def test_given_a_member_with_a_role_of_an_earlier_version_when_denied_then_the_earlier_policy_is_detached(
    world: World, machine: StateMachine
) -> None:
    key, _earlier = contained_by_earlier_version(world, machine)
    only_earlier = {
        "Effect": "Deny",
        "Action": "iam:DetachUserPolicy",
        "Resource": "*",
        "Condition": {"ArnEquals": {"iam:PolicyARN": DENY_POLICY}},
    }
    world.organisation.accounts[ACCOUNT].guards.append(Guard("identity-based policy", [only_earlier]))

    decide(world, asked(world)[0]["taskToken"], "deny")
    machine.advance()

    assert (attached(), iam_state(world, "backdoor").keys) == ([], {key: "Active"})


@pytest.mark.parametrize("error", ["Throttling", "AccessDenied"])
def test_given_iam_that_does_not_answer_when_the_policy_is_detached_then_the_event_stays_high(
    world: World, machine: StateMachine, error: str
) -> None:
    (key,) = support.user("carol")
    boto3.client("iam").attach_user_policy(UserName="carol", PolicyArn=DENY_POLICY)
    event = detached(world, "carol")
    reads = Answers(world, "GetUser", (error, 400, "Rate exceeded"), until=float("inf"))
    machine.fault = lambda task, after: reads.end() if task == "evaluate_severity" and after else None

    machine.start(event)

    assert iam_state(world, "carol") == IamState({key: "Inactive"}, denied=True)


def test_given_a_containment_that_is_not_complete_when_the_policy_is_detached_then_it_is_no_event_of_others(
    world: World, machine: StateMachine
) -> None:
    contain(world, machine)
    incident = row()["incident"]
    containments.annotate(USER, incident, phase=containments.FAILED)
    ledger = boto3.resource("dynamodb").Table("ledger")
    ledger.update_item(Key={"PK": row()["PK"], "SK": row()["SK"]}, UpdateExpression="REMOVE contained_at")
    world.advance(60)

    machine.start(detached(world, "backdoor"))

    assert DENY_POLICY in attached()


def test_given_root_that_lifts_awsdenyall_of_another_tool_when_alerted_then_the_event_stays_critical(
    world: World, machine: StateMachine
) -> None:
    support.user("carol")
    boto3.client("iam").attach_user_policy(UserName="carol", PolicyArn=DENY_POLICY)
    event = detached(world, "carol")
    event["detail"]["userIdentity"] = {"type": "Root", "arn": f"arn:aws:iam::{ACCOUNT}:root", "accountId": ACCOUNT}

    machine.start(event)

    (alert,) = alerts(world)
    assert "CRITICAL" in alert["Subject"]


def test_given_a_contained_user_that_detaches_the_policy_with_an_old_key_when_approved_then_that_key_is_not_deleted(
    world: World, machine: StateMachine
) -> None:
    world.environment["IR_CONTAIN_OTHER_KEYS"] = "false"
    old, new = support.user("backdoor", 2)
    machine.start(support.key_created(world, "backdoor", new))
    world.advance(60)
    event = detached(world, "backdoor")
    event["detail"]["userIdentity"] = support.user_identity("backdoor", old)
    machine.start(event)

    decide(world, asked(world)[0]["taskToken"], "approve")
    machine.advance()

    assert set(iam_state(world, "backdoor").keys) == {old}
