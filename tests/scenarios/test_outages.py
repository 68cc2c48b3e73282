"""What services that do not answer may cost: nothing twice, and all is well by the next poll."""

from __future__ import annotations

import pytest

from ir_local.world.outages import Kind, Outage, struck_by
from tests.support.commands import answers, case_with_channel
from tests.support.sync import from_slack, lines_with, make_jane, settled_case, system_comments
from tests.support.world import World

POLL_SECONDS = 60


@pytest.mark.parametrize("kind", ["time-out", "malformed answer", "server error"])
def test_given_a_topic_that_was_set_when_no_answer_comes_then_the_channel_shows_one_line_of_it(
    world: World, kind: Kind
) -> None:
    case_id = settled_case(world)
    outage = Outage("slack", "conversations.setTopic", kind, None)

    with struck_by(world, outage):
        world.security_ir.set_status_as(case_id, "Detection and Analysis")
        world.settle()
        world.live(3)

    assert outage.struck == 1
    lines = world.workspace.channel_messages(world.channel_of(case_id))
    topics = [line["text"] for line in lines if line.get("subtype") == "group_topic"]
    assert len(topics) == 2
    assert "In Progress" in topics[-1]


@pytest.mark.parametrize("operation", ["conversations.info", "users.lookupByEmail"])
def test_given_ten_minutes_without_answers_when_they_are_over_then_the_next_poll_brings_the_case_over(
    world: World, operation: str
) -> None:
    outage = Outage("slack", operation, "time-out", 600)
    with struck_by(world, outage):
        case_id = world.create_case(watchers=[{"email": "ghost@example.com", "name": "Ghost"}])
        world.settle(patience=30)
        while world.now() < outage.ends_at:
            world.live(1)

    world.live(1)

    assert outage.struck > 10
    assert world.now() - outage.ends_at < 3 * POLL_SECONDS
    topic = world.workspace.channel(world.channel_of(case_id)).topic["value"]
    assert topic.startswith("Status: Open")
    assert any("ghost@example.com" in message["text"] for message in world.said(case_id))


@pytest.mark.parametrize("kind", ["time-out", "server error", "malformed answer"])
def test_given_a_ledger_that_fails_for_a_while_when_a_title_is_changed_then_the_person_hears_that_it_was(
    world: World, kind: Kind
) -> None:
    case_id, jane = case_with_channel(world)

    with struck_by(world, Outage("dynamodb", "TransactWriteItems", kind, 30)):
        jane.command(world.channel_of(case_id), "/security-ir", "update-title Another title")
        world.settle()

    told = answers(world, jane)
    assert told[-1].startswith("✅ Case title updated")
    assert not any("Unable to update" in text for text in told)
    assert sum('to "Another title" by Jane Smith from Slack.' in text for text in world.comments(case_id)) == 1


def test_given_messages_and_the_case_that_fail_in_one_outage_when_told_then_people_hear_of_it_once_on_each_side(
    world: World,
) -> None:
    jane = make_jane(world)
    case_id = settled_case(world)
    outage = Outage("security-ir", "CreateCaseComment", "server error", 600)

    with struck_by(world, outage):
        for number in range(3):
            jane.post(world.channel_of(case_id), f"finding {number}")
            world.settle()
        while world.now() < outage.ends_at:
            world.live(1)
    world.live(2)

    assert len([line for line in lines_with(world, case_id, "Error ID") if "⚠️" in line]) == 1
    assert len([comment for comment in system_comments(world, case_id) if "Error ID" in comment]) == 1
    said = [body.split("\n")[1] for body in from_slack(world, case_id)]
    assert said == ["finding 0", "finding 1", "finding 2"]
