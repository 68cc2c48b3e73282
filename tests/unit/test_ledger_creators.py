"""The creators of a key in the rows of the approval requests."""

from __future__ import annotations

from typing import Any

import pytest

from ir_router.ledger import approvals, creators, keys, table
from tests.support.world import World
from tests.trials.world.incidents import audit_rows

FACTS = {"headline": "h", "owners": [], "principals": [], "approve_does": "a", "deny_does": "d"}
MALLORY: Any = {"who": "user mallory", "arn": "arn:aws:iam::123456789012:user/mallory", "note": "n", "facts": {}}
JANE = {"name": "Jane", "via": "slack"}


@pytest.fixture(autouse=True)
def _world(world: World) -> World:
    return world


def asked(kind: Any, execution: str = "one") -> str:
    return str(approvals.request(execution, kind, f"token-{execution}-{kind}", FACTS)["approval_id"])


def row_of(approval_id: str) -> dict[str, Any]:
    return approvals.get(approval_id) or {}


def test_given_a_request_for_permission_when_the_second_one_follows_then_it_gets_what_is_about_creators_alone() -> None:
    creator_id = creators.id_of("user", MALLORY["arn"])
    first = asked("contain")
    assert creators.carried_over("one") == {}
    creators.add(first, {creator_id: MALLORY})
    assert creators.request(row_of(first), creator_id, JANE)
    assert creators.note_result("one", creator_id, "contained") == [first]

    carried = creators.carried_over("one")

    assert carried.keys() == {f"creator_{creator_id}", f"creator_result_{creator_id}"}
    assert carried[f"creator_{creator_id}"]["analyst"] == JANE
    assert carried[f"creator_result_{creator_id}"] == "contained"
    assert creators.carried_over("other") == {}


def test_given_a_requested_creator_when_requested_twice_then_the_first_user_stays_and_one_record_is_written() -> None:
    creator_id = creators.id_of("user", MALLORY["arn"])
    approval_id = asked("remediate")
    creators.add(approval_id, {creator_id: MALLORY})
    before = row_of(approval_id)

    assert creators.request(before, creator_id, JANE)
    assert not creators.request(before, creator_id, {"name": "Bob"})

    assert row_of(approval_id)[f"creator_{creator_id}"]["analyst"] == JANE
    records = [one["actor"] for one in audit_rows() if one["action"] == "creator_containment_requested"]
    assert records == ["Jane"]


def test_given_a_decided_or_unknown_request_when_its_creators_change_then_nothing_is_stored() -> None:
    creator_id = creators.id_of("user", MALLORY["arn"])
    approval_id = asked("remediate")
    assert approvals.decide(row_of(approval_id), "deny", {"name": "Jane", "via": "slack"}, "")

    creators.add(approval_id, {creator_id: MALLORY})
    creators.add("never-asked", {creator_id: MALLORY})

    assert creators.of(row_of(approval_id)) == {}
    assert table.get(keys.approval("never-asked")) is None
    assert creators.note_result("one", creator_id, "contained") == []
    assert f"creator_result_{creator_id}" not in row_of(approval_id)
