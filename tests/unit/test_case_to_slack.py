"""When a case is synchronised once more although nothing changes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ir_router.sync import case_to_slack, comment_reading, retention


@pytest.mark.parametrize(
    ("imported", "is_closed", "revisits", "due_at"),
    [
        (False, False, [7.0], None),
        (False, True, [7.0], retention.NEVER),
        (True, False, [], 50.0),
        (True, False, [90.0, 7.0], 7.0),
        (True, True, [], 900.0),
        (True, True, [7.0], 7.0),
    ],
)
def test_given_a_case_when_synchronised_then_only_an_imported_one_is_due_for_its_own_reasons(
    monkeypatch: pytest.MonkeyPatch, imported: bool, is_closed: bool, revisits: list[float], due_at: float | None
) -> None:
    monkeypatch.setattr(retention, "ends_at", lambda _sync: 900.0)
    monkeypatch.setattr(comment_reading, "next_at", lambda _row: 50.0)
    sync: Any = SimpleNamespace(case=SimpleNamespace(is_closed=is_closed), revisit_at=revisits)

    assert case_to_slack._due_at(sync, {}, imported=imported) == due_at
