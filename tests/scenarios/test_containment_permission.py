"""W2, X3: beyond the hourly limit, Slack asks for permission to contain, and shows the outcome."""

from __future__ import annotations

import pytest

from ir_sandbox.slack.people import Person
from tests.support.approvals import (
    approvals_in,
    as_shown,
    buttons,
    creator_buttons,
    make_approver,
    press,
    press_message,
)
from tests.support.tasks import fail_task
from tests.support.world import ACCOUNT, World
from tests.trials.world import incidents as support
from tests.trials.world.incidents import iam_state
from tests.trials.world.state_machine import Execution, StateMachine


@pytest.fixture
def jane(world: World) -> Person:
    return make_approver(world)


@pytest.fixture
def asking(world: World, machine: StateMachine, security_channel: str) -> Execution:
    """Start the execution that waits for permission to contain the user backdoor."""
    world.environment["IR_MAX_CONTAINMENTS_PER_HOUR"] = "0"
    execution, _key = support.contain(world, machine)
    world.settle()
    return execution


def test_given_too_many_principals_when_permitted_by_button_then_it_is_contained_and_asked_about(
    world: World, machine: StateMachine, jane: Person, asking: Execution, security_channel: str
) -> None:
    (question,) = approvals_in(world, security_channel)
    assert "contain user backdoor?" in question["text"]

    press(world, machine, jane, security_channel, "approval_approve")

    assert asking.path[-1] == "Wait for Analyst"
    assert iam_state(world, "backdoor").denied
    permitted, asked_again = approvals_in(world, security_channel)
    assert "Approved by Jane Smith" in permitted["text"]
    assert "user backdoor contained." in permitted["text"]
    assert "carrying out" not in permitted["text"]
    assert buttons(permitted) == []
    assert buttons(asked_again) == ["approval_approve", "approval_deny"]
    assert len(creator_buttons(asked_again)) == 1


def test_given_too_many_principals_when_containing_with_permission_fails_then_the_message_says_that_a_person_must_act(
    world: World, machine: StateMachine, jane: Person, asking: Execution, security_channel: str
) -> None:

    fail_task(machine, "immediate_containment")
    press(world, machine, jane, security_channel, "approval_approve")

    assert asking.error == "ContainmentFailed"
    (message,) = approvals_in(world, security_channel)
    assert "Approved by Jane Smith" in message["text"]
    assert "NOT carried out" in message["text"]


def test_given_permission_asked_when_a_later_event_has_it_contained_first_then_question_and_case_say_so(
    world: World, machine: StateMachine, jane: Person, asking: Execution, security_channel: str
) -> None:
    (asked_first,) = approvals_in(world, security_channel)
    (case,) = world.security_ir.call("ListCases", {"maxResults": 25})["items"]
    world.environment["IR_MAX_CONTAINMENTS_PER_HOUR"] = "10"
    machine.start(support.key_created(world, "backdoor"))
    world.settle()

    press_message(world, jane, security_channel, asked_first["ts"], "approval_approve")
    machine.advance()
    world.settle()

    assert asking.status == "SUCCEEDED"
    (answered, *_others) = approvals_in(world, security_channel)
    assert answered["ts"] == asked_first["ts"]
    assert "user backdoor already contained. This event joined the open incident." in answered["text"]
    assert any("user backdoor already contained" in body for body in world.comments(case["caseId"]))


def test_given_too_many_principals_when_asked_then_slack_says_that_nothing_is_contained_until_someone_answers(
    world: World, machine: StateMachine, jane: Person, asking: Execution, security_channel: str
) -> None:

    (question,) = approvals_in(world, security_channel)
    assert "NOT contained until you approve" in question["text"]
    shown = as_shown(question["blocks"])
    assert "0 principals were contained within the last hour" in shown
    assert "*Done*" not in shown

    jane.press(security_channel, question["ts"], "approval_deny")
    world.settle()
    (view,) = jane.views()
    assert (view.body["title"]["text"], view.body["submit"]["text"]) == ("Do not contain", "Do not contain")

    told = []
    for minutes in (5, 6, 50, 7 * 60, 12 * 60):
        world.advance(minutes * 60)
        world.poll()
        world.settle()
        said = [message.get("text", "") for message in world.workspace.channel_messages(security_channel)]
        told.append([text for text in said if "Still waiting for a decision" in text])
    assert [len(reminders) for reminders in told] == [0, 1, 2, 3, 4]
    assert "made 10 min ago" in told[1][0]
    assert all("NOT contained until you approve" in text and "stays" not in text for text in told[-1])

    world.advance(4 * 3600)
    machine.advance()
    world.settle()
    (message, *_rest) = approvals_in(world, security_channel)
    assert "user backdoor was NOT contained" in message["text"]


def test_given_a_principal_contained_with_permission_when_an_event_joins_and_it_is_released_then_its_case_is_reported(
    world: World, machine: StateMachine, jane: Person, asking: Execution, security_channel: str
) -> None:
    press(world, machine, jane, security_channel, "approval_approve")
    (case,) = world.security_ir.call("ListCases", {"maxResults": 25})["items"]

    machine.start(support.key_created(world, "backdoor"))
    world.settle()
    assert any("This event joined the open incident" in body for body in world.comments(case["caseId"]))

    world.advance(86_401)
    machine.advance()
    release = {"task": "release", "principal": f"arn:aws:iam::{ACCOUNT}:user/backdoor"}
    world.invoke("workflow", {**release, "released_by": "Ann", "reason": "key rotated"})
    assert any("Released by Ann" in body for body in world.comments(case["caseId"]))
