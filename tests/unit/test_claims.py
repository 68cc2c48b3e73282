"""Claims are made once, resolved by checking the other side, and confirmed only by their holder."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ir_router import clock
from ir_router.ledger import claims, keys, table
from ir_router.ledger.claims import Claim, ClaimLostError, Done, Held
from tests.support.world import World

KEY = keys.note("1234567890", "notice")


@pytest.fixture(autouse=True)
def _world(world: World) -> World:
    return world


def take(seconds: float = 60.0, **frozen: object) -> Claim | Done | Held:
    return claims.take(KEY, settle_after=clock.now() + seconds, **frozen)


def test_given_no_claim_when_taken_then_it_is_held_until_it_may_be_settled() -> None:
    first = take(text="frozen")
    assert isinstance(first, Claim)
    assert not first.must_look

    second = take()
    assert isinstance(second, Held)
    assert second.until == pytest.approx(clock.now() + 60, abs=5)


def test_given_an_open_claim_when_its_time_is_over_then_the_next_looks_first_and_sees_what_was_frozen(
    world: World,
) -> None:
    take(text="frozen")
    world.advance(61)
    second = take(text="other")

    assert isinstance(second, Claim)
    assert (second.attempt, second.must_look, second.row["text"]) == (2, True, "frozen")


def test_given_a_certain_refusal_when_taken_again_then_it_is_at_once_and_without_looking() -> None:
    first = take()
    assert isinstance(first, Claim)
    claims.refused(first)
    second = take()

    assert isinstance(second, Claim)
    assert not second.must_look
    assert isinstance(take(), Held)  # the mark is used up


def test_given_a_claim_given_up_when_taken_again_then_the_mark_is_gone() -> None:
    first = take()
    assert isinstance(first, Claim)
    claims.refused(first, given_up="AccessDeniedException")
    assert (table.get(KEY) or {})["given_up"] == "AccessDeniedException"
    assert isinstance(take(), Claim)

    assert "given_up" not in (table.get(KEY) or {})


def test_given_no_answer_when_nothing_more_is_sent_then_it_is_settled_from_then(world: World) -> None:
    first = take(600)
    assert isinstance(first, Claim)
    claims.unanswered(first, clock.now() + 5)
    assert isinstance(take(), Held)
    world.advance(6)
    second = take()

    assert isinstance(second, Claim)
    assert second.must_look


def test_given_a_confirmed_claim_when_taken_then_it_is_done_with_what_it_became() -> None:
    first = take()
    assert isinstance(first, Claim)
    claims.confirm(first, ts="1.1")
    claims.confirm(first, ts="1.1")  # botocore repeats a write if the response was lost
    done = take()

    assert isinstance(done, Done)
    assert done.row["ts"] == "1.1"


@pytest.mark.parametrize("act", [claims.confirm, claims.refused, lambda claim: claims.note(claim, x=1)])
def test_given_a_claim_that_was_taken_over_when_its_first_holder_goes_on_then_it_has_lost_it(
    world: World, act: Callable[[Claim], None]
) -> None:
    zombie = take()
    assert isinstance(zombie, Claim)
    world.advance(61)
    assert isinstance(take(), Claim)

    with pytest.raises(ClaimLostError):
        act(zombie)


def test_given_many_runs_at_once_when_they_claim_then_one_gets_it(world: World) -> None:
    results: list[object] = []
    threads = [threading.Thread(target=lambda: results.append(take())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [type(result).__name__ for result in results].count("Claim") == 1
    world.advance(61)
    results.clear()
    threads = [threading.Thread(target=lambda: results.append(take())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [type(result).__name__ for result in results].count("Claim") == 1


@pytest.mark.parametrize("is_first", [True, False])
def test_given_a_claim_whose_answer_was_lost_when_botocore_repeats_the_write_then_it_is_still_ours(
    world: World, monkeypatch: pytest.MonkeyPatch, is_first: bool
) -> None:
    if not is_first:
        take()
        world.advance(61)
    name = "put" if is_first else "update"
    write = getattr(table, name)

    def twice(*arguments: object, **values: object) -> object:
        write(*arguments, **values)
        return write(*arguments, **values)

    monkeypatch.setattr(table, name, twice)
    claim = take()

    assert isinstance(claim, Claim)
    assert (claim.attempt, claim.must_look) == ((1, False) if is_first else (2, True))


def test_given_several_effects_when_claimed_together_then_all_are_or_none() -> None:
    frozen = [(keys.note("1234567890", str(number)), {"body": str(number)}) for number in range(3)]
    first = claims.take_together(frozen, settle_after=clock.now())
    assert first is not None
    assert [claim.row["body"] for claim in first] == ["0", "1", "2"]

    more = [*frozen[2:], (keys.note("1234567890", "3"), {"body": "3"})]
    assert claims.take_together(more, settle_after=clock.now()) is None
    assert table.get(more[1][0]) is None
    assert claims.take_together([more[1]], settle_after=clock.now()) is not None
    assert claims.take_together([more[1]], settle_after=clock.now()) is None


def test_given_a_transaction_in_the_way_when_written_then_it_is_tried_again_and_no_harm_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from ir_router import aws

    client = aws.client("dynamodb")
    conflicts = [3]
    update_item = client.update_item

    def conflicting(**request: Any) -> Any:
        if conflicts[0]:
            conflicts[0] -= 1
            raise ClientError({"Error": {"Code": "TransactionConflictException"}}, "UpdateItem")
        return update_item(**request)

    monkeypatch.setattr(client, "update_item", conflicting)
    row = table.update(KEY, "ADD hints :one", one=1)

    assert row["hints"] == 1
    assert conflicts == [0]
