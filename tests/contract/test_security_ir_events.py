"""Native events of the local Security IR service."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws
from mypy_boto3_security_ir import SecurityIncidentResponseClient

from ir_sandbox.http import RunningServer
from ir_sandbox.security_ir import (
    CollectedEvents,
    Event,
    EventSwitches,
    PutEventsPublisher,
    SecurityIrService,
    Settings,
)
from ir_sandbox.security_ir.events import PutEventsError
from ir_sandbox.security_ir.testing import LocalSecurityIr, case_parameters, local_security_ir

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

ACCOUNT = "111122223333"


@pytest.fixture
def sir() -> Iterator[LocalSecurityIr]:
    with local_security_ir(principals={"jane": f"arn:aws:iam::{ACCOUNT}:user/jane"}) as running:
        yield running


@pytest.fixture
def client(sir: LocalSecurityIr) -> SecurityIncidentResponseClient:
    return sir.client("jane")


@pytest.fixture
def case_id(client: SecurityIncidentResponseClient) -> str:
    return client.create_case(**case_parameters())["caseId"]


def kinds(events: list[Event]) -> list[str]:
    return [event["detail-type"] for event in events]


def test_fact_an_event_is_thin_and_names_case_and_actor(sir, client, case_id):
    """Fact: source aws.security-ir, resources the case ARN, detail caseId and createdBy; thin."""
    (event,) = sir.events.wait_for(1)

    arn = client.get_case(caseId=case_id)["caseArn"]
    assert event.keys() == {
        "version", "id", "detail-type", "source", "account", "time", "region", "resources", "detail",
    }  # fmt: skip
    assert (event["detail-type"], event["source"]) == ("Case Created", "aws.security-ir")
    assert event["resources"] == [arn]
    assert event["detail"] == {"caseId": case_id, "createdBy": ACCOUNT}
    assert (event["account"], event["region"]) == ("000000000000", "us-east-1")
    assert event["time"].endswith("Z")


def test_fact_each_change_has_its_detail_type_and_actor(sir, client, case_id):
    """Fact: the detail-types; createdBy or updatedBy is AWS Responder, the service, or an account id."""
    comment_id = client.create_case_comment(caseId=case_id, body="x")["commentId"]
    sir.service.add_comment_as(case_id, body="y")
    client.update_case_comment(caseId=case_id, commentId=comment_id, body="z")
    client.update_case(caseId=case_id, title="New")
    client.update_case_status(caseId=case_id, caseStatus="Detection and Analysis")
    client.update_resolver_type(caseId=case_id, resolverType="AWS")
    sir.service.set_status_as(case_id, "Ready to Close")
    client.close_case(caseId=case_id)
    sir.service.create_case_as(case_parameters())

    events = sir.events.wait_for(10)

    actors = [{key: value for key, value in event["detail"].items() if key != "caseId"} for event in events]
    assert list(zip(kinds(events), actors, strict=True)) == [
        ("Case Created", {"createdBy": ACCOUNT}),
        ("Case Comment Added", {"createdBy": ACCOUNT}),
        ("Case Comment Added", {"createdBy": "AWS Responder"}),
        ("Case Comment Updated", {"updatedBy": ACCOUNT}),
        ("Case Updated", {"updatedBy": ACCOUNT}),
        ("Case Updated", {"updatedBy": ACCOUNT}),
        ("Case Updated", {"updatedBy": ACCOUNT}),
        ("Case Updated", {"updatedBy": "AWS Responder"}),
        ("Case Closed", {"updatedBy": ACCOUNT}),
        ("Case Created", {"createdBy": "security-ir.amazonaws.com"}),
    ]
    assert len({event["id"] for event in events}) == 10


def test_fact_some_pages_say_case_comment_created(sir, client, case_id):
    """Fact: Case Comment Added (some pages name it Case Comment Created, so match both)."""
    sir.service.configure(Settings(comment_added_event="Case Comment Created"))

    client.create_case_comment(caseId=case_id, body="x")

    assert kinds(sir.events.wait_for(2))[1] == "Case Comment Created"


def test_given_refused_calls_when_made_then_no_event(sir, client, case_id):
    with pytest.raises(client.exceptions.ConflictException):
        client.update_case_status(caseId=case_id, caseStatus="Post-incident Activities")
    client.tag_resource(resourceArn=client.get_case(caseId=case_id)["caseArn"], tags={"a": "b"})
    sir.service.events.wait_until_idle()

    assert kinds(sir.events.all()) == ["Case Created"]


# Disturbances in transit


def test_given_events_off_when_things_happen_then_none_is_published_but_all_are_recorded(sir, case_id):
    sir.events.wait_for(1)
    sir.service.events.switch(EventSwitches(enabled=False))

    sir.service.add_comment_as(case_id, body="x")
    sir.service.events.switch(EventSwitches())
    sir.service.add_comment_as(case_id, body="y")

    assert kinds(sir.events.wait_for(2)) == ["Case Created", "Case Comment Added"]
    assert kinds(sir.service.events.recorded()) == ["Case Created", "Case Comment Added", "Case Comment Added"]


def test_given_one_event_to_drop_when_two_happen_then_the_second_arrives(sir, client, case_id):
    sir.events.wait_for(1)
    sir.service.events.switch(EventSwitches(drop_next=1))

    sir.service.add_comment_as(case_id, body="x")
    client.close_case(caseId=case_id)

    assert kinds(sir.events.wait_for(2)) == ["Case Created", "Case Closed"]
    assert sir.service.events.switches.drop_next == 0


def test_given_two_copies_when_something_happens_then_one_event_arrives_twice(sir, case_id):
    sir.events.wait_for(1)
    sir.service.events.switch(EventSwitches(copies=2))

    sir.service.add_comment_as(case_id, body="x")

    _, first, second = sir.events.wait_for(3)
    assert first == second


def test_given_reversed_batches_when_three_happen_then_the_newest_arrives_first(sir, client, case_id):
    sir.events.wait_for(1)
    sir.service.events.switch(EventSwitches(reverse_batch=3))

    sir.service.add_comment_as(case_id, body="x")
    client.update_case(caseId=case_id, title="New")
    sir.service.events.wait_until_idle()
    assert len(sir.events.all()) == 1
    client.close_case(caseId=case_id)

    assert kinds(sir.events.wait_for(4)) == ["Case Created", "Case Closed", "Case Updated", "Case Comment Added"]


def test_given_an_unfilled_batch_when_flushed_then_it_arrives(sir, client, case_id):
    sir.events.wait_for(1)
    sir.service.events.switch(EventSwitches(reverse_batch=3))
    sir.service.add_comment_as(case_id, body="x")
    client.close_case(caseId=case_id)

    sir.service.events.flush()

    assert kinds(sir.events.wait_for(3)) == ["Case Created", "Case Closed", "Case Comment Added"]


def test_given_a_delay_when_something_happens_then_a_later_undelayed_event_overtakes_it(sir, client, case_id):
    sir.events.wait_for(1)
    sir.service.events.switch(EventSwitches(delay_seconds=0.2))
    sir.service.add_comment_as(case_id, body="x")
    sir.service.events.switch(EventSwitches())

    client.close_case(caseId=case_id)

    assert kinds(sir.events.wait_for(2)) == ["Case Created", "Case Closed"]
    assert kinds(sir.events.wait_for(3))[2] == "Case Comment Added"


def test_given_a_publisher_that_blocks_when_the_api_is_called_then_it_does_not_wait():
    release = threading.Event()

    def publish(_: Event) -> None:
        release.wait(900)

    with SecurityIrService(publish=publish) as service:
        case_id = service.create_case_as(case_parameters())

        assert service.call("GetCase", {"caseId": case_id})["caseStatus"] == "Submitted"
        with pytest.raises(TimeoutError):
            service.events.wait_until_idle(0.01)
        release.set()
        service.events.wait_until_idle()


def test_fact_delivery_is_at_least_once_when_the_publisher_fails_then_it_is_tried_again(caplog):
    """Fact: durable delivery (at least once)."""
    collected, failures = CollectedEvents(), iter([True, True])

    def publish(event: Event) -> None:
        if next(failures, False):
            raise ConnectionError("the bus is away")
        collected(event)

    with SecurityIrService(publish=publish) as service:
        service.create_case_as(case_parameters())
        assert kinds(collected.wait_for(1)) == ["Case Created"]
        assert service.events.undelivered() == []
    assert [record.message.startswith("event.publish_failed: ") for record in caplog.records] == [True, True]


def test_given_a_publisher_that_never_takes_an_event_when_it_gives_up_then_it_is_kept_and_others_go_on(monkeypatch):
    monkeypatch.setattr("ir_sandbox.security_ir.events._RETRY_DELAYS_SECONDS", (0, 0))
    collected = CollectedEvents()

    def publish(event: Event) -> None:
        if event["detail-type"] == "Case Created":
            raise ConnectionError("refused")
        collected(event)

    with SecurityIrService(publish=publish) as service:
        case_id = service.create_case_as(case_parameters())
        service.add_comment_as(case_id, body="x")
        assert kinds(collected.wait_for(1)) == ["Case Comment Added"]
        assert kinds(service.events.undelivered()) == ["Case Created"]


def test_given_a_clock_when_it_is_moved_then_event_times_follow(sir, client):
    sir.clock.advance(timedelta(days=365 * 100))
    client.create_case(**case_parameters())

    assert int(sir.events.wait_for(1)[0]["time"][:4]) >= 2100


# EventBridge


@mock_aws
def test_given_a_rule_on_the_default_bus_when_a_case_is_created_then_its_queue_gets_the_event():
    sqs, events = boto3.client("sqs", region_name="us-east-1"), boto3.client("events", region_name="us-east-1")
    queue = sqs.create_queue(QueueName="hints")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name="native", EventPattern=json.dumps({"source": ["aws.security-ir"]}))
    events.put_targets(Rule="native", Targets=[{"Id": "queue", "Arn": arn}])

    with SecurityIrService(publish=PutEventsPublisher("https://events.us-east-1.amazonaws.com")) as service:
        case_id = service.create_case_as(case_parameters())
        service.events.wait_until_idle()
        recorded = service.events.recorded()[0]
        assert service.events.undelivered() == []

    (message,) = sqs.receive_message(QueueUrl=queue)["Messages"]
    received = json.loads(message["Body"])
    assert received["detail"] == {"caseId": case_id, "createdBy": "security-ir.amazonaws.com"}
    assert (received["source"], received["detail-type"]) == (recorded["source"], recorded["detail-type"])
    assert (received["resources"], received["time"]) == (recorded["resources"], recorded["time"])


def test_given_an_event_bus_that_refuses_when_an_event_is_put_then_the_publisher_says_why():
    """Fact: PutEvents responds with 200 and FailedEntryCount > 0."""
    answer = {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "InternalFailure", "ErrorMessage": "try again"}]}

    def refuse(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        start_response("200 OK", [("Content-Type", "application/x-amz-json-1.1")])
        return [json.dumps(answer).encode()]

    bus = RunningServer(refuse)
    with SecurityIrService() as service:
        service.create_case_as(case_parameters())
        publish = PutEventsPublisher(bus.url)
        with pytest.raises(PutEventsError, match="InternalFailure: try again"):
            publish(service.events.recorded()[0])
    bus.close()
