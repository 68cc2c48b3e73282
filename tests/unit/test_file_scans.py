"""Times and texts of files that Slack does not serve yet or that are too large."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import clock
from ir_router.cases.models import Attachment
from ir_router.ledger import keys
from ir_router.sync import attachments, file_from_slack

CASE = "1234567890"


@pytest.mark.parametrize(("age", "later"), [(0, 60), (119, 60), (121, 60.5), (7_200, 3_600), (9_000, 3_600)])
def test_given_a_scan_that_takes_long_when_looked_at_then_the_next_look_is_half_its_age_later(
    monkeypatch: pytest.MonkeyPatch, age: float, later: float
) -> None:
    monkeypatch.setattr(clock, "now", lambda: 1_700_000_000.0)
    monkeypatch.setattr(attachments, "_row_of_slack_file", lambda *_: None)
    attachment = Attachment.model_validate(
        {
            "attachmentId": "a",
            "fileName": "f",
            "attachmentStatus": "Pending",
            "creator": "x",
            "createdDate": 1_700_000_000 - age,
        }
    )
    visits: list[float] = []
    sync: Any = SimpleNamespace(
        case=SimpleNamespace(case_attachments=[attachment]),
        case_id=CASE,
        is_done=lambda key: key == keys.attachment(CASE, "other"),
        revisit=visits.append,
    )
    attachments.synchronise(sync)
    assert visits == [1_700_000_000 + later]


def test_given_a_file_that_is_too_large_when_reported_then_both_texts_state_its_size() -> None:
    error = file_from_slack._too_large(157_286_400)
    assert str(error) == "it is 150 MB, and a case accepts at most 100 MB per file. Split it, or post a link."
    assert error.short == "150 MB, more than a case accepts"
