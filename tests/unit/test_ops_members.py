"""The lines of the verification about members: long lists are cut, and the number of the others is stated."""

from __future__ import annotations

from typing import Any

import pytest

from ir_router import clock
from ir_router.ledger import configuration, table
from ir_router.ops import members


def row_of(not_ready: int, others: int) -> dict[str, Any]:
    problems = {f"{number:012}": {"shown": f"m{number}", "detail": "d", "fix": "Fix it"} for number in range(not_ready)}
    return {
        "at": clock.now(),
        "known": [*problems, "ready"],
        "listed": True,
        "complete": True,
        "not_ready": problems,
        "not_ready_count": not_ready,
        "others": [f"other{number}" for number in range(others)],
        "others_count": others,
    }


@pytest.mark.parametrize(("number", "more"), [(0, None), (20, None), (21, "1 more"), (27, "7 more")])
def test_given_many_members_when_verified_then_twenty_are_named_and_the_others_counted(
    monkeypatch: pytest.MonkeyPatch, number: int, more: str | None
) -> None:
    monkeypatch.setattr(configuration, "organization_id", lambda: "o-1")
    monkeypatch.setattr(table, "get", lambda _key: row_of(number, number))

    summary, *lines = members.checks()

    shown = min(number, 20)
    assert summary.detail.count("other") == shown
    assert (f" and {more}" in summary.detail) is (more is not None)
    assert [line.name for line in lines[:20]] == [f"member m{one}" for one in range(shown)]
    assert [(line.name, line.detail) for line in lines[20:]] == (
        [("further members", f"{more} are not ready")] if more else []
    )
