"""The emulator's event buses; see `ir_sandbox.cloud.ministack_patches.event_buses`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.local_cloud.emulator_stack import ROLE, Stack, make_stack, refusal

pytestmark = pytest.mark.local_cloud

OTHER_ACCOUNT = "arn:aws:events:us-east-1:111122223333:event-bus/default"
OTHER_REGION = "arn:aws:events:eu-central-1:000000000000:event-bus/default"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    yield from make_stack()


@pytest.fixture
def rule(stack: Stack) -> str:
    name = stack.name("rule")
    stack.client("events").put_rule(Name=name, EventPattern='{"source": ["any"]}')
    return name


@pytest.mark.parametrize(
    ("target", "accepted"),
    [
        ({"Arn": OTHER_REGION}, True),
        ({"Arn": OTHER_REGION, "DeadLetterConfig": {"Arn": "arn:aws:sqs:us-east-1:000000000000:failures"}}, True),
        ({"Arn": OTHER_REGION, "RetryPolicy": {"MaximumRetryAttempts": 185}}, False),
        ({"Arn": OTHER_ACCOUNT, "RetryPolicy": {"MaximumEventAgeInSeconds": 60}}, False),
        ({"Arn": OTHER_REGION, "InputPath": "$.detail"}, True),
        ({"Arn": OTHER_ACCOUNT}, True),
        ({"Arn": OTHER_ACCOUNT, "RoleArn": ""}, False),
        ({"Arn": OTHER_REGION, "RoleArn": ""}, False),
        ({"Arn": OTHER_ACCOUNT, "Input": "{}"}, False),
        ({"Arn": OTHER_ACCOUNT, "InputPath": "$.detail"}, False),
        ({"Arn": OTHER_ACCOUNT, "InputTransformer": {"InputTemplate": "1"}}, False),
    ],
)
def test_given_a_bus_as_target_when_put_then_options_that_aws_refuses_are_refused(
    target: dict[str, Any], accepted: bool, rule: str, stack: Stack
) -> None:
    events = stack.client("events")

    def put() -> None:
        given = {"Id": "bus", "RoleArn": ROLE, **target}
        events.put_targets(Rule=rule, Targets=[{name: value for name, value in given.items() if value}])

    if accepted:
        put()
    else:
        assert refusal(put) == "ValidationException"
    assert len(events.list_targets_by_rule(Rule=rule)["Targets"]) == int(accepted)


def test_given_a_policy_of_a_bus_when_read_then_it_is_as_it_was_put(stack: Stack) -> None:
    events, bus = stack.client("events"), stack.name("bus")
    events.create_event_bus(Name=bus)
    statement = {
        "Sid": "Members",
        "Effect": "Allow",
        "Principal": "*",
        "Action": "events:PutEvents",
        "Resource": f"arn:aws:events:us-east-1:000000000000:event-bus/{bus}",
        "Condition": {"Bool": {"events:eventBusInvocation": "true"}},
    }
    document = {"Version": "2012-10-17", "Statement": [statement]}

    events.put_permission(EventBusName=bus, Policy=json.dumps(document))
    assert json.loads(events.describe_event_bus(Name=bus)["Policy"]) == document

    events.put_permission(EventBusName=bus, StatementId="One", Action="events:PutEvents", Principal="111122223333")
    organisation = {"Type": "StringEquals", "Key": "aws:PrincipalOrgID", "Value": "o-1234567890"}
    events.put_permission(
        EventBusName=bus, StatementId="All", Action="events:PutEvents", Principal="*", Condition=organisation
    )
    kept, one, everyone = json.loads(events.describe_event_bus(Name=bus)["Policy"])["Statement"]
    assert kept == statement
    assert one["Principal"] == {"AWS": "arn:aws:iam::111122223333:root"}
    assert everyone["Condition"] == {"StringEquals": {"aws:PrincipalOrgID": "o-1234567890"}}

    for sid in ("Members", "One", "All"):
        events.remove_permission(EventBusName=bus, StatementId=sid)
    assert "Policy" not in events.describe_event_bus(Name=bus)


def test_given_a_bus_that_does_not_exist_when_a_policy_is_put_then_it_is_refused(stack: Stack) -> None:
    events = stack.client("events")

    assert refusal(lambda: events.put_permission(EventBusName="none", Policy="{}")) == "ResourceNotFoundException"
