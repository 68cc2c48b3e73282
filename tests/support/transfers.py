"""A transfer of a file whose calls are in a journal, for tests of both directions."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from ir_router.cases.models import Attachment
from ir_router.ledger import keys
from ir_router.ledger.claims import Claim
from tests.support.journal import Journal


def claim(attempt: int = 1, **row: Any) -> Claim:
    """Return a claim with these values in its row."""
    return Claim(keys.note("1", "x"), attempt, must_look=attempt > 1, row=row)


def transfer_of(journal: Journal, taken: Claim | None = None, *answers: Any, **values: Any) -> Any:
    """Return a transfer whose calls are in the journal. Slack gives the answers in turn."""
    own = SimpleNamespace(**{"channel_id": "C1", "file_name": "", "transfers": 0, "transferred_at": 0.0, **values})
    own.slack = SimpleNamespace(read=None, post=None)
    own.remember = own.begin = own.failed = own.post_once = own.claim = None
    for name in ("remember", "begin", "failed", "post_once"):
        journal.replace(own, name)
    journal.replace(own, "claim", taken)
    journal.replace(own.slack, "read", *answers)
    journal.replace(own.slack, "post")
    return own


def attachment(name: str = "a.txt", status: str = "Verified", attachment_id: str = "A1") -> Attachment:
    """Return an attachment of a case."""
    return Attachment(
        attachment_id=attachment_id,
        file_name=name,
        attachment_status=status,
        creator="c",
        created_date=datetime(2026, 1, 1, tzinfo=UTC),
    )
