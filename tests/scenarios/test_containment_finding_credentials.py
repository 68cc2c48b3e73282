"""Findings that name their principal only by a key, by a unique id, or as a resource of an attack sequence."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from moto.iam.models import iam_backends

from tests.scenarios.test_containment_allowlist import add
from tests.scenarios.test_containment_finding_addresses import OTHER, OURS, actor, endpoints, sequence
from tests.support.world import ACCOUNT, World
from tests.trials.world import incidents as support
from tests.trials.world.incidents import alerts, asked, iam_state, role_is_denied
from tests.trials.world.state_machine import StateMachine

USER_ID = "AIDACKCEVSQ6C2EXAMPLE"


def user(name: str) -> str:
    """Create a user with a unique id in AWS's form; return its key."""
    (key,) = support.user(name)
    stored: Any = iam_backends[ACCOUNT]["aws"].users[name]
    stored.id = USER_ID
    return key


def attacked(severity: float, credentials: dict[str, Any], resource_type: str | None = "S3Bucket") -> Any:
    resource = {"accessKeyDetails": credentials, **({"resourceType": resource_type} if resource_type else {})}
    return support.finding("", severity, type="Exfiltration:S3/AnomalousBehavior", resource=resource)


@pytest.mark.parametrize("resource_type", ["S3Bucket", None, "AccessKey"])
@pytest.mark.parametrize("form", ["key", "id", "key and id", "id and empty name"])
def test_given_a_grave_finding_without_a_user_name_when_found_then_the_user_is_contained(
    world: World, machine: StateMachine, form: str, resource_type: str | None
) -> None:
    key = user("svc-deploy")
    credentials = {
        "key": {"accessKeyId": key},
        "id": {"principalId": USER_ID},
        "key and id": {"accessKeyId": key, "principalId": USER_ID},
        "id and empty name": {"accessKeyId": "ASIAX", "principalId": USER_ID, "userName": "", "userType": "IAMUser"},
    }[form]

    machine.start(attacked(8.0, credentials, resource_type))

    assert iam_state(world, "svc-deploy").denied
    assert len(asked(world)) == 1


def test_given_a_grave_finding_with_only_a_roles_id_when_found_then_permission_is_requested(
    world: World, machine: StateMachine
) -> None:
    support.role("web", services=["ec2.amazonaws.com"])
    unique_id = boto3.client("iam").get_role(RoleName="web")["Role"]["RoleId"]

    machine.start(attacked(8.0, {"principalId": f"{unique_id}:i-0123456789abcdef0", "userType": "AssumedRole"}))

    (alert,) = alerts(world)
    assert "role web NOT contained yet" in alert["Subject"]
    assert "Instance: i-0123456789abcdef0" in alert["Message"]
    assert not role_is_denied(world, "web")


def test_given_a_medium_finding_with_only_a_key_when_found_then_it_is_alerted(
    world: World, machine: StateMachine
) -> None:
    execution = machine.start(attacked(5.0, {"accessKeyId": "AKIAIOSFODNN7EXAMPLE"}))

    assert execution.path[-1] == "Collect for an Hour"
    assert len(alerts(world)) == 1


def test_given_a_finding_about_an_instance_alone_when_found_then_nothing_starts(
    world: World, machine: StateMachine
) -> None:
    assert machine.start(attacked(8.0, {"accessKeyId": "", "userName": ""}, "Instance")).path[-1] == "Logged"


def access_key(uid: str, **data: Any) -> dict[str, Any]:
    """Return a resource of an attack sequence in the format of the GuardDuty API (ResourceV2, AccessKey)."""
    return {"uid": uid, "resourceType": "ACCESS_KEY", "accountId": ACCOUNT, "data": {"accessKey": data}}


@pytest.mark.parametrize("kind", ["IAM/CompromisedCredentials", "S3/CompromisedData"])
@pytest.mark.parametrize("form", ["all", "name", "id", "key"])
def test_given_a_sequence_whose_principal_is_only_a_resource_when_found_then_it_is_contained(
    world: World, machine: StateMachine, form: str, kind: str
) -> None:
    key = user("svc-deploy")
    named = {"userName": "svc-deploy", "userType": "IAMUser"}
    resource = {
        "all": access_key(key, **named, principalId=USER_ID),
        "name": access_key("ASIAIOSFODNN7EXAMPLE", **named),
        "id": access_key("", principalId=USER_ID),
        "key": access_key(key),
    }[form]

    machine.start(sequence([], [], [], kind, resources=[{"uid": "b", "resourceType": "S3_BUCKET"}, resource]))

    assert iam_state(world, "svc-deploy").denied
    (alert,) = alerts(world)
    assert "user svc-deploy contained" in alert["Subject"]


def test_given_resources_of_the_actor_and_of_another_principal_when_found_then_each_principal_is_contained_once(
    world: World, machine: StateMachine
) -> None:
    user("alice")
    support.user("bob")
    resources = [
        access_key("AKIA1", userName="alice", userType="IAMUser", principalId=USER_ID),
        access_key("ASIA2", userName="bob", userType="IAMUser"),
        access_key("AKIA3", userName="bob", userType="IAMUser"),
        access_key("AKIA4", userName="ec2.amazonaws.com", userType="AWSService"),
    ]

    machine.start(sequence([actor("alice", uid=USER_ID)], [], [], resources=resources))

    assert iam_state(world, "alice").denied
    assert iam_state(world, "bob").denied
    assert len(asked(world)) == len(alerts(world)) == 2


def test_given_a_principal_that_is_a_resource_when_its_signals_have_endpoints_then_all_of_these_must_be_allowlisted(
    world: World, machine: StateMachine
) -> None:
    add(world, "ip", "203.0.113.0/24")
    support.user("bob")
    support.user("eve")
    resources = [access_key(f"ASIA{name.upper()}", userName=name, userType="IAMUser") for name in ("bob", "eve")]
    signals = [
        {"resourceUids": ["ASIABOB"], "endpointIds": ["e1"]},
        {"resourceUids": ["ASIAEVE"], "endpointIds": ["e1", "e2"]},
    ]

    machine.start(sequence([], endpoints(OURS, OTHER), signals, resources=resources))

    assert (iam_state(world, "bob").denied, iam_state(world, "eve").denied) == (False, True)
