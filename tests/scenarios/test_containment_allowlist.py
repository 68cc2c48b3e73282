"""W2: principals that the allowlist exempts, and those that it can never exempt."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.support.world import ACCOUNT, World
from tests.trials.world import incidents as support
from tests.trials.world.incidents import IamState, alerts, asked, audit_rows, contain, iam_state
from tests.trials.world.state_machine import StateMachine


def add(world: World, kind: str, value: str, **more: Any) -> Any:
    task = {"task": "allowlist_add", "kind": kind, "value": value, "reason": "deploys", "added_by": "Jane", **more}
    return world.invoke("workflow", task)


# Allowlist


@pytest.mark.parametrize(
    ("kind", "value", "address"),
    [
        ("ip", "198.51.100.0/24", "198.51.100.7"),
        ("ip", "2001:db8::/32", "2001:db8::7"),
        ("ip", "198.51.100.7", "::ffff:198.51.100.7"),
        ("principal", f"arn:aws:iam::{ACCOUNT}:user/mal*", "203.0.113.1"),
        (
            "principal",
            f"arn:aws:iam::{ACCOUNT}:user/mal* via cloudformation.amazonaws.com",
            "cloudformation.amazonaws.com",
        ),
    ],
)
def test_given_an_entry_that_people_added_when_it_matches_then_nothing_is_touched(
    world: World, machine: StateMachine, kind: str, value: str, address: str
) -> None:
    add(world, kind, value)
    (key,) = support.user("backdoor")

    execution = machine.start(support.key_created(world, "backdoor", key, sourceIPAddress=address))

    assert execution.path[-3:] == ["Allowlisted?", "Log & Exit", "Logged"]
    assert iam_state(world, "backdoor") == IamState({key: "Active"}, denied=False)
    assert alerts(world) == []
    assert audit_rows()[-1]["action"] == "event_allowlisted"


@pytest.mark.parametrize(
    ("kind", "value", "address"),
    [
        ("ip", "198.51.100.0/28", "198.51.100.77"),
        ("ip", "cloudformation.amazonaws.com", "cloudformation.amazonaws.com"),
        ("principal", "arn:aws:iam::123456789012:user/mallory via cloudformation.amazonaws.com", "198.51.100.7"),
        ("principal", f"arn:aws:iam::{ACCOUNT}:user/mall", "203.0.113.1"),
        ("principal", f"arn:aws:iam::{ACCOUNT}:user/backdoor", "203.0.113.1"),
        ("principal", "arn:aws:iam::210987654321:user/mallory", "203.0.113.1"),
    ],
)
def test_given_an_entry_that_does_not_match_when_a_key_is_made_then_it_is_contained(
    world: World, machine: StateMachine, kind: str, value: str, address: str
) -> None:
    add(world, kind, value)
    (key,) = support.user("backdoor")

    machine.start(support.key_created(world, "backdoor", key, sourceIPAddress=address))

    assert iam_state(world, "backdoor").denied


def test_given_a_service_alone_when_added_then_a_warning_and_the_alert_state_that_it_allows_nothing(
    world: World, machine: StateMachine
) -> None:
    service = "cloudformation.amazonaws.com"
    assert "allows nothing alone" in add(world, "ip", service)["warning"]
    (key,) = support.user("backdoor")

    machine.start(support.key_created(world, "backdoor", key, sourceIPAddress=service))

    assert iam_state(world, "backdoor").denied
    assert "Add a principal entry that names the caller and the service" in alerts(world)[0]["Message"]


def test_given_a_session_when_its_role_is_allowlisted_then_nothing_is_touched(
    world: World, machine: StateMachine
) -> None:
    world.environment["IR_ALLOWED_PRINCIPALS"] = json.dumps([f"arn:aws:iam::{ACCOUNT}:role/deploy-*"])
    (key,) = support.user("backdoor")

    machine.start(support.key_created(world, "backdoor", key, userIdentity=support.role_identity("deploy-app")))

    assert not iam_state(world, "backdoor").denied


def test_given_an_entry_that_expired_when_a_key_is_made_then_it_is_contained(
    world: World, machine: StateMachine
) -> None:
    add(world, "ip", "198.51.100.0/24", expires_at="2099-01-01T00:00:00Z")
    (key,) = support.user("backdoor")
    world.advance(80 * 365 * 86_400)

    machine.start(support.key_created(world, "backdoor", key))

    assert iam_state(world, "backdoor").denied


def test_given_an_allowlist_that_cannot_be_read_when_a_key_is_made_then_it_is_contained_and_reported(
    world: World, machine: StateMachine
) -> None:
    def refuse(params: Any, **_: Any) -> None:
        if "ALLOWLIST" in json.dumps(params.get("ExpressionAttributeValues", {})):
            raise ClientError({"Error": {"Code": "ProvisionedThroughputExceededException"}}, "Query")

    boto3.DEFAULT_SESSION.events.register("before-parameter-build.dynamodb.Query", refuse)  # type: ignore[union-attr]
    (key,) = support.user("backdoor")

    machine.start(support.key_created(world, "backdoor", key))

    assert iam_state(world, "backdoor").denied
    assert "ir-router could not read the allowlist" in alerts(world)[0]["Message"]


def test_given_an_allowlisted_user_when_guardduty_finds_its_key_abused_then_people_are_alerted_and_nothing_is_contained(
    world: World, machine: StateMachine
) -> None:
    add(world, "principal", f"arn:aws:iam::{ACCOUNT}:user/backdoor")
    (key,) = support.user("backdoor")

    execution = machine.start(support.finding("backdoor", 8.0))

    assert execution.path[-1] == "Alerted"
    assert iam_state(world, "backdoor") == IamState({key: "Active"}, denied=False)
    (alert,) = alerts(world)
    assert "Containment was skipped because of the allowlist entry" in alert["Message"]


def test_given_an_allowlisted_address_when_root_is_used_from_there_then_people_are_alerted(
    world: World, machine: StateMachine
) -> None:
    add(world, "ip", "198.51.100.0/24")
    root = {"type": "Root", "arn": f"arn:aws:iam::{ACCOUNT}:root", "accountId": ACCOUNT}

    machine.start(support.event(support.call(world, "CreateUser", userIdentity=root)))

    (alert,) = alerts(world)
    assert "CRITICAL" in alert["Subject"]


def test_given_a_call_through_a_vpc_endpoint_when_its_address_is_allowlisted_then_it_is_contained(
    world: World, machine: StateMachine
) -> None:
    add(world, "ip", "10.0.0.0/8")
    (key,) = support.user("backdoor")
    through = {"sourceIPAddress": "10.1.2.3", "vpcEndpointId": "vpce-0123456789abcdef0"}

    machine.start(support.key_created(world, "backdoor", key, **through))

    assert iam_state(world, "backdoor").denied


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("IR_ALLOWED_CIDRS", "0.0.0.0/0"),
        ("IR_ALLOWED_CIDRS", "198.0.0.0/7"),
        ("IR_ALLOWED_PRINCIPALS", "*"),
        ("IR_ALLOWED_PRINCIPALS", "arn:aws:iam::*:user/mallory"),
        ("IR_ALLOWED_PRINCIPALS", f"arn:aws:iam::{ACCOUNT}:*"),
        ("IR_ALLOWED_PRINCIPALS", f"arn:aws:iam::{ACCOUNT}:user/*y"),
    ],
)
def test_given_an_entry_of_the_deployment_that_is_too_wide_when_a_key_is_made_then_it_is_not_used_and_reported(
    world: World, machine: StateMachine, variable: str, value: str
) -> None:
    world.environment[variable] = json.dumps([value])
    (key,) = support.user("backdoor")

    machine.start(support.key_created(world, "backdoor", key))

    assert iam_state(world, "backdoor").denied
    assert "Fix the allowlist: an invalid entry is being ignored" in alerts(world)[0]["Message"]
    (listed,) = world.invoke("workflow", {"task": "allowlist_list"})["entries"]
    assert value in listed["not_used"]


# Modes


def test_given_dry_run_when_a_key_is_made_then_everything_is_decided_and_nothing_changed_or_asked(
    world: World, machine: StateMachine
) -> None:
    world.environment["IR_CONTAINMENT_MODE"] = "dry_run"
    execution, key = contain(world, machine)

    assert execution.status == "SUCCEEDED"
    assert iam_state(world, "backdoor") == IamState({key: "Active"}, denied=False)
    (alert,) = alerts(world)
    assert "Dry run: user backdoor would have been contained" in alert["Message"]
    assert f"the result would be: deny policy attached, key {key} disabled." in alert["Message"]
    assert asked(world) == []
    assert world.security_ir.call("ListCases", {"maxResults": 25})["items"] == []
