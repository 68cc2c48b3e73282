"""X2, X3: the approval in Slack: requested, answered by buttons, followed by reminders, and kept up to date."""

from __future__ import annotations

import json
import re

import boto3
import pytest

from ir_router.ledger import approvals
from ir_router.sync.case_sync import ClaimHeldError
from ir_sandbox.slack.people import Person
from tests.support.approvals import approvals_in, as_shown, buttons, case_channel, make_approver, press
from tests.support.commands import answers
from tests.support.tasks import die_once_after, fail_task
from tests.support.world import World
from tests.trials.world import incidents as support
from tests.trials.world.incidents import IamState, asked, decide, iam_state
from tests.trials.world.outages import Outage, struck_by
from tests.trials.world.state_machine import Execution, StateMachine
from tests.trials.world.unexpected import RAISED_WHEN_SERVICES_FAIL


@pytest.fixture
def jane(world: World) -> Person:
    return make_approver(world)


def test_given_a_contained_user_when_asked_then_case_channel_and_security_channel_show_all_and_two_buttons(
    world: World, contained: tuple[Execution, str], security_channel: str
) -> None:
    key = contained[1]
    for channel in (case_channel(world), security_channel):
        (message,) = approvals_in(world, channel)
        assert buttons(message) == ["approval_approve", "approval_deny"]
        shown = as_shown(message["blocks"])
        assert "user backdoor contained" in shown
        assert "CreateAccessKey for user backdoor by user mallory from 198.51.100.7" in shown
        assert "deny policy attached (verified)" in shown
        assert f"permanently deletes key {key}" in shown
        assert "restores user backdoor as found: 1 key active, no deny policy" in shown
        assert "Approval needed by" in message["text"]


def test_given_an_approver_when_approving_by_button_then_the_key_is_gone_and_both_messages_name_the_approver(
    world: World, machine: StateMachine, jane: Person, contained: tuple[Execution, str], security_channel: str
) -> None:
    execution, key = contained
    press(world, machine, jane, security_channel, "approval_approve")

    assert execution.status == "SUCCEEDED"
    assert key not in iam_state(world, "backdoor").keys
    for channel in (case_channel(world), security_channel):
        (message,) = approvals_in(world, channel)
        assert buttons(message) == []
        assert "Approved by Jane Smith" in message["text"]
        assert "deleted (verified)" in message["text"]
    assert answers(world, jane) == []


@pytest.mark.parametrize(("decision", "label"), [("approve", "*Done*"), ("deny", ", restored <!date^")])
def test_given_a_decision_when_carried_out_then_one_new_message_states_it_and_nothing_reads_as_done_after_a_denial(
    world: World,
    machine: StateMachine,
    contained: tuple[Execution, str],
    security_channel: str,
    decision: str,
    label: str,
) -> None:
    """The bus delivers the event of the result twice, and the function dies once while it posts."""
    world.expect(ClaimHeldError)
    (before,) = approvals_in(world, security_channel)
    labels = [element["text"]["text"] for element in before["blocks"][-2]["elements"]]
    assert labels[:2] == ["Approve: delete key ...", "Deny: restore access ..."]
    assert "#/v2/executions/details/" in json.dumps(before["blocks"][-1])
    assert "#/cases/" in json.dumps(before["blocks"][-1])
    decide(world, asked(world)[0]["taskToken"], decision, "Jane")
    world.wire.kill_on("slack", "chat.postMessage", "after")
    machine.advance()
    world.settle()
    world.wire.spare()
    world.settle()
    (request,) = approvals_in(world, security_channel)
    detail = {"approval_id": re.findall(r"approval ([0-9a-f]{20})", json.dumps(request))[0], "decision": decision}
    for _ in range(2):
        event = {"source": "security-ir", "detail-type": "ApprovalDecided", "detail": detail}
        world.try_invoke("sync", event)
    world.advance(60)
    world.try_invoke("sync", {"source": "security-ir", "detail-type": "ApprovalDecided", "detail": detail})

    ends = [one["text"] for one in world.workspace.channel_messages(security_channel) if one["ts"] > request["ts"]]
    assert [
        text for text in ends if text.startswith({"approve": "Approved by Jane", "deny": "Denied by Jane"}[decision])
    ]
    assert len([text for text in ends if "|Open the request>" in text]) == 1
    assert label in as_shown(request["blocks"])
    assert ("*Done*" in as_shown(request["blocks"])) is (decision == "approve")


def test_given_a_decision_when_it_is_carried_out_then_the_case_says_it_and_the_channel_only_once(
    world: World, machine: StateMachine, jane: Person, contained: tuple[Execution, str], security_channel: str
) -> None:
    channel = case_channel(world)
    (case,) = world.security_ir.call("ListCases", {"maxResults": 25})["items"]
    press(world, machine, jane, channel, "approval_approve")
    world.live(2)
    (comment,) = [body for body in world.comments(case["caseId"]) if "Approved by Jane Smith" in body]
    world.security_ir.add_comment_as(case["caseId"], body=comment.replace("Approved", "Denied"))
    world.settle()

    said = [json.dumps(message, ensure_ascii=False) for message in world.workspace.channel_messages(channel)]
    assert sum("Approved by Jane Smith" in message for message in said) == 2  # the request, and the incident's end
    assert sum("Denied by Jane Smith" in message for message in said) == 1  # another user's message
    jane.command(channel, "/security-ir", "incident-details")
    world.settle()
    assert "1 from AWS Security IR, 0 from Slack" in answers(world, jane)[-1]  # only that one


def test_given_an_approver_when_denying_with_a_reason_then_all_is_restored_and_the_reason_is_kept(
    world: World, machine: StateMachine, jane: Person, contained: tuple[Execution, str], security_channel: str
) -> None:
    execution, key = contained
    press(world, machine, jane, case_channel(world), "approval_deny")
    assert execution.status == "RUNNING"
    (view,) = jane.views()
    jane.submit(view.id, {"reason": "planned <!channel> rotation"})
    world.settle()
    machine.advance()
    world.settle()

    assert execution.status == "SUCCEEDED"
    assert iam_state(world, "backdoor") == IamState({key: "Active"}, denied=False)
    (message,) = approvals_in(world, security_channel)
    assert "Denied by Jane Smith" in message["text"]
    shown = as_shown(message["blocks"])
    assert "planned &lt;!channel&gt; rotation" in shown


def test_given_an_event_that_joins_when_asked_then_the_message_names_every_key_that_goes(
    world: World, machine: StateMachine, contained: tuple[Execution, str], security_channel: str
) -> None:
    joining = support.key_created(world, "backdoor")
    machine.start(joining)
    world.settle()

    (message,) = approvals_in(world, security_channel)
    first, second = contained[1], support.named_key(joining)
    shown = as_shown(message["blocks"])
    assert f"permanently deletes keys {first}, {second}" in shown
    assert "2 keys active" in shown


def test_given_two_who_press_when_the_first_has_decided_then_the_second_learns_who(
    world: World, machine: StateMachine, jane: Person, contained: tuple[Execution, str], security_channel: str
) -> None:
    (message,) = approvals_in(world, security_channel)
    token = asked(world)[0]["taskToken"]
    decide(world, token, "deny", "john")
    machine.advance()

    jane.press(security_channel, message["ts"], "approval_approve")
    world.settle()

    assert "Already denied by john" in answers(world, jane)[-1]


def test_given_an_event_that_joins_when_asked_then_the_message_says_so(
    world: World, machine: StateMachine, contained: tuple[Execution, str], security_channel: str
) -> None:
    machine.start(support.key_created(world, "backdoor"))
    world.settle()

    (message,) = approvals_in(world, security_channel)
    assert "1 more event of the same principal" in as_shown(message["blocks"])


def test_given_an_event_that_joins_when_its_function_dies_afterwards_then_it_is_counted_once(
    world: World, machine: StateMachine, contained: tuple[Execution, str], security_channel: str
) -> None:
    deaths = die_once_after(machine, "immediate_containment")
    machine.start(support.key_created(world, "backdoor"))
    world.settle()

    assert deaths
    (message,) = approvals_in(world, security_channel)
    assert "1 more event of the same principal" in as_shown(message["blocks"])


def test_given_slack_that_answers_no_link_for_a_while_when_a_reminder_is_due_then_it_comes_within_two_minutes(
    world: World, contained: tuple[Execution, str], security_channel: str
) -> None:
    world.unexpected.allow(ClaimHeldError, *RAISED_WHEN_SERVICES_FAIL)
    world.live(1)
    world.advance(600)
    with struck_by(world, Outage("slack", "chat.getPermalink", "server error", 30.0)):
        world.live(3)
    said = world.workspace.channel_messages(security_channel)
    assert len([one for one in said if "Still waiting for a decision" in str(one.get("text"))]) == 1


def test_given_no_answer_when_hours_pass_then_each_reminder_comes_once_and_at_last_the_end(
    world: World, machine: StateMachine, contained: tuple[Execution, str], security_channel: str
) -> None:
    def reminders() -> list[str]:
        said = world.workspace.channel_messages(security_channel)
        return [message["text"] for message in said if "Still waiting for a decision" in message.get("text", "")]

    counts = []
    for hours in (0.5, 1, 7, 12):
        world.advance(hours * 3600)
        for _ in range(2):
            world.poll()
            world.settle()
        counts.append(len(reminders()))
    assert counts == [1, 2, 3, 4]
    assert "made 20 h ago" in reminders()[-1]

    world.advance(4 * 3600)
    machine.advance()
    world.settle()
    (message, *_rest) = approvals_in(world, security_channel)
    assert buttons(message) == []
    assert "No valid decision: the 24-hour deadline passed" in message["text"]


def test_given_a_decision_that_was_not_delivered_when_polled_then_it_is_delivered_again(
    world: World, machine: StateMachine, contained: tuple[Execution, str]
) -> None:
    execution, key = contained
    (row,) = world.invoke("approval-handler", {"task": "list_approvals"})["approvals"]
    world.invoke("sync", {"task": "poll"})
    table = boto3.resource("dynamodb").Table("ledger")
    table.update_item(
        Key={"PK": f"APPROVAL#{row['approval_id']}", "SK": "META"},
        UpdateExpression="SET #s = :d, decision = :a, analyst = :w, decided_at = :t",
        ExpressionAttributeNames={"#s": "state"},
        ExpressionAttributeValues={":d": "decided", ":a": "approve", ":w": {"name": "Jane", "via": "slack"}, ":t": 1},
    )

    world.poll()
    world.settle()
    machine.advance()

    assert execution.status == "SUCCEEDED"
    assert key not in iam_state(world, "backdoor").keys


def test_given_no_membership_when_contained_then_the_security_channel_asks_all_the_same(
    world: World, machine: StateMachine, jane: Person, security_channel: str
) -> None:
    memberships = world.security_ir.call("ListMemberships", {})["items"]
    world.security_ir.call("CancelMembership", {"membershipId": memberships[0]["membershipId"]})
    world.environment["IR_APPROVERS"] = json.dumps([jane.id])

    execution, _key = support.contain(world, machine)
    world.settle()
    press(world, machine, jane, security_channel, "approval_approve")

    assert execution.status == "SUCCEEDED"


@pytest.mark.parametrize("trouble", ["no membership", "no answer"])
def test_given_cases_that_cannot_be_read_when_polled_then_an_approval_is_reminded_of_all_the_same(
    world: World, contained: tuple[Execution, str], security_channel: str, trouble: str
) -> None:
    if trouble == "no membership":
        memberships = world.security_ir.call("ListMemberships", {})["items"]
        world.security_ir.call("CancelMembership", {"membershipId": memberships[0]["membershipId"]})
    else:
        world.security_ir.faults.refuse("InternalServerException", times=None)
    world.advance(3601)
    polled = world.try_invoke("sync", {"task": "poll"})
    world.settle()

    said = [message["text"] for message in world.workspace.channel_messages(security_channel)]
    assert len([text for text in said if "Open the request>" in text]) == 1
    assert polled.error is None


@pytest.mark.parametrize("button", ["Approve", "Deny"])
def test_given_a_form_that_is_late_when_a_button_was_pressed_then_the_person_is_asked_to_press_again(
    world: World, jane: Person, contained: tuple[Execution, str], security_channel: str, button: str
) -> None:
    (message,) = approvals_in(world, security_channel)
    jane.press(security_channel, message["ts"], f"approval_{button.lower()}")
    world.advance(10)
    world.settle()

    assert f"Press {button} again" in answers(world, jane)[-1]
    assert contained[0].status == "RUNNING"


def test_given_the_token_when_everything_in_slack_is_searched_then_it_is_nowhere(
    world: World, contained: tuple[Execution, str], security_channel: str
) -> None:
    token = asked(world)[0]["taskToken"]

    shown = [world.workspace.channel_messages(channel) for channel in (case_channel(world), security_channel)]

    assert token not in json.dumps(shown)


def test_given_a_remediation_that_fails_when_approved_then_the_message_says_that_a_person_must_act(
    world: World, machine: StateMachine, jane: Person, contained: tuple[Execution, str], security_channel: str
) -> None:
    fail_task(machine, "delete_key_permanently")
    press(world, machine, jane, security_channel, "approval_approve")

    assert contained[0].error == "RemediationFailed"
    (message,) = approvals_in(world, security_channel)
    assert "NOT carried out" in message["text"]


def test_given_an_approval_function_that_does_not_answer_when_given_up_then_the_presser_is_asked_to_press_again(
    world: World, machine: StateMachine, jane: Person, contained: tuple[Execution, str], security_channel: str
) -> None:
    (message,) = approvals_in(world, security_channel)
    jane.press(security_channel, message["ts"], "approval_approve")
    world.settle()
    jane.submit(jane.views()[-1].id, {})
    with struck_by(world, Outage("lambda", "Invoke", "throttling", 600.0)):
        world.settle()

    last = answers(world, jane)[-1]
    assert last.startswith(
        "❌ Approve: the outcome is unknown after several attempts, and ir-router does not retry it\n"
    )
    assert "Please press the button again if the message still shows it (ir-router records only one decision)\n" in last
    assert "/security-ir" not in last
    world.advance(600)
    press(world, machine, jane, security_channel, "approval_approve")
    assert contained[0].status == "SUCCEEDED"
    assert contained[1] not in iam_state(world, "backdoor").keys


@pytest.mark.parametrize(("service", "operation"), [("slack", "chat.update"), ("security-ir", "UpdateCaseStatus")])
def test_given_an_outage_of_ten_minutes_when_decided_then_the_messages_and_the_case_show_the_end_after_it(
    world: World,
    machine: StateMachine,
    contained: tuple[Execution, str],
    security_channel: str,
    service: str,
    operation: str,
) -> None:
    world.unexpected.allow(*RAISED_WHEN_SERVICES_FAIL)
    with struck_by(world, Outage(service, operation, "server error", 600.0)):
        decide(world, asked(world)[-1]["taskToken"], "deny")
        machine.advance()
        world.live(12)
    world.live(3)

    texts = [str(message["text"]) for message in world.workspace.channel_messages(security_channel)]
    assert not [text for text in texts if "Approval needed" in text]
    assert [text for text in texts if text.startswith("Denied by")]
    (case,) = world.security_ir.snapshot()["cases"].values()
    assert case["status"] == "Post-incident Activities"
    assert approvals.open_ids() == []


def test_given_messages_that_slack_never_updates_when_decided_then_the_poll_stops_after_a_day(
    world: World, machine: StateMachine, contained: tuple[Execution, str], security_channel: str
) -> None:
    world.unexpected.allow(*RAISED_WHEN_SERVICES_FAIL)
    with struck_by(world, Outage("slack", "chat.update", "server error", 200_000.0)):
        decide(world, asked(world)[-1]["taskToken"], "deny")
        machine.advance()
        world.live(5)
        assert len(approvals.open_ids()) == 1
        world.advance(86_401)
        world.live(1)

        assert approvals.open_ids() == []
