"""Attacks by users who may start the workflow: use up the id of a true event, so that it ends as a duplicate."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from ir_router.errors import UncertainError
from tests.support.world import ACCOUNT, World
from tests.trials.world import incidents as support
from tests.trials.world.incidents import alerts, audit_actions, decide, iam_state
from tests.trials.world.state_machine import StateMachine

HEADLINE = "Two events have the same id and different content"


def changed(event: Any, **detail: Any) -> Any:
    """Return a copy of the event with other fields in its detail."""
    return {**event, "detail": {**event["detail"], **detail}}


def from_address(finding: Any, address: str) -> Any:
    """Return the finding as GuardDuty sends it about calls from another address."""
    service = {"action": {"awsApiCallAction": {"remoteIpDetails": {"ipAddressV4": address}}}}
    return changed(finding, service={**finding["detail"]["service"], **service})


@pytest.mark.parametrize("forgery", ["another user", "an allowlisted caller", "an allowlisted address"])
def test_given_a_forged_event_with_the_id_of_a_call_when_the_call_arrives_then_it_is_contained_and_alerted(
    world: World, machine: StateMachine, forgery: str
) -> None:
    (key,) = support.user("backdoor")
    world.environment["IR_ALLOWED_CIDRS"] = json.dumps(["192.0.2.0/24"])
    world.environment["IR_ALLOWED_PRINCIPALS"] = json.dumps([f"arn:aws:iam::{ACCOUNT}:user/ci"])
    created = support.key_created(world, "backdoor", key)
    caller = support.user_identity("ci", "AKIACI00000000000001")
    forged: dict[str, Any] = {
        "another user": {
            "responseElements": {"accessKey": {"userName": "bystander", "accessKeyId": "AKIABYSTANDER0000001"}}
        },
        "an allowlisted caller": {"userIdentity": caller},
        "an allowlisted address": {"sourceIPAddress": "192.0.2.7"},
    }
    machine.start(changed(created, **forged[forgery]))
    alerts(world)

    machine.start(created)

    assert iam_state(world, "backdoor").denied
    (warning,) = [alert for alert in alerts(world) if HEADLINE in alert["Message"]]
    assert "StartExecution" in warning["Message"]
    assert audit_actions().count("event_conflict") == 1


def test_given_a_forged_finding_from_an_allowlisted_address_when_the_finding_arrives_then_it_is_contained(
    world: World, machine: StateMachine
) -> None:
    support.user("backdoor")
    world.environment["IR_ALLOWED_CIDRS"] = json.dumps(["192.0.2.0/24"])
    finding = support.finding("backdoor", 8.0)
    machine.start(from_address(finding, "192.0.2.7"))
    assert not iam_state(world, "backdoor").denied

    machine.start(finding)

    assert iam_state(world, "backdoor").denied


@pytest.mark.parametrize("decision", [None, "deny"])
def test_given_a_finding_that_was_contained_when_it_is_updated_with_another_address_then_it_is_no_new_event(
    world: World, machine: StateMachine, decision: str | None
) -> None:
    support.user("backdoor")
    finding = support.finding("backdoor", 8.0)
    machine.start(finding)
    if decision:
        decide(world, support.asked(world)[0]["taskToken"], decision)
        machine.advance()

    update = machine.start(from_address(finding, "203.0.113.77"))

    assert update.path[-1] == "Duplicate"
    assert iam_state(world, "backdoor").denied is (decision is None)
    assert not [alert for alert in alerts(world) if HEADLINE in alert["Message"]]


def test_given_an_execution_that_is_stopped_when_the_same_event_arrives_then_it_is_contained(
    world: World, machine: StateMachine
) -> None:
    (key,) = support.user("backdoor")
    created = support.key_created(world, "backdoor", key)
    copy = machine.start(created)
    machine.abort(copy)
    boto3.client("iam").update_access_key(UserName="backdoor", AccessKeyId=key, Status="Active")

    again = machine.start(created)

    assert again.path[-1] != "Duplicate"
    assert iam_state(world, "backdoor").keys == {key: "Inactive"}


@pytest.mark.parametrize("task", ["extract_event_context", "evaluate_severity", "immediate_containment"])
def test_given_an_execution_that_failed_before_it_contained_when_the_event_comes_again_then_it_is_contained(
    world: World, machine: StateMachine, task: str
) -> None:
    (key,) = support.user("backdoor")
    created = support.key_created(world, "backdoor", key)

    def fail(name: str, after: bool) -> None:
        if name == task and (after or task != "extract_event_context"):
            raise UncertainError("Lambda", "Invoke", "answer lost")

    machine.fault = fail
    first = machine.start(created)
    assert first.status == "FAILED"
    machine.fault = lambda _task, _after: None

    machine.start(created)

    assert iam_state(world, "backdoor").denied


def test_given_a_decided_execution_that_ends_red_when_the_event_comes_again_then_it_stays_a_duplicate(
    world: World, machine: StateMachine
) -> None:
    (key,) = support.user("backdoor")
    created = support.key_created(world, "backdoor", key)
    first = machine.start(created)

    def fail(name: str, _after: bool) -> None:
        if name == "final_alert_and_audit_log":
            raise UncertainError("Lambda", "Invoke", "answer lost")

    machine.fault = fail
    decide(world, support.asked(world)[0]["taskToken"], "deny")
    machine.advance()
    assert (first.status, first.error) == ("FAILED", "SomethingUndone")
    machine.fault = lambda _task, _after: None

    assert machine.start(created).path[-1] == "Duplicate"
    assert not iam_state(world, "backdoor").denied


def test_given_many_forged_events_with_one_id_when_started_then_the_alerts_do_not_multiply(
    world: World, machine: StateMachine
) -> None:
    created = support.key_created(world, "backdoor", support.user("backdoor")[0])
    for number in range(4):
        machine.start(changed(created, sourceIPAddress=f"203.0.113.{number}"))

    assert len([alert for alert in alerts(world) if HEADLINE in alert["Message"]]) == 1
