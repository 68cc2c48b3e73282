"""Hints: events on our bus that say "this case may have changed". They carry ids; the truth is read from the case."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from ir_router import aws
from ir_router.observability import logger
from ir_router.settings import settings

SOURCE = "security-ir"
# PutEvents takes ten entries a call.
_BATCH = 10


class Hint(NamedTuple):
    """A case that may have changed. `detail_type`: CaseCreated, CaseUpdated, CommentAdded or AttachmentAdded.

    `row_digest` is the digest of the ListCases row that the poller saw, for the ledger to keep.
    """

    case_id: str
    detail_type: str
    row_digest: str | None = None


def publish(hints: Sequence[Hint]) -> int:
    """Put the hints on the bus; the number of those that EventBridge did not take.

    PutEvents answers 200 with FailedEntryCount > 0. Such a hint is not lost: the next poll sees the same difference.
    """
    failed = 0
    for start in range(0, len(hints), _BATCH):
        entries = [
            {
                "Source": SOURCE,
                "DetailType": hint.detail_type,
                "Detail": json.dumps(
                    {"caseId": hint.case_id} | ({"rowDigest": hint.row_digest} if hint.row_digest else {})
                ),
                "EventBusName": settings().require("event_bus_name"),
            }
            for hint in hints[start : start + _BATCH]
        ]
        try:
            answer = aws.client("events").put_events(Entries=entries)  # type: ignore[arg-type]
            failed += answer.get("FailedEntryCount", 0)
        except (BotoCoreError, ClientError) as error:
            logger.warning("EventBridge did not take hints", extra={"error": type(error).__name__})
            failed += len(entries)
    if failed:
        logger.warning("EventBridge refused hints", extra={"failed": failed})
    return failed
