"""Item 17: a denial or release reverts only the changes of ir-router. The rest needs a second decision."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from tests.support.approvals import approvals_in, as_shown, make_approver
from tests.support.world import ACCOUNT, World
from tests.trials.world import incidents as support
from tests.trials.world.deployment import DENY_POLICY
from tests.trials.world.incidents import IamState, alerts, asked, audit_rows, contain, decide, iam_state
from tests.trials.world.state_machine import StateMachine

USER = f"arn:aws:iam::{ACCOUNT}:user/backdoor"
DOCUMENT = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "iam:*", "Resource": "*"}]})


def disabled_by(world: World, key: str, name: str = "ann", user: str = "backdoor") -> Any:
    """Disable a key as another principal, and return the event of this call."""
    boto3.client("iam").update_access_key(UserName=user, AccessKeyId=key, Status="Inactive")
    request = {"userName": user, "accessKeyId": key, "status": "Inactive"}
    identity = support.user_identity(name, "AKIAPERSON0000000001")
    return support.event(support.call(world, "UpdateAccessKey", requestParameters=request, userIdentity=identity))


def attach(name: str, user: str = "backdoor") -> None:
    iam = boto3.client("iam")
    arn = iam.create_policy(PolicyName=name, PolicyDocument=DOCUMENT)["Policy"]["Arn"]
    iam.attach_user_policy(UserName=user, PolicyArn=arn)


def deny(world: World, machine: StateMachine) -> str:
    """Deny the pending request and return the final alert."""
    decide(world, asked(world)[0]["taskToken"], "deny")
    machine.advance()
    return str(alerts(world)[-1]["Message"])


def release(world: World, principal: str = USER) -> Any:
    task = {"task": "release", "principal": principal, "released_by": "Ann", "reason": "known user"}
    return world.invoke("workflow", task)


def test_given_a_key_that_a_person_disables_once_more_when_denied_then_it_stays_disabled_until_a_release(
    world: World, machine: StateMachine
) -> None:
    execution, key = contain(world, machine)
    world.advance(60)
    assert machine.start(disabled_by(world, key)).status == "SUCCEEDED"

    told = deny(world, machine)

    assert execution.status == "SUCCEEDED"
    assert iam_state(world, "backdoor") == IamState({key: "Inactive"}, denied=False)
    assert f"key {key} stays disabled, because user ann disabled it since the containment" in told
    assert f'"task": "release", "principal": "{USER}"' in told

    answer = release(world)

    assert answer["actions"] == [f"key {key} enabled"]
    assert iam_state(world, "backdoor") == IamState({key: "Active"}, denied=False)
    assert [row["action"] for row in audit_rows()][-2:] == ["release_requested", "released"]
    with pytest.raises(Exception, match="is not contained"):
        release(world)


def test_given_a_key_of_which_ir_router_changed_nothing_when_a_person_disables_it_then_a_denial_leaves_it(
    world: World, machine: StateMachine
) -> None:
    world.environment["IR_CONTAIN_OTHER_KEYS"] = "false"
    other, key = support.user("backdoor", keys=2)
    machine.start(support.key_created(world, "backdoor", key))
    disabled_by(world, other)  # CloudTrail has not delivered the event yet

    told = deny(world, machine)

    assert iam_state(world, "backdoor") == IamState({other: "Inactive", key: "Active"}, denied=False)
    assert f"key {other} stays disabled, because others disabled it since the containment" in told


def test_given_a_quarantine_when_denied_then_the_request_and_the_result_state_that_the_keys_stay_disabled(
    world: World, machine: StateMachine, security_channel: str
) -> None:
    make_approver(world)
    _execution, key = contain(world, machine)
    attach("AWSCompromisedKeyQuarantineV3")
    world.advance(60)
    world.verify_containments()
    world.settle()
    reason = f"key {key} stays disabled, because AWS attached AWSCompromisedKeyQuarantineV3 since the containment"
    (request,) = approvals_in(world, security_channel)
    assert reason in as_shown(request["blocks"])

    deny(world, machine)
    world.settle()

    assert iam_state(world, "backdoor") == IamState({key: "Inactive"}, denied=False)
    (request,) = approvals_in(world, security_channel)
    assert reason in as_shown(request["blocks"])


def test_given_a_deny_policy_that_was_exchanged_for_another_quarantine_when_denied_then_the_keys_stay_disabled(
    world: World, machine: StateMachine
) -> None:
    _execution, key = contain(world, machine)
    boto3.client("iam").detach_user_policy(UserName="backdoor", PolicyArn=DENY_POLICY)
    attach("security-team-Quarantine")

    told = deny(world, machine)

    assert iam_state(world, "backdoor") == IamState({key: "Inactive"}, denied=False)
    assert "another principal attached security-team-Quarantine since the containment" in told


def test_given_a_key_that_ir_router_disabled_again_when_denied_then_it_is_enabled(
    world: World, machine: StateMachine
) -> None:
    world.environment["IR_CONTAIN_OTHER_KEYS"] = "false"
    _execution, key = contain(world, machine)
    boto3.client("iam").update_access_key(UserName="backdoor", AccessKeyId=key, Status="Active")
    world.verify_containments()

    deny(world, machine)

    assert iam_state(world, "backdoor") == IamState({key: "Active"}, denied=False)


def test_given_a_key_that_was_disabled_before_the_containment_when_denied_then_the_call_does_not_count(
    world: World, machine: StateMachine
) -> None:
    (key,) = support.user("backdoor")
    machine.start(disabled_by(world, key))
    boto3.client("iam").update_access_key(UserName="backdoor", AccessKeyId=key, Status="Active")
    world.advance(60)
    machine.start(support.key_created(world, "backdoor", key))

    deny(world, machine)

    assert iam_state(world, "backdoor") == IamState({key: "Active"}, denied=False)


def test_given_an_approved_containment_when_released_then_what_others_restricted_needs_a_second_release(
    world: World, machine: StateMachine
) -> None:
    other, key = support.user("backdoor", keys=2)
    machine.start(support.key_created(world, "backdoor", key))
    decide(world, asked(world)[0]["taskToken"], "approve")
    machine.advance()
    attach("AWSCompromisedKeyQuarantineV2")

    answer = release(world)

    assert iam_state(world, "backdoor") == IamState({other: "Inactive"}, denied=False)
    assert "AWS attached AWSCompromisedKeyQuarantineV2" in answer["stays"]
    assert release(world)["actions"] == [f"key {other} enabled"]
    assert iam_state(world, "backdoor") == IamState({other: "Active"}, denied=False)


def test_given_a_new_key_beyond_the_limit_when_the_permission_is_denied_then_a_quarantined_key_stays_disabled(
    world: World, machine: StateMachine
) -> None:
    world.environment["IR_MAX_CONTAINMENTS_PER_HOUR"] = "0"
    _execution, key = contain(world, machine)
    attach("AWSCompromisedKeyQuarantineV3")

    decide(world, asked(world)[0]["taskToken"], "deny")
    machine.advance()

    assert iam_state(world, "backdoor") == IamState({key: "Inactive"}, denied=False)
    assert any(f"key {key} stays disabled" in alert["Message"] for alert in alerts(world))
    assert release(world)["actions"] == [f"key {key} enabled"]


def test_given_a_denial_that_left_a_key_when_a_new_event_is_denied_then_the_key_still_stays_disabled(
    world: World, machine: StateMachine
) -> None:
    _execution, key = contain(world, machine)
    machine.start(disabled_by(world, key))
    deny(world, machine)
    world.advance(7_200)
    new = boto3.client("iam").create_access_key(UserName="backdoor")["AccessKey"]["AccessKeyId"]
    machine.start(support.key_created(world, "backdoor", new))

    deny(world, machine)

    assert iam_state(world, "backdoor") == IamState({key: "Inactive", new: "Active"}, denied=False)
