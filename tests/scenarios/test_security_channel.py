"""P1: without set-up, ir-router makes the channel that shows requests and alerts to the approvers."""

from __future__ import annotations

import json

import pytest

from ir_sandbox.slack.faults import Fault
from ir_sandbox.slack.model import Channel
from ir_sandbox.slack.people import Person
from tests.support.approvals import approvals_in, case_channel, make_approver, press
from tests.support.world import World
from tests.trials.world import incidents as support
from tests.trials.world.state_machine import StateMachine
from tests.trials.world.wire import FunctionDiedError, Side

NAME = "security-incident-security"


@pytest.fixture
def jane(world: World) -> Person:
    return make_approver(world)


def made(world: World) -> list[Channel]:
    return [channel for channel in world.workspace.store.channels.values() if channel.name.startswith(NAME)]


def people_in(world: World, channel: Channel) -> set[str]:
    return set(channel.members) - {world.app.bot_user_id}


def lives_until_a_check(world: World) -> None:
    """Let the next quarter of an hour begin."""
    world.live(15)


def boss_of(world: World) -> Person:
    return world.workspace.create_user("boss", email="boss@example.com", real_name="The Boss")


def test_given_no_configured_channel_when_a_quarter_of_an_hour_passes_then_there_is_a_private_one_with_all_approvers(
    world: World, jane: Person
) -> None:
    boss, ann = boss_of(world), world.workspace.create_user("ann", email="ann@example.com")
    world.environment["IR_APPROVERS"] = json.dumps(["boss@example.com"])
    lives_until_a_check(world)
    lives_until_a_check(world)

    (channel,) = made(world)
    assert channel.is_private
    assert people_in(world, channel) == {boss.id, jane.id, ann.id}
    assert "approval requests" in channel.purpose["value"]


def test_given_another_name_when_the_channel_is_made_then_it_has_that_name(world: World, jane: Person) -> None:
    world.environment["IR_SECURITY_CHANNEL_NAME"] = "soc-approvals"
    lives_until_a_check(world)
    assert world.workspace.channel("soc-approvals").is_private


def test_given_no_configured_channel_when_a_request_has_no_case_then_an_approver_decides_in_the_made_channel(
    world: World, machine: StateMachine, jane: Person
) -> None:
    memberships = world.security_ir.call("ListMemberships", {})["items"]
    world.security_ir.call("CancelMembership", {"membershipId": memberships[0]["membershipId"]})
    world.environment["IR_APPROVERS"] = json.dumps([jane.id])
    execution, _key = support.contain(world, machine)
    world.settle()

    (channel,) = made(world)
    assert len(approvals_in(world, channel.id)) == 1
    press(world, machine, jane, channel.id, "approval_approve")
    assert execution.status == "SUCCEEDED"


def test_given_an_approver_who_is_no_watcher_when_a_case_has_a_request_then_they_are_in_its_channel_and_can_decide(
    world: World, machine: StateMachine, jane: Person
) -> None:
    boss = boss_of(world)
    world.environment["IR_APPROVERS"] = json.dumps(["boss@example.com"])
    security = support.security_channel(world, jane)
    execution, _key = support.contain(world, machine)
    world.settle()

    channel = world.workspace.store.channels[case_channel(world)]
    assert boss.id in channel.members
    assert boss.id not in world.workspace.store.channels[security].members
    press(world, machine, boss, channel.id, "approval_approve")
    assert execution.status == "SUCCEEDED"


def test_given_neither_approvers_nor_a_team_when_a_request_is_made_then_there_is_no_empty_channel(
    world: World, machine: StateMachine
) -> None:
    support.contain(world, machine)
    world.settle()
    lives_until_a_check(world)
    assert made(world) == []


def test_given_a_new_approver_when_the_channel_exists_then_only_the_new_one_is_invited(
    world: World, jane: Person
) -> None:
    lives_until_a_check(world)
    (channel,) = made(world)
    jane.leave(channel.id)
    boss = boss_of(world)
    world.environment["IR_APPROVERS"] = json.dumps(["boss@example.com"])
    lives_until_a_check(world)

    assert people_in(world, channel) == {boss.id}


def test_given_the_name_is_taken_when_the_channel_is_made_then_the_next_name_is_used(
    world: World, jane: Person
) -> None:
    other = jane.create_channel(NAME)
    lives_until_a_check(world)
    assert {channel.name for channel in made(world) if channel.id != other} == {f"{NAME}-2"}


@pytest.mark.parametrize("trouble", ["archived", "app removed"])
def test_given_a_made_channel_that_the_app_cannot_use_when_checked_then_another_replaces_it_with_the_request(
    world: World, machine: StateMachine, jane: Person, trouble: str
) -> None:
    support.contain(world, machine)
    world.settle()
    (first,) = made(world)
    if trouble == "archived":
        jane.archive_channel(first.id)
    else:
        jane.kick(first.id, world.app.bot_user_id)
    lives_until_a_check(world)
    world.live(1)

    (second,) = [channel for channel in made(world) if channel.id != first.id]
    assert jane.id in second.members
    assert len(approvals_in(world, second.id)) == 1


@pytest.mark.parametrize("operation", ["conversations.create", "conversations.setPurpose", "conversations.invite"])
@pytest.mark.parametrize("side", ["before", "after"])
def test_given_a_crash_while_the_channel_is_made_when_polled_then_there_is_one_channel_with_all_members_and_the_request(
    world: World, machine: StateMachine, jane: Person, operation: str, side: Side
) -> None:
    world.unexpected.allow(FunctionDiedError)
    world.workspace.create_user("ann", email="ann@example.com")
    world.wire.kill_on("slack", operation, side)
    lives_until_a_check(world)
    support.contain(world, machine)
    world.settle()
    world.live(16)

    (channel,) = made(world)
    assert len(people_in(world, channel)) == 2
    assert len(approvals_in(world, channel.id)) == 1


def test_given_a_policy_against_purposes_when_the_channel_is_made_then_it_is_used_without_a_purpose(
    world: World, jane: Person
) -> None:
    world.workspace.faults.add(Fault("conversations.setPurpose", "error", times=None, error="restricted_action"))
    lives_until_a_check(world)
    (channel,) = made(world)
    assert people_in(world, channel) == {jane.id}
