"""Attacks on decisions with a leaked bot token: other buttons, other labels, imitated requests."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from slack_sdk import WebClient

from ir_router.sync import posting
from ir_sandbox.slack.people import Person
from tests.support.approvals import approvals_in, as_shown, buttons, case_channel, make_approver, press, press_message
from tests.support.commands import answers, case, case_with_channel, type_command
from tests.support.world import World
from tests.trials.world.incidents import audit_actions
from tests.trials.world.state_machine import Execution, StateMachine

ASKED = "Pizza on Friday?"


@pytest.fixture
def jane(world: World) -> Person:
    return make_approver(world)


def with_token(world: World, method: str, **arguments: Any) -> dict[str, Any]:
    """Call Slack's Web API with nothing but the leaked bot token."""
    client = WebClient(world.app.token, base_url=world.environment["SLACK_API_BASE_URL"])
    answer = client.api_call(method, json=arguments).data
    assert isinstance(answer, dict)
    return answer


def decided() -> bool:
    return "decision_recorded" in audit_actions()


@pytest.mark.parametrize("action", ["approval_approve", "approval_deny"])
def test_given_a_button_of_an_approval_in_another_message_when_pressed_then_it_neither_decides_nor_opens_a_form(
    world: World,
    machine: StateMachine,
    jane: Person,
    contained: tuple[Execution, str],
    security_channel: str,
    action: str,
) -> None:
    (real,) = approvals_in(world, security_channel)
    (row,) = [block for block in real["blocks"] if block["type"] == "actions"]
    (value,) = [element["value"] for element in row["elements"] if element["action_id"] == action]
    lunch = world.workspace.create_channel("lunch", [jane])
    jane.invite(lunch.id, world.app.bot_user_id)
    button = {
        "type": "button",
        "action_id": action,
        "text": {"type": "plain_text", "text": "Yes!"},
        "value": value,
    }
    posted = with_token(
        world,
        "chat.postMessage",
        channel=lunch.id,
        text=ASKED,
        blocks=[{"type": "actions", "elements": [button]}],
    )
    press_message(world, jane, lunch.id, posted["ts"], action)
    machine.advance()

    assert contained[0].status == "RUNNING"
    assert not decided()
    assert jane.views() == []
    assert "ir-router does not know this message" in answers(world, jane)[-1]
    assert "decision_refused" in audit_actions()
    warned = [message["text"] for message in world.workspace.channel_messages(security_channel)]
    assert any('imitates the approval request "user backdoor contained"' in text for text in warned), warned
    press(world, machine, jane, security_channel, "approval_approve")
    assert contained[0].status == "SUCCEEDED"


def test_given_swapped_labels_when_the_message_is_changed_then_it_is_restored_and_reported_and_nothing_decided(
    world: World, machine: StateMachine, jane: Person, contained: tuple[Execution, str], security_channel: str
) -> None:
    (real,) = approvals_in(world, security_channel)
    forged = copy.deepcopy(real["blocks"])
    (row,) = [block for block in forged if block["type"] == "actions"]
    approve, deny, *_others = row["elements"]
    approve["text"], deny["text"] = deny["text"], approve["text"]
    with_token(world, "chat.update", channel=security_channel, ts=real["ts"], text="Nothing to see", blocks=forged)
    (changed,) = approvals_in(world, security_channel)
    assert changed["text"] == "Nothing to see"  # the attack succeeds in Slack
    press_message(world, jane, security_channel, real["ts"], "approval_deny")  # it is labelled Approve

    (view,) = jane.views()
    shown = as_shown(view.body)
    assert "*Deny*  restores user backdoor as found" in shown  # the form has the facts of the ledger
    assert view.body["submit"]["text"] == "Deny"
    assert not decided()
    (restored,) = approvals_in(world, security_channel)
    assert posting.version(restored) == posting.version(real)
    said = [message["text"] for message in world.workspace.channel_messages(security_channel)]
    assert len([text for text in said if 'someone changed the approval request "user backdoor' in text]) == 1


def test_given_ir_routers_own_edits_when_events_join_and_a_decision_is_made_then_nothing_is_reported(
    world: World, machine: StateMachine, jane: Person, contained: tuple[Execution, str], security_channel: str
) -> None:
    press(world, machine, jane, security_channel, "approval_approve")
    world.live(2)

    said = [message["text"] for message in world.workspace.channel_messages(security_channel)]
    assert not [text for text in said if "bot token" in text]
    assert contained[0].status == "SUCCEEDED"


@pytest.mark.parametrize("where", ["security channel", "case channel"])
def test_given_a_request_that_is_deleted_when_it_waits_then_it_is_posted_again_and_decides(
    world: World,
    machine: StateMachine,
    jane: Person,
    contained: tuple[Execution, str],
    security_channel: str,
    where: str,
) -> None:
    channel = security_channel if where == "security channel" else case_channel(world)
    (real,) = approvals_in(world, channel)
    with_token(world, "chat.delete", channel=channel, ts=real["ts"])
    world.settle()

    (again,) = approvals_in(world, channel)
    assert buttons(again) == ["approval_approve", "approval_deny"]
    press(world, machine, jane, channel, "approval_approve")
    assert contained[0].status == "SUCCEEDED"


def test_given_text_below_a_request_when_it_is_added_as_an_attachment_then_it_is_removed(
    world: World, jane: Person, contained: tuple[Execution, str], security_channel: str
) -> None:
    (real,) = approvals_in(world, security_channel)
    false = [{"text": "Already approved by the CISO. Please deny."}]
    with_token(
        world,
        "chat.update",
        channel=security_channel,
        ts=real["ts"],
        text=real["text"],
        blocks=real["blocks"],
        attachments=false,
    )
    world.settle()

    (restored,) = approvals_in(world, security_channel)
    assert not restored.get("attachments")


def test_given_a_button_that_closes_in_another_message_when_pressed_then_the_case_stays_open(world: World) -> None:
    case_id, watcher = case_with_channel(world)
    type_command(world, watcher, case_id, "close")
    channel = world.channel_of(case_id)
    for value in (case_id, ""):
        button = {"type": "button", "action_id": "close_confirm", "text": {"type": "plain_text", "text": "Yes!"}}
        posted = with_token(
            world,
            "chat.postMessage",
            channel=channel,
            text=ASKED,
            blocks=[{"type": "actions", "elements": [button | ({"value": value} if value else {})]}],
        )
        watcher.press(channel, posted["ts"], "close_confirm")
        world.settle()

    assert case(world, case_id)["caseStatus"] != "Closed"
    assert "command_refused" in audit_actions()
    shown = world.workspace.ephemerals(watcher.id)
    watcher.press(channel, shown[0]["ts"], "close_confirm")
    world.settle()
    assert case(world, case_id)["caseStatus"] == "Closed"


def test_given_a_button_of_another_users_command_when_pressed_then_the_case_stays_open(world: World) -> None:
    case_id, watcher = case_with_channel(world)
    type_command(world, watcher, case_id, "close")
    channel = world.channel_of(case_id)
    (own,) = [one for one in world.workspace.ephemerals(watcher.id) if "close_confirm" in str(one.get("blocks"))]
    ann = world.workspace.create_user("ann", email="ann@example.com", real_name="Ann")
    team = [{"name": name, "jobTitle": "Analyst", "email": f"{name}@example.com"} for name in ("ann", "bob")]
    world.security_ir.set_response_team(team)
    watcher.invite(channel, ann.id)
    posted = with_token(world, "chat.postMessage", channel=channel, text=ASKED, blocks=own["blocks"])
    ann.press(channel, posted["ts"], "close_confirm")
    world.settle()

    assert case(world, case_id)["caseStatus"] != "Closed"
