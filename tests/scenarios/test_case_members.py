"""S4: watchers and the response team are invited, and the channel lists those who cannot be invited."""

from __future__ import annotations

from typing import Literal

import pytest

from tests.support.sync import (
    JANE,
    calls,
    configured,
    lines_with,
    make_jane,
    settled_case,
)
from tests.support.world import World


def test_given_a_new_watcher_when_synchronised_then_they_are_invited_and_the_channel_says_so(world: World) -> None:
    case_id = settled_case(world)
    bob = world.workspace.create_user("bob.stone", email="Bob@Example.com", real_name="Bob Stone")
    world.security_ir.call("UpdateCase", {"caseId": case_id, "watchersToAdd": [{"email": "bob@example.com"}]})
    world.settle()
    world.live(2)

    assert bob.id in world.workspace.channel(world.channel_of(case_id)).members
    assert len(lines_with(world, case_id, "Added to this channel as watcher or response team member: Bob Stone")) == 1


@pytest.mark.parametrize(
    ("operation", "when", "invited"),
    [
        ("conversations.invite", "before", False),
        ("conversations.invite", "after", True),
        ("chat.postMessage", "before", True),
        ("chat.postMessage", "after", True),
    ],
)
def test_given_a_run_that_died_at_an_invitation_when_the_watcher_left_meanwhile_then_both_are_told_or_neither(
    world: World, operation: str, when: Literal["before", "after"], invited: bool
) -> None:
    make_jane(world)
    case_id = settled_case(world)
    bob = world.workspace.create_user("bob.stone", email="bob@example.com", real_name="Bob Stone")
    world.security_ir.call("UpdateCase", {"caseId": case_id, "watchersToAdd": [{"email": "bob@example.com"}]})
    world.wire.kill_on("slack", operation, when)
    world.settle()
    assert world.wire.died_at is not None
    world.wire.spare()
    world.security_ir.call("UpdateCase", {"caseId": case_id, "watchersToDelete": [{"email": "bob@example.com"}]})
    world.live(8)

    assert (bob.id in world.workspace.channel(world.channel_of(case_id)).members) is invited
    told = ["No longer" in line for line in lines_with(world, case_id, "Bob Stone")]
    assert told == ([False, True] if invited else [])


def test_given_a_person_who_is_there_already_when_they_become_a_watcher_then_nothing_is_said(world: World) -> None:
    jane = make_jane(world)
    case_id = settled_case(world)
    bob = world.workspace.create_user("bob.stone", email="bob@example.com", real_name="Bob Stone")
    jane.invite(world.channel_of(case_id), bob.id)
    world.settle()
    world.security_ir.call("UpdateCase", {"caseId": case_id, "watchersToAdd": [{"email": "bob@example.com"}]})
    world.settle()

    assert lines_with(world, case_id, "Bob Stone") == []


def test_given_unknown_watchers_when_synchronised_often_then_one_alert_says_how_to_invite_them(world: World) -> None:
    watchers = [{"email": f"ghost{number}@example.com"} for number in range(2)]
    case_id = settled_case(world, watchers=watchers)
    for number in range(3):
        world.security_ir.add_comment_as(case_id, body=f"finding {number}")
        world.settle()

    (alert,) = lines_with(world, case_id, "could not be invited")
    assert "ghost0@example.com (not in this workspace)" in alert
    assert "/invite @name" in alert


def test_given_an_unknown_watcher_when_they_join_the_workspace_then_within_a_day_they_are_invited(
    world: World,
) -> None:
    case_id = settled_case(world, watchers=[{"email": "late@example.com"}])
    late = world.workspace.create_user("late", email="late@example.com", real_name="Late Riser")
    lookups = [call for call in world.wire.calls if call.operation == "users.lookupByEmail"]
    world.live(3)
    assert [call for call in world.wire.calls if call.operation == "users.lookupByEmail"] == lookups

    world.advance(24 * 3600)
    world.live(2)

    assert late.id in world.workspace.channel(world.channel_of(case_id)).members
    assert len(lines_with(world, case_id, "Added to this channel as watcher or response team member: Late Riser")) == 1


def test_given_an_unknown_watcher_when_looked_up_again_each_day_then_the_alert_is_not_repeated(world: World) -> None:
    case_id = settled_case(world, watchers=[{"email": "ghost@example.com"}])
    lookups = []
    for _ in range(3):
        world.wire.calls.clear()
        world.live(2)
        assert "users.lookupByEmail" not in calls(world, "slack")
        world.advance(24 * 3600)
        world.live(2)
        lookups.append(calls(world, "slack").count("users.lookupByEmail"))

    assert lookups == [3, 3, 3]  # with the team's two
    assert len(lines_with(world, case_id, "could not be invited")) == 1


def test_given_a_guest_who_watches_a_case_when_it_is_new_then_the_channel_says_why_they_are_not_in_it(
    world: World,
) -> None:
    world.workspace.create_user("guest", email="guest@example.com", real_name="Gus Guest", is_restricted=True)
    case_id = settled_case(world, watchers=[{"email": "guest@example.com"}])

    (alert,) = lines_with(world, case_id, "could not be invited")
    assert "guest@example.com (a guest; apps cannot invite guests)" in alert


def test_given_an_unknown_watcher_when_the_list_changes_then_they_are_looked_up_again_and_no_alert_is_repeated(
    world: World,
) -> None:
    case_id = settled_case(world, watchers=[{"email": "ghost@example.com"}, {"email": "late@example.com"}])
    late = world.workspace.create_user("late", email="late@example.com", real_name="Late Riser")
    world.security_ir.call("UpdateCase", {"caseId": case_id, "watchersToAdd": [{"email": "third@example.com"}]})
    world.settle()

    assert late.id in world.workspace.channel(world.channel_of(case_id)).members
    alerts = lines_with(world, case_id, "could not be invited")
    assert [("ghost@" in alert, "third@" in alert) for alert in alerts] == [(True, False), (False, True)]


def test_given_thirty_unknown_watchers_when_the_case_is_new_then_few_calls_and_no_pause_bring_it_over(
    world: World,
) -> None:
    world.create_case(watchers=[{"email": f"ghost{number}@example.com"} for number in range(30)])
    world.settle()

    assert len(world.workspace.calls) <= 40
    assert [call.method for call in world.workspace.calls].count("users.lookupByEmail") == 32  # with the team's two
    assert world.slept == 0


def test_given_a_watcher_who_was_taken_off_when_they_are_put_on_again_then_the_channel_says_so_each_time(
    world: World,
) -> None:
    world.workspace.create_user("bob.stone", email="bob@example.com", real_name="Bob Stone")
    case_id = settled_case(world)
    for change in ("watchersToAdd", "watchersToDelete") * 2:
        world.advance(60)
        world.security_ir.call("UpdateCase", {"caseId": case_id, change: [{"email": "bob@example.com"}]})
        world.settle()

    told = [message["text"].split("] ")[1] for message in world.said(case_id) if "Bob Stone" in message["text"]]
    assert told == [
        "Added to this channel as watcher or response team member: Bob Stone",
        "No longer watching the case, still in this channel: Bob Stone",
        "Watching the case again: Bob Stone",
        "No longer watching the case, still in this channel: Bob Stone",
    ]


@pytest.mark.parametrize("remove", [False, True])
def test_given_a_watcher_who_is_taken_off_when_synchronised_then_the_channel_is_notified(
    world: World, remove: bool
) -> None:
    bob = world.workspace.create_user("bob.stone", email="bob@example.com", real_name="Bob Stone")
    case_id = settled_case(world, watchers=[{"email": "bob@example.com"}])
    with configured(world, IR_REMOVE_FORMER_WATCHERS=str(remove).lower()):
        world.security_ir.call("UpdateCase", {"caseId": case_id, "watchersToDelete": [{"email": "bob@example.com"}]})
        world.settle()
        world.live(2)

    assert (bob.id in world.workspace.channel(world.channel_of(case_id)).members) is not remove
    (line,) = lines_with(world, case_id, "No longer watching the case")
    assert ("removed from this channel: Bob Stone" in line) is remove


@pytest.mark.parametrize("remove", [False, True])
def test_given_a_response_team_that_cannot_be_read_any_more_when_polled_then_no_member_is_announced_as_gone(
    world: World, remove: bool
) -> None:
    jane = make_jane(world)
    case_id = settled_case(world)
    with configured(world, IR_REMOVE_FORMER_WATCHERS=str(remove).lower()):
        world.security_ir.faults.refuse("AccessDeniedException", "ListMemberships", times=None)
        world.advance(15 * 60)
        world.security_ir.add_comment_as(case_id, body="still at work")
        world.live(3)
        assert lines_with(world, case_id, "No longer watching") == []
        assert jane.id in world.workspace.channel(world.channel_of(case_id)).members
        assert len(lines_with(world, case_id, "still at work")) == 1

        world.security_ir.faults.clear()
        team = [{"name": name, "jobTitle": "-", "email": f"{name}@example.com"} for name in ("kim", "lou")]
        world.security_ir.set_response_team(team)
        world.advance(15 * 60)
        world.live(3)
        assert len(lines_with(world, case_id, "No longer watching")) == 1


def test_given_a_changed_response_team_when_polled_then_its_new_member_joins_every_open_case(world: World) -> None:
    first, second = settled_case(world), settled_case(world)
    kim = world.workspace.create_user("kim", email="kim@example.com", real_name="Kim Lee")
    world.security_ir.set_response_team(
        [{**JANE, "jobTitle": "Lead"}, {"name": "Kim", "jobTitle": "-", "email": "kim@example.com"}]
    )
    world.advance(15 * 60)
    world.live(2)

    for case_id in (first, second):
        assert kim.id in world.workspace.channel(world.channel_of(case_id)).members
