"""Process records of the FIFO queues in order, with partial failures and quick retries.

Terraform sets a batch size of 1: SQS would also count a receive for messages that wait behind a failed one.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from typing import Any, cast

from aws_lambda_powertools.utilities.batch import SqsFifoPartialProcessor, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from botocore.exceptions import BotoCoreError, ClientError

from ir_router import aws, clock, json_text
from ir_router.errors import IrRouterError, RetryLaterError
from ir_router.observability import logger
from ir_router.sync import comment_claims
from ir_router.sync.case_sync import ClaimHeldError
from ir_router.sync.failures import log_fields

# Terraform's `maxReceiveCount` of both queues (terraform/queues.tf). With the waits below it lasts 15 minutes.
MAX_RECEIVE_COUNT = 20
# Terraform's visibility timeout of files.fifo.
VISIBILITY_SECONDS = 5400
# After this many attempts, about a minute, the failure is reported. Retries continue.
REPORTED_AT_RECEIVE_COUNT = 6
_LONGEST_WAIT_SECONDS = 60.0


class Record:
    """One message: its JSON `body` and its number of receives, including this one."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        """Parse the record. Raises ValueError if the body is not JSON."""
        self.body: dict[str, Any] = json_text.parsed(raw["body"])
        self.receipt_handle = str(raw.get("receiptHandle") or "")
        self.receive_count = int((raw.get("attributes") or {}).get("ApproximateReceiveCount", 1))

    def require_received(self, queue_url: str) -> None:
        """Ensure that SQS delivered this record: only a receiver of the queue has a valid receipt handle.

        A permission to invoke the function must not be a permission to write records of its queue.

        Raises:
            ClientError: The receipt handle is invalid, or SQS refused the call.
            BotoCoreError: SQS did not answer.
        """
        aws.client("sqs").change_message_visibility(
            QueueUrl=queue_url, ReceiptHandle=self.receipt_handle, VisibilityTimeout=VISIBILITY_SECONDS
        )


def process(event: Mapping[str, Any], queue_url: str, handle: Callable[[Record], None]) -> PartialItemFailureResponse:
    """Handle the records of an event.

    Failed records, and those behind them in the same message group, are retried. A message in flight blocks its group
    for the queue's visibility timeout, so failed messages become visible again within seconds.

    Args:
        event: Lambda's SQS event.
        queue_url: The queue of the records.
        handle: Called for each record. An exception fails the record.

    Returns:
        The partial batch response for Lambda.
    """
    waits: dict[str, float] = {}

    def one(record: Mapping[str, Any]) -> None:  # Powertools calls it with this keyword
        received = None
        try:
            received = Record(record)
            handle(received)
        except Exception as error:
            if isinstance(error, IrRouterError):
                logger.warning("sqs.message_failed", extra={"reason": str(error)})
            else:
                logger.error("sqs.message_failed_unexpectedly", extra=log_fields(error))
            waits[record["messageId"]] = _wait(received, error)
            raise

    processor = SqsFifoPartialProcessor(skip_group_on_error=True)
    # Report partial failures even if all records failed, so that each has its own retry time.
    processor.raise_on_entire_batch_failure = False
    answer = process_partial_response(
        event=cast("dict[str, Any]", event), record_handler=one, processor=processor, context=None
    )
    failed = {item["itemIdentifier"] for item in answer["batchItemFailures"]}
    for raw in event["Records"]:
        if raw["messageId"] in failed:
            _reset_visibility(queue_url, raw["receiptHandle"], waits.get(raw["messageId"], 1.0))
    return answer


def _reset_visibility(queue_url: str, receipt_handle: str, seconds: float) -> None:
    try:
        aws.client("sqs").change_message_visibility(
            QueueUrl=queue_url, ReceiptHandle=receipt_handle, VisibilityTimeout=max(1, math.ceil(seconds))
        )
    except (BotoCoreError, ClientError) as error:
        logger.warning(
            "sqs.visibility_reset_failed: the message becomes visible again after the queue's visibility timeout",
            extra={"error": type(error).__name__},
        )


def _wait(record: Record | None, error: Exception) -> float:
    """Return the seconds until the retry: as requested by the error, else growing with each attempt."""
    if isinstance(error, ClaimHeldError):
        return max(1.0, error.until - clock.now())
    if comment_claims.is_permanent(error):
        return 1.0  # it soon moves to the dead-letter queue, and messages behind it should not wait
    longer_each_time = min(_LONGEST_WAIT_SECONDS, 2.0 ** (record.receive_count if record else 1))
    requested = error.seconds if isinstance(error, RetryLaterError) else 0.0
    return max(requested, longer_each_time) * random.uniform(1.0, 1.1)  # noqa: S311
