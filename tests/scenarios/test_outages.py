"""Unresponsive services: nothing is duplicated, and the next poll repairs the rest."""

from __future__ import annotations

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from ir_router.sync import fields
from tests.support.commands import answers, case_with_channel, identified
from tests.support.sync import from_slack, lines_with, make_jane, settled_case, system_comments
from tests.support.world import World
from tests.trials.world.outages import Kind, Outage, struck_by

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
    world.unexpected.allow(BotoCoreError, ClientError)
    case_id, jane = case_with_channel(world)

    with struck_by(world, Outage("dynamodb", "TransactWriteItems", kind, 30)):
        jane.command(world.channel_of(case_id), "/security-ir", "update-title Another title")
        world.settle()

    told = answers(world, jane)
    assert told[-1].startswith("✅ Case title updated")
    assert not any("Unable to update" in text for text in told)
    assert sum(f'to "Another title" by {identified(jane)} from Slack.' in text for text in world.comments(case_id)) == 1


def test_given_messages_and_the_case_that_fail_in_one_outage_when_reported_then_people_hear_of_it_once_on_each_side(
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


def test_given_a_fault_of_ours_when_a_case_meets_it_then_it_has_its_back_off_and_others_go_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.expect(KeyError)

    def broken(*_: object) -> None:
        raise KeyError("a mistake of ours")

    case_id = settled_case(world)
    other = settled_case(world)
    set_topic = fields.set_topic
    monkeypatch.setattr(fields, "set_topic", broken)
    world.security_ir.add_comment_as(case_id, body="waiting")
    world.settle()
    assert isinstance(next(a.error for a in reversed(world.invocations) if a.error), KeyError)
    monkeypatch.setattr(fields, "set_topic", set_topic)
    world.security_ir.add_comment_as(other, body="going on")
    world.live(6)

    assert len(lines_with(world, other, "going on")) == 1
    assert len(lines_with(world, case_id, "waiting")) == 1


def test_given_aws_that_names_a_wait_when_a_message_arrives_then_no_attempt_is_made_before_its_end(
    world: World,
) -> None:
    jane = make_jane(world)
    case_id = settled_case(world)
    world.security_ir.faults.throttle("CreateCaseComment", times=1, retry_after_seconds=7)
    world.wire.calls.clear()

    jane.post(world.channel_of(case_id), "the key is off")
    sent_at = world.now()
    world.settle(patience=5)
    assert [call.operation for call in world.wire.calls].count("CreateCaseComment") == 1
    world.settle()

    assert world.now() - sent_at >= 7
    assert sum("the key is off" in text for text in world.comments(case_id)) == 1
