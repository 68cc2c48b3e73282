"""A channel whose id changes is found again, and a channel that was deleted is replaced."""

from __future__ import annotations

import json

import pytest

from ir_sandbox.slack.people import Person
from tests.support.commands import answers
from tests.support.sync import configured, from_slack, lines_with, make_jane, settled_case, system_comments
from tests.support.world import World


@pytest.mark.parametrize("announced", [True, False])
def test_given_a_channel_whose_id_changes_when_both_sides_write_then_nothing_is_missed_or_doubled(
    world: World, jane: Person, case_id: str, channel: str, announced: bool
) -> None:
    comment = world.security_ir.add_comment_as(case_id, body="before the change")
    world.settle()
    if not announced:
        world.workspace.store.quirks.turn_on(["id_changes_unannounced"])
    shared = world.workspace.store.channels[channel]
    world.workspace.channels.change_id(shared)
    jane.post(shared.id, "after the change")
    world.security_ir.call("UpdateCaseComment", {"caseId": case_id, "commentId": comment, "body": "edited since"})
    world.security_ir.add_comment_as(case_id, body="seen in use")
    world.settle()
    world.live(3)
    assert jane.command(shared.id, "/security-ir", "status").error is None
    world.settle()

    assert [text for text in from_slack(world, case_id) if "after the change" in text] == from_slack(world, case_id)
    assert len(from_slack(world, case_id)) == 1
    assert len(lines_with(world, case_id, "seen in use")) == 1
    assert len(lines_with(world, case_id, "edited since")) == 1
    assert lines_with(world, case_id, "before the change") == []
    assert answers(world, jane)[-1].startswith("📋 Case Status")
    assert "Invite the app" not in json.dumps([world.comments(case_id), world.said(case_id)])
    assert len(world.workspace.store.channels) == 1


@pytest.mark.parametrize("visibility", ["private", "public"])
def test_given_a_deleted_channel_when_the_case_goes_on_then_a_new_one_has_notice_members_and_what_follows(
    world: World, visibility: str
) -> None:
    with configured(world, IR_CHANNEL_VISIBILITY=visibility):
        jane = make_jane(world)
        case_id = settled_case(world)
        first = world.channel_of(case_id)
        world.workspace.channels.delete(world.workspace.store.channels[first])
        world.security_ir.add_comment_as(case_id, body="seen in use")
        world.settle()
        world.live(3)

        second = world.channel_of(case_id)
        assert second != first
        assert jane.id in world.workspace.store.channels[second].members
        assert len(lines_with(world, case_id, "seen in use")) == 1
        assert len(lines_with(world, case_id, "Open the case in the AWS console")) == 1
        told = [text for text in system_comments(world, case_id) if "was deleted" in text]
        assert len(told) == 1
        assert "Invite the app" not in json.dumps(world.comments(case_id))
        jane.post(second, "I found it")
        world.settle()
        assert len(from_slack(world, case_id)) == 1


def test_given_channels_that_are_deleted_again_and_again_when_polled_then_three_are_made_and_no_more(
    world: World,
) -> None:
    with configured(world, IR_CHANNEL_VISIBILITY="public"):
        case_id = settled_case(world)
        for number in range(4):
            world.workspace.channels.delete(world.workspace.channel(world.channel_of(case_id)))
            world.security_ir.add_comment_as(case_id, body=f"finding {number}")
            world.settle()
            world.live(2)

    assert world.workspace.store.channels == {}
    told = system_comments(world, case_id)
    assert len([text for text in told if "replaces it" in text]) == 3
    assert "it stops. Then use the case in the AWS console" in told[-1]


def test_given_a_private_channel_without_the_app_when_the_case_goes_on_then_an_invitation_is_asked_for(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    jane.kick(channel, world.app.bot_user_id)
    world.security_ir.add_comment_as(case_id, body="seen in use")
    world.settle()
    jane.post(channel, "not copied yet")
    world.live(3)
    (told,) = [text for text in system_comments(world, case_id) if "out of sync" in text]
    assert "the app cannot see its private channel" in told
    assert "Invite the app to the channel again" in told

    jane.invite(channel, world.app.bot_user_id)
    world.advance(3600)
    world.live(3)
    assert len(lines_with(world, case_id, "seen in use")) == 1
    assert len(from_slack(world, case_id)) == 1
