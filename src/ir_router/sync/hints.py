"""Hints: events on our bus that say "this case may have changed". They carry ids; the truth is read from the case."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ir_router import bus
from ir_router.observability import logger

SOURCE = "security-ir"


class Hint(NamedTuple):
    """A case that may have changed. `detail_type`: CaseCreated, CaseUpdated, CommentAdded or AttachmentAdded.

    `row_digest` is the digest of the ListCases row that the poller saw, for the ledger to keep.
    """

    case_id: str
    detail_type: str
    row_digest: str | None = None


def publish(hints: Sequence[Hint]) -> int:
    """Put the hints on the bus; the number of those that EventBridge did not take.

    Such a hint is not lost: the next poll sees the same difference.
    """
    refused = bus.put([bus.Event(SOURCE, hint.detail_type, _detail(hint)) for hint in hints])
    if refused:
        logger.warning("EventBridge did not take hints", extra={"refused": len(refused), "codes": sorted(set(refused))})
    return len(refused)


def _detail(hint: Hint) -> dict[str, str]:
    return {"caseId": hint.case_id} | ({"rowDigest": hint.row_digest} if hint.row_digest else {})
