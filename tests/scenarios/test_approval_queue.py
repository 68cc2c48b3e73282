"""P8: the documented `receive-message` returns the requests that wait for a decision, and no others."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from ir_sandbox.slack.people import Person
from tests.support.world import World
from tests.trials.world import incidents as support
from tests.trials.world.incidents import decide
from tests.trials.world.state_machine import StateMachine


def received(world: World) -> list[dict[str, Any]]:
    """Return the bodies that an analyst receives, and make them visible at once."""
    sqs, url = boto3.client("sqs"), world.environment["IR_APPROVAL_QUEUE_URL"]
    found: dict[str, Any] = {}
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
        found |= {message["MessageId"]: message for message in messages}
    for message in found.values():
        sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
    return [json.loads(message["Body"]) for message in found.values()]


def pending(world: World) -> set[str]:
    approvals = world.invoke("approval-handler", {"task": "list_approvals"})["approvals"]
    return {request["approval_id"] for request in approvals}


def test_given_several_requests_when_one_is_decided_then_only_the_pending_ones_are_received(
    world: World, machine: StateMachine, jane: Person
) -> None:
    """An unknown message, and a second message of a retried state, disappear with the next decision."""
    names = [f"user-{number}" for number in range(4)]
    for name in names:
        support.contain(world, machine, name)
    url = world.environment["IR_APPROVAL_QUEUE_URL"]
    first = received(world)[0]
    boto3.client("sqs").send_message(QueueUrl=url, MessageBody="no JSON")
    boto3.client("sqs").send_message(QueueUrl=url, MessageBody=json.dumps(first))

    decide(world, first["taskToken"], "deny")
    machine.advance()

    left = received(world)
    assert {message["approvalId"] for message in left} == pending(world)
    assert (len(left), {message["state"] for message in left}) == (3, {"pending"})
    world.advance(86_401)
    machine.advance()
    assert received(world) == []


def test_given_a_permission_to_contain_when_granted_then_only_the_second_request_is_received(
    world: World, machine: StateMachine
) -> None:
    world.environment["IR_MAX_CONTAINMENTS_PER_HOUR"] = "1"
    support.contain(world, machine)
    support.contain(world, machine, "second")
    (asked,) = [message for message in received(world) if message["kind"] == "contain"]
    decide(world, asked["taskToken"], "approve")
    machine.advance()
    assert {message["kind"] for message in received(world)} == {"remediate"}
    assert {message["approvalId"] for message in received(world)} == pending(world)


@pytest.mark.parametrize("operation", ["ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility"])
def test_given_a_function_that_dies_while_it_tidies_when_retried_then_the_queue_has_the_pending_requests(
    world: World, machine: StateMachine, operation: str
) -> None:
    support.contain(world, machine)
    support.contain(world, machine, "second")
    (first,) = [message for message in received(world) if message["summary"].startswith("user backdoor")]
    decide(world, first["taskToken"], "approve")
    world.wire.kill_on("sqs", operation, "before")
    machine.advance()
    assert world.wire.died_at is not None
    world.wire.spare()
    machine.advance()
    world.advance(900)
    world.invoke("workflow", {"task": "open_missing_cases"})
    assert {message["approvalId"] for message in received(world)} == pending(world)
    assert len(pending(world)) == 1
