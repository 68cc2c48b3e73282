"""SQS as an event source of Lambda: moto stores the messages; this adds the simulated clock and FIFO deduplication.

The intake is a standard queue, from which Lambda takes batches of up to 100 messages. It collects them in several
calls, because SQS returns at most ten: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest import mock

import boto3
from moto.sqs import models
from moto.sqs.responses import SQSResponse

from ir_router.sync.queue import MAX_RECEIVE_COUNT
from tests.trials.world.deployment import ACCOUNT, FAILURES_QUEUE, INTAKE_QUEUE, REGION, arn

DEDUPLICATION_SECONDS = 300.0
INTAKE = "intake"
INTAKE_BATCH = 100
# The receipt handles of records that a test delivers itself (World.record).
DELIVERED_BY_TEST = "delivered-by-test-"


@contextmanager
def on_clock(now: Callable[[], float]) -> Iterator[None]:
    """Make moto's queues use this clock and accept a deduplication id once in five minutes, as SQS does.

    moto itself forgets the id of a deleted message. It does not name the source of a dead letter, as SQS does:
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html
    """
    seen: dict[tuple[str, str], float] = {}
    moved: dict[str, str] = {}
    add_message = models.Queue.add_message
    receive_message = SQSResponse.receive_message
    change_visibility = models.SQSBackend.change_message_visibility

    def add_once(queue: Any, message: Any) -> None:
        if message.approximate_receive_count:  # only the redrive adds a message that was received
            of_intake = queue.name == FAILURES_QUEUE
            moved[message.id] = arn("sqs", INTAKE_QUEUE if of_intake else queue.name.replace("-dlq", ""))
        if queue.fifo_queue and message.deduplication_id:
            key = (queue.name, message.deduplication_id)
            if now() - seen.get(key, -DEDUPLICATION_SECONDS) < DEDUPLICATION_SECONDS:
                return
            seen[key] = now()
        add_message(queue, message)

    def now_millis(_: Any = None) -> float:
        return now() * 1000

    def receive_with_source(response: SQSResponse) -> Any:
        answer = receive_message(response)
        result: Any = answer.result
        for message in result.get("Messages", []):
            if message["MessageId"] in moved and "Attributes" in message:
                message["Attributes"]["DeadLetterQueueSourceArn"] = moved[message["MessageId"]]
        return answer

    def change_visibility_of_any(backend: Any, queue_name: str, receipt_handle: str, visibility_timeout: int) -> None:
        if not receipt_handle.startswith(DELIVERED_BY_TEST):
            change_visibility(backend, queue_name, receipt_handle, visibility_timeout)

    with (
        mock.patch.object(models, "unix_time", now),
        mock.patch.object(models, "unix_time_millis", now_millis),
        mock.patch.object(models.Queue, "add_message", add_once),
        mock.patch.object(models.SQSBackend, "change_message_visibility", change_visibility_of_any),
        mock.patch.object(SQSResponse, "receive_message", receive_with_source),
    ):
        yield


def receive(url: str, name: str, now: float) -> list[dict[str, Any]]:
    """Return the next batch in the shape of Lambda's SQS events; empty if no message is visible."""
    at = due(name)
    if at is None or at > now:
        return []  # faster than a request to moto
    size = INTAKE_BATCH if name == INTAKE else 1
    messages: list[Any] = []
    while len(messages) < size:
        some = boto3.client("sqs").receive_message(
            QueueUrl=url, MaxNumberOfMessages=min(10, size - len(messages)), AttributeNames=["All"]
        )
        if not some.get("Messages"):
            break
        messages += some["Messages"]
    return [
        record(name, message["Body"], message["MessageId"], message["ReceiptHandle"], message["Attributes"])
        for message in messages
    ]


def record(name: str, body: str, message_id: str, receipt_handle: str, attributes: Mapping[Any, str]) -> dict[str, Any]:
    """Return an SQS record in the shape in which Lambda receives it from one of ir-router's queues."""
    return {
        "messageId": message_id,
        "receiptHandle": receipt_handle,
        "body": body,
        "attributes": dict(attributes),
        "messageAttributes": {},
        "md5OfBody": "",
        "eventSource": "aws:sqs",
        "eventSourceARN": arn("sqs", f"security-incident-{name}{'' if name == INTAKE else '.fifo'}"),
        "awsRegion": REGION,
    }


def done(url: str, records: list[dict[str, Any]], failed: set[str]) -> None:
    """Delete the processed messages. Failed ones become visible again after their visibility timeout."""
    for record in records:
        if record["messageId"] not in failed:
            boto3.client("sqs").delete_message(QueueUrl=url, ReceiptHandle=record["receiptHandle"])


def due(name: str) -> float | None:
    """Return when a message can next be received (seconds since the epoch); None if the queue is empty.

    A message in flight blocks all others of its group in a FIFO queue.
    """
    queue = _queue(name)
    if name == INTAKE:
        return min((max(one.visible_at, one.delayed_until) / 1000 for one in queue._messages), default=None)
    blocked: dict[str | None, float] = {}
    found: list[float] = []
    for message in queue._messages:
        at = max(message.visible_at, message.delayed_until, blocked.get(message.group_id, 0.0))
        blocked[message.group_id] = at
        found.append(at / 1000)
    return min(found, default=None)


def _queue(name: str) -> Any:
    return models.sqs_backends[ACCOUNT][REGION].queues[INTAKE_QUEUE if name == INTAKE else f"{name}.fifo"]


def give_up(name: str) -> None:
    """Move all messages of one of ir-router's queues to its dead-letter queue, as SQS does after the last receive."""
    queue = _queue(name)
    messages, queue._messages = queue._messages, []
    queue.pending_messages.clear()
    for message in messages:
        message.mark_received(visibility_timeout=0)
        queue.dead_letter_queue.add_message(message)


def taken_out(name: str) -> list[dict[str, str]]:
    """Remove and return all messages of one of ir-router's queues, as arguments of SendMessage."""
    queue = _queue(name)
    messages, queue._messages = queue._messages, []
    return [
        {
            "MessageBody": str(one.body),
            "MessageGroupId": str(one.group_id),
            "MessageDeduplicationId": str(one.deduplication_id),
        }
        for one in messages
    ]


def dead_letters(url: str) -> list[dict[str, Any]]:
    """Return the messages of a dead-letter queue."""
    answer = boto3.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)
    return [json.loads(message["Body"]) for message in answer.get("Messages", [])]


__all__ = ["MAX_RECEIVE_COUNT", "dead_letters", "done", "due", "give_up", "on_clock", "receive", "taken_out"]
