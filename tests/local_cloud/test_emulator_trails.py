"""The emulator's event history; see `ir_sandbox.cloud.ministack_patches.trails`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ir_sandbox import cloud_trail
from tests.local_cloud.emulator_stack import Stack, make_stack

pytestmark = pytest.mark.local_cloud

ACCOUNT, KEY = "000000000000", "AKIAINTRUDER00000001"
NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    for stack in make_stack():
        identity = cloud_trail.user_identity(ACCOUNT, "intruder", KEY)
        records = [
            cloud_trail.record(f"Call{number}", NOW - timedelta(seconds=number), identity, eventID=f"event-{number}")
            for number in range(60)
        ]
        records.append(cloud_trail.record("Old", NOW - timedelta(days=91), identity, eventID="old"))
        records.append(cloud_trail.record("Elsewhere", NOW, identity, awsRegion="eu-west-1", eventID="elsewhere"))
        for record in records:
            entry: Any = {
                "Source": "aws.iam",
                "DetailType": "AWS API Call via CloudTrail",
                "Detail": json.dumps(record),
            }
            stack.client("events").put_events(Entries=[entry])
        yield stack


def look_up(stack: Stack, *attributes: tuple[str, str], **more: Any) -> dict[str, Any]:
    time.sleep(0.6)
    asked: Any = [{"AttributeKey": name, "AttributeValue": value} for name, value in attributes]
    return dict(stack.client("cloudtrail").lookup_events(LookupAttributes=asked, **more))


@pytest.mark.parametrize("attribute", [("AccessKeyId", KEY), ("Username", "intruder")])
def test_given_api_calls_on_the_default_bus_when_looked_up_then_pages_have_them_newest_first(
    stack: Stack, attribute: tuple[str, str]
) -> None:
    first = look_up(stack, attribute)
    second = look_up(stack, attribute, NextToken=first["NextToken"])
    found = [event["EventId"] for event in [*first["Events"], *second["Events"]]]
    assert found == [f"event-{number}" for number in range(60)]
    assert len(first["Events"]) == 50
    assert "NextToken" not in second
    assert json.loads(first["Events"][0]["CloudTrailEvent"])["eventName"] == "Call0"


def test_given_requests_against_the_rules_when_looked_up_then_they_are_refused(stack: Stack) -> None:
    token = look_up(stack, ("AccessKeyId", KEY))["NextToken"]
    for code, attributes, more in [
        ("InvalidLookupAttributesException", [("AccessKeyId", KEY), ("Username", "intruder")], {}),
        ("InvalidNextTokenException", [("Username", "intruder")], {"NextToken": token}),
    ]:
        with pytest.raises(ClientError, match=code):
            look_up(stack, *attributes, **more)


def test_given_more_than_two_requests_a_second_when_looked_up_then_the_third_is_throttled(stack: Stack) -> None:
    time.sleep(1.1)
    cloudtrail = stack.client("cloudtrail")
    cloudtrail.lookup_events()
    cloudtrail.lookup_events()
    with pytest.raises(ClientError, match="ThrottlingException"):
        cloudtrail.lookup_events()
    time.sleep(1.1)
    cloudtrail.lookup_events()
