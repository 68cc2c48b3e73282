"""Attacks on who may decide: users who become approvers later, and owners with another address."""

from __future__ import annotations

import json

import boto3
import pytest

from ir_router.commands import people
from ir_router.ledger import approvals, joined_events
from ir_router.sync import approver_set, members
from ir_sandbox.slack.people import Person
from tests.support.approvals import approvals_in, as_shown, make_approver, press
from tests.support.commands import answers
from tests.support.world import World
from tests.trials.world import incidents as support
from tests.trials.world.incidents import audit_rows
from tests.trials.world.state_machine import Execution, StateMachine


@pytest.fixture
def jane(world: World) -> Person:
    return make_approver(world)


def contained_user_of(world: World, machine: StateMachine, owner: str) -> Execution:
    """Contain a user whose owner is named by tag."""
    (key,) = support.user("backdoor")
    boto3.client("iam").tag_user(UserName="backdoor", Tags=[{"Key": "slack-email", "Value": owner}])
    execution = machine.start(support.key_created(world, "backdoor", key))
    world.settle()
    return execution


def set_team(world: World, *names: str) -> None:
    team = [{"name": name, "jobTitle": "Analyst", "email": f"{name}@example.com"} for name in names]
    world.security_ir.set_response_team(team)
    members.forget_team()


@pytest.mark.parametrize("by", ["response team", "user group"])
def test_given_a_user_who_becomes_an_approver_while_a_request_waits_when_pressing_then_nothing_is_decided(
    world: World, machine: StateMachine, jane: Person, security_channel: str, by: str
) -> None:
    mallory = world.workspace.create_user("mallory", email="mallory@example.com", real_name="Mallory")
    jane.invite(security_channel, mallory.id)
    group = world.workspace.create_user_group("responders", [jane.id])
    if by == "user group":
        world.environment["IR_APPROVERS"] = json.dumps([group.id])
    execution, _key = support.contain(world, machine)
    world.settle()
    if by == "user group":
        group.users.append(mallory.id)
    else:
        set_team(world, "jane", "ann", "mallory")
    people.forget_groups()

    press(world, machine, mallory, security_channel, "approval_approve")

    assert execution.status == "RUNNING"
    assert "you became an approver after this request was made" in answers(world, mallory)[-1]
    refusal = json.loads([row for row in audit_rows() if row["action"] == "decision_refused"][-1]["details"])
    assert refusal["reason"] == "added_later"
    press(world, machine, jane, security_channel, "approval_approve")
    assert execution.status == "SUCCEEDED"


@pytest.mark.parametrize("owner", ["jane+aws@example.com", "JANE@Example.COM", "j.a.ne@example.com"])
def test_given_an_owner_with_a_variant_of_an_address_when_they_press_then_they_are_refused(
    world: World, machine: StateMachine, jane: Person, security_channel: str, owner: str
) -> None:
    execution = contained_user_of(world, machine, owner)

    press(world, machine, jane, security_channel, "approval_approve")

    assert execution.status == "RUNNING"
    assert "you own credentials that are part of this incident" in answers(world, jane)[-1]


@pytest.mark.parametrize("confirmed", [True, False])
def test_given_an_owner_who_takes_another_address_when_they_press_then_they_are_refused(
    world: World, machine: StateMachine, jane: Person, security_channel: str, *, confirmed: bool
) -> None:
    world.environment["IR_APPROVERS"] = json.dumps([jane.id, "ann@example.com"])
    execution = contained_user_of(world, machine, "jane@example.com")
    user = world.workspace.store.users[jane.id]
    user.email, user.is_email_confirmed = "somebody.else@example.com", confirmed

    press(world, machine, jane, security_channel, "approval_approve")

    assert execution.status == "RUNNING"
    assert "you own credentials that are part of this incident" in answers(world, jane)[-1]


def test_given_an_owner_whose_account_is_unknown_when_a_user_without_a_confirmed_address_presses_then_they_are_refused(
    world: World, machine: StateMachine, jane: Person, security_channel: str
) -> None:
    world.environment["IR_APPROVERS"] = json.dumps([jane.id, "ann@example.com"])
    user = world.workspace.store.users[jane.id]
    user.email, user.is_email_confirmed = "somebody.else@example.com", False
    execution = contained_user_of(world, machine, "jane@example.com")

    press(world, machine, jane, security_channel, "approval_approve")

    assert execution.status == "RUNNING"
    assert "ir-router cannot check whether you are the owner" in answers(world, jane)[-1]


def test_given_no_known_owner_when_asked_then_the_request_says_that_nobody_is_barred(
    world: World, contained: tuple[Execution, str], security_channel: str
) -> None:
    (message,) = approvals_in(world, security_channel)

    assert "no user, because the owner of the credentials is unknown" in as_shown(message["blocks"])


def test_given_a_changed_response_team_when_it_is_compared_then_audit_and_security_channel_name_the_change_once(
    world: World, machine: StateMachine, jane: Person, security_channel: str
) -> None:
    support.contain(world, machine)
    world.settle()
    set_team(world, "jane", "mallory")
    world.live(31)

    said = [message["text"] for message in world.workspace.channel_messages(security_channel)]
    (report,) = [text for text in said if "The list of approvers changed" in text]
    assert "*Added*  mallory@example.com" in report
    assert "*Removed*  ann@example.com" in report
    (row,) = [row for row in audit_rows() if row["action"] == "approvers_changed"]
    assert json.loads(row["details"])["added"] == ["mallory@example.com"]


@pytest.mark.parametrize("order", [("jane", "ann"), ("ann", "jane")])
def test_given_events_by_principals_with_the_tags_of_all_approvers_when_they_press_then_the_later_one_may_decide(
    world: World, machine: StateMachine, jane: Person, security_channel: str, order: tuple[str, str]
) -> None:
    ann = world.workspace.create_user("ann", email="ann@example.com", real_name="Ann")
    jane.invite(security_channel, ann.id)
    people_by_name = {"jane": jane, "ann": ann}
    first, second = (people_by_name[name] for name in order)
    execution = contained_user_of(world, machine, f"{order[0]}@example.com")
    boto3.client("iam").create_user(UserName="helper")
    boto3.client("iam").tag_user(UserName="helper", Tags=[{"Key": "slack-email", "Value": f"{order[1]}@example.com"}])
    machine.start(support.key_created(world, "helper"))
    world.settle()

    press(world, machine, first, security_channel, "approval_approve")
    assert execution.status == "RUNNING"
    assert "you own credentials that are part of this incident" in answers(world, first)[-1]

    said = [message["text"] for message in world.workspace.channel_messages(security_channel)]
    assert len([text for text in said if "Every approver of a request owns credentials" in text]) == 1
    (message,) = approvals_in(world, security_channel)
    assert f"the last may decide: {second.id}" in as_shown(message["blocks"])
    (row,) = [row for row in audit_rows() if row["action"] == "last_approvers"]
    assert json.loads(row["details"])["approvers"] == [second.id]
    press(world, machine, second, security_channel, "approval_approve")
    assert execution.status == "SUCCEEDED"


def test_given_an_owner_who_is_the_only_approver_when_a_third_tag_joins_then_the_bar_of_no_other_is_lifted(
    world: World,
) -> None:
    row = {"owners_looked_up": ["ann@x", "zoe@x"], "last_approvers": ["ann@x"]}

    found = approver_set._last_approvers(row, ["ann@x", "zoe@x"], {"ann@x": set(), "bob@x": set(), "zoe@x": set()})

    assert found == ["ann@x"]


def test_given_a_stream_of_events_by_one_actor_when_the_analyst_decides_then_what_they_saw_still_counts(
    world: World, machine: StateMachine, jane: Person, security_channel: str
) -> None:
    (key,) = support.user("backdoor")
    created = support.key_created(world, "backdoor", key)
    execution = machine.start(created)
    world.settle()
    for number in range(joined_events.MOST_COUNTED):
        machine.start(support.key_created(world, "backdoor", key, eventID=f"more-{number}"))
    world.settle()
    (approval_id,) = approvals.open_ids()
    row = approvals.get(approval_id) or {}
    pressed = {"approval_id": approval_id, "decision": "approve", "joined_events": int(row["joined_events"])}
    machine.start(support.key_created(world, "backdoor", key, eventID="one-more"))

    analyst = {"slack_user_id": jane.id, "email": "jane@example.com", "name": "Jane"}
    answer = world.invoke("approval-handler", {**pressed, "analyst": analyst})

    assert answer["status"] == "approved"
    machine.advance()
    assert execution.status == "SUCCEEDED"
