"""C4: a role that AWS services assume is contained only after an approval that states the effect."""

from __future__ import annotations

from typing import Any

import boto3
import pytest

from ir_sandbox.slack.people import Person
from tests.support.approvals import approvals_in, make_approver, press
from tests.support.world import World
from tests.trials.world import incidents as support
from tests.trials.world.incidents import alerts, asked, audit_actions, decide, role_is_denied
from tests.trials.world.state_machine import Execution, StateMachine

INSTANCE = "i-0123456789abcdef0"


@pytest.fixture
def jane(world: World) -> Person:
    return make_approver(world)


def finding(role: str, session: str) -> Any:
    details = {
        "accessKeyId": "ASIAEXAMPLE000000001",
        "principalId": f"AROAEXAMPLE00000001:{session}",
        "userName": role,
        "userType": "AssumedRole",
    }
    resource = {"resourceType": "AccessKey", "accessKeyDetails": details}
    return support.finding(role, 8.0, resource=resource)


def instance_role(name: str = "web") -> None:
    support.role(name, services=["ec2.amazonaws.com", "lambda.amazonaws.com"])
    iam = boto3.client("iam")
    iam.create_instance_profile(InstanceProfileName="web-profile")
    iam.add_role_to_instance_profile(InstanceProfileName="web-profile", RoleName=name)


def test_given_a_role_of_services_when_it_must_be_contained_then_an_analyst_permits_it_and_reads_what_stops(
    world: World, machine: StateMachine, jane: Person, security_channel: str
) -> None:
    instance_role()
    execution = machine.start(finding("web", INSTANCE))
    world.settle()

    assert not role_is_denied(world, "web")
    (alert,) = alerts(world)
    (request,) = approvals_in(world, security_channel)
    assert "role web NOT contained yet: this role needs an approval before its containment." in alert["Message"]
    for text in (alert["Message"], str(request["blocks"])):
        assert "AWS services assume this role: ec2.amazonaws.com, lambda.amazonaws.com." in text
        assert f"The session belongs to instance {INSTANCE}." in text
        assert "Instances use it through the instance profile web-profile." in text
    assert "all sessions and everything that uses the role stop" in str(request["blocks"])
    assert audit_actions()[-2:] == ["containment_needs_approval", "decision_asked"]

    press(world, machine, jane, security_channel, "approval_approve")

    assert role_is_denied(world, "web")
    assert execution.path[-1] == "Wait for Analyst"
    decide(world, asked(world)[-1]["taskToken"], "deny")
    machine.advance()
    assert not role_is_denied(world, "web")


def test_given_a_role_of_services_when_nobody_permits_its_containment_then_it_is_unchanged_and_the_end_is_red(
    world: World, machine: StateMachine
) -> None:
    instance_role()
    execution = machine.start(finding("web", INSTANCE))
    world.advance(86_401)
    machine.advance()

    assert not role_is_denied(world, "web")
    assert execution.error == "NotContained"
    assert "role web was NOT contained" in alerts(world)[-1]["Message"]


@pytest.mark.parametrize(
    ("setting", "services", "is_asked"),
    [
        ("service_roles", [], False),
        ("all", [], True),
        ("all", ["lambda.amazonaws.com"], True),
        ("none", ["lambda.amazonaws.com"], False),
    ],
)
def test_given_the_variable_when_a_role_must_be_contained_then_the_listed_roles_need_a_permission(
    world: World, machine: StateMachine, setting: str, services: list[str], is_asked: bool
) -> None:
    world.environment["IR_ASK_BEFORE_CONTAINING_ROLES"] = setting
    support.role("app", services=services)
    execution: Execution = machine.start(finding("app", "session"))

    assert role_is_denied(world, "app") is not is_asked
    assert execution.path[-1] == ("Wait for Permission" if is_asked else "Wait for Analyst")
