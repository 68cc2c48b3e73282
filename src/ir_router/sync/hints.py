"""Hints: events on the ir-router bus for cases that may have changed. They contain ids; the data is read from AWS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from ir_router import bus
from ir_router.observability import logger

SOURCE = "security-ir"


DetailType = Literal["CaseCreated", "CaseUpdated", "CommentAdded", "AttachmentAdded"]


class Hint(NamedTuple):
    """A case that may have changed. `detail_type` is CaseCreated, CaseUpdated, CommentAdded or AttachmentAdded.

    `row_digest` is the digest of the ListCases row that the poller saw. The ledger stores it after the synchronisation.
    With `compares_comments`, the synchronisation compares all comments.
    """

    case_id: str
    detail_type: DetailType
    row_digest: str | None = None
    compares_comments: bool = False


def publish(hints: Sequence[Hint]) -> int:
    """Put the hints on the bus, and return the number that EventBridge rejected.

    Rejected hints are not lost: the next poll finds the same difference.
    """
    refused = bus.put([bus.Event(SOURCE, hint.detail_type, _detail(hint)) for hint in hints])
    if refused:
        logger.warning(
            "hints.rejected: the next poll publishes them again",
            extra={"refused": len(refused), "codes": sorted(set(refused))},
        )
    return len(refused)


def _detail(hint: Hint) -> dict[str, str | bool]:
    more: dict[str, str | bool] = {"compareComments": True} if hint.compares_comments else {}
    return {"caseId": hint.case_id} | ({"rowDigest": hint.row_digest} if hint.row_digest else {}) | more
