"""A resynchronisation changes the row of a known case, and makes none."""

from __future__ import annotations

from typing import Any

import pytest

from ir_router import aws, clock
from ir_router.ledger import keys, table
from tests.support.world import World


def test_given_cases_when_resynced_then_only_a_known_one_is_marked_before_its_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def invoke(_name: str, hint: dict[str, Any], **_: Any) -> dict[str, Any]:
        seen.append(table.get(keys.case(str(hint["detail"]["caseId"]))))
        return {}

    monkeypatch.setattr(aws, "invoke", invoke)
    table.put(keys.case("1000000001"), {"next_try": 9, "compared_at": 8})

    for case_id in ("1000000001", "1000000002"):
        world.invoke("operations", {"task": "resync", "case_id": case_id})

    known, unknown = seen
    assert unknown is None
    assert known["channel_away_since"] == pytest.approx(clock.now() - 86_400, abs=60)
    assert not {"next_try", "compared_at"} & known.keys()
