"""P5: with two required people, no person decides or releases alone, on any path."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ir_sandbox.slack.people import Person
from tests.support.approvals import approvals_in, case_channel, make_approver, press
from tests.support.commands import answers
from tests.support.world import ACCOUNT, World
from tests.trials.world import incidents as support
from tests.trials.world.incidents import alerts, asked, audit_actions, audit_rows, decide, iam_state
from tests.trials.world.state_machine import Execution, StateMachine

ARN = f"arn:aws:iam::{ACCOUNT}:user/backdoor"


@pytest.fixture
def jane(world: World) -> Person:
    return make_approver(world)


@pytest.fixture
def ann(world: World, jane: Person, security_channel: str) -> Person:
    ann = world.workspace.create_user("ann", email="ann@example.com", real_name="Ann Lee")
    jane.invite(security_channel, ann.id)
    return ann


@pytest.fixture
def waiting(world: World, machine: StateMachine, jane: Person, ann: Person, security_channel: str) -> Execution:
    """Contain a user whose request needs two people for every decision."""
    numbers = {"remediate_approve": 2, "remediate_deny": 2, "release": 2, "contain_over_limit": 2}
    world.environment["IR_APPROVALS_REQUIRED"] = json.dumps(numbers)
    execution, _key = support.contain(world, machine)
    world.settle()
    return execution


def message(world: World, channel: str) -> dict[str, Any]:
    (found,) = approvals_in(world, channel)
    return found


def shown(world: World, channel: str) -> str:
    return json.dumps(message(world, channel)["blocks"], ensure_ascii=False)


def deny(world: World, machine: StateMachine, person: Person, channel: str, reason: str = "false positive") -> None:
    person.press(channel, message(world, channel)["ts"], "approval_deny")
    world.settle()
    person.submit(person.views()[-1].id, {"reason": reason})
    world.settle()
    machine.advance()
    world.settle()


def row_id(world: World, channel: str) -> str:
    found = message(world, channel)["blocks"]
    (actions,) = [block for block in found if block["type"] == "actions"]
    return str(actions["elements"][0]["value"]).partition("/")[0]


def test_given_two_required_when_one_approves_twice_then_only_another_person_decides_and_both_are_named(
    world: World, machine: StateMachine, jane: Person, ann: Person, security_channel: str, waiting: Execution
) -> None:
    assert "*Approvals*  0 of 2 people" in shown(world, security_channel)
    press(world, machine, jane, security_channel, "approval_approve")
    assert waiting.status == "RUNNING"
    (listed,) = world.invoke("approval-handler", {"task": "list_approvals"})["approvals"]
    assert listed["people"] == [f"approved by 1 of 2: Jane Smith ({jane.id})", "denied by 0 of 2"]
    for channel in (security_channel, case_channel(world)):
        assert "*Approvals*  1 of 2 people: Jane Smith" in shown(world, channel)
    press(world, machine, jane, security_channel, "approval_approve")
    assert waiting.status == "RUNNING"
    assert "Another person must decide" in answers(world, jane)[-1]

    press(world, machine, ann, security_channel, "approval_approve")
    assert waiting.status == "SUCCEEDED"
    assert iam_state(world, "backdoor").keys == {}
    assert message(world, security_channel)["text"].startswith("Approved by Jane Smith and Ann Lee")
    (first,) = [row for row in audit_rows() if row["action"] == "decision_recorded_first"]
    (second,) = [row for row in audit_rows() if row["action"] == "decision_recorded"]
    assert "Jane Smith" in first["actor"]
    assert "Ann Lee" in second["actor"]
    assert "Jane Smith" in json.loads(second["details"])["first"]
    assert any(
        "Approved by Jane Smith" in alert["Message"] and "and Ann Lee" in alert["Message"] for alert in alerts(world)
    )


def test_given_a_denial_by_one_when_withdrawn_or_contradicted_then_nothing_is_restored_until_two_deny(
    world: World, machine: StateMachine, jane: Person, ann: Person, security_channel: str, waiting: Execution
) -> None:
    deny(world, machine, jane, security_channel)
    assert iam_state(world, "backdoor").denied
    assert "*Denials*  1 of 2 people: Jane Smith" in shown(world, security_channel)
    jane.press(security_channel, message(world, security_channel)["ts"], "request_withdraw")
    world.settle()
    assert "*Denials*  0 of 2 people" in shown(world, security_channel)
    assert "decision_withdrawn" in audit_actions()

    deny(world, machine, ann, security_channel)
    press(world, machine, jane, security_channel, "approval_approve")  # they disagree
    assert waiting.status == "RUNNING"
    assert iam_state(world, "backdoor").denied
    jane.press(security_channel, message(world, security_channel)["ts"], "request_withdraw")
    world.settle()
    deny(world, machine, jane, security_channel)

    assert waiting.status == "SUCCEEDED"
    assert not iam_state(world, "backdoor").denied
    assert message(world, security_channel)["text"].startswith("Denied by Ann Lee and Jane Smith")


def test_given_a_withdrawal_when_earlier_requests_are_repeated_then_it_and_a_later_approval_stay(
    world: World, machine: StateMachine, jane: Person, ann: Person, security_channel: str, waiting: Execution
) -> None:
    analyst = {"slack_user_id": jane.id, "email": "jane@example.com", "name": "Jane Smith"}
    request = {
        "approval_id": row_id(world, security_channel),
        "decision": "deny",
        "analyst": analyst,
        "request_id": "1",
    }
    assert world.invoke("approval-handler:slack", request)["status"] == "first_recorded"
    jane_withdraws = {**request, "decision": "withdraw", "until": world.now(), "request_id": "2"}
    assert world.invoke("approval-handler:slack", jane_withdraws)["status"] == "withdrawn"
    deny(world, machine, ann, security_channel)
    world.invoke("approval-handler:slack", request)  # Lambda repeats an asynchronous invocation
    machine.advance()
    assert waiting.status == "RUNNING"
    assert iam_state(world, "backdoor").denied

    world.advance(5)
    press(world, machine, jane, security_channel, "approval_approve")
    assert world.invoke("approval-handler:slack", jane_withdraws)["status"] == "withdrawn"  # the first time
    assert world.invoke("approval-handler:slack", {**jane_withdraws, "request_id": "3"})["status"] == "not_withdrawn"
    assert "*Approvals*  1 of 2 people: Jane Smith" in shown(world, security_channel)


def test_given_two_names_of_one_person_when_sent_on_the_command_line_then_they_count_once(
    world: World, machine: StateMachine, jane: Person, ann: Person, security_channel: str, waiting: Execution
) -> None:
    (asking,) = asked(world)
    token = asking["taskToken"]
    as_slack = {"slack_user_id": jane.id, "email": "jane@example.com", "name": "Jane Smith"}
    assert decide(world, token, "approve", "Bob")["status"] == "first_recorded"
    for analyst in ("Carol", {"name": "x", "email": "carol@example.com"}, as_slack):
        assert decide(world, token, "approve", analyst)["status"] == "same_person"
    assert decide(world, token, "withdraw", "Bob")["status"] == "withdrawn"
    press(world, machine, jane, security_channel, "approval_approve")
    for name in ("jane smith", "Jane.Smith+x@example.com", "JANE@example.com"):
        answer = decide(world, token, "approve", name)
        if name.startswith("Jane.S"):
            assert answer["status"] == "approved"  # another mailbox, so another person as far as it can be known
            break
        assert answer["status"] == "same_person"
    machine.advance()
    assert waiting.status == "SUCCEEDED"


def test_given_a_direct_answer_to_step_functions_when_two_are_required_then_it_restores_nothing(
    world: World, machine: StateMachine, security_channel: str, waiting: Execution
) -> None:
    (asking,) = asked(world)
    machine.send(asking["taskToken"], {"decision": "deny", "analyst": "mallory"})
    world.settle()

    assert iam_state(world, "backdoor").denied
    assert "needs two people" in message(world, security_channel)["text"]


def test_given_an_event_that_joins_when_one_has_approved_then_that_approval_no_longer_counts(
    world: World, machine: StateMachine, jane: Person, ann: Person, security_channel: str, waiting: Execution
) -> None:
    press(world, machine, jane, security_channel, "approval_approve")
    machine.start(support.key_created(world, "backdoor"))
    world.settle()
    assert "*Outdated*  events joined after Jane Smith decided" in shown(world, security_channel)
    press(world, machine, ann, security_channel, "approval_approve")
    assert waiting.status == "RUNNING"
    press(world, machine, jane, security_channel, "approval_approve")
    assert waiting.status == "SUCCEEDED"


def test_given_an_approval_without_a_number_of_events_when_an_event_joins_then_it_no_longer_counts(
    world: World, machine: StateMachine, ann: Person, security_channel: str, waiting: Execution
) -> None:
    (asking,) = asked(world)
    assert decide(world, asking["taskToken"], "approve", "Bob")["status"] == "first_recorded"
    machine.start(support.key_created(world, "backdoor"))
    world.settle()
    press(world, machine, ann, security_channel, "approval_approve")
    assert waiting.status == "RUNNING"
    assert decide(world, asking["taskToken"], "approve", "Bob")["status"] == "approved"
    machine.advance()
    assert waiting.status == "SUCCEEDED"


def test_given_a_containment_in_place_when_one_releases_then_it_stays_until_another_person_releases(
    world: World, machine: StateMachine, jane: Person, ann: Person, security_channel: str, waiting: Execution
) -> None:
    press(world, machine, jane, security_channel, "approval_approve")
    press(world, machine, ann, security_channel, "approval_approve")
    task = {"task": "release", "principal": ARN, "released_by": "Bob", "reason": "done"}
    assert "Two people must release" in str(world.try_invoke("workflow", task).error)

    for person in (jane, ann):
        assert iam_state(world, "backdoor").denied
        person.press(security_channel, message(world, security_channel)["ts"], "release_access")
        world.settle()
        person.submit(person.views()[-1].id, {"reason": "rotated"})
        world.settle()
        if person is jane:
            assert "*Release*  1 of 2 people: Jane Smith" in shown(world, security_channel)
    assert not iam_state(world, "backdoor").denied
    assert {"release_requested_by_one", "release_decided", "released"} <= set(audit_actions())
    assert message(world, security_channel)["text"].startswith("Released by Jane Smith")
    assert " and Ann" in message(world, security_channel)["text"].partition("Before:")[0]


def test_given_break_glass_when_used_with_its_permission_then_one_decides_and_everyone_is_alerted(
    world: World, machine: StateMachine, security_channel: str, waiting: Execution
) -> None:
    request = {"approval_id": row_id(world, security_channel), "decision": "deny", "analyst": "Bob"}
    wrong = {**request, "break_glass": "production is down"}
    assert world.invoke("approval-handler", wrong)["status"] == "break_glass_refused"
    assert world.invoke("approval-handler:break-glass", request)["status"] == "break_glass_refused"
    assert iam_state(world, "backdoor").denied
    assert "break_glass" not in audit_actions()

    assert world.invoke("approval-handler:break-glass", wrong)["status"] == "denied"
    machine.advance()
    world.settle()
    assert not iam_state(world, "backdoor").denied
    assert "break_glass" in audit_actions()
    (alert,) = [one for one in alerts(world) if "BREAK-GLASS" in one["Message"]]
    assert "production is down" in alert["Message"]
    assert alert["MessageAttributes"]["severity"]["Value"] == "CRITICAL"
    said = [one["text"] for one in world.workspace.channel_messages(security_channel)]
    assert any("BREAK-GLASS, Bob decides alone: deny - user backdoor" in text for text in said)
    assert "break-glass, without a second person" in message(world, security_channel)["text"]
