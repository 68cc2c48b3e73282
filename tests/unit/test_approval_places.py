"""The messages of an approval request: in the channel of its case and in the security channel."""

from __future__ import annotations

from typing import Any

import pytest

from ir_router.ledger import keys, table
from ir_router.sync import approval_places
from tests.support.world import World

ROW: dict[str, Any] = {"approval_id": "a" * 20, "case_id": "1234567890"}
KEYS = {
    "case": keys.note("1234567890", f"approval-{'a' * 20}"),
    "security": keys.deduplication(f"APPROVAL-MESSAGE#{'a' * 20}"),
}


@pytest.mark.parametrize("place", KEYS)
def test_given_one_of_two_messages_when_looked_for_then_it_counts_although_the_other_differs(
    world: World, place: str
) -> None:
    for name, key in KEYS.items():
        table.put(
            key, {"ts": "1.1" if name == place else "2.2", "channel_id": "C1", "versions": [name], "state": "done"}
        )

    assert approval_places.is_posted(ROW, "C1", "1.1")
    assert not approval_places.is_posted(ROW, "C1", "3.3")
    assert not approval_places.is_posted(ROW, "C1", "")
    assert approval_places.is_version(ROW, "1.1", place)
    assert not approval_places.is_version(ROW, "2.2", place)
    assert not approval_places.is_being_posted(ROW)

    table.put(KEYS[place], {"state": "claimed"})
    assert approval_places.is_being_posted(ROW)


def test_given_edits_of_a_message_when_kept_then_the_latest_versions_stay_in_their_order() -> None:
    kept = approval_places._VERSIONS_KEPT
    known = {"versions": [f"v{number}" for number in range(kept)]}
    assert approval_places.versions_with(known, "new") == [*(f"v{number}" for number in range(1, kept)), "new"]
    assert approval_places.versions_with({}, "new") == ["new"]
