"""Writes of the ledger without an answer, and concurrent runs at one row: which run gets it, and the results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from ir_router import clock
from ir_router.errors import LeaseLostError, RefusedError
from ir_router.ledger import approvals, claims, containments, joined_events, keys, leases, table
from ir_router.ledger.claims import Claim, Done, Held
from ir_router.ledger.containments import ContainmentBusyError
from tests.support.world import World

CASE = "1234567890"
KEY = keys.note(CASE, "notice")
MALLORY = "arn:aws:iam::111122223333:user/mallory"


@pytest.fixture(autouse=True)
def _world(world: World) -> World:
    return world


def repeated(monkeypatch: pytest.MonkeyPatch, name: str, times: int = 1) -> None:
    """botocore repeats the next writes, because it never saw the first one's answer."""
    write: Callable[..., object] = getattr(table, name)
    left = [times]

    def twice(*arguments: object, **values: object) -> object:
        answer = write(*arguments, **values)
        if left[0]:
            left[0] -= 1
            return write(*arguments, **values)
        return answer

    monkeypatch.setattr(table, name, twice)


def meanwhile(monkeypatch: pytest.MonkeyPatch, name: str, work: Callable[[], object]) -> None:
    """Another run does `work` just before the next write."""
    write: Callable[..., object] = getattr(table, name)

    def after_the_other(*arguments: object, **values: object) -> object:
        monkeypatch.setattr(table, name, write)
        work()
        return write(*arguments, **values)

    monkeypatch.setattr(table, name, after_the_other)


def lock_row() -> dict[str, Any] | None:
    return containments.get(MALLORY)


def answered(status: int) -> ClientError:
    answer: Any = {"Error": {"Code": "Any"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "AttachUserPolicy")


# Leases


def test_given_a_lease_whose_answer_was_lost_when_botocore_repeats_the_write_then_it_is_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    leases.add_hint(CASE)
    leases.add_hint(CASE)
    repeated(monkeypatch, "update")

    lease = leases.take(CASE, until=clock.now() + 60)

    assert lease is not None
    assert (lease.fence, lease.hints, lease.row["hints"]) == (1, 2, 2)
    leases.save(lease, x=1)
    assert leases.take(CASE, until=clock.now() + 60) is None


def test_given_a_free_case_when_two_runs_take_it_at_once_then_the_second_gets_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    leases.add_hint(CASE)
    winners: list[leases.Lease | None] = []
    meanwhile(monkeypatch, "update", lambda: winners.append(leases.take(CASE, until=clock.now() + 60)))

    assert leases.take(CASE, until=clock.now() + 60) is None
    assert [lease.fence for lease in winners if lease] == [1]


def test_given_a_released_lease_when_the_answer_was_lost_and_the_case_was_taken_again_then_it_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    leases.add_hint(CASE)
    lease = leases.take(CASE, until=clock.now() + 60)
    assert lease is not None
    leases.release_synced(lease)
    leases.take(CASE, until=clock.now() + 60)

    with pytest.raises(LeaseLostError):
        leases.release_synced(lease)


# Claims


def test_given_two_runs_that_take_an_old_claim_over_when_they_meet_then_the_second_is_told_to_wait(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims.take(KEY, settle_after=clock.now() + 10)
    world.advance(11)
    until = clock.now() + 77
    winners: list[object] = []
    meanwhile(monkeypatch, "update", lambda: winners.append(claims.take(KEY, settle_after=until)))

    loser = claims.take(KEY, settle_after=clock.now() + 60)

    assert isinstance(winners[0], Claim)
    assert winners[0].attempt == 2
    assert isinstance(loser, Held)
    assert loser.until == until


def test_given_two_runs_that_take_an_old_claim_over_when_one_has_confirmed_it_then_the_other_sees_what_it_became(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = claims.take(KEY, settle_after=clock.now() + 10)
    assert isinstance(first, Claim)
    world.advance(11)
    meanwhile(monkeypatch, "update", lambda: claims.confirm(first, ts="1.5"))

    loser = claims.take(KEY, settle_after=clock.now() + 60)

    assert isinstance(loser, Done)
    assert loser.row["ts"] == "1.5"


def test_given_one_effect_claimed_together_when_its_answer_was_lost_then_it_is_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    repeated(monkeypatch, "put")

    (claim,) = claims.take_together([(KEY, {"body": "x"})], settle_after=clock.now()) or []

    assert (claim.attempt, claim.must_look, claim.row["body"]) == (1, False, "x")


def test_given_a_claim_that_another_attempt_confirmed_when_the_first_confirms_then_it_has_lost_it(
    world: World,
) -> None:
    zombie = claims.take(KEY, settle_after=clock.now() + 10)
    world.advance(11)
    second = claims.take(KEY, settle_after=clock.now() + 10)
    assert isinstance(zombie, Claim)
    assert isinstance(second, Claim)
    claims.confirm(second, ts="2.0")

    with pytest.raises(claims.ClaimLostError):
        claims.confirm(zombie, ts="1.0")
    assert (table.get(KEY) or {})["ts"] == "2.0"


# The lock of a principal


def test_given_a_lock_whose_answer_was_lost_when_botocore_repeats_the_write_then_it_is_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    repeated(monkeypatch, "update")
    with containments.locked(MALLORY, clock.now() + 60) as lock:
        lock.save(incident="one")
        with pytest.raises(ContainmentBusyError), containments.locked(MALLORY, clock.now() + 60):
            pass
    row = lock_row()
    assert row is not None
    assert "lock_until" not in row


def test_given_a_lock_that_expired_when_its_holder_writes_or_ends_then_the_next_one_keeps_it(world: World) -> None:
    old = containments.take(MALLORY, clock.now() + 10)
    world.advance(11)
    with containments.locked(MALLORY, clock.now() + 60) as new:
        containments.release(old)
        assert (lock_row() or {})["lock_holder"] == new.holder
        with pytest.raises(ContainmentBusyError, match="another run has taken over"):
            old.save(incident="one")


def work_that_raises(error: Exception) -> None:
    with containments.locked(MALLORY, clock.now() + 60) as lock:
        lock.save(incident="one")
        raise error


@pytest.mark.parametrize(
    ("error", "is_given_back"),
    [
        (answered(400), True),
        (answered(499), True),
        (answered(500), False),
        (ClientError({"Error": {"Code": "Any"}}, "AttachUserPolicy"), False),
        (ReadTimeoutError(endpoint_url="https://iam.amazonaws.com"), False),
        (KeyError("a mistake of ours"), False),
        (RefusedError("IAM", "AttachUserPolicy", "AccessDenied"), True),
    ],
    ids=repr,
)
def test_given_an_error_under_the_lock_when_a_request_may_still_take_effect_then_the_lock_stays_until_its_end(
    world: World, error: Exception, is_given_back: bool
) -> None:
    with pytest.raises(type(error)):
        work_that_raises(error)

    assert ("lock_until" not in (lock_row() or {})) is is_given_back
    if not is_given_back:
        with pytest.raises(ContainmentBusyError), containments.locked(MALLORY, clock.now() + 60):
            pass
        world.advance(61)
    with containments.locked(MALLORY, clock.now() + 60):
        pass


def test_given_a_principal_without_incident_when_the_lock_is_given_back_then_no_row_is_left() -> None:
    with containments.locked(MALLORY, clock.now() + 60):
        pass
    assert lock_row() is None
    with containments.locked(MALLORY, clock.now() + 60) as lock:
        lock.save(incident="one", phase="open", case_id="1")
    assert (lock_row() or {})["incident"] == "one"
    with containments.locked(MALLORY, clock.now() + 60) as lock:
        lock.clear()
    assert lock_row() is None


def test_given_a_principal_whose_lock_another_took_before_the_row_is_forgotten_then_the_row_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    meanwhile(monkeypatch, "delete", lambda: containments.take(MALLORY, clock.now() + 60))
    with containments.locked(MALLORY, clock.now() + 60):
        pass
    assert "lock_holder" in (lock_row() or {})


def test_given_a_limit_when_principals_are_contained_then_the_last_hour_counts_and_each_counts_once(
    world: World,
) -> None:
    assert [containments.admit(name, 2) is None for name in ("a", "a", "b", "c", "a")] == [
        True,
        True,
        True,
        False,
        True,
    ]
    world.advance(containments.LIMIT_SECONDS - 2)
    assert containments.admit("c", 2) == (2, "")
    world.advance(3)
    assert containments.admit("c", 2) is None


def test_given_two_principals_at_once_when_they_are_counted_then_both_count(monkeypatch: pytest.MonkeyPatch) -> None:
    containments.admit("a", 9)
    meanwhile(monkeypatch, "put", lambda: containments.admit("b", 9))
    assert containments.admit("c", 9) is None
    assert set((table.get(keys.recently_contained()) or {})["recent"]) == {"a", "b", "c"}


def test_given_an_incident_that_ended_when_it_is_annotated_then_the_next_ones_row_stays_as_it_is() -> None:
    with containments.locked(MALLORY, clock.now() + 60) as lock:
        lock.save(incident="two")
    assert not containments.annotate(MALLORY, "one", case_id="1")
    assert "case_id" not in (lock_row() or {})
    assert containments.annotate(MALLORY, "two", case_id="2")
    assert (lock_row() or {})["case_id"] == "2"


# Events that join an approval


def asked(world: World, execution: str = "arn:aws:states:::execution:one") -> str:
    facts = {"headline": "h", "owners": [], "principals": [MALLORY], "approve_does": "a", "deny_does": "d"}
    row = approvals.request(execution, "remediate", "token", facts)
    return str(row["approval_id"])


def test_given_an_event_that_joins_when_it_is_tried_again_then_it_counts_once_and_its_row_expires(world: World) -> None:
    approval_id = asked(world)
    for execution in ("x", "x", "y"):
        joined_events.note(approval_id, {"execution": execution, "what": execution})

    row = approvals.get(approval_id) or {}
    assert (row["joined_events"], row["last_joined"]["what"]) == (2, "y")
    joined = [row for row in all_rows() if f"JOINED#{approval_id}" in row["PK"] + row["SK"]]
    assert len(joined) == 2
    lives = {round((int(one["expires_at"]) - clock.now()) / 86_400) for one in joined}
    assert lives == {7}


def test_given_a_decision_when_an_event_joins_after_it_then_it_must_be_handled_by_itself(world: World) -> None:
    approval_id = asked(world)
    approvals.record_expired(approval_id, "nobody decided")

    with pytest.raises(ContainmentBusyError):
        joined_events.note(approval_id, {"execution": "x", "what": "x"})
    joined_events.note("never-asked", {"execution": "x", "what": "x"})
    approvals.amend(approval_id, approve_does="other", owners=["someone"])
    assert (approvals.get(approval_id) or {})["owners"] == []


def all_rows() -> list[dict[str, Any]]:
    return list(boto3.resource("dynamodb").Table("ledger").scan()["Items"])
