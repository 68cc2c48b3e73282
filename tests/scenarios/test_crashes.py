"""X5: a function may die between any two outbound calls, and the end is the same.

This module tests one point of each scenario. `CRASH_POINTS=all` tests every one, as `make proof` does.
"""

from __future__ import annotations

import contextlib
import io
import os
import zlib

import pytest

from tests.support.crashes import Point, Scenario, crash, points, undisturbed, worlds
from tests.support.world import World
from tests.trials.world import FunctionDiedError
from tests.trials.world.scenarios import SCENARIOS


def chosen(scenario: Scenario, found: list[Point]) -> list[Point]:
    """Select all points, or one that depends on the scenario's name alone."""
    if os.environ.get("CRASH_POINTS") == "all":
        return found
    return [found[zlib.crc32(scenario.name.encode()) % len(found)]]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_given_a_scenario_when_a_function_dies_at_a_call_then_the_end_is_as_if_it_had_not(scenario: Scenario) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        calls, expected = undisturbed(scenario, worlds)
        outcomes = [crash(scenario, worlds, point, expected) for point in chosen(scenario, points(calls))]

    assert outcomes
    assert [str(outcome.point) for outcome in outcomes if not outcome.died] == []
    assert [(str(outcome.point), outcome.differences) for outcome in outcomes if outcome.differences] == []


def test_given_a_doubled_effect_when_the_pictures_are_compared_then_it_is_seen() -> None:
    """The comparison itself can fail."""

    def post_twice(world: World, there: object) -> None:
        SCENARIOS[1].act(world, there)
        case_id = next(iter(world.security_ir.snapshot()["cases"]))
        world.security_ir.add_comment_as(case_id, body=world.comments(case_id)[-1])

    with contextlib.redirect_stdout(io.StringIO()):
        _, expected = undisturbed(SCENARIOS[1], worlds)
        _, doubled = undisturbed(Scenario("doubled", SCENARIOS[1].prepare, post_twice), worlds)

    assert any("too many" in line for line in doubled.differences(expected))


def test_given_a_dead_function_when_its_handlers_run_on_then_nothing_of_it_leaves() -> None:
    with worlds() as world, contextlib.redirect_stdout(io.StringIO()):
        case_id = world.create_case()
        world.wire.kill_on("slack", "chat.postMessage", "before")
        answer = world.try_invoke("sync", {"source": "aws.security-ir", "detail": {"caseId": case_id}})

        assert isinstance(answer.error, FunctionDiedError)
        assert str(world.wire.calls[-1]) == "sync: slack chat.postMessage"
        assert world.said(case_id) == []
