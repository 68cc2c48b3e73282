"""V9: the deployment verifies itself every hour, and reports each difference once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError

from ir_router import aws
from ir_sandbox.slack.faults import Fault
from tests.support.operations import Deployed, deployed_in
from tests.support.world import World

RULE = "security-incident-detect-create-access-key"
CONTAINMENT_ROLE = "security-incident-containment"


@pytest.fixture
def deployed(world: World) -> Iterator[Deployed]:
    with deployed_in(world) as deployed:
        yield deployed


def watch(world: World) -> Any:
    return world.invoke("operations", {"task": "watch", "now": True})["differences"]


def reports(world: World, deployed: Deployed) -> list[str]:
    messages = world.workspace.channel_messages(deployed.security_channel)
    return [str(message) for message in messages if message.get("bot_id")]


def test_given_a_complete_deployment_when_an_hour_passes_then_nothing_is_reported(
    world: World, deployed: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    assert watch(world) == []
    assert reports(world, deployed) == []
    assert "DeploymentDifferences" not in capsys.readouterr().out


def test_given_a_lost_subscription_and_a_disabled_rule_when_watched_then_one_message_names_both_once_and_their_end(
    world: World, deployed: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    sns, events = boto3.client("sns"), boto3.client("events")
    topic = world.environment["IR_ALERT_TOPIC_ARN"]
    subscriptions = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    for subscription in subscriptions:
        sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])
    events.disable_rule(Name=RULE)

    assert watch(world) == ["alert topic", f"rule {RULE}"]
    assert watch(world) == ["alert topic", f"rule {RULE}"]

    (report,) = reports(world, deployed)
    assert "no recipient gets alerts" in report
    assert RULE in report
    assert "DISABLED" in report
    assert '"DeploymentDifferences":[2' in capsys.readouterr().out.replace(" ", "")

    events.enable_rule(Name=RULE)
    for subscription in subscriptions:
        sns.subscribe(TopicArn=topic, Protocol=subscription["Protocol"], Endpoint=subscription["Endpoint"])
    assert f"rule {RULE}" not in watch(world)
    assert len(reports(world, deployed)) == 2
    assert "Fixed:" in reports(world, deployed)[-1]


def test_given_a_subscription_removed_by_its_link_when_watched_then_the_report_states_the_cause(
    world: World, deployed: Deployed
) -> None:
    def removed(parsed: Any, **_: Any) -> None:
        for subscription in parsed["Subscriptions"]:
            subscription["SubscriptionArn"] = "Deleted"

    hook = "after-call.sns.ListSubscriptionsByTopic"
    boto3.DEFAULT_SESSION.events.register(hook, removed)  # type: ignore[union-attr]

    assert watch(world) == ["alarm topic", "alert topic", "page topic"]
    (report,) = reports(world, deployed)
    assert "a subscription was removed" in report


@contextmanager
def security_ir_answers(error: Exception) -> Iterator[None]:
    """Let every call of Security Incident Response fail with this error."""
    hooks = boto3.DEFAULT_SESSION.events  # type: ignore[union-attr]

    def fail(**_: Any) -> None:
        raise error

    hooks.register("before-call.security-ir", fail)
    aws.forget_clients()  # a client keeps the hooks that it was made with
    yield
    hooks.unregister("before-call.security-ir", fail)


def test_given_a_region_without_the_service_when_watched_then_the_report_states_it_and_what_to_do_once(
    world: World, deployed: Deployed
) -> None:
    with security_ir_answers(EndpointConnectionError(endpoint_url="https://security-ir.ap-southeast-6.api.aws")):
        assert watch(world) == ["cases", "membership"]
        world.advance(3600)
        assert watch(world) == ["cases", "membership"]

    (report,) = reports(world, deployed)
    assert "no reachable endpoint in this region (us-east-1)" in report
    assert "deploy in a region that has it" in report


def test_given_a_membership_that_ended_when_watched_then_the_report_states_it_and_how_to_look_once(
    world: World, deployed: Deployed
) -> None:
    world.security_ir.faults.refuse("SecurityIncidentResponseNotActiveException", "ListCases", times=None)

    assert watch(world) == ["cases"]
    assert watch(world) == ["cases"]

    (report,) = reports(world, deployed)
    assert "no active membership" in report
    assert "Enable the service in its console" in report


def stop_trail() -> None:
    boto3.client("cloudtrail").stop_logging(Name="everything")


def delete_function() -> None:
    boto3.client("lambda").delete_function(FunctionName="security-incident-approval-handler")


def delete_workflow() -> None:
    client = boto3.client("stepfunctions")
    for machine in client.list_state_machines()["stateMachines"]:
        client.delete_state_machine(stateMachineArn=machine["stateMachineArn"])


def remove_target() -> None:
    events = boto3.client("events")
    targets = events.list_targets_by_rule(Rule=RULE)["Targets"]
    events.remove_targets(Rule=RULE, Ids=[target["Id"] for target in targets])


def disable_alarm() -> None:
    boto3.client("cloudwatch").disable_alarm_actions(AlarmNames=["security-incident-containment-slow"])


def trust_everyone() -> None:
    trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    boto3.client("iam").update_assume_role_policy(RoleName=CONTAINMENT_ROLE, PolicyDocument=document)


def widen_role() -> None:
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [everything]})
    boto3.client("iam").put_role_policy(RoleName=CONTAINMENT_ROLE, PolicyName="containment", PolicyDocument=document)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (stop_trail, "trail in us-east-1"),
        (delete_function, "function approval-handler"),
        (delete_workflow, "workflow"),
        (remove_target, f"rule {RULE}"),
        (disable_alarm, "alarms"),
        (trust_everyone, "containment role"),
        (widen_role, "containment role"),
    ],
)
def test_given_a_part_that_is_gone_or_changed_when_watched_then_the_security_channel_reads_it_once(
    world: World, deployed: Deployed, change: Callable[[], None], line: str
) -> None:
    deployed.expect_digests()
    change()

    assert watch(world) == [line]
    world.advance(3600)
    assert watch(world) == [line]

    (report,) = reports(world, deployed)
    assert f"*{line}*" in report


def test_given_slack_that_fails_when_watched_then_the_next_hour_reports_it(world: World, deployed: Deployed) -> None:
    boto3.client("events").disable_rule(Name=RULE)
    world.workspace.faults.add(Fault("chat.postMessage", "error", error="not_in_channel"))
    assert watch(world)
    assert reports(world, deployed) == []

    world.advance(3600)
    watch(world)

    assert len(reports(world, deployed)) == 1


@pytest.mark.parametrize(
    ("service", "operation", "side"),
    [
        ("dynamodb", "PutItem", "before"),
        ("dynamodb", "PutItem", "after"),
        ("slack", "chat.postMessage", "before"),
        ("slack", "chat.postMessage", "after"),
    ],
)
def test_given_a_function_that_dies_while_it_reports_when_hours_pass_then_the_report_is_there_once(
    world: World, deployed: Deployed, service: str, operation: str, side: Literal["before", "after"]
) -> None:
    boto3.client("events").disable_rule(Name=RULE)
    world.wire.kill_on(service, operation, side)
    world.try_invoke("operations", {"task": "watch", "now": True})
    assert world.wire.died_at is not None
    world.wire.spare()

    for _ in range(3):
        world.advance(3600)
        watch(world)

    assert len(reports(world, deployed)) == 1


def test_given_the_schedule_of_15_minutes_when_an_hour_passes_then_it_verifies_once(
    world: World, deployed: Deployed
) -> None:
    assert deployed
    answers = []
    for _ in range(4):
        answers.append(world.invoke("operations", {"task": "watch"})["differences"])
        world.advance(900)

    assert sum(answer is not None for answer in answers) == 1
