"""The queue of cases that wait for a channel: turns, tokens and the time that a run can wait."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import clock
from ir_router.errors import RetryLaterError
from ir_router.ledger import keys, table
from ir_router.sync import channel_pace
from tests.support.world import World

NOW = 1_000.0


@pytest.fixture(autouse=True)
def _still(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(random, "uniform", lambda low, _high: low)
    return world


def times() -> dict[str, float]:
    row = table.get(keys.channel_pace()) or {}
    return {name: float(row[name]) for name in ("urgent_at", "usual_at", "next_at") if name in row}


def test_given_turns_when_reserved_then_two_are_free_and_each_further_one_comes_3_25_seconds_later() -> None:
    assert [channel_pace._reserve("usual_at") for _ in range(4)] == [NOW, NOW, NOW + 3.25, NOW + 6.5]
    assert times() == {"usual_at": NOW + 13}
    # Urgent cases do not wait for the usual ones, which come after them.
    assert [channel_pace._reserve("urgent_at") for _ in range(6)][-1] == NOW + 13
    assert channel_pace._reserve("usual_at") == NOW + 16.25


def test_given_a_turn_that_comes_too_late_when_reserved_then_the_poller_retries_it_and_nothing_is_reserved() -> None:
    table.put(keys.channel_pace(), {"next_at": NOW + 23.25})
    assert channel_pace._reserve("usual_at", 20.0) == NOW + 20
    before = times()
    with pytest.raises(RetryLaterError) as late:
        channel_pace._reserve("usual_at", 20.0)
    assert (late.value.seconds, times()) == (3.25, before)


def test_given_tokens_when_taken_then_there_are_two_and_usual_cases_leave_them_to_urgent_ones() -> None:
    assert [channel_pace._take(urgent=False) for _ in range(3)] == [0.0, 0.0, pytest.approx(3.26)]
    assert times() == {"next_at": NOW + 6.5}

    table.put(keys.channel_pace(), {"urgent_at": NOW + 10, "next_at": NOW - 50})
    assert channel_pace._take(urgent=False) == pytest.approx(6.76)
    assert channel_pace._take(urgent=True) == 0.0
    assert times() == {"urgent_at": NOW + 10, "next_at": NOW + 3.25}  # unused tokens are not saved up


@pytest.mark.parametrize(("remaining", "usable"), [(600, 75), (83, 75), (50, 42), (8, 0), (3, 0)])
def test_given_the_time_of_a_run_when_it_waits_then_eight_seconds_are_left_and_75_are_the_most(
    remaining: float, usable: float
) -> None:
    sync: Any = SimpleNamespace(deadline=SimpleNamespace(remaining=lambda: remaining))
    assert channel_pace._usable(sync) == usable
    assert channel_pace._gained(sync) == 75 - usable
