"""D4: an operator synchronises one case immediately."""

from __future__ import annotations

from typing import Any

import boto3
import pytest

from ir_router.errors import InvalidInputError
from tests.support.world import World


def test_given_a_case_in_back_off_when_resynced_then_it_is_synchronised_now(world: World) -> None:
    world.drop_native_events = True
    case_id = world.create_case()
    world.app.scopes.discard("groups:write")
    world.invoke("sync", {"source": "security-ir", "detail": {"caseId": case_id}})
    world.app.scopes.add("groups:write")
    assert world.invoke("sync", {"source": "security-ir", "detail": {"caseId": case_id}})["outcome"] == "deferred"

    answer = world.invoke("operations", {"task": "resync", "case_id": case_id})

    assert answer == {"case_id": case_id, "outcome": "synced"}
    assert world.said(case_id)


def test_given_no_such_case_when_resynced_then_it_says_so_and_leaves_nothing(world: World) -> None:
    assert world.invoke("operations", {"task": "resync", "case_id": "9999999999"})["outcome"] == "unknown case"
    assert (
        boto3.client("dynamodb")
        .get_item(TableName="ledger", Key={"PK": {"S": "CASE#9999999999"}, "SK": {"S": "META"}})
        .get("Item")
        is None
    )


@pytest.mark.parametrize("given", [{}, {"case_id": ""}, {"case_id": 1234567890}, {"case_id": "../../etc"}])
def test_given_no_case_when_resynced_then_the_error_shows_how(world: World, given: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match='"case_id": "1234567890"'):
        world.invoke("operations", {"task": "resync", **given})
