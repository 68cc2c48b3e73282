"""Records of our FIFO queues: in order, with partial failures, and a failed group back within seconds."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, cast

from aws_lambda_powertools.utilities.batch import SqsFifoPartialProcessor, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse

from ir_router import aws, clock
from ir_router.errors import IrRouterError
from ir_router.observability import logger
from ir_router.sync.run import ClaimHeldError

# Terraform's `maxReceiveCount` of both queues (terraform/queues.tf); with the waits below, a quarter of an hour.
MAX_RECEIVE_COUNT = 20
# After this many failures, about a minute, people are told; it goes on being tried.
TOLD_AT_RECEIVE_COUNT = 6
_LONGEST_WAIT_SECONDS = 60


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
        except IrRouterError as error:
            logger.warning("a message could not be handled", extra={"reason": str(error)})
            waits[record["messageId"]] = _wait(received, error)
            raise
        except Exception:
            logger.exception("a message met a fault of ours")
            waits[record["messageId"]] = _wait(received, None)
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
            seconds = waits.get(raw["messageId"], 1.0)
            aws.client("sqs").change_message_visibility(
                QueueUrl=queue_url, ReceiptHandle=raw["receiptHandle"], VisibilityTimeout=max(1, int(seconds))
            )
    return answer


def _wait(record: Record | None, error: IrRouterError | None) -> float:
    if isinstance(error, ClaimHeldError):
        return max(1.0, error.until - clock.now())
    return min(_LONGEST_WAIT_SECONDS, 2.0 ** (record.receive_count if record else 1))
