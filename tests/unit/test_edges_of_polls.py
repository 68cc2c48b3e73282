"""Which rows of cases that AWS does not list the poll deletes."""

from __future__ import annotations

from typing import Any

import pytest

from ir_router import clock
from ir_router.ledger import table
from ir_router.sync import poll

NOW = 1_768_500_000.0
OLD = {"hinted_at": NOW - poll._INVENTED_SECONDS - 1}


@pytest.mark.parametrize(
    ("row", "listed", "kept"),
    [
        (OLD, False, False),
        (OLD, True, True),
        *(({**OLD, name: "x"}, False, True) for name in ("channel_id", "fingerprint", "row_digest", "severity")),
        ({"hinted_at": NOW - poll._INVENTED_SECONDS}, False, False),
        ({"hinted_at": NOW - poll._INVENTED_SECONDS + 1}, False, True),
        ({}, False, True),
    ],
)
def test_given_a_row_of_an_unlisted_case_when_polled_then_it_goes_only_if_it_was_never_read_and_is_old(
    monkeypatch: pytest.MonkeyPatch, row: dict[str, Any], listed: bool, kept: bool
) -> None:
    deleted: list[Any] = []
    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(poll, "_may_be_tried", lambda _: True)
    monkeypatch.setattr(table, "query", lambda pk: iter([{"PK": pk, "SK": "META"}, {"PK": pk, "SK": "NOTE#a"}]))
    monkeypatch.setattr(table, "delete", deleted.append)

    found = poll._without_invented({"1": row}, {"1"} if listed else set())

    assert found == ({"1": row} if kept else {})
    assert [key.sk for key in deleted] == ([] if kept else ["META", "NOTE#a"])
