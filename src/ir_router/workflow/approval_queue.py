"""The queue security-incident-approval: the pending approval requests for analysts on the command line.

A request's message is deleted when the workflow has received its decision, or when its deadline has passed. SQS deletes
only received messages, so `tidy` receives them all and makes those of pending requests visible again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from ir_router import aws, json_text
from ir_router.ledger import approvals
from ir_router.observability import logger
from ir_router.settings import settings

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageTypeDef

# For so long an analyst may not see the other requests if the function ends while it works.
_HIDDEN_SECONDS = 10
_MOST_BATCHES = 20


def send(message: Mapping[str, Any]) -> None:
    """Send the message of a pending approval request."""
    aws.client("sqs").send_message(
        QueueUrl=settings().require("approval_queue_url"), MessageBody=json.dumps(message, ensure_ascii=False)
    )


def tidy() -> None:
    """Delete the messages of requests that no longer wait. A failure is logged: the schedule repeats the work."""
    try:
        _tidy()
    except (BotoCoreError, ClientError) as error:
        logger.warning(
            "approval.queue_not_tidied: messages of decided requests stay in the queue",
            extra={"error": type(error).__name__},
        )


def _tidy() -> None:
    client, url = aws.client("sqs"), settings().require("approval_queue_url")
    kept: dict[str, MessageTypeDef] = {}
    for _ in range(_MOST_BATCHES):
        found = client.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=_HIDDEN_SECONDS)
        messages = [message for message in found.get("Messages", []) if message["MessageId"] not in kept]
        if not messages:
            break
        waiting = {
            row["approval_id"]
            for row in approvals.rows_of(sorted({_approval_id(message) for message in messages} - {""}))
            if row["state"] == approvals.PENDING
        }
        for message in messages:
            if _approval_id(message) in waiting:
                kept[message["MessageId"]] = message
            else:
                client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    for message in kept.values():
        client.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)


def _approval_id(message: MessageTypeDef) -> str:
    """Return the id of the request, or an empty string for a message that no version of ir-router wrote."""
    try:
        body = json_text.parsed(message["Body"])
    except ValueError:
        return ""
    return str(body.get("approvalId") or "") if isinstance(body, Mapping) else ""
