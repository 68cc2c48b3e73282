"""Test the branches of a simulator: separate states, no passing time, results and failures."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from ir_router import deadline
from ir_router.deadline import Deadline
from tests.support.world import World
from tests.trials.world.branches import Branches, BranchFailedError
from tests.trials.world.crashes import points
from tests.trials.world.wire import Call


@pytest.fixture
def branches(world: World) -> Iterator[Branches]:
    with Branches(world) as started:
        yield started


def opened_case(world: World) -> list[str]:
    world.create_case()
    world.settle()
    return sorted(world.security_ir.snapshot()["cases"])


def test_given_two_branches_when_both_change_the_simulator_then_neither_sees_the_other_and_the_simulator_stays(
    world: World, branches: Branches
) -> None:
    opened_case(world)
    before = sorted(world.security_ir.snapshot()["cases"])

    found = [branches.run(lambda: opened_case(world)) for _ in range(2)]

    assert [len(one) for one in found] == [2, 2]
    assert sorted(world.security_ir.snapshot()["cases"]) == before
    assert len(world.hints) == 0


SLOW_SECONDS = 0.6


def slow() -> None:
    signal.setitimer(signal.ITIMER_REAL, 0)  # the branch has the deadline too
    time.sleep(SLOW_SECONDS)


def test_given_a_long_branch_when_it_ends_then_no_time_has_passed_for_clocks_and_deadlines(
    world: World, branches: Branches
) -> None:
    def clocks() -> tuple[float, float]:
        return world.now(), time.monotonic()

    real, before = time.perf_counter(), clocks()
    with deadline.enforced(Deadline(soft=world.now() + 60, hard=world.now() + 60)):
        branches.run(slow)
        left, _ = signal.getitimer(signal.ITIMER_REAL)
    passed = [now - then for now, then in zip(clocks(), before, strict=True)]
    real = time.perf_counter() - real

    assert real >= SLOW_SECONDS
    assert max(passed) <= real - SLOW_SECONDS
    assert left > 60 - max(passed) - 0.01


def test_given_a_branch_that_fails_when_it_ends_then_the_simulator_gets_its_traceback_and_goes_on(
    world: World, branches: Branches
) -> None:
    with pytest.raises(BranchFailedError, match="ZeroDivisionError"):
        branches.run(lambda: 1 // 0)
    with pytest.raises(BranchFailedError, match="status 3 and no result"):
        branches.run(lambda: os._exit(3))

    assert branches.run(lambda: len(opened_case(world))) == 1


def test_given_calls_of_two_functions_when_points_are_made_then_each_state_between_two_calls_is_tried_once() -> None:
    calls = [Call("dynamodb", "GetItem", "slack", 1), Call("sqs", "SendMessage", "slack", 1)]
    calls += [Call("dynamodb", "PutItem", "sync", 2)]

    found = [(point.number, point.side) for point in points(calls)]

    assert found == [(1, "before"), (2, "before"), (2, "after"), (3, "before"), (3, "after")]
