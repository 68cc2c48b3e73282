"""SQS as AWS carries it to Lambda: moto keeps the messages, this adds the world's clock and FIFO de-duplication."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest import mock

import boto3
from moto.sqs import models

from ir_local.world.deployment import ACCOUNT, REGION, arn
from ir_router.sync.queue import MAX_RECEIVE_COUNT

DEDUPLICATION_SECONDS = 300.0


@contextmanager
def on_clock(now: Callable[[], float]) -> Iterator[None]:
    """Let moto's queues read this clock, and take a de-duplication id once in five minutes, as SQS does.

    moto itself forgets the id of a message that was deleted.
    """
    seen: dict[tuple[str, str], float] = {}
    add_message = models.Queue.add_message

    def add_once(queue: Any, message: Any) -> None:
        if queue.fifo_queue and message.deduplication_id:
            key = (queue.name, message.deduplication_id)
            if now() - seen.get(key, -DEDUPLICATION_SECONDS) < DEDUPLICATION_SECONDS:
                return
            seen[key] = now()
        add_message(queue, message)

    def now_millis(_: Any = None) -> float:
        return now() * 1000

    with (
        mock.patch.object(models, "unix_time", now),
        mock.patch.object(models, "unix_time_millis", now_millis),
        mock.patch.object(models.Queue, "add_message", add_once),
    ):
        yield


def receive(url: str, name: str, now: float) -> list[dict[str, Any]]:
    """The next record for Lambda, in the shape of its SQS events; empty when none is visible."""
    at = due(name)
    if at is None or at > now:
        return []  # quicker than to ask
    messages = (
        boto3.client("sqs")
        .receive_message(QueueUrl=url, MaxNumberOfMessages=1, AttributeNames=["All"])
        .get("Messages", [])
    )
    return [
        record(name, message["Body"], message["MessageId"], message["ReceiptHandle"], message["Attributes"])
        for message in messages
    ]


def record(name: str, body: str, message_id: str, receipt_handle: str, attributes: Mapping[Any, str]) -> dict[str, Any]:
    """A record as Lambda gets it of one of our queues."""
    return {
        "messageId": message_id,
        "receiptHandle": receipt_handle,
        "body": body,
        "attributes": dict(attributes),
        "messageAttributes": {},
        "md5OfBody": "",
        "eventSource": "aws:sqs",
        "eventSourceARN": arn("sqs", f"security-incident-{name}.fifo"),
        "awsRegion": REGION,
    }


def done(url: str, records: list[dict[str, Any]], failed: set[str]) -> None:
    """Delete what was handled; what failed comes again when its visibility time is over."""
    for record in records:
        if record["messageId"] not in failed:
            boto3.client("sqs").delete_message(QueueUrl=url, ReceiptHandle=record["receiptHandle"])


def due(name: str) -> float | None:
    """When a message can next be received (seconds since the epoch), or None when the queue is empty.

    One in flight holds back all others of its group.
    """
    queue = models.sqs_backends[ACCOUNT][REGION].queues[f"{name}.fifo"]
    blocked: dict[str | None, float] = {}
    found: list[float] = []
    for message in queue._messages:  # noqa: SLF001
        at = max(message.visible_at, message.delayed_until, blocked.get(message.group_id, 0.0))
        blocked[message.group_id] = at
        found.append(at / 1000)
    return min(found, default=None)


def taken_out(name: str) -> list[dict[str, str]]:
    """What is in one of our queues, removed from it; in the shape in which SendMessage takes it."""
    queue = models.sqs_backends[ACCOUNT][REGION].queues[f"{name}.fifo"]
    messages, queue._messages = queue._messages, []  # noqa: SLF001
    return [
        {
            "MessageBody": str(one.body),
            "MessageGroupId": str(one.group_id),
            "MessageDeduplicationId": str(one.deduplication_id),
        }
        for one in messages
    ]


def dead_letters(url: str) -> list[dict[str, Any]]:
    """What is in a dead-letter queue."""
    answer = boto3.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)
    return [json.loads(message["Body"]) for message in answer.get("Messages", [])]


__all__ = ["MAX_RECEIVE_COUNT", "dead_letters", "done", "due", "on_clock", "receive", "taken_out"]
