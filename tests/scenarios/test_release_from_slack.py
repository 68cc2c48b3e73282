"""P6: an approver gives access back from Slack, by the rules of a decision, and everyone sees it."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from ir_router.ledger import containments
from ir_router.workflow import request_approval
from ir_sandbox.slack.people import Person
from tests.support.approvals import approvals_in, case_channel, make_approver, press
from tests.support.commands import answers
from tests.support.world import ACCOUNT, World
from tests.trials.world import FunctionDiedError
from tests.trials.world import incidents as support
from tests.trials.world.incidents import asked, audit_actions, audit_rows, decide, iam_state
from tests.trials.world.state_machine import Execution, StateMachine

ARN = f"arn:aws:iam::{ACCOUNT}:user/backdoor"


@pytest.fixture
def jane(world: World) -> Person:
    return make_approver(world)


@pytest.fixture
def approved(world: World, machine: StateMachine, jane: Person, security_channel: str) -> Execution:
    """Contain a user with two keys, and approve: one key is deleted, the other stays disabled."""
    execution, _key = support.contain(world, machine, keys=2)
    world.settle()
    press(world, machine, jane, security_channel, "approval_approve")
    assert execution.status == "SUCCEEDED"
    return execution


def request_in(world: World, channel: str) -> dict[str, Any]:
    (message,) = approvals_in(world, channel)
    return message


def shown(message: dict[str, Any]) -> str:
    return json.dumps(message["blocks"], ensure_ascii=False)


def release(world: World, person: Person, channel: str, reason: str = "keys rotated") -> None:
    """Press the button of the only request, and submit the form."""
    person.press(channel, request_in(world, channel)["ts"], "release_access")
    world.settle()
    if person.views() and person.views()[-1].body["submit"]:
        person.submit(person.views()[-1].id, {"reason": reason})
    world.settle()


def test_given_an_approval_when_released_by_the_button_then_access_is_back_and_every_message_states_it(
    world: World, machine: StateMachine, jane: Person, security_channel: str, approved: Execution
) -> None:
    before = shown(request_in(world, security_channel))
    assert "Release: restore access ..." in before
    assert "aws lambda invoke --function-name security-incident-approval-handler" in before
    assert '\\"decision\\": \\"release\\"' in before

    release(world, jane, security_channel)

    state = iam_state(world, "backdoor")
    assert not state.denied
    assert set(state.keys.values()) == {"Active"}
    assert "ir-router now restores access." in answers(world, jane)[-1]
    for channel in (security_channel, case_channel(world)):
        message = request_in(world, channel)
        assert message["text"].startswith("Released by Jane Smith")
        assert "Before: Approved by Jane Smith" in message["text"]
        assert "Release: restore access" not in shown(message)
    said = [one["text"] for one in world.workspace.channel_messages(security_channel)]
    assert any("DONE: released by Jane Smith" in text and text.startswith("✅") for text in said)
    assert {"release_decided", "release_requested", "released"} <= set(audit_actions())
    (decided,) = [row for row in audit_rows() if row["action"] == "release_decided"]
    assert json.loads(decided["details"])["slack_user_id"] == jane.id


def test_given_a_release_that_dies_before_its_messages_when_retried_then_the_containment_has_ended_and_they_state_it(
    world: World,
    machine: StateMachine,
    jane: Person,
    security_channel: str,
    approved: Execution,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refresh = request_approval.refresh
    died: list[str] = []

    def die_once(approval_id: str) -> Any:
        if not died:
            died.append(approval_id)
            raise FunctionDiedError("after the end of the containment")
        return refresh(approval_id)

    monkeypatch.setattr(request_approval, "refresh", die_once)
    release(world, jane, security_channel)
    world.live(5)

    assert died
    assert "incident" not in (containments.get(ARN) or {})
    for channel in (security_channel, case_channel(world)):
        assert request_in(world, channel)["text"].startswith("Released by Jane Smith")


def test_given_no_decision_within_the_deadline_when_the_request_expires_then_it_has_the_button_and_the_command(
    world: World, machine: StateMachine, jane: Person, security_channel: str
) -> None:
    support.contain(world, machine)
    world.settle()
    world.advance(86_401)
    machine.advance()
    world.settle()

    assert "Release: restore access ..." in shown(request_in(world, security_channel))
    release(world, jane, security_channel)
    assert not iam_state(world, "backdoor").denied


@pytest.mark.parametrize("decision", ["", "deny"])
def test_given_a_request_that_is_open_or_denied_when_shown_then_nothing_can_be_released(
    world: World, machine: StateMachine, jane: Person, security_channel: str, decision: str
) -> None:
    support.contain(world, machine)
    if decision:
        decide(world, asked(world)[0]["taskToken"], decision)
        machine.advance()
    world.settle()

    assert "Release: restore" not in shown(request_in(world, security_channel))
    jane.command(case_channel(world), "/security-ir", "release")
    world.settle()
    assert "Nothing can be released here" in answers(world, jane)[-1]
    approval_id = next(event["detail"]["approval_id"] for event in world.bus if "approval_id" in event["detail"])
    payload = {"approval_id": approval_id, "decision": "release", "analyst": "jane", "notes": "x"}
    assert world.invoke("approval-handler", payload)["status"] == "not_releasable"


def test_given_a_user_who_is_no_approver_when_releasing_then_it_is_refused_and_recorded(
    world: World, jane: Person, security_channel: str, approved: Execution
) -> None:
    bob = world.workspace.create_user("bob", email="bob@example.com", real_name="Bob")
    jane.invite(security_channel, bob.id)
    release(world, bob, security_channel)

    assert iam_state(world, "backdoor").denied
    assert "only approvers can decide" in answers(world, bob)[-1]
    assert "decision_refused" in audit_actions()


def test_given_the_owner_of_the_credentials_when_releasing_then_it_is_refused(
    world: World, machine: StateMachine, jane: Person, security_channel: str
) -> None:
    world.workspace.create_user("ann", email="ann@example.com")
    (key,) = support.user("backdoor")
    boto3.client("iam").tag_user(UserName="backdoor", Tags=[{"Key": "slack-email", "Value": "jane@example.com"}])
    machine.start(support.key_created(world, "backdoor", key))
    world.settle()
    decide(world, asked(world)[0]["taskToken"], "approve")
    machine.advance()
    world.settle()
    release(world, jane, security_channel)

    assert iam_state(world, "backdoor").denied
    assert "you own credentials that are part of this incident" in answers(world, jane)[-1]


def test_given_the_command_in_the_case_channel_when_submitted_then_the_reason_is_kept_and_the_user_released(
    world: World, jane: Person, security_channel: str, approved: Execution
) -> None:
    jane.command(case_channel(world), "/security-ir", "release planned rotation")
    world.settle()
    view = jane.views()[-1]
    assert "planned rotation" in json.dumps(view.body)
    jane.submit(view.id, {})
    world.settle()

    assert not iam_state(world, "backdoor").denied
    (released,) = [row for row in audit_rows() if row["action"] == "released"]
    assert json.loads(released["details"])["reason"] == "planned rotation"


def test_given_a_release_that_is_repeated_when_invoked_then_the_second_has_no_effect_and_no_alert(
    world: World, jane: Person, security_channel: str, approved: Execution
) -> None:
    before = len(world.asynchronous)
    assert before == 0
    release(world, jane, security_channel)
    again = {"task": "release", "principal": ARN, "released_by": "Jane", "reason": "x"}
    approval_id = request_in(world, security_channel)["blocks"][-1]["elements"][0]["text"].rpartition("approval ")[2]
    answer = world.invoke("workflow", {**again, "approval_id": approval_id})
    world.settle()

    assert answer["status"] == "released"
    said = [one["text"] for one in world.workspace.channel_messages(security_channel)]
    assert not any("RELEASE by hand" in text for text in said)


def test_given_a_newer_incident_of_the_user_when_the_old_request_is_released_then_it_is_refused_and_alerted(
    world: World, machine: StateMachine, jane: Person, security_channel: str, approved: Execution
) -> None:
    message = request_in(world, security_channel)
    newer = machine.start(support.key_created(world, "backdoor"))
    world.settle()
    assert newer.status == "RUNNING"
    jane.press(security_channel, message["ts"], "release_access")
    world.settle()
    jane.submit(jane.views()[-1].id, {"reason": "rotated"})
    world.settle()

    assert iam_state(world, "backdoor").denied
    said = [one["text"] for one in world.workspace.channel_messages(security_channel)]
    assert any("RELEASE by hand: user backdoor" in text for text in said)
    assert newer.status == "RUNNING"
