"""Approvals that cannot be shown or edited: a bad channel or message blocks neither a case nor other approvals."""

from __future__ import annotations

import json
from typing import Any, Literal

import boto3
import pytest

from ir_router.errors import RefusedError
from ir_router.ledger import approvals
from ir_router.sync.case_sync import ClaimHeldError
from ir_sandbox.slack.people import Person
from tests.support.approvals import approvals_in, case_channel, make_approver, press, press_message
from tests.support.world import World
from tests.trials.world import incidents as support
from tests.trials.world.incidents import asked, decide
from tests.trials.world.outages import Outage, struck_by
from tests.trials.world.state_machine import Execution, StateMachine


@pytest.fixture
def jane(world: World) -> Person:
    return make_approver(world)


def without_the_app(world: World, person: Person) -> str:
    """Create a private security channel without the app."""
    channel = person.create_channel("security-private", is_private=True)
    world.environment["IR_SECURITY_CHANNEL_ID"] = channel
    return channel


@pytest.mark.parametrize("trouble", ["archived", "app not in it"])
def test_given_a_bad_security_channel_when_an_approval_changes_then_the_case_stays_in_sync_and_shows_it(
    world: World, machine: StateMachine, jane: Person, security_channel: str, trouble: str
) -> None:
    world.expect(RefusedError)
    if trouble == "app not in it":
        without_the_app(world, jane)
    support.contain(world, machine)
    world.settle()
    if trouble == "archived":
        jane.archive_channel(security_channel)
    machine.start(support.key_created(world, "backdoor"))
    world.settle()
    (case,) = world.security_ir.call("ListCases", {"maxResults": 25})["items"]
    world.security_ir.add_comment_as(case["caseId"], body="look at the trail")
    world.live(3)

    said = json.dumps(world.said(case["caseId"]))
    assert "look at the trail" in said
    told = [text for text in world.comments(case["caseId"]) if "cannot show approval requests" in text]
    assert len(told) == 1
    assert "Until then, decide in the channel of this case." in told[0]
    assert "out of sync" not in said + json.dumps(world.comments(case["caseId"]))
    (message,) = approvals_in(world, case_channel(world))
    assert "1 more event of the same principal" in json.dumps(message["blocks"])


def test_given_a_security_channel_that_is_fixed_when_polled_then_it_asks(
    world: World, machine: StateMachine, jane: Person
) -> None:
    world.expect(RefusedError)
    channel = without_the_app(world, jane)
    support.contain(world, machine)
    world.settle()
    assert approvals_in(world, channel) == []

    jane.invite(channel, world.app.bot_user_id)
    world.live(1)

    assert len(approvals_in(world, channel)) == 1


def test_given_an_archived_security_channel_when_another_is_configured_then_what_changes_is_shown_there(
    world: World, machine: StateMachine, jane: Person, contained: tuple[Execution, str], security_channel: str
) -> None:
    jane.archive_channel(security_channel)
    another = jane.create_channel("security-2")
    jane.invite(another, world.app.bot_user_id)
    world.environment["IR_SECURITY_CHANNEL_ID"] = another
    machine.start(support.key_created(world, "backdoor"))
    world.settle()

    press(world, machine, jane, another, "approval_approve")

    (message,) = approvals_in(world, another)
    assert "Approved by Jane Smith" in message["text"]


def delete_by_administrator(world: World, channel: str) -> None:
    """Delete the app's approval message, as an administrator of the workspace can."""
    boss = world.workspace.create_user(f"boss-{channel.lower()}", real_name="The Boss")
    world.workspace.store.users[boss.id].is_admin = True
    (message,) = approvals_in(world, channel)
    boss.delete(channel, message["ts"])


def test_given_a_message_that_was_deleted_when_the_approval_changes_then_it_is_asked_again_and_kept_unchanged(
    world: World, machine: StateMachine, jane: Person, contained: tuple[Execution, str], security_channel: str
) -> None:
    channels = (case_channel(world), security_channel)
    for channel in channels:
        delete_by_administrator(world, channel)
    machine.start(support.key_created(world, "backdoor"))
    world.live(2)

    for channel in channels:
        (message,) = approvals_in(world, channel)
        assert "1 more event of the same principal" in json.dumps(message["blocks"])
    press(world, machine, jane, security_channel, "approval_approve")
    for channel in channels:
        (message,) = approvals_in(world, channel)
        assert "Approved by Jane Smith" in message["text"]


def test_given_a_workspace_where_edits_end_when_the_approval_changes_then_each_change_is_posted_once(
    world: World, machine: StateMachine, jane: Person, contained: tuple[Execution, str], security_channel: str
) -> None:
    world.workspace.configure(edit_window_seconds=300)
    world.advance(600)
    machine.start(support.key_created(world, "backdoor"))
    world.live(12)
    asked_again = approvals_in(world, security_channel)
    assert len(asked_again) == 2
    assert "1 more event of the same principal" in json.dumps(asked_again[1]["blocks"])

    press_message(world, jane, security_channel, asked_again[1]["ts"], "approval_approve")
    machine.advance()
    world.settle()

    told = [message["text"] for message in approvals_in(world, security_channel)[2:]]
    assert told
    assert len(set(told)) == len(told)
    assert "Approved by Jane Smith" in told[-1]
    assert "deleted (verified)" in told[-1]


def test_given_a_message_posted_again_when_the_answer_is_lost_then_there_is_one(
    world: World, machine: StateMachine, contained: tuple[Execution, str], security_channel: str
) -> None:
    delete_by_administrator(world, security_channel)
    machine.start(support.key_created(world, "backdoor"))
    with struck_by(world, Outage("slack", "chat.postMessage", "time-out", None)):
        world.settle()
    world.live(3)

    (message,) = approvals_in(world, security_channel)
    assert "1 more event of the same principal" in json.dumps(message["blocks"])


def test_given_a_message_posted_again_when_the_function_dies_before_it_is_noted_then_that_one_is_kept_unchanged(
    world: World, machine: StateMachine, contained: tuple[Execution, str], security_channel: str
) -> None:
    world.expect(ClaimHeldError)
    delete_by_administrator(world, security_channel)
    machine.start(support.key_created(world, "backdoor"))
    world.wire.kill_on("slack", "chat.postMessage", "after")
    world.settle()
    assert str(world.wire.died_at) == "sync: slack chat.postMessage"
    world.live(3)
    # The claim is confirmed, and the row of the place still names the deleted message.
    (message,) = approvals_in(world, security_channel)
    forget_newest_message(world, contained[0])
    machine.start(support.key_created(world, "backdoor", contained[1]))
    world.live(2)

    (kept,) = approvals_in(world, security_channel)
    assert kept["ts"] == message["ts"]
    assert "2 more events of the same principal" in json.dumps(kept["blocks"])


def forget_newest_message(world: World, execution: Execution) -> None:
    """Put the ledger into the state after a death between confirming a reposted message and recording it."""
    approval_id = approvals.id_of(execution.arn, "remediate")
    ledger = boto3.resource("dynamodb").Table("ledger")
    key = {"PK": f"DEDUP#APPROVAL-MESSAGE#{approval_id}", "SK": "META"}
    rows: list[dict[str, Any]] = list(ledger.scan()["Items"])
    (instead,) = [row["SK"] for row in rows if row["PK"] == key["PK"] and "INSTEAD" in row["SK"]]
    ledger.update_item(
        Key=key,
        UpdateExpression="SET ts = :ts, shown = :shown",
        ExpressionAttributeValues={":ts": instead.partition("INSTEAD")[2], ":shown": "before"},
    )


@pytest.mark.parametrize("kind", ["server error", "connection reset"])
def test_given_a_decision_that_cannot_be_handed_on_when_polled_then_the_other_approvals_are_looked_after(
    world: World, machine: StateMachine, security_channel: str, kind: Literal["server error", "connection reset"]
) -> None:
    for name in ("backdoor", "cellar"):
        support.contain(world, machine, name)
    world.settle()
    first, _second = sorted(asked(world), key=lambda message: str(message["approvalId"]))
    with struck_by(world, Outage("stepfunctions", "SendTaskSuccess", "connection reset", None)):
        assert decide(world, first["taskToken"], "deny")["status"] == "recorded"
    world.advance(3601)

    with struck_by(world, Outage("lambda", "Invoke", kind, None)):
        assert world.try_invoke("sync", {"task": "poll"}).error is None

    said = [message["text"] for message in world.workspace.channel_messages(security_channel)]
    assert len([text for text in said if "Open the request>" in text]) == 1
    world.poll()
    world.settle()
    machine.advance()
    assert [execution.status for execution in machine.executions.values()].count("SUCCEEDED") == 1
