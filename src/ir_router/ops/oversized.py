"""Start the workflow for events that are too large for it, with their long values cut.

EventBridge accepts events of up to 1 MB, and Step Functions takes 256 KB as the input of an execution and of each
state (docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html). EventBridge therefore puts a larger event into
the failures queue. An event just below the limit starts an execution that fails in its first states, because they pass
more than the event to a function. `States.ALL` does not catch this error
(docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html). The schedule runs this task every 15
minutes, so that both kinds of events are contained and alerted without an operator. `make deploy` runs it at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any

from ir_router import aws, clock, json_text
from ir_router.deadline import Deadline, LambdaContext, of_invocation
from ir_router.observability import logger
from ir_router.ops import names, regions, replay
from ir_router.settings import settings
from ir_router.workflow import trimming
from ir_router.workflow.incident import INSTEAD_OF

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_RESERVE_SECONDS = 60
_RECEIVES = 10
_LARGEST_EVENT = 1_048_576
_VISIBILITY_SECONDS = 60
_TOO_LARGE = "States.DataLimitExceeded"
# Longer than the pause of the schedule. A repeated start of the same event has no effect.
_LOOK_BACK_SECONDS = 3600
_FAILED_AT_MOST = 100


def run_operation(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001 - no parameters
    """Start the workflow for each oversized event of the last hour (`{"task": "start_oversized"}`).

    These are events in the failures queue, and events of executions that failed because of their size. Other entries
    stay in the queue for `make replay`.

    Returns:
        `{"started"}`: the descriptions of the events, without content.
    """
    deadline = of_invocation(context, reserve=_RESERVE_SECONDS)
    started: list[str] = []
    for what in chain(_from_queue(deadline), _from_failed_executions(deadline)):
        logger.warning("workflow.oversized_event_started: its long values are cut", extra={"what": what})
        started.append(what)
    return {"started": started}


def _from_queue(deadline: Deadline) -> Iterator[str]:
    if names.forwards():
        forwarding = regions.client("sqs", names.GLOBAL_EVENTS_REGION)
        _accept_large_events(forwarding, names.forwarding_failures_queue())
    sqs = regions.client("sqs", settings().region)
    url = _accept_large_events(sqs, names.failures_queue())
    for _ in range(_RECEIVES):
        if deadline.remaining() <= 0:
            break
        messages = sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=10,
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
            VisibilityTimeout=_VISIBILITY_SECONDS,
        ).get("Messages", [])
        if not messages:
            break
        for message in messages:
            if len(message["Body"].encode()) <= trimming.LARGEST_INPUT:
                continue
            handback = replay.read(message)
            if handback.way == "start":
                replay.start(handback.payload, message["MessageId"])
            elif handback.way == "queue" and _fits(handback.payload):
                replay.to_intake(message)
            else:
                continue
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            yield handback.what


def _fits(event: object) -> bool:
    """Return whether the intake can start the event. Otherwise it would come back here without end."""
    if not isinstance(event, dict):
        return False
    return len(json_text.written(trimming.fitting(event)).encode()) <= trimming.LARGEST_INPUT


def _from_failed_executions(deadline: Deadline) -> Iterator[str]:
    """Start the events of executions that failed because of their size."""
    states = aws.client("stepfunctions")
    failed = states.list_executions(
        stateMachineArn=settings().require("state_machine_arn"), statusFilter="FAILED", maxResults=_FAILED_AT_MOST
    )["executions"]
    for execution in failed:
        if deadline.remaining() <= 0:
            break
        if clock.now() - execution["stopDate"].timestamp() > _LOOK_BACK_SECONDS:
            continue
        found = states.describe_execution(executionArn=execution["executionArn"])
        if found.get("error") != _TOO_LARGE or "input" not in found:
            continue
        event = json_text.parsed(found["input"])
        replay.start({**event, INSTEAD_OF: execution["executionArn"]}, execution["name"])
        yield f"the event of execution {execution['name']}"


def _accept_large_events(sqs: SQSClient, queue: str) -> str:
    """Let the queue accept events of 1 MB, and return its URL. Version 5 of Terraform's provider refuses this size."""
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["MaximumMessageSize"])["Attributes"]
    if int(attributes["MaximumMessageSize"]) < _LARGEST_EVENT:
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"MaximumMessageSize": str(_LARGEST_EVENT)})
    return url
