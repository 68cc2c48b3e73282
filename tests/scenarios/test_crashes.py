"""X5: a function may die between any two outbound calls, and the end is the same.

This module tests one point of each scenario. `make proof PARTS=crash` tests all of them.
"""

from __future__ import annotations

import contextlib
import io
import zlib

import pytest

from tests.support.crashes import Point, Scenario, crash, points, undisturbed, worlds
from tests.support.world import World
from tests.trials.world import FunctionDiedError
from tests.trials.world.scenarios import SCENARIOS
from tests.trials.world.wire import Call


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_given_a_scenario_when_a_function_dies_at_a_call_then_the_end_is_as_if_it_had_not(scenario: Scenario) -> None:
    def choose(calls: list[Call]) -> Point:
        found = points(calls)
        return found[zlib.crc32(scenario.name.encode()) % len(found)]

    with contextlib.redirect_stdout(io.StringIO()):
        outcome, _ = crash(scenario, worlds, choose)

    assert (outcome.died, str(outcome.point), outcome.differences) == (True, str(outcome.point), ())


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
