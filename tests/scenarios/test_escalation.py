"""P6: an approver takes a request on, the others hear when nothing follows, and a phone rings once for each reason."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from ir_sandbox.slack.people import Person
from tests.support.approvals import approvals_in, case_channel, make_approver, press
from tests.support.world import World
from tests.trials.world import incidents as support
from tests.trials.world.incidents import audit_actions, pages, root_call
from tests.trials.world.state_machine import Execution, StateMachine

# docs.aws.amazon.com/lambda/latest/dg/services-cloudwatch-alarms.html and the events of aws-lambda-go: the fields of a
# CloudWatch alarm in SNS, which the CloudWatch integrations of PagerDuty and Opsgenie read.
ALARM = {
    "AlarmName": str,
    "AlarmDescription": str,
    "AWSAccountId": str,
    "NewStateValue": str,
    "NewStateReason": str,
    "StateChangeTime": str,
    "Region": str,
    "AlarmArn": str,
    "OldStateValue": str,
    "Trigger": dict,
}
TRIGGER = {
    "MetricName": str,
    "Namespace": str,
    "StatisticType": str,
    "Statistic": str,
    "Unit": str,
    "Dimensions": list,
    "Period": int,
    "EvaluationPeriods": int,
    "ComparisonOperator": str,
    "Threshold": float,
    "TreatMissingData": str,
    "EvaluateLowSampleCountPercentile": str,
}


@pytest.fixture
def jane(world: World) -> Person:
    return make_approver(world)


@pytest.fixture
def waiting(world: World, machine: StateMachine, jane: Person, security_channel: str) -> Execution:
    execution, _key = support.contain(world, machine)
    world.settle()
    return execution


def let_pass(world: World, minutes: float) -> None:
    world.advance(minutes * 60)
    for _ in range(2):
        world.poll()
        world.settle()


def alarm_of(page: dict[str, Any]) -> dict[str, Any]:
    """Return the alarm in a page, after a check against the documented format."""
    alarm: dict[str, Any] = json.loads(page["Message"])
    for known, given in ((ALARM, alarm), (TRIGGER, alarm["Trigger"])):
        assert {name: type(given[name]) for name in known} == known
    assert alarm["NewStateValue"] == "ALARM"
    assert page["Subject"].startswith("ALARM: ")
    assert len(page["Subject"]) <= 100
    assert page["Subject"].isascii()
    assert len(alarm["AlarmName"]) <= 255
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000", alarm["StateChangeTime"])
    return alarm


def texts(world: World, channel: str) -> list[str]:
    return [one["text"] for one in world.workspace.channel_messages(channel) if one.get("bot_id")]


def on_it(world: World, person: Person, channel: str) -> None:
    (message,) = approvals_in(world, channel)
    person.press(channel, message["ts"], "request_assign")
    world.settle()


def test_given_an_owner_when_time_passes_then_reminders_go_to_the_owner_and_the_others_hear_once(
    world: World, jane: Person, security_channel: str, waiting: Execution
) -> None:
    ann = world.workspace.create_user("ann", email="ann@example.com", real_name="Ann Lee")
    jane.invite(security_channel, ann.id)
    on_it(world, ann, security_channel)
    for channel in (security_channel, case_channel(world)):
        (message,) = approvals_in(world, channel)
        assert "*On it*  Ann Lee, since" in json.dumps(message["blocks"])
    let_pass(world, 12)
    reminders = [text for text in texts(world, security_channel) if "Still waiting" in text]
    assert [text.partition(" ")[0] for text in reminders] == [f"<@{ann.id}>"]
    assert pages(world) == []

    let_pass(world, 20)
    overdue = [text for text in texts(world, security_channel) if "No decision yet" in text]
    assert len(overdue) == 1
    assert overdue[0].startswith(f"<@{jane.id}>")
    assert "Ann Lee took this request at" in overdue[0]
    on_it(world, jane, security_channel)
    let_pass(world, 31)
    assert len([text for text in texts(world, security_channel) if "No decision yet" in text]) == 2
    assert pages(world) == []
    assert waiting.status == "RUNNING"


def test_given_no_owner_when_ten_minutes_pass_then_one_page_rings_and_none_after_a_decision(
    world: World, machine: StateMachine, jane: Person, security_channel: str, waiting: Execution
) -> None:
    let_pass(world, 9)
    assert pages(world) == []
    let_pass(world, 2)
    let_pass(world, 2)
    (page,) = pages(world)
    alarm = alarm_of(page)
    assert alarm["AlarmName"].startswith("Approval request without an assignee for 10 min: user backdoor contained (")
    assert "I'm on it" in alarm["AlarmDescription"]

    press(world, machine, jane, security_channel, "approval_approve")
    let_pass(world, 60)
    assert pages(world) == []


def test_given_a_user_who_is_no_approver_when_the_button_is_pressed_then_the_request_has_no_owner(
    world: World, jane: Person, security_channel: str, waiting: Execution
) -> None:
    mallory = world.workspace.create_user("mallory", email="mallory@example.com", real_name="Mallory")
    jane.invite(security_channel, mallory.id)
    on_it(world, mallory, security_channel)
    (message,) = approvals_in(world, security_channel)
    assert "On it" not in json.dumps(message["blocks"])
    assert "decision_refused" in audit_actions()


def test_given_root_and_a_leaking_containment_when_events_arrive_then_each_pages_once(
    world: World, machine: StateMachine, jane: Person, security_channel: str, waiting: Execution
) -> None:
    event = root_call(world, "CreateAccessKey")
    machine.start(event)
    machine.start(event)  # a duplicate
    world.settle()
    (page,) = pages(world)
    assert "root" in alarm_of(page)["AlarmName"].lower()

    (key,) = support.iam_state(world, "backdoor").keys
    identity = support.user_identity("backdoor", key)
    world.advance(120)  # IAM applies a containment within seconds
    for _ in range(2):
        machine.start(support.event(support.call(world, "ListUsers", userIdentity=identity)))
        world.settle()
    (page,) = pages(world)
    assert "A call of the contained user backdoor succeeded" in alarm_of(page)["AlarmName"]
