"""Approvals of two people for a request that expires meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from ir_router.ledger import approvals, keys, table, two_people
from ir_router.workflow import release_request
from tests.support.world import World
from tests.trials.world.incidents import audit_rows

FACTS = {"headline": "h", "owners": [], "principals": [], "approve_does": "a", "deny_does": "d"}
ARN = "arn:aws:iam::123456789012:user/carol"


@pytest.fixture(autouse=True)
def _world(world: World) -> World:
    return world


def row_of(approval_id: str) -> dict[str, Any]:
    return approvals.get(approval_id) or {}


def needing_two(execution: str = "one") -> str:
    approval_id = str(approvals.request(execution, "remediate", f"token-{execution}", FACTS)["approval_id"])
    required = {"approve": 2, "deny": 2, "release": 2}
    table.update(keys.approval(approval_id), "SET required = :required", required=required)
    return approval_id


def test_given_a_request_that_expired_when_a_person_releases_or_approves_it_then_it_gets_no_row() -> None:
    jane = {"name": "Jane", "via": "slack", "slack_user_id": "U1"}
    read = row_of(needing_two())
    table.delete(keys.approval(read["approval_id"]))

    assert two_people.release(read, [ARN], jane, "", "r1") is None
    assert two_people.decide(read, "approve", jane, "", None, "r2") == ("closed", None)
    assert approvals.get(read["approval_id"]) is None
    assert audit_rows() == []

    known = row_of(needing_two("two"))
    assert two_people.release(known, [ARN], jane, "", "r3") == []
    assert len(row_of(known["approval_id"])["release_votes"]) == 1


def test_given_a_request_that_expires_while_a_first_person_releases_it_then_the_answer_states_it() -> None:
    ended = {"state": "delivered", "decision": "approve", "result": "done", "principals": [ARN]}
    read = row_of(needing_two()) | ended
    table.delete(keys.approval(read["approval_id"]))

    jane: Any = {"name": "Jane", "via": "slack", "slack_user_id": "U1"}
    status, message = release_request.carry_out(read, "", jane, "wrong", "r1")

    assert (status, message.partition(",")[0]) == (
        "not_releasable",
        "Nothing was released: this approval request has expired",
    )
    assert (approvals.get(read["approval_id"]), audit_rows()) == (None, [])
