"""X3: who may decide about a containment: approvers, and never anybody who may have caused it."""

from __future__ import annotations

import json

import boto3
import pytest

from ir_local.slack.people import Person
from ir_local.world import incidents as support
from ir_local.world.incidents import asked, audit_actions, audit_rows, decide
from ir_local.world.outages import Outage, struck_by
from ir_local.world.state_machine import Execution, StateMachine
from tests.support.approvals import approvals_in, make_approver, press
from tests.support.commands import answers
from tests.support.world import World


@pytest.fixture
def jane(world: World) -> Person:
    return make_approver(world)


def test_given_somebody_who_is_no_approver_when_pressing_then_nothing_happens_and_they_are_told_who_may(
    world: World, machine: StateMachine, jane: Person, contained: tuple[Execution, str], security_channel: str
) -> None:
    bob = world.workspace.create_user("bob", email="bob@example.com", real_name="Bob")
    jane.invite(security_channel, bob.id)

    press(world, machine, bob, security_channel, "approval_approve")
    press(world, machine, bob, security_channel, "approval_deny")

    assert contained[0].status == "RUNNING"
    assert all("Only approvers may decide" in answer for answer in answers(world, bob))
    (view,) = bob.views()
    assert "Only approvers may decide" in json.dumps(view.body)
    assert "decision_refused" in audit_actions()


def test_given_configured_approvers_when_somebody_of_the_response_team_presses_then_they_are_refused(
    world: World, machine: StateMachine, jane: Person, contained: tuple[Execution, str], security_channel: str
) -> None:
    world.environment["IR_APPROVERS"] = json.dumps(["boss@example.com"])
    press(world, machine, jane, security_channel, "approval_approve")
    assert contained[0].status == "RUNNING"

    boss = world.workspace.create_user("boss", email="boss@example.com", real_name="The Boss")
    jane.invite(security_channel, boss.id)
    press(world, machine, boss, security_channel, "approval_approve")
    assert contained[0].status == "SUCCEEDED"


def test_given_a_user_group_of_approvers_when_a_member_presses_then_it_counts(
    world: World, machine: StateMachine, jane: Person, contained: tuple[Execution, str], security_channel: str
) -> None:
    group = world.workspace.create_user_group("responders", [jane.id])
    world.environment["IR_APPROVERS"] = json.dumps([group.id])

    press(world, machine, jane, security_channel, "approval_approve")

    assert contained[0].status == "SUCCEEDED"


def test_given_the_owner_of_the_credentials_when_pressing_then_they_are_refused_though_an_approver(
    world: World, machine: StateMachine, jane: Person, security_channel: str
) -> None:
    (key,) = support.user("backdoor")
    boto3.client("iam").tag_user(UserName="backdoor", Tags=[{"Key": "slack-email", "Value": "jane@example.com"}])
    execution = machine.start(support.key_created(world, "backdoor", key))
    world.settle()

    press(world, machine, jane, security_channel, "approval_approve")

    assert execution.status == "RUNNING"
    assert "owner of the contained credentials" in answers(world, jane)[-1]


@pytest.mark.parametrize("action", ["approval_approve", "approval_deny"])
def test_given_the_owner_of_the_credentials_when_pressing_then_the_refusal_is_recorded_once_for_each_press(
    world: World, machine: StateMachine, jane: Person, security_channel: str, action: str
) -> None:
    (key,) = tagged("backdoor", "jane@example.com")
    machine.start(support.key_created(world, "backdoor", key))
    world.settle()

    for _ in range(2):
        press(world, machine, jane, security_channel, action)
        for view in jane.views():
            jane.submit(view.id, {"reason": "all is well"})
            world.settle()

    decision = action.removeprefix("approval_")
    refusals = [row for row in audit_rows() if row["action"] == "decision_refused"]
    assert [row["actor"] for row in refusals] == ["Jane Smith", "Jane Smith"]
    details = json.loads(refusals[-1]["details"])
    assert (details["reason"], details["decision"]) == ("owner", decision)
    assert details["slack_user_id"] == jane.id
    assert outcomes(world, decision)[-1] == "not_permitted"
    assert "decision_recorded" not in audit_actions()


def test_given_a_refusal_when_the_pressed_buttons_function_is_invoked_again_then_it_is_recorded_once(
    world: World, machine: StateMachine, jane: Person, security_channel: str
) -> None:
    (key,) = tagged("backdoor", "jane@example.com")
    machine.start(support.key_created(world, "backdoor", key))
    world.settle()

    (message,) = approvals_in(world, security_channel)
    jane.press(security_channel, message["ts"], "approval_approve")
    with struck_by(world, Outage("lambda", "Invoke", "time-out", None)):
        world.settle()

    assert [answer.deployment for answer in world.invocations].count("approval-handler") == 2
    assert audit_actions().count("decision_refused") == 1
    assert outcomes(world, "approve") == ["not_permitted"]


def test_given_the_owners_address_at_the_command_line_when_deciding_then_the_refusal_is_recorded(
    world: World, machine: StateMachine, jane: Person
) -> None:
    (key,) = tagged("backdoor", "jane@example.com")
    machine.start(support.key_created(world, "backdoor", key))
    token = asked(world)[0]["taskToken"]

    for _ in range(2):
        assert decide(world, token, "deny", {"email": "Jane@example.com"})["status"] == "not_allowed"

    assert audit_actions().count("decision_refused") == 2


def outcomes(world: World, command: str) -> list[str]:
    """What the events that a command was run say of it, oldest first."""
    details = [event["detail"] for event in world.bus if event["detail-type"] == "CommandExecuted"]
    return [detail["outcome"] for detail in details if detail["command"] == command]


def tagged(name: str, email: str) -> list[str]:
    """A user whose owner's e-mail address is in the tag; its keys."""
    keys = support.user(name)
    boto3.client("iam").tag_user(UserName=name, Tags=[{"Key": "slack-email", "Value": email}])
    return keys


def test_given_credentials_with_an_owner_when_slack_shows_no_address_then_nobody_unknown_decides(
    world: World, machine: StateMachine, jane: Person, security_channel: str
) -> None:
    (key,) = tagged("backdoor", "ann@example.com")
    ann = world.workspace.create_user("ann", real_name="Ann")
    world.workspace.store.users[ann.id].email = ""
    jane.invite(security_channel, ann.id)
    world.environment["IR_APPROVERS"] = json.dumps([ann.id, jane.id])
    execution = machine.start(support.key_created(world, "backdoor", key))
    world.settle()

    press(world, machine, ann, security_channel, "approval_approve")

    assert execution.status == "RUNNING"
    assert "Slack does not show your e-mail address" in answers(world, ann)[-1]
    press(world, machine, jane, security_channel, "approval_approve")
    assert execution.status == "SUCCEEDED"


def test_given_the_owner_of_the_actor_when_pressing_then_they_are_refused(
    world: World, machine: StateMachine, jane: Person, security_channel: str
) -> None:
    (own,) = tagged("mallory", "Jane@example.com")
    (key,) = support.user("backdoor")
    who = support.user_identity("mallory", own)
    execution = machine.start(support.key_created(world, "backdoor", key, userIdentity=who))
    world.settle()

    press(world, machine, jane, security_channel, "approval_deny")
    (view,) = jane.views()
    jane.submit(view.id, {"reason": "all is well"})
    world.settle()
    machine.advance()

    assert execution.status == "RUNNING"
    assert "cannot decide" in answers(world, jane)[-1]


def test_given_a_session_that_is_named_after_a_person_when_they_press_then_they_are_refused(
    world: World, machine: StateMachine, jane: Person, security_channel: str
) -> None:
    (key,) = support.user("backdoor")
    who = support.role_identity("AWSReservedSSO_Admin_0123456789abcdef", "jane@example.com")
    execution = machine.start(support.key_created(world, "backdoor", key, userIdentity=who))
    world.settle()

    press(world, machine, jane, security_channel, "approval_approve")

    assert execution.status == "RUNNING"


def test_given_an_event_that_joins_when_its_actor_has_an_owner_then_they_cannot_decide_any_more(
    world: World, machine: StateMachine, jane: Person, contained: tuple[Execution, str], security_channel: str
) -> None:
    (own,) = tagged("eve", "jane@example.com")
    machine.start(support.key_created(world, "backdoor", userIdentity=support.user_identity("eve", own)))
    world.settle()

    press(world, machine, jane, security_channel, "approval_approve")

    assert contained[0].status == "RUNNING"
    assert "cannot decide" in answers(world, jane)[-1]


def test_given_a_decision_in_slack_when_made_then_the_audit_has_the_id_and_no_address(
    world: World, machine: StateMachine, jane: Person, contained: tuple[Execution, str], security_channel: str
) -> None:
    press(world, machine, jane, security_channel, "approval_approve")

    rows = {row["action"]: row["details"] for row in audit_rows()}
    for action in ("decision_recorded", "decision_received"):
        assert json.loads(rows[action])["slack_user_id"] == jane.id
    assert "jane@example.com" not in json.dumps(rows)
