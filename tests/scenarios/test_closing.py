"""The end of a case: shown once, without further attempts; later actions by users are answered."""

from __future__ import annotations

import pytest

from ir_sandbox.slack.people import Person
from tests.support.sync import from_slack, lines_with, system_comments
from tests.support.world import World

TOLD = "The case is closed. New messages in this channel are not copied"


def left_alone(world: World) -> bool:
    """Return whether ten minutes of polls call AWS only for the list of cases, and for the response team."""
    world.wire.calls.clear()
    world.live(10)
    called = {call.operation for call in world.wire.calls if call.service == "security-ir"}
    return called - {"ListMemberships", "GetMembership"} == {"ListCases"}


def test_given_a_message_to_a_closed_case_when_answered_then_the_case_is_left_alone_and_in_sync(
    world: World, jane: Person, case_id: str
) -> None:
    world.security_ir.close_case_as(case_id)
    world.settle()
    jane.post(world.channel_of(case_id), "too late")
    world.settle()
    world.live(5)

    assert len(lines_with(world, case_id, TOLD)) == 1
    assert left_alone(world)
    assert lines_with(world, case_id, "out of sync") == []


def test_given_a_closure_code_when_aws_closes_the_case_then_the_channel_shows_it_once(
    world: World, case_id: str
) -> None:
    world.security_ir.close_case_as(case_id, "False Positive")
    world.settle()
    world.live(2)

    (line,) = lines_with(world, case_id, "*Closure code*: None → False Positive")
    assert "→ Closed" in line


def test_given_a_claimed_message_when_the_case_is_closed_before_it_is_written_then_nothing_is_tried_for_ever(
    world: World, jane: Person, case_id: str
) -> None:
    jane.post(world.channel_of(case_id), "half way")
    world.deliver()
    world.wire.kill_on("security-ir", "CreateCaseComment", "before")
    world._run_queues()
    assert world.wire.died_at is not None
    world.security_ir.close_case_as(case_id)
    world.settle()
    world.live(10)

    assert from_slack(world, case_id) == []
    assert len(lines_with(world, case_id, TOLD)) == 1
    assert lines_with(world, case_id, "out of sync") == []
    assert left_alone(world)


def test_given_a_message_whose_comment_was_made_when_the_case_is_closed_before_it_is_confirmed_then_it_does_not_echo(
    world: World, jane: Person, case_id: str
) -> None:
    jane.post(world.channel_of(case_id), "just in time")
    world.deliver()
    world.wire.kill_on("security-ir", "CreateCaseComment", "after")
    world._run_queues()
    world.security_ir.close_case_as(case_id)
    world.settle()
    world.live(10)

    assert len(from_slack(world, case_id)) == 1
    assert lines_with(world, case_id, "just in time") == []
    assert lines_with(world, case_id, "out of sync") == []
    assert left_alone(world)


def test_given_a_case_that_was_closed_before_its_channel_was_made_when_polled_then_all_of_it_is_shown_and_left_alone(
    world: World,
) -> None:
    world.live(1)
    world.drop_native_events = True
    case_id = world.create_case()
    world.security_ir.add_comment_as(case_id, body="over already")
    world.security_ir.close_case_as(case_id)
    world.live(10)

    assert len(lines_with(world, case_id, "over already")) == 1
    assert world.workspace.channel(world.channel_of(case_id)).topic["value"].startswith("Status: Closed")
    assert lines_with(world, case_id, "out of sync") == []
    assert system_comments(world, case_id) == []  # a closed case accepts none
    assert left_alone(world)


def test_given_a_file_on_its_way_when_the_case_is_closed_then_the_channel_says_so_and_it_is_not_asked_for_again(
    world: World, jane: Person, case_id: str
) -> None:
    jane.upload(world.channel_of(case_id), "late.txt", b"late", text="see")
    world.deliver()
    world._run_queue("slack-events", "slack")
    world.wire.kill_on("security-ir", "GetCaseAttachmentUploadUrl", "before")
    world._run_queue("files", "sync")
    assert world.wire.died_at is not None
    world.security_ir.close_case_as(case_id)
    world.settle()
    world.live(15)

    assert len(lines_with(world, case_id, "`late.txt` was not copied to the case: the case is closed.")) == 1
    assert lines_with(world, case_id, "out of sync") == []
    assert left_alone(world)


@pytest.mark.parametrize("how", ["archived", "app removed"])
def test_given_a_channel_that_people_have_left_behind_when_its_case_is_closed_then_nothing_is_tried_or_reported(
    world: World, jane: Person, case_id: str, how: str
) -> None:
    channel = world.channel_of(case_id)
    if how == "archived":
        admin = world.workspace.create_user("admin", is_admin=True)
        jane.invite(channel, admin.id)
        admin.archive_channel(channel)
    else:
        jane.kick(channel, world.app.bot_user_id)
    world.security_ir.close_case_as(case_id)
    world.settle()
    outcomes = [answer.value["outcome"] for answer in world.invocations if "outcome" in (answer.value or {})]

    assert outcomes[-1] == "synced"
    assert "failed" not in outcomes
    assert not any("out of sync" in comment for comment in system_comments(world, case_id))
    assert left_alone(world)
