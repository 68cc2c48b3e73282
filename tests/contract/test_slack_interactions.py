"""Slash commands, buttons and `response_url`s of the local Slack."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from slack_sdk import WebClient
from slack_sdk.signature import SignatureVerifier
from slack_sdk.webhook import WebhookClient

from ir_sandbox.slack import Person, SlackError
from ir_sandbox.slack.model import Json
from ir_sandbox.slack.testing import LocalSlack, error_of, local_slack

BUTTONS = [
    {"type": "section", "text": {"type": "mrkdwn", "text": "Approve?"}},
    {
        "type": "actions",
        "block_id": "decision",
        "elements": [
            {
                "type": "button",
                "action_id": "approve",
                "text": {"type": "plain_text", "text": "Approve"},
                "value": "ap1",
            },
            {"type": "button", "action_id": "deny", "text": {"type": "plain_text", "text": "Deny"}, "value": "ap1"},
        ],
    },
]


@pytest.fixture
def slack() -> Iterator[LocalSlack]:
    with local_slack(events=()) as running:
        yield running


@pytest.fixture
def channel(client: WebClient) -> str:
    return str(client.conversations_create(name="case-1")["channel"]["id"])


@pytest.fixture
def jane(slack: LocalSlack, client: WebClient, channel: str) -> Person:
    person = slack.workspace.create_user("jane.smith")
    client.conversations_invite(channel=channel, users=person.id)
    return person


def respond(url: str, **body: object) -> tuple[int, str]:
    response = WebhookClient(url).send_dict(body)
    return response.status_code, response.body


def last(client: WebClient, channel: str) -> Json:
    message: Json = client.conversations_history(channel=channel)["messages"][0]
    return message


# Commands


def test_given_a_command_when_run_then_the_app_gets_slacks_signed_form(slack, channel, jane):
    text = "update-title “Größe” & more  100% + 🙂\nsecond line"

    result = jane.command(channel, "/security-ir", text)

    ((headers, body),) = slack.received.requests
    assert SignatureVerifier(slack.app.signing_secret).is_valid_request(body, dict(headers))
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    (form,) = slack.received.bodies()
    assert form == {
        "token": slack.app.verification_token,
        "team_id": slack.workspace.team_id,
        "team_domain": "local-workspace",
        "channel_id": channel,
        "channel_name": "case-1",
        "user_id": jane.id,
        "user_name": "jane.smith",
        "command": "/security-ir",
        "text": text,
        "api_app_id": slack.app.app_id,
        "is_enterprise_install": "false",
        "response_url": result.response_url,
        "trigger_id": result.trigger_id,
    }
    assert re.fullmatch(r"\d+\.\d+\.[0-9a-f]{32}", result.trigger_id)
    assert (result.status, result.error, result.answer) == (200, None, None)


@pytest.mark.parametrize(("kind", "name"), [("private", "privategroup"), ("im", "directmessage")])
def test_given_a_private_place_when_a_command_is_run_then_its_name_is_hidden(slack, client, jane, kind, name):
    if kind == "private":
        place = jane.create_channel("hidden", is_private=True)
    else:
        place = client.conversations_open(users=jane.id)["channel"]["id"]
    jane.command(place, "/security-ir")
    (form,) = slack.received.bodies()
    assert (form["channel_id"], form["channel_name"], form["text"]) == (place, name, "")


def test_given_an_enterprise_grid_when_a_command_is_run_then_the_enterprise_is_named():
    with local_slack(enterprise_id="E0LC0000001") as slack:
        jane = slack.workspace.create_user("jane")
        jane.command(jane.create_channel("c"), "/security-ir")
        form = slack.received.bodies()[-1]
        assert (form["enterprise_id"], form["enterprise_name"]) == ("E0LC0000001", "Local Workspace")


@pytest.mark.parametrize(
    ("answer", "shown", "kind"),
    [
        (b"Working on it", "Working on it", "ephemeral"),
        (json.dumps({"text": "Just you"}).encode(), "Just you", "ephemeral"),
        (json.dumps({"text": "All", "response_type": "in_channel"}).encode(), "All", "in_channel"),
    ],
)
def test_given_an_answer_in_the_acknowledgement_when_a_command_is_run_then_shown(
    slack, client, channel, jane, answer, shown, kind
):
    slack.received.answer = (200, {"Content-Type": "application/json"}, answer)
    jane.command(channel, "/security-ir", "status")
    if kind == "ephemeral":
        assert [(entry["text"], entry["via"]) for entry in slack.workspace.ephemerals(jane.id)] == [(shown, "command")]
    else:
        assert last(client, channel)["text"] == shown


def test_given_an_app_that_fails_when_a_command_is_run_then_slack_says_so_and_does_not_try_again(slack, channel, jane):
    """PLATFORM_FACTS: slash commands and interactions are not redelivered."""
    slack.received.answer = (500, {}, b"")
    assert jane.command(channel, "/security-ir").error == "dispatch_failed"
    assert len(slack.received.requests) == 1
    slack.workspace.configure(acknowledge_seconds=0.0)
    slack.received.answer = (200, {}, b"")
    assert jane.command(channel, "/security-ir").error == "operation_timeout"
    with pytest.raises(SlackError, match="unknown_command"):
        jane.command(channel, "/nothing")


# response_url


def test_given_a_response_url_when_posted_to_then_ephemeral_by_default_or_in_the_channel(slack, client, channel, jane):
    url = jane.command(channel, "/security-ir", "status").response_url

    assert respond(url, text="for you", blocks=BUTTONS) == (200, "ok")
    assert respond(url, text="for all", response_type="in_channel") == (200, "ok")

    (shown,) = slack.workspace.ephemerals(jane.id)
    assert (shown["text"], shown["via"], shown["blocks"][1]["block_id"]) == ("for you", "response_url", "decision")
    message = last(client, channel)
    assert (message["text"], message["bot_id"], message["subtype"]) == ("for all", slack.app.bot_id, "bot_message")
    assert [post["body"]["text"] for post in slack.workspace.store.response_posts] == ["for you", "for all"]


def test_fact_response_url_5_uses(channel, jane):
    """PLATFORM_FACTS: `response_url`: 30 minutes, 5 uses."""
    url = jane.command(channel, "/security-ir").response_url
    assert [respond(url, text=str(number))[0] for number in range(5)] == [200] * 5
    status, body = respond(url, text="sixth")
    assert (status, json.loads(body)["error"]) == (404, "used_url")


def test_fact_response_url_30_minutes(slack, channel, jane):
    """PLATFORM_FACTS: `response_url`: 30 minutes, 5 uses."""
    url = jane.command(channel, "/security-ir").response_url
    slack.clock.advance(30 * 60 - 5)
    assert respond(url, text="in time")[0] == 200
    slack.clock.advance(5)
    status, body = respond(url, text="too late")
    assert (status, json.loads(body)["error"]) == (404, "expired_url")
    assert [entry["text"] for entry in slack.workspace.ephemerals()] == ["in time"]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"text": ""}, "no_text"),
        ({"text": "x", "blocks": [{"type": "nonsense"}]}, "invalid_blocks"),
        ({"delete_original": True}, "message_not_found"),
    ],
)
def test_given_a_bad_body_when_posted_to_a_response_url_then_refused_without_counting(channel, jane, body, error):
    url = jane.command(channel, "/security-ir").response_url
    for _ in range(6):
        status, answer = respond(url, **body)
        assert (status, json.loads(answer)["error"]) == (400, error)
    assert respond(url, text="good")[0] == 200


def test_given_an_unknown_response_url_when_posted_to_then_expired(slack):
    assert respond(f"{slack.url}/commands/T/1/forged", text="x")[0] == 404


# Buttons


def test_given_a_button_when_pressed_then_the_app_gets_block_actions(slack, client, channel, jane):
    ts = client.chat_postMessage(channel=channel, text="Approve?", blocks=BUTTONS)["ts"]

    result = jane.press(channel, ts, "deny")

    (payload,) = slack.received.bodies()
    assert payload["type"] == "block_actions"
    assert (payload["user"]["id"], payload["user"]["team_id"]) == (jane.id, slack.workspace.team_id)
    assert (payload["team"]["id"], payload["api_app_id"]) == (slack.workspace.team_id, slack.app.app_id)
    assert payload["container"] == {"type": "message", "message_ts": ts, "channel_id": channel, "is_ephemeral": False}
    assert payload["channel"] == {"id": channel, "name": "case-1"}
    assert payload["message"]["ts"] == ts
    assert (payload["trigger_id"], payload["response_url"]) == (result.trigger_id, result.response_url)
    (action,) = payload["actions"]
    assert (action["action_id"], action["block_id"], action["type"], action["value"]) == (
        "deny",
        "decision",
        "button",
        "ap1",
    )


def test_given_a_press_when_replace_original_then_the_message_changes_for_all(client, channel, jane):
    ts = client.chat_postMessage(channel=channel, text="Approve?", blocks=BUTTONS)["ts"]
    url = jane.press(channel, ts, "approve").response_url
    assert respond(url, text="Approved", replace_original=True)[0] == 200

    message = last(client, channel)
    assert (message["ts"], message["text"], message["blocks"][0]["type"]) == (ts, "Approved", "rich_text")
    assert respond(url, delete_original=True)[0] == 200
    assert last(client, channel)["ts"] != ts


def test_given_an_ephemeral_with_buttons_when_pressed_then_replaced_or_deleted_for_that_person(
    slack, client, channel, jane
):
    ts = client.chat_postEphemeral(channel=channel, user=jane.id, text="Close?", blocks=BUTTONS)["message_ts"]
    url = jane.press(channel, ts, "approve").response_url
    (payload,) = slack.received.bodies()
    assert payload["container"]["is_ephemeral"] is True
    assert "message" not in payload

    respond(url, text="Closing", replace_original=True)
    assert [entry["text"] for entry in slack.workspace.ephemerals(jane.id)] == ["Closing"]
    respond(url, delete_original=True)
    assert slack.workspace.ephemerals(jane.id) == []


def test_given_no_member_or_no_such_button_when_pressed_then_refused(slack, client, channel, jane):
    ts = client.chat_postMessage(channel=channel, text="Approve?", blocks=BUTTONS)["ts"]
    with pytest.raises(SlackError, match="not_in_channel"):
        slack.workspace.create_user("outsider").press(channel, ts, "approve")
    with pytest.raises(SlackError, match="action_not_found"):
        jane.press(channel, ts, "later")
    with pytest.raises(SlackError, match="message_not_found"):
        jane.press(channel, jane.post(channel, "mine"), "approve")
    assert slack.received.requests == []


def test_given_a_menu_when_chosen_then_the_option_is_sent(slack, client, channel, jane):
    option = {"text": {"type": "plain_text", "text": "One"}, "value": "1"}
    menu = {"type": "static_select", "action_id": "menu", "options": [option]}
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": "Choose"}, "accessory": menu}]
    ts = client.chat_postMessage(channel=channel, text="Choose", blocks=blocks)["ts"]
    jane.press(channel, ts, "menu", selected_option=option)
    assert slack.received.bodies()[0]["actions"][0]["selected_option"] == option


def test_given_an_app_that_fails_when_pressed_then_reported_and_not_sent_again(slack, client, channel, jane):
    slack.received.answer = (503, {}, b"")
    ts = client.chat_postMessage(channel=channel, text="Approve?", blocks=BUTTONS)["ts"]
    assert jane.press(channel, ts, "approve").error == "dispatch_failed"
    assert len(slack.received.requests) == 1


def test_given_a_message_in_a_thread_when_pressed_then_the_container_names_the_thread(slack, client, channel, jane):
    parent = jane.post(channel, "parent")
    ts = client.chat_postMessage(channel=channel, text="x", blocks=BUTTONS, thread_ts=parent)["ts"]
    jane.press(channel, ts, "approve")
    assert slack.received.bodies()[0]["container"]["thread_ts"] == parent


def test_given_another_apps_trigger_when_used_then_invalid(slack, channel, jane):
    trigger = jane.command(channel, "/security-ir").trigger_id
    other = slack.client(slack.workspace.create_app("other", commands=[]).token)
    view = {"type": "modal", "title": {"type": "plain_text", "text": "T"}, "blocks": []}
    assert error_of(other.views_open, trigger_id=trigger, view=view)["error"] == "invalid_trigger_id"
