"""A transfer of a file whose calls are in a journal, for tests of both directions."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import clock, transfer
from ir_router.cases.models import Attachment
from ir_router.ledger import claims, keys, table
from ir_router.ledger.claims import Claim
from ir_router.security_ir import gateway as security_ir
from ir_router.sync import file_comments, file_from_slack, file_to_slack
from tests.support.journal import Journal

NOW = 50_000.0


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


def journal_of_uploads(monkeypatch: pytest.MonkeyPatch) -> Journal:
    """Replace all effects of a transfer to Slack, with the time stopped."""
    found = Journal(monkeypatch)
    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(file_to_slack, "settings", lambda: SimpleNamespace(region="eu-west-1"))
    for name in ("note", "confirm"):
        found.replace(claims, name)
    found.replace(table, "put")
    found.replace(transfer, "check_slack_host")
    found.replace(transfer, "upload")
    found.replace(security_ir, "download_url", "https://s3/get")
    found.replace(file_comments, "settle")
    found.replace(file_from_slack, "announce")
    return found
