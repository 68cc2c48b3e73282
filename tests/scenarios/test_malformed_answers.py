"""A truncated response of AWS proves nothing: neither that a row is missing nor that a call had no effect.

A page whose token repeats never ends a list.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest

from ir_router import aws
from tests.support.sync import from_slack, make_jane, settled_case
from tests.support.world import World
from tests.trials.world.deployment import DENY_POLICY
from tests.trials.world.incidents import IamState, call, contain, event, iam_state, key_created, user, user_identity
from tests.trials.world.invocations import HttpAnswer
from tests.trials.world.outages import Outage, struck_by
from tests.trials.world.state_machine import StateMachine


@pytest.mark.parametrize("operation", ["GetItem", "Query", "UpdateItem", "TransactWriteItems"])
def test_given_half_an_answer_of_dynamodb_when_a_message_is_carried_over_then_it_is_on_the_case_once(
    world: World, operation: str
) -> None:
    jane = make_jane(world)
    case_id = settled_case(world, watchers=[{"email": "jane.smith@example.com", "name": "Jane Smith"}])
    outage = Outage("dynamodb", operation, "malformed answer", None)

    with struck_by(world, outage):
        jane.post(world.channel_of(case_id), "seen")
        world.settle()
        world.live(3)

    assert outage.struck == 1
    assert ["\nseen\n" in body for body in from_slack(world, case_id)] == [True]


@pytest.mark.parametrize(
    ("service", "operation"), [("iam", "AttachUserPolicy"), ("iam", "ListAccessKeys"), ("dynamodb", "UpdateItem")]
)
def test_given_half_an_answer_when_a_user_is_contained_then_it_is_done_at_once(
    world: World, machine: StateMachine, service: str, operation: str
) -> None:
    outage = Outage(service, operation, "malformed answer", None)
    began = world.now()

    with struck_by(world, outage):
        execution, key = contain(world, machine)

    assert outage.struck == 1
    assert execution.path[-1] == "Wait for Analyst"
    assert iam_state(world, "backdoor") == IamState({key: "Inactive"}, denied=True)
    assert world.now() - began < 30


def test_given_half_a_rejection_when_the_caller_has_a_key_that_iam_does_not_know_then_the_call_is_repeated(
    world: World, machine: StateMachine
) -> None:
    contain(world, machine)
    outage = Outage("iam", "GetAccessKeyLastUsed", "malformed answer", None)
    identity = user_identity("eve", "AKIAEVE0000000000001")
    parameters = {"userName": "backdoor", "policyArn": DENY_POLICY}

    with struck_by(world, outage):
        execution = machine.start(
            event(call(world, "DetachUserPolicy", userIdentity=identity, requestParameters=parameters))
        )

    assert (outage.struck, execution.status) == (1, "SUCCEEDED")


def test_given_half_a_rejection_when_an_event_arrives_twice_then_it_is_a_duplicate(
    world: World, machine: StateMachine
) -> None:
    delivered = key_created(world, "backdoor", user("backdoor")[0])
    machine.start(delivered)
    outage = Outage("dynamodb", "PutItem", "malformed answer", None)

    with struck_by(world, outage):
        execution = machine.start(delivered)

    assert (outage.struck, execution.path[-1]) == (1, "Duplicate")


@contextmanager
def repeated_token(operation: str) -> Iterator[None]:
    """Let AWS answer each page after the first with no items and with the token of that page."""
    hooks = boto3.DEFAULT_SESSION.events  # type: ignore[union-attr]
    event = f"security-ir.{operation}"

    def following(params: Any, **_: Any) -> Any:
        if "nextToken" not in json.loads(params["body"] or "{}"):
            return None
        return HttpAnswer(200), {"items": [], "nextToken": "again", "ResponseMetadata": {"HTTPStatusCode": 200}}

    def first(parsed: dict[str, Any], **_: Any) -> None:
        parsed["nextToken"] = "again"

    hooks.register(f"before-call.{event}", following)
    hooks.register(f"after-call.{event}", first)
    aws.forget_clients()
    yield
    hooks.unregister(f"before-call.{event}", following)
    hooks.unregister(f"after-call.{event}", first)
    aws.forget_clients()


@pytest.mark.parametrize("operation", ["ListCases", "ListComments"])
def test_given_a_page_token_that_repeats_when_it_ends_then_what_was_written_meanwhile_is_copied_once(
    world: World, operation: str
) -> None:
    jane = make_jane(world)
    case_id = settled_case(world, watchers=[{"email": "jane.smith@example.com", "name": "Jane Smith"}])

    with repeated_token(operation):
        jane.post(world.channel_of(case_id), "seen")
        world.security_ir.add_comment_as(case_id, "AWS Responder", "from AWS")
        world.settle()
        world.live(2)
        world.unexpected.allow(BaseException)
    world.live(20)

    assert ["\nseen\n" in body for body in from_slack(world, case_id)] == [True]
    shown = [message["text"] for message in world.workspace.channel_messages(world.channel_of(case_id))]
    assert sum("from AWS" in text for text in shown) == 1
