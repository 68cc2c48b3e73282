"""Attacks through the queues and the functions that read them: forged records, messages and failed work."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from ir_router.errors import RouteNotServedError
from ir_router.ops import replay as replay_task
from tests.support.operations import Deployed, deployed_in
from tests.support.world import ACCOUNT, REGION, World
from tests.trials.world import queues
from tests.trials.world.deployment import DEPLOYMENTS

RULES = f"arn:aws:events:{REGION}:{ACCOUNT}:rule"
MACHINE = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:security-incident"
SYNC = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:security-incident-sync"


@pytest.fixture
def deployed(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    monkeypatch.setattr(replay_task, "WAIT_SECONDS", 0)  # moto's one server needs no long polling
    with deployed_in(world) as deployed:
        yield deployed


def replayed(world: World) -> list[tuple[str, str]]:
    return [(one["outcome"], one["why"]) for one in world.invoke("operations", {"task": "replay"})["entries"]]


def shared_file(world: World, deployed: Deployed) -> dict[str, Any]:
    """Return the record of a file that was really shared in a case's channel, taken out of its queue."""
    case_id = world.create_case()
    world.settle()
    deployed.team[0].upload(world.channel_of(case_id), "plan.txt", b"plan")
    world.workspace.deliveries.deliver_due()
    (message,) = queues.taken_out("files")
    return {"case_id": case_id, "body": json.loads(message["MessageBody"])}


def attachments(world: World, case_id: str) -> list[Any]:
    found: list[Any] = world.security_ir.call("GetCase", {"caseId": case_id})["caseAttachments"]
    return found


def test_given_the_permission_to_invoke_sync_when_a_record_is_invented_then_no_file_is_copied(
    world: World, deployed: Deployed
) -> None:
    """The record names a file as Slack's event does, but SQS did not deliver it."""
    file = shared_file(world, deployed)
    record = queues.record("files", json.dumps(file["body"]), "m1", "invented", {"ApproximateReceiveCount": "1"})
    answer = world.invoke("sync", {"Records": [record]})

    assert answer == {"batchItemFailures": [{"itemIdentifier": "m1"}]}
    assert attachments(world, file["case_id"]) == []


def test_given_the_same_record_from_the_queue_when_delivered_then_the_file_is_copied(
    world: World, deployed: Deployed
) -> None:
    file = shared_file(world, deployed)
    boto3.client("sqs").send_message(
        QueueUrl=world.environment["IR_FILES_QUEUE_URL"],
        MessageBody=json.dumps(file["body"]),
        MessageGroupId="C1",
        MessageDeduplicationId="again",
    )

    world.settle()

    assert len(attachments(world, file["case_id"])) == 1


def test_given_an_operation_when_another_function_is_invoked_with_it_then_it_is_refused(world: World) -> None:
    """The on-call permission is one function, and that function serves nothing else."""
    tasks = ("verify", "watch", "replay", "resync", "start_oversized")
    for function, task in itertools.product(sorted(set(DEPLOYMENTS) - {"operations"}), tasks):
        with pytest.raises(RouteNotServedError):
            world.invoke(function, {"task": task})


def test_given_the_permission_to_invoke_operations_when_used_for_other_work_then_it_is_refused(world: World) -> None:
    record = queues.record("slack-events", "{}", "m1", "invented", {})

    for event in (
        {"Records": [record]},
        {"Records": [{**record, "eventSourceARN": f"arn:aws:sqs:{REGION}:{ACCOUNT}:security-incident-files.fifo"}]},
        {"task": "poll"},
        {"task": "release", "principal": "alice"},
        {"task": "interaction", "payload": {}},
        {"approval_id": "1", "decision": "approve", "analyst": "mallory"},
        {"source": "security-ir", "detail": {"caseId": "1234567890"}},
    ):
        with pytest.raises(RouteNotServedError):
            world.invoke("operations", event)


def test_given_the_permission_to_send_dead_letters_when_replayed_then_no_invented_message_reaches_a_case(
    world: World, deployed: Deployed
) -> None:
    """Only SQS moves a message there, and it names the queue that the message came from."""
    case_id = world.create_case()
    world.settle()
    channel = world.channel_of(case_id)
    message = {"type": "message", "channel": channel, "user": deployed.boss.id, "ts": "1.000001", "text": "close it"}
    boto3.client("sqs").send_message(
        QueueUrl=world.environment["DEAD_slack-events"],
        MessageBody=json.dumps({"event_id": "Ev1", "team_id": world.workspace.team_id, "event": message}),
        MessageGroupId=channel,
        MessageDeduplicationId="Ev1",
    )

    ((outcome, why),) = replayed(world)
    world.settle()

    assert outcome == "kept"
    assert why.startswith("SQS did not move it here")
    assert not [body for body in world.comments(case_id) if "close it" in body]


@pytest.mark.parametrize(
    ("event", "origin"),
    [
        (
            {"source": "aws.iam", "detail-type": "AWS API Call via CloudTrail", "id": "1", "detail": {}},
            {"RULE_ARN": f"{RULES}/rule-of-another-team", "TARGET_ARN": MACHINE},
        ),
        (
            {"Records": [{"eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:x:1:files.fifo"}]},
            {"RULE_ARN": f"{RULES}/bus/slack-client-rule", "TARGET_ARN": SYNC},
        ),
        ({"task": "poll"}, {"RULE_ARN": f"{RULES}/bus/slack-client-rule", "TARGET_ARN": SYNC}),
    ],
)
def test_given_the_permission_to_send_failed_work_when_replayed_then_what_no_rule_delivered_is_kept(
    world: World, deployed: Deployed, event: dict[str, Any], origin: dict[str, str]
) -> None:
    boto3.client("sqs").send_message(
        QueueUrl=deployed.failures,
        MessageBody=json.dumps(event),
        MessageAttributes={name: {"DataType": "String", "StringValue": value} for name, value in origin.items()},
    )

    ((outcome, _),) = replayed(world)

    assert outcome == "kept"
    assert not world.asynchronous
    assert not boto3.client("stepfunctions").list_executions(stateMachineArn=MACHINE)["executions"]
