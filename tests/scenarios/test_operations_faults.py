"""D6: each fault makes the right line of the verification fail, and its fix makes it pass again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest

from ir_router.ops import names
from tests.support.operations import Deployed, deployed_in
from tests.support.world import ACCOUNT, REGION, running_world

ROOT = "/SecurityIncidentResponse/"
POLL, CASE_EVENTS, ROOT_USE = (f"security-incident-{name}" for name in ("poll", "case-events", "detect-root-use"))


@dataclass
class Breakage:
    """A fault of the deployment.

    Attributes:
        line: Name of the check that fails.
        detail_text: Text that its detail contains.
        fix_text: Text that its fix contains.
        make: Causes the fault.
        fix: Ends the fault.
        also: Further lines that fail, because they depend on the same resource.
    """

    line: str
    detail_text: str
    fix_text: str
    make: Callable[[Deployed], Any]
    fix: Callable[[Deployed], Any]
    also: tuple[str, ...] = ()


def put(name: str, value: str) -> None:
    boto3.client("ssm").put_parameter(Name=ROOT + name, Value=value, Overwrite=True)


def make_parameter(deployed: Deployed) -> None:
    boto3.client("ssm").put_parameter(
        Name=ROOT + "slackWorkspaceId", Value=deployed.world.workspace.team_id, Type="String"
    )


def reinstall(deployed: Deployed) -> None:
    put("slackBotToken", deployed.world.workspace.issue_token(deployed.world.app))


def make_files_queue(_: Deployed) -> None:
    redrive = {"deadLetterTargetArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:files-dlq.fifo", "maxReceiveCount": 20}
    attributes: Any = {"FifoQueue": "true", "RedrivePolicy": json.dumps(redrive)}
    boto3.client("sqs").create_queue(QueueName="files.fifo", Attributes=attributes)


def switch_consumer(queue: str, *, on: bool) -> None:
    client = boto3.client("lambda")
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}.fifo"
    found = client.list_event_source_mappings(EventSourceArn=arn)["EventSourceMappings"]
    client.update_event_source_mapping(UUID=found[0]["UUID"], Enabled=on)


def target_without_dead_letters(name: str) -> None:
    target: Any = {"Id": "1", "Arn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:security-incident-sync"}
    boto3.client("events").put_targets(Rule=name, Targets=[target])


def make_rule(deployed: Deployed, name: str) -> None:
    deployed.put_rule(next(rule for rule in names.rules() if rule.name == name))


def drop_bus(_: Deployed) -> None:
    events = boto3.client("events")
    for rule in names.rules():
        if rule.bus == "bus":
            events.remove_targets(Rule=rule.name, EventBusName="bus", Ids=["1"])
            events.delete_rule(Name=rule.name, EventBusName="bus")
    events.delete_event_bus(Name="bus")


def make_bus(deployed: Deployed) -> None:
    boto3.client("events").create_event_bus(Name="bus")
    for rule in names.rules():
        if rule.bus == "bus":
            deployed.put_rule(rule)


def tell(deployed: Deployed, **environment: str) -> None:
    deployed.world.environment.update(environment)


FAULTS = {
    "the token was revoked": Breakage(
        "Slack token",
        "token_revoked",
        "make rotate",
        lambda d: d.world.workspace.revoke_token(d.world.app.token),
        reinstall,
    ),
    "a scope is missing": Breakage(
        "Slack scopes",
        "groups:write (as channels:manage, for private channels)",
        "slack_app_manifest",
        lambda d: d.world.app.scopes.discard("groups:write"),
        lambda d: d.world.app.scopes.add("groups:write"),
    ),
    "the token is of another workspace": Breakage(
        "Slack workspace",
        "only requests from T9999999999 are accepted",
        "SLACK_WORKSPACE_ID=T0LC0000001",
        lambda d: put("slackWorkspaceId", "T9999999999"),
        lambda d: put("slackWorkspaceId", d.world.workspace.team_id),
    ),
    "the signing secret is none": Breakage(
        "signing secret",
        "does not contain a signing secret",
        "32 hexadecimal characters",
        lambda d: put("slackSigningSecret", "not a secret at all"),
        lambda d: put("slackSigningSecret", d.world.app.signing_secret),
    ),
    "the channel prefix cannot begin a name": Breakage(
        "channel prefix",
        "cannot begin a channel name",
        "slack_channel_prefix",
        lambda d: put("slackChannelPrefix", "Case #"),
        lambda d: put("slackChannelPrefix", "case-"),
    ),
    "a parameter was deleted": Breakage(
        "workspace id",
        "ParameterNotFound",
        "make deploy",
        lambda d: boto3.client("ssm").delete_parameter(Name=ROOT + "slackWorkspaceId"),
        make_parameter,
        also=("Slack workspace",),
    ),
    "a queue was deleted": Breakage(
        "queue files",
        "does not exist",
        "make deploy",
        lambda d: boto3.client("sqs").delete_queue(QueueUrl=d.world.environment["IR_FILES_QUEUE_URL"]),
        make_files_queue,
    ),
    "a dead-letter queue was deleted": Breakage(
        "dead letters of files",
        "does not exist",
        "make deploy",
        lambda d: boto3.client("sqs").delete_queue(QueueUrl=d.world.environment["DEAD_files"]),
        lambda d: boto3.client("sqs").create_queue(QueueName="files-dlq.fifo", Attributes={"FifoQueue": "true"}),
    ),
    "a queue's consumer is off": Breakage(
        "queue slack-events",
        "the consumer is Disabled",
        "make deploy",
        lambda d: switch_consumer("slack-events", on=False),
        lambda d: switch_consumer("slack-events", on=True),
    ),
    "the schedule is off": Breakage(
        f"rule {POLL}",
        "the state is DISABLED, expected ENABLED",
        "make deploy",
        lambda d: boto3.client("events").disable_rule(Name=POLL),
        lambda d: boto3.client("events").enable_rule(Name=POLL),
    ),
    "a rule starts nothing": Breakage(
        f"rule {CASE_EVENTS}",
        "the rule has no target the -sync function",
        "make deploy",
        lambda d: boto3.client("events").remove_targets(Rule=CASE_EVENTS, Ids=["1"]),
        lambda d: make_rule(d, CASE_EVENTS),
    ),
    "a rule would lose what it cannot deliver": Breakage(
        f"rule {CASE_EVENTS}",
        "no dead-letter queue",
        "make deploy",
        lambda d: target_without_dead_letters(CASE_EVENTS),
        lambda d: make_rule(d, CASE_EVENTS),
    ),
    "a detection does not see reads": Breakage(
        f"rule {ROOT_USE}",
        "the state is ENABLED, expected ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS",
        "make deploy",
        lambda d: boto3.client("events").put_rule(Name=ROOT_USE, EventPattern='{"source": ["a"]}', State="ENABLED"),
        lambda d: make_rule(d, ROOT_USE),
    ),
    "the bus was deleted": Breakage(
        "rule slack-client-rule",
        "does not exist",
        "make deploy",
        drop_bus,
        make_bus,
        also=("rule security-incident-approvals", "rule SlackNotificationsRule"),
    ),
    "a function was deleted": Breakage(
        "function workflow",
        "does not exist",
        "make deploy",
        lambda d: boto3.client("lambda").delete_function(FunctionName="security-incident-workflow"),
        lambda d: d.put_function("workflow"),
    ),
    "the trail is stopped": Breakage(
        "trail in us-east-1",
        "no trail logs management events of this region (IAM's events included)",
        "trail for all regions",
        lambda d: boto3.client("cloudtrail").stop_logging(Name="everything"),
        lambda d: boto3.client("cloudtrail").start_logging(Name="everything"),
    ),
    "the trail leaves management events out": Breakage(
        "trail in us-east-1",
        "nothing is detected there",
        "trail for all regions",
        lambda d: d.select(IncludeManagementEvents=False),
        lambda d: d.select(IncludeManagementEvents=True),
    ),
    "the security channel is archived": Breakage(
        "security channel",
        "#security is archived",
        "Unarchive",
        lambda d: d.boss.archive_channel(d.security_channel),
        lambda d: d.boss.unarchive_channel(d.security_channel),
    ),
    "the app was removed from the security channel": Breakage(
        "security channel",
        "the app is not in #security",
        "/invite",
        lambda d: d.boss.kick(d.security_channel, d.world.app.bot_user_id),
        lambda d: d.boss.invite(d.security_channel, d.world.app.bot_user_id),
    ),
    "the security channel's id is wrong": Breakage(
        "security channel",
        "Slack returned channel_not_found",
        "security_channel_id",
        lambda d: tell(d, IR_SECURITY_CHANNEL_ID="C0000000000"),
        lambda d: tell(d, IR_SECURITY_CHANNEL_ID=d.security_channel),
    ),
    "nobody can decide": Breakage(
        "approvers",
        "no user of slack_approvers can decide",
        "slack_approvers",
        lambda d: tell(d, IR_APPROVERS='["gone@example.com", "U0000000000", "S0000000000"]'),
        lambda d: tell(d, IR_APPROVERS='["deputy@example.com"]'),
    ),
    "an alarm was deleted": Breakage(
        "alarms",
        "missing: security-incident-containment-slow",
        "make deploy",
        lambda d: boto3.client("cloudwatch").delete_alarms(AlarmNames=["security-incident-containment-slow"]),
        lambda d: d.put_alarm("security-incident-containment-slow"),
    ),
    "a log group was deleted": Breakage(
        "log groups",
        "missing, so their log lines are lost: /aws/lambda/security-incident-workflow",
        "make deploy",
        lambda d: boto3.client("logs").delete_log_group(logGroupName="/aws/lambda/security-incident-workflow"),
        lambda d: d.put_log_group("/aws/lambda/security-incident-workflow"),
    ),
    "the environment is incomplete": Breakage(
        "environment",
        "not set: IR_EVENT_BUS_NAME",
        "make deploy",
        lambda d: tell(d, KEPT=d.world.environment["IR_EVENT_BUS_NAME"], IR_EVENT_BUS_NAME=""),
        lambda d: tell(d, IR_EVENT_BUS_NAME=d.world.environment["KEPT"]),
        also=("rules",),
    ),
    "no poll ends": Breakage(
        "last poll",
        "no poll succeeded in 15 minutes",
        "/aws/lambda/security-incident-sync",
        lambda d: d.world.advance(16 * 60),
        lambda d: d.poll(),
    ),
}


@pytest.fixture(scope="module")
def deployed() -> Iterator[Deployed]:
    """Return the shared deployment. Each fault restores it."""
    with running_world() as world, deployed_in(world) as deployed:
        assert deployed.red() == {}
        yield deployed


@pytest.mark.parametrize("name", FAULTS)
def test_given_a_fault_when_verified_then_its_line_is_red_until_it_is_fixed(deployed: Deployed, name: str) -> None:
    fault = FAULTS[name]

    fault.make(deployed)
    lines = deployed.lines()

    assert lines[fault.line]["state"] == "failed"
    assert fault.detail_text in lines[fault.line]["detail"]
    assert fault.fix_text in lines[fault.line]["mend"]
    red = {name for name, line in lines.items() if not line["ok"]}
    assert red <= {fault.line, *fault.also}
    assert all(lines[name]["mend"] for name in red), "each failed line names the fix"

    fault.fix(deployed)
    assert deployed.red() == {}
