"""Records of our FIFO queues: in order, with partial failures, and a failed group back within seconds.

Terraform lets each message come alone: SQS counts a message as received also when it waits behind one that fails.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Mapping
from typing import Any, cast

from aws_lambda_powertools.utilities.batch import SqsFifoPartialProcessor, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from botocore.exceptions import BotoCoreError, ClientError

from ir_router import aws, clock
from ir_router.errors import IrRouterError, RetryLaterError
from ir_router.observability import logger
from ir_router.sync import comment_claims
from ir_router.sync.failures import described
from ir_router.sync.run import ClaimHeldError

# Terraform's `maxReceiveCount` of both queues (terraform/queues.tf); with the waits below, a quarter of an hour.
MAX_RECEIVE_COUNT = 20
# After this many failures, about a minute, people are told; it goes on being tried.
TOLD_AT_RECEIVE_COUNT = 6
_LONGEST_WAIT_SECONDS = 60.0


class Record:
    """One message: its JSON `body` and how often it was received, this time included."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        """Parse the record. Raises ValueError when the body is no JSON object."""
        self.body: dict[str, Any] = json.loads(raw["body"])
        self.receive_count = int((raw.get("attributes") or {}).get("ApproximateReceiveCount", 1))


def process(event: Mapping[str, Any], queue_url: str, handle: Callable[[Record], None]) -> PartialItemFailureResponse:
    """Handle the records of an event; the failed ones, and all behind them in their group, come again.

    A message in flight blocks its group for the queue's visibility time, so failed ones are shown again in seconds.
    """
    waits: dict[str, float] = {}

    def one(record: Mapping[str, Any]) -> None:  # Powertools calls it with this keyword
        received = None
        try:
            received = Record(record)
            handle(received)
        except Exception as error:
            if isinstance(error, IrRouterError):
                logger.warning("a message could not be handled", extra={"reason": str(error)})
            else:
                logger.error("a message met a fault", extra=described(error))
            waits[record["messageId"]] = _wait(received, error)
            raise

    processor = SqsFifoPartialProcessor(skip_group_on_error=True)
    # When all failed, each comes again at its own time, as when some did.
    processor.raise_on_entire_batch_failure = False
    answer = process_partial_response(
        event=cast("dict[str, Any]", event), record_handler=one, processor=processor, context=None
    )
    failed = {item["itemIdentifier"] for item in answer["batchItemFailures"]}
    for raw in event["Records"]:
        if raw["messageId"] in failed:
            _show_again(queue_url, raw["receiptHandle"], waits.get(raw["messageId"], 1.0))
    return answer


def _show_again(queue_url: str, receipt_handle: str, seconds: float) -> None:
    try:
        aws.client("sqs").change_message_visibility(
            QueueUrl=queue_url, ReceiptHandle=receipt_handle, VisibilityTimeout=max(1, math.ceil(seconds))
        )
    except (BotoCoreError, ClientError) as error:
        # It comes again when the queue's own visibility time is over.
        logger.warning("a message stays hidden for long", extra={"error": type(error).__name__})


def _wait(record: Record | None, error: Exception) -> float:
    """Seconds until the message is tried again: as long as we were told, else longer each time."""
    if isinstance(error, ClaimHeldError):
        return max(1.0, error.until - clock.now())
    if comment_claims.is_permanent(error):
        return 1.0  # on its way to the dead letters, which nothing behind it should wait for
    longer_each_time = min(_LONGEST_WAIT_SECONDS, 2.0 ** (record.receive_count if record else 1))
    asked = error.seconds if isinstance(error, RetryLaterError) else 0.0
    return max(asked, longer_each_time) * random.uniform(1.0, 1.1)  # noqa: S311
