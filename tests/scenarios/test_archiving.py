"""The channels of closed cases are archived, with a last message."""

from __future__ import annotations

import pytest

from ir_sandbox.slack.people import Person
from tests.support.world import World
from tests.trials.world.wire import Side

DAY = 86_400


def is_archived(world: World, channel: str) -> bool:
    return world.workspace.store.channels[channel].is_archived


def last_messages(world: World, channel: str) -> list[str]:
    texts = [str(one.get("text")) for one in world.workspace.channel_messages(channel)]
    return [text for text in texts if "archives this channel now" in text]


def close(world: World, case_id: str) -> None:
    world.security_ir.close_case_as(case_id)
    world.settle()
    world.live(1)


def pass_days(world: World, days: float) -> None:
    world.advance(days * DAY)
    world.live(2)


def test_given_a_closed_case_when_two_weeks_pass_then_its_channel_is_archived_with_a_last_message(
    world: World, case_id: str, channel: str
) -> None:
    close(world, case_id)
    pass_days(world, 13)
    assert not is_archived(world, channel)
    assert last_messages(world, channel) == []
    pass_days(world, 1)
    assert is_archived(world, channel)
    (text,) = last_messages(world, channel)
    assert "closed for 14 days" in text


def test_given_an_open_case_when_two_weeks_pass_then_its_channel_stays(world: World, channel: str) -> None:
    pass_days(world, 20)
    assert not is_archived(world, channel)


@pytest.mark.parametrize("days", ["0", "3"])
def test_given_the_setting_when_time_passes_then_it_decides(
    world: World, case_id: str, channel: str, days: str
) -> None:
    world.environment["IR_ARCHIVE_CHANNELS_AFTER_DAYS"] = days
    close(world, case_id)
    pass_days(world, 4)
    pass_days(world, 40)
    assert is_archived(world, channel) is (days == "3")


def test_given_an_archived_channel_when_a_user_unarchives_it_then_it_stays_open(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    close(world, case_id)
    pass_days(world, 14)
    jane.unarchive_channel(channel)
    jane.post(channel, "one more question")
    world.settle()
    pass_days(world, 2)
    assert not is_archived(world, channel)
    assert len(last_messages(world, channel)) == 1


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("method", ["chat.postMessage", "conversations.archive"])
def test_given_a_crash_when_continued_then_the_channel_is_archived_with_one_last_message(
    world: World, case_id: str, channel: str, method: str, side: Side
) -> None:
    close(world, case_id)
    world.advance(14 * DAY)
    world.wire.kill_on("slack", method, side)
    world.live(6)
    assert world.wire.died_at is not None
    assert is_archived(world, channel)
    assert len(last_messages(world, channel)) == 1
