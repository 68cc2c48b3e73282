"""X3: only approvers may decide about a containment, and never a user who may have caused it."""

from __future__ import annotations

import json

import boto3
import pytest

from ir_sandbox.slack.people import Person
from tests.support.approvals import approvals_in, as_shown, case_channel, make_approver, press
from tests.support.commands import answers, identified
from tests.support.world import World
from tests.trials.world import incidents as support
from tests.trials.world.incidents import asked, audit_actions, audit_rows, decide
from tests.trials.world.outages import Outage, struck_by
from tests.trials.world.state_machine import Execution, StateMachine


@pytest.fixture
def jane(world: World) -> Person:
    return make_approver(world)


def test_given_a_user_who_is_no_approver_when_pressing_then_nothing_happens_and_the_answer_names_the_approvers(
    world: World, machine: StateMachine, jane: Person, contained: tuple[Execution, str], security_channel: str
) -> None:
    bob = world.workspace.create_user("bob", email="bob@example.com", real_name="Bob")
    jane.invite(security_channel, bob.id)

    press(world, machine, bob, security_channel, "approval_approve")
    press(world, machine, bob, security_channel, "approval_deny")

    assert contained[0].status == "RUNNING"
    assert all("only approvers can decide" in answer for answer in answers(world, bob))
    assert all("Ask one of them: jane, ann." in answer for answer in answers(world, bob))
    assert len(bob.views()) == 2
    assert all("only approvers can decide" in as_shown(view.body) for view in bob.views())
    assert "decision_refused" in audit_actions()


def test_given_configured_approvers_when_a_response_team_member_presses_then_they_are_refused(
    world: World, machine: StateMachine, jane: Person, security_channel: str
) -> None:
    world.environment["IR_APPROVERS"] = json.dumps(["boss@example.com"])
    execution, _key = support.contain(world, machine)
    world.settle()
    press(world, machine, jane, security_channel, "approval_approve")
    assert execution.status == "RUNNING"

    boss = world.workspace.create_user("boss", email="boss@example.com", real_name="The Boss")
    jane.invite(security_channel, boss.id)
    press(world, machine, boss, security_channel, "approval_approve")
    assert execution.status == "SUCCEEDED"


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
    assert "you own credentials that are part of this incident" in answers(world, jane)[-1]


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
    assert [row["actor"] for row in refusals] == [identified(jane)] * 2
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
    world.settle()
    jane.submit(jane.views()[-1].id, {})
    with struck_by(world, Outage("lambda", "Invoke", "time-out", None)):
        world.settle()

    assert [answer.deployment for answer in world.invocations].count("approval-handler") == 2
    assert audit_actions().count("decision_refused") == 1
    assert outcomes(world, "approve") == ["done", "not_permitted"]  # the form was opened first


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
    """Return the outcomes in the events about command runs, oldest first."""
    details = [event["detail"] for event in world.bus if event["detail-type"] == "CommandExecuted"]
    return [detail["outcome"] for detail in details if detail["command"] == command]


def tagged(name: str, email: str) -> list[str]:
    """Create a user with the owner's e-mail address in its tag; return its keys."""
    keys = support.user(name)
    boto3.client("iam").tag_user(UserName=name, Tags=[{"Key": "slack-email", "Value": email}])
    return keys


def test_given_credentials_with_an_owner_when_slack_shows_no_address_then_no_unknown_user_decides(
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


def test_given_a_decision_in_slack_when_made_then_the_audit_names_address_and_id_and_the_execution_no_address(
    world: World, machine: StateMachine, jane: Person, contained: tuple[Execution, str], security_channel: str
) -> None:
    press(world, machine, jane, security_channel, "approval_approve")

    rows = {row["action"]: row for row in audit_rows()}
    for action in ("decision_recorded", "decision_received"):
        assert rows[action]["actor"] == identified(jane)
        assert json.loads(rows[action]["details"])["slack_user_id"] == jane.id
    assert "jane@example.com" not in str([token.output for token in machine.tokens.values()])


def test_given_no_security_channel_when_an_incident_waits_then_the_approver_is_invited_to_its_channel_and_decides(
    world: World, machine: StateMachine, jane: Person
) -> None:
    boss = world.workspace.create_user("boss", email="boss@example.com", real_name="The Boss")
    ann = world.workspace.create_user("ann.lee", email="ann.lee@example.com", real_name="Ann Lee")
    group = world.workspace.create_user_group("deciders", [ann.id])
    world.environment["IR_APPROVERS"] = json.dumps([boss.id, "ghost@example.com", group.id])
    world.environment["IR_SECURITY_CHANNEL_ID"] = ""
    execution, _ = support.contain(world, machine)
    world.settle()

    channel = case_channel(world)
    assert {boss.id, ann.id} <= set(world.workspace.store.channels[channel].members)
    press(world, machine, jane, channel, "approval_approve")
    assert "Ask one of them: The Boss, ghost@example.com, @deciders." in answers(world, jane)[-1]
    press(world, machine, boss, channel, "approval_approve")
    assert execution.status == "SUCCEEDED"
