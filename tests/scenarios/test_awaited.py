"""While AWS waits for the customer, reminders in the channel mention the case's watchers."""

from __future__ import annotations

import pytest

from ir_sandbox.slack.people import Person
from tests.support.sync import JANE, settled_case
from tests.support.world import World
from tests.trials.world.wire import Side

HOUR = 3_600


@pytest.fixture
def case_id(world: World, jane: Person) -> str:
    return settled_case(world, watchers=[JANE])


def reminders(world: World, case_id: str) -> list[str]:
    messages = world.workspace.channel_messages(world.channel_of(case_id))
    return [str(one["text"]) for one in messages if "waited for your answer" in str(one.get("text"))]


def pass_hours(world: World, hours: float) -> None:
    world.advance(hours * HOUR)
    world.live(2)


def test_given_a_case_that_waits_for_the_customer_when_hours_pass_then_its_watchers_are_mentioned_twice(
    world: World, jane: Person, case_id: str
) -> None:
    world.security_ir.set_pending_action_as(case_id, "Customer")
    world.settle()
    pass_hours(world, 1.9)
    assert reminders(world, case_id) == []
    pass_hours(world, 0.1)
    (first,) = reminders(world, case_id)
    assert first.startswith(f"<@{jane.id}> ")
    assert "for 2 hours" in first
    pass_hours(world, 5.8)
    assert len(reminders(world, case_id)) == 1
    pass_hours(world, 0.2)
    assert "for 8 hours" in reminders(world, case_id)[1]
    pass_hours(world, 48)
    assert len(reminders(world, case_id)) == 2

    world.security_ir.set_pending_action_as(case_id, "None")
    world.settle()
    world.security_ir.set_pending_action_as(case_id, "Customer")
    world.settle()
    world.security_ir.set_pending_action_as(case_id, "None")
    world.settle()
    pass_hours(world, 9)
    assert len(reminders(world, case_id)) == 2
    world.security_ir.set_pending_action_as(case_id, "Customer")
    world.settle()
    pass_hours(world, 9)  # longer than both times: only the newest
    assert [" 8 hours" in one for one in reminders(world, case_id)] == [False, True, True]


@pytest.mark.parametrize("side", ["before", "after"])
def test_given_a_crash_while_a_reminder_is_posted_when_continued_then_it_appears_once(
    world: World, jane: Person, case_id: str, side: Side
) -> None:
    world.security_ir.set_pending_action_as(case_id, "Customer")
    world.settle()
    world.advance(2 * HOUR)
    world.wire.kill_on("slack", "chat.postMessage", side)
    world.live(5)
    assert world.wire.died_at is not None
    assert len(reminders(world, case_id)) == 1
