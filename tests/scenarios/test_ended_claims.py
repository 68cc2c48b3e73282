"""A run that ends with an error leaves a claim that the next poll settles, not the poll after its slice."""

from __future__ import annotations

from typing import cast

import pytest

from ir_router.ledger import claims, keys, table
from ir_sandbox.slack.people import Person
from tests.support.world import World
from tests.trials.world.outages import Kind, Outage, struck_by


@pytest.mark.parametrize(
    ("service", "operation", "kind", "seconds"),
    [
        ("slack", "bookmarks.add", "server error", None),
        ("slack", "bookmarks.add", "connection reset", None),
        ("ssm", "GetParameter", "server error", 30.0),
        ("dynamodb", "TransactWriteItems", "server error", 30.0),
        ("dynamodb", "TransactWriteItems", "conflict", 30.0),
        ("dynamodb", "PutItem", "malformed answer", 30.0),
    ],
)
def test_given_a_new_case_and_a_service_that_fails_when_two_polls_pass_then_channel_and_bookmark_are_complete(
    world: World, jane: Person, service: str, operation: str, kind: str, seconds: float | None
) -> None:
    world.live(1)
    outage = Outage(service, operation, cast("Kind", kind), seconds)
    with struck_by(world, outage):
        case_id = world.create_case(watchers=[{"email": "jane.smith@example.com", "name": "Jane Smith"}])
        world.settle(patience=30)
        world.live(2)

    assert outage.struck
    (channel,) = [one for one in world.workspace.store.channels.values() if case_id in one.name]
    assert [one["title"] for one in channel.bookmarks] == ["Case in the AWS console"]
    assert jane.id in channel.members
    texts = [str(message["text"]) for message in world.workspace.channel_messages(channel.id)]
    assert len([text for text in texts if "Added to this channel" in text]) == 1


def test_given_a_claim_when_its_run_ends_then_only_the_open_claim_with_its_own_time_is_settled_earlier(
    world: World,
) -> None:
    began = world.now()

    def taken(name: str) -> claims.Claim:
        claim = claims.take(keys.note("1234567890", name), settle_after=began + 100)
        assert isinstance(claim, claims.Claim)
        return claim

    def settled_after(claim: claims.Claim) -> float:
        return float((table.get(claim.key) or {})["settle_after"]) - began

    world.become("sync")
    names = ("open", "unknown", "done", "later", "over", "other", "missing")
    is_open, unknown, done, later, over, other, missing = (taken(name) for name in names)
    table.delete(missing.key)
    claims.confirm(done)
    claims.note(later, settle_after=began + 600)
    claims.refused(over)
    assert claims.take(over.key, settle_after=began + 200)

    claims.ended(is_open.key, 1, taken=began + 100, settle_after=began + 30)
    claims.ended(unknown.key, None, taken=began + 100, settle_after=began + 30)
    for claim, attempt in ((done, 1), (later, 1), (over, 1), (other, 2), (missing, None)):
        with pytest.raises(claims.ClaimLostError):
            claims.ended(claim.key, attempt, taken=began + 100, settle_after=began + 30)

    assert [round(settled_after(claim)) for claim in (is_open, unknown, done, later, over, other)] == [
        *(30, 30),
        *(100, 600, 200, 100),
    ]
    assert table.get(missing.key) is None
