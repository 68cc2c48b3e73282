"""The sessions in which the workflow reads and changes IAM, and an account whose role it cannot assume."""

from __future__ import annotations

import json

import boto3
import pytest

from ir_router import aws
from ir_router.workflow import sessions
from tests.support.world import ACCOUNT, World
from tests.terraform.iam import allows
from tests.trials.world.deployment import DENY_POLICY, containment_role
from tests.trials.world.incidents import IamState, alerts, asked, contain, decide, iam_state
from tests.trials.world.state_machine import StateMachine

ROLE = "security-incident-containment"
CHANGES = ("UpdateAccessKey", "DeleteAccessKey", "AttachUserPolicy", "DetachUserPolicy")


def assumed(world: World) -> int:
    return sum(call.operation == "AssumeRole" for call in world.wire.calls)


def delete_role() -> None:
    iam = boto3.client("iam")
    iam.delete_role_policy(RoleName=ROLE, PolicyName="containment")
    iam.delete_role(RoleName=ROLE)


def test_given_a_containment_and_its_denial_when_made_then_one_session_reads_and_one_changes_this_user_alone(
    world: World, machine: StateMachine
) -> None:
    execution, key = contain(world, machine)
    (message,) = asked(world)
    decide(world, message["taskToken"], "deny")
    machine.advance()

    assert execution.status == "SUCCEEDED"
    assert iam_state(world, "backdoor") == IamState({key: "Active"}, denied=False)
    assert assumed(world) == 2
    reading, changing = (session.statements for session in world.role_sessions.sessions.values())
    users = {
        name: f"arn:aws:iam::{ACCOUNT}:user/{name}" for name in ("backdoor", "any/path/backdoor", "dave", "x/dave")
    }
    for name, arn in users.items():
        assert allows(reading, "iam:ListAccessKeys", arn)
        for action in CHANGES:
            assert not allows(reading, f"iam:{action}", arn, iam_PolicyARN=DENY_POLICY)
            assert allows(changing, f"iam:{action}", arn, iam_PolicyARN=DENY_POLICY) == name.endswith("backdoor")
        assert not allows(changing, "iam:AttachUserPolicy", arn, iam_PolicyARN="arn:aws:iam::aws:policy/ReadOnlyAccess")
        assert not allows(changing, "iam:CreateAccessKey", arn)
    assert len(json.dumps(changing)) < 1024  # STS accepts 2,048 characters

    world.advance(601)
    contain(world, machine, "another")
    assert assumed(world) == 4


def test_given_the_credentials_of_the_function_itself_when_used_in_iam_then_they_permit_nothing(
    world: World, machine: StateMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "reader", lambda _account: aws.client("iam"))
    world.unexpected.allow(Exception)

    execution, key = contain(world, machine)

    assert execution.status == "FAILED"
    assert iam_state(world, "backdoor") == IamState({key: "Active"}, denied=False)


def test_given_no_role_when_an_event_arrives_then_the_case_and_the_alert_give_cause_and_commands(
    world: World, machine: StateMachine
) -> None:
    world.expect(sessions.NoRoleError)
    delete_role()

    execution, key = contain(world, machine)

    assert iam_state(world, "backdoor") == IamState({key: "Active"}, denied=False)
    assert execution.path[-1] == "Done"
    (alert,) = alerts(world)
    assert "NOT contained" in alert["Message"]
    assert f"cannot act in account {ACCOUNT}: AWS denied the role {ROLE}" in alert["Message"]
    assert f"aws iam attach-user-policy --user-name backdoor --policy-arn {DENY_POLICY};" in alert["Message"]
    (listed,) = world.security_ir.call("ListCases", {"maxResults": 25})["items"]
    assert ROLE in world.security_ir.call("GetCase", {"caseId": listed["caseId"]})["description"]


def test_given_a_role_that_aws_shows_late_when_an_event_arrives_then_the_state_is_retried_and_contains(
    world: World, machine: StateMachine
) -> None:
    world.expect(sessions.NoRoleError)
    delete_role()
    attempts: list[str] = []

    def create_before_the_second(task: str, after: bool) -> None:
        if task == "immediate_containment" and not after:
            attempts.append(task)
            if len(attempts) == 2:
                containment_role(boto3.client("iam"))

    machine.fault = create_before_the_second

    contain(world, machine)

    assert len(attempts) == 2
    assert iam_state(world, "backdoor").denied
