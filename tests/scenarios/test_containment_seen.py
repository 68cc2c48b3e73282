"""X2, X3: a decision covers only the events that the analyst has seen, not those that joined later."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import boto3
import pytest

from ir_router.ledger.containments import ContainmentBusyError
from ir_sandbox.slack.people import Person
from tests.support.approvals import approvals_in, as_shown, make_approver, press
from tests.support.commands import answers
from tests.support.tasks import die_once_after
from tests.support.world import ACCOUNT, World
from tests.trials.world import incidents as support
from tests.trials.world.incidents import IamState, asked, audit_actions, audit_rows, contain, decide, iam_state
from tests.trials.world.state_machine import Execution, StateMachine

LOOK_AGAIN = (
    "Decision not recorded: 1 more event joined since you opened this. Review the updated message, then press the "
    "button again."
)


@pytest.fixture
def jane(world: World) -> Person:
    return make_approver(world)


def join(world: World, machine: StateMachine) -> str:
    """Send one more event of the contained principal; return its key."""
    later = support.key_created(world, "backdoor")
    machine.start(later)
    return support.named_key(later)


def pending(world: World) -> list[dict[str, Any]]:
    return list(world.invoke("approval-handler", {"task": "list_approvals"})["approvals"])


# Slack


def test_given_an_open_deny_form_when_an_event_joins_then_its_submission_decides_nothing_and_says_why(
    world: World, machine: StateMachine, jane: Person, contained: tuple[Execution, str], security_channel: str
) -> None:
    execution, key = contained
    press(world, machine, jane, security_channel, "approval_deny")
    (view,) = jane.views()
    new = join(world, machine)
    world.settle()
    jane.submit(view.id, {"reason": "planned rotation"})
    world.settle()
    machine.advance()

    assert execution.status == "RUNNING"
    assert iam_state(world, "backdoor") == IamState({key: "Inactive", new: "Inactive"}, denied=True)
    assert LOOK_AGAIN in answers(world, jane)[-1]
    assert "decision_recorded" not in audit_actions()

    press(world, machine, jane, security_channel, "approval_deny")
    view = jane.views()[-1]
    assert "1 more event of the same principal" in as_shown(view.body)
    jane.submit(view.id, {"reason": "planned rotation"})
    world.settle()
    machine.advance()
    assert iam_state(world, "backdoor") == IamState({key: "Active", new: "Active"}, denied=False)


def test_given_an_open_approve_form_when_an_event_joins_then_its_submission_decides_nothing(
    world: World, machine: StateMachine, jane: Person, contained: tuple[Execution, str], security_channel: str
) -> None:
    execution, key = contained
    (message,) = approvals_in(world, security_channel)
    jane.press(security_channel, message["ts"], "approval_approve")
    world.settle()
    (view,) = jane.views()
    new = join(world, machine)
    jane.submit(view.id, {})
    world.settle()
    machine.advance()

    assert execution.status == "RUNNING"
    assert LOOK_AGAIN in answers(world, jane)[-1]
    press(world, machine, jane, security_channel, "approval_approve")
    assert execution.status == "SUCCEEDED"
    assert {key, new}.isdisjoint(iam_state(world, "backdoor").keys)


def test_given_a_message_posted_before_buttons_knew_of_events_when_pressed_then_it_decides(
    world: World, machine: StateMachine, jane: Person, contained: tuple[Execution, str], security_channel: str
) -> None:
    (row,) = pending(world)
    (message,) = approvals_in(world, security_channel)
    for block in message["blocks"]:
        for element in block["elements"] if block["type"] == "actions" else ():
            element["value"] = row["approval_id"]
    channel = world.workspace.channel(security_channel)
    world.workspace.messages.find(channel, message["ts"]).body["blocks"] = message["blocks"]

    press(world, machine, jane, security_channel, "approval_approve")

    assert contained[0].status == "SUCCEEDED"


# The command line


def test_given_the_count_of_the_question_when_an_event_joins_then_deciding_with_it_is_refused_and_says_what_to_do(
    world: World, machine: StateMachine
) -> None:
    execution, _key = contain(world, machine)
    (question,) = asked(world)
    join(world, machine)

    answer = decide(world, question["taskToken"], "deny", joined_events=question["joinedEvents"])
    machine.advance()

    assert answer["status"] == "events_joined"
    assert "1 more event joined" in answer["message"]
    assert "decide with joined_events 1" in answer["message"]
    assert execution.status == "RUNNING"
    assert decide(world, question["taskToken"], "deny", joined_events=1)["status"] == "denied"


def test_given_the_documented_payload_without_a_count_when_an_event_has_joined_then_it_decides(
    world: World, machine: StateMachine
) -> None:
    contain(world, machine)
    join(world, machine)

    assert decide(world, asked(world)[0]["taskToken"], "deny")["status"] == "denied"


@pytest.mark.parametrize("count", ["one", -1, 1.5, True, 10**40, [], {}])
def test_given_a_count_that_is_none_when_deciding_then_nothing_is_decided_and_the_answer_says_so(
    world: World, machine: StateMachine, count: Any
) -> None:
    contain(world, machine)

    answer = decide(world, asked(world)[0]["taskToken"], "deny", joined_events=count)

    assert answer["status"] == "unknown_joined_events"
    assert pending(world)[0]["state"] == "pending"


def test_given_an_event_that_joined_when_listed_then_count_and_both_answers_are_there(
    world: World, machine: StateMachine
) -> None:
    contain(world, machine)
    (before,) = pending(world)
    new = join(world, machine)

    (row,) = pending(world)

    assert (before["joined_events"], row["joined_events"]) == (0, 1)
    assert f"{new}" in row["approve_does"]
    assert "2 keys active" in row["deny_does"]


# At the same time


def test_given_a_denial_while_an_event_is_joining_when_restored_then_that_event_is_contained_and_asked_about_again(
    world: World, machine: StateMachine
) -> None:
    world.expect(ContainmentBusyError)
    decisions: list[Any] = []
    tokens: list[str] = []

    def deny_meanwhile(**_: Any) -> None:
        if tokens and not decisions:
            decisions.append(None)
            decisions[0] = decide(world, tokens[0], "deny", joined_events=0)
            world.become("workflow")

    boto3.DEFAULT_SESSION.events.register("before-call.iam.AttachUserPolicy", deny_meanwhile)  # type: ignore[union-attr]
    execution, key = contain(world, machine)
    tokens.append(asked(world)[0]["taskToken"])
    new = join(world, machine)
    machine.advance()
    world.advance(60)
    machine.advance()

    assert decisions[0]["status"] == "denied"
    assert execution.status == "SUCCEEDED"
    assert iam_state(world, "backdoor") == IamState({key: "Inactive", new: "Inactive"}, denied=True)
    (question,) = asked(world)
    assert new[-4:] in question["approve"]
    assert key[-4:] not in question["approve"]


# On record


def asked_on_record() -> list[dict[str, Any]]:
    return [json.loads(row["details"]) for row in audit_rows() if row["action"] == "decision_asked"]


def test_given_a_question_when_it_is_asked_twice_then_it_is_on_record_once_with_the_users_it_bars_and_what_answers_do(
    world: World, machine: StateMachine
) -> None:
    die_once_after(machine, "request_approval")
    (key,) = support.user("backdoor")
    boto3.client("iam").tag_user(UserName="backdoor", Tags=[{"Key": "slack-email", "Value": "owner@example.com"}])
    execution = machine.start(support.key_created(world, "backdoor", key))

    questions = asked(world)
    (record,) = asked_on_record()

    assert len(questions) == 2
    assert record["execution"] == execution.arn
    assert record["approval_id"] == questions[0]["approvalId"]
    assert record["kind"] == "remediate"
    assert record["principals"] == [f"arn:aws:iam::{ACCOUNT}:user/backdoor"]
    assert record["barred"] == ["owner@example.com"]
    assert (record["approve"], record["deny"]) == (questions[0]["approve"], questions[0]["deny"])
    assert datetime.fromisoformat(record["decide_by"]).timestamp() == pytest.approx(world.now() + 86_400, abs=60)
    assert world.invoke("workflow", {"task": "verify_audit"})["verified"] is True


def test_given_the_limit_is_reached_when_permission_is_asked_then_that_is_on_record_too(
    world: World, machine: StateMachine
) -> None:
    world.environment["IR_MAX_CONTAINMENTS_PER_HOUR"] = "0"
    contain(world, machine)

    (record,) = asked_on_record()

    assert (record["kind"], record["principals"]) == ("contain", [f"arn:aws:iam::{ACCOUNT}:user/backdoor"])
    assert record["deny"].endswith("of user backdoor. Nothing else changes.")
