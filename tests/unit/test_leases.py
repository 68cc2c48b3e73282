"""Hints and the lease: one run at a time, and no hint is lost (PROTOCOLS A)."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ir_router import clock
from ir_router.errors import LeaseLostError
from ir_router.ledger import keys, leases, table
from tests.support.world import World

CASE = "1234567890"


@pytest.fixture(autouse=True)
def _world(world: World) -> World:
    return world


def take(seconds: float = 60.0) -> leases.Lease | None:
    return leases.take(CASE, until=clock.now() + seconds)


def row() -> table.Row:
    return table.get(keys.case(CASE)) or {}


def test_given_a_lease_when_another_wants_it_then_it_waits_until_the_end_of_the_first(world: World) -> None:
    leases.add_hint(CASE)
    first = take()
    assert first is not None
    assert first.hints == 1
    assert take() is None
    world.advance(61)
    second = take()
    assert second is not None
    assert second.fence == first.fence + 1

    for act in (
        lambda: leases.save(first, x=1),
        lambda: leases.release_synced(first),
        lambda: leases.release_unfinished(first, next_try=0),
        lambda: leases.refresh_hints(first),
    ):
        with pytest.raises(LeaseLostError):
            act()


def test_given_a_hint_during_the_work_when_released_then_it_is_not_taken_for_done(world: World) -> None:
    leases.add_hint(CASE)
    lease = take()
    assert lease is not None
    leases.add_hint(CASE)

    assert not leases.release_synced(lease, row_digest="new")
    assert "row_digest" not in row()
    leases.refresh_hints(lease)
    assert leases.release_synced(lease, row_digest="new")
    assert (row()["synced_hints"], row()["row_digest"]) == (2, "new")
    assert {"lease_until", "lease_holder", "next_try", "failures", "hinted_at"} & set(row()) == set()


def test_given_a_case_that_failed_when_it_is_in_sync_then_its_row_has_nothing_of_the_failure(world: World) -> None:
    leases.add_hint(CASE)
    failed = take()
    assert failed is not None
    cause = {"failing_since": 1.0, "failing_reason": "r", "failing_fix": "f", "channel_away_since": 1.0}
    leases.release_unfinished(failed, next_try=clock.now(), failures=3, **cause)
    assert row() == {**row(), **cause, "failures": 3}
    world.advance(61)
    lease = take()
    assert lease is not None

    assert leases.release_synced(lease, row_digest="d")
    kept = {"case_id", "fence", "hints", "index_pk", "index_sk", "row_digest", "synced_hints"}
    assert set(row()) == {"PK", "SK", *kept}


def test_given_a_release_whose_answer_was_lost_when_botocore_repeats_it_then_it_counts_as_released() -> None:
    leases.add_hint(CASE)
    lease = take()
    assert lease is not None
    assert leases.release_synced(lease)
    assert leases.release_synced(lease)


def test_given_work_left_when_released_then_a_hint_is_left_with_its_time() -> None:
    leases.add_hint(CASE)
    lease = take()
    assert lease is not None
    leases.release_unfinished(lease, next_try=clock.now() + 45, failures=1)

    assert row()["hints"] > row().get("synced_hints", 0)
    assert row()["next_try"] == pytest.approx(clock.now() + 45, abs=5)
    assert row()["failures"] == 1
    assert "hinted_at" in row()
    assert take() is not None


def test_given_hints_while_one_is_open_when_looked_at_then_the_age_is_the_oldests(world: World) -> None:
    first = leases.add_hint(CASE)["hinted_at"]
    world.advance(30)

    assert leases.add_hint(CASE)["hinted_at"] == first


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.lists(st.sampled_from(["hint", "take", "read", "release", "crash", "time"]), max_size=25))
def test_given_runs_and_hints_in_any_order_when_a_case_counts_as_synchronised_then_its_last_change_was_read(
    world: World, story: list[str]
) -> None:
    """Each hint follows a change, and a run reads all changes so far. Synchronised means that the last
    change was read.
    """
    table.put(keys.case(CASE), {"hints": 0})
    changes, read_by_run, synchronised = 0, 0, 0
    lease = None
    for step in story:
        if step == "hint":
            changes += 1
            leases.add_hint(CASE)
        elif step == "take" and lease is None:
            lease = take()
            read_by_run = changes if lease else 0
        elif step == "read" and lease is not None:
            leases.refresh_hints(lease)
            read_by_run = changes
        elif step == "release" and lease is not None:
            if leases.release_synced(lease):
                synchronised, lease = read_by_run, None
        elif step == "crash":
            lease = None
        elif step == "time":
            world.advance(61)
            lease = None
        if row()["hints"] == row().get("synced_hints", 0):
            assert synchronised == changes
