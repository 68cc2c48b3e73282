"""The emulator's event buses; see `ir_sandbox.cloud.ministack_patches.event_buses`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
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


MEMBER, OUTSIDER = "222222222222", "444455556666"
BUS_POLICY = {"StringEquals": {"aws:PrincipalOrgID": "o-localcloud1"}, "Bool": {"events:eventBusInvocation": "true"}}


def in_account(stack: Stack, service: str, account: str, region: str = "eu-west-1") -> Any:
    return boto3.client(  # type: ignore[call-overload]
        service,
        endpoint_url=stack.emulator.url,
        region_name=region,
        aws_access_key_id=account,
        aws_secret_access_key="test",
    )


def bus_with_queue(stack: Stack) -> tuple[str, str]:
    """Return the ARN of a bus of the hub that accepts events of the organisation's rules, and the URL of its queue."""
    events, name = stack.client("events"), stack.name("hub")
    arn = events.create_event_bus(Name=name)["EventBusArn"]
    statement = {"Effect": "Allow", "Principal": "*", "Action": "events:PutEvents", "Resource": arn}
    policy = {"Version": "2012-10-17", "Statement": [{**statement, "Condition": BUS_POLICY}]}
    events.put_permission(EventBusName=name, Policy=json.dumps(policy))
    url, queue = stack.queue()
    events.put_rule(Name=name, EventBusName=name, EventPattern='{"source": ["aws.test"]}')
    events.put_targets(Rule=name, EventBusName=name, Targets=[{"Id": "queue", "Arn": queue}])
    return arn, url


def forwards(stack: Stack, account: str, to: str, allowed: str, region: str = "eu-west-1") -> Any:
    """Create a rule of an account that forwards to a bus with a role, and return the client of its events."""
    events, iam = (in_account(stack, service, account, region) for service in ("events", "iam"))
    name = stack.name("forward")
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    permission = {"Effect": "Allow", "Action": "events:PutEvents", "Resource": allowed}
    document = json.dumps({"Version": "2012-10-17", "Statement": [permission]})
    iam.put_role_policy(RoleName=name, PolicyName="forward", PolicyDocument=document)
    events.put_rule(Name=name, EventPattern='{"source": ["aws.test"]}')
    events.put_targets(Rule=name, Targets=[{"Id": "bus", "Arn": to, "RoleArn": role}])
    return events


def received(stack: Stack, url: str) -> list[Any]:
    messages = stack.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    return [json.loads(message["Body"]) for message in messages]


EVENT = {"Source": "aws.test", "DetailType": "test", "Detail": "{}"}


def test_given_a_bus_of_another_account_when_a_rule_forwards_then_the_event_keeps_its_account_and_region(
    stack: Stack,
) -> None:
    bus, url = bus_with_queue(stack)
    forwards(stack, MEMBER, bus, bus).put_events(Entries=[EVENT])

    (event,) = received(stack, url)
    assert (event["account"], event["region"], event["source"]) == (MEMBER, "eu-west-1", "aws.test")


@pytest.mark.parametrize(("account", "is_permitted"), [(MEMBER, False), (OUTSIDER, True)])
def test_given_a_role_or_bus_that_does_not_allow_it_when_a_rule_forwards_then_nothing_arrives(
    account: str, is_permitted: bool, stack: Stack
) -> None:
    bus, url = bus_with_queue(stack)
    forwards(stack, account, bus, bus if is_permitted else f"{bus}-of-others").put_events(Entries=[EVENT])

    assert received(stack, url) == []


def test_given_an_event_that_made_a_hop_when_a_rule_forwards_it_to_a_third_region_then_nothing_arrives(
    stack: Stack,
) -> None:
    name = stack.name("third")
    events, sqs = (in_account(stack, service, MEMBER, "sa-east-1") for service in ("events", "sqs"))
    bus = events.create_event_bus(Name=name)["EventBusArn"]
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    events.put_rule(Name=name, EventBusName=name, EventPattern='{"source": ["aws.test"]}')
    queue = {"Id": "queue", "Arn": f"arn:aws:sqs:sa-east-1:{MEMBER}:{name}"}
    events.put_targets(Rule=name, EventBusName=name, Targets=[queue])

    def count() -> int:
        return len(sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []))

    second = forwards(stack, MEMBER, bus, "*", "eu-west-1")
    second.put_events(Entries=[EVENT])
    assert count() == 1

    first = forwards(stack, MEMBER, f"arn:aws:events:eu-west-1:{MEMBER}:event-bus/default", "*", "us-west-2")
    first.put_events(Entries=[EVENT])
    assert count() == 0
