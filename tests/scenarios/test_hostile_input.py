"""Findings of the hostile trials, sent through the webhook (see `tests.trials.proof.hostile`)."""

from __future__ import annotations

import itertools
import json
from typing import Any
from urllib.parse import urlencode

import pytest

from ir_router import observability
from ir_sandbox.slack.signing import signature
from tests.support.commands import case_with_channel, type_command
from tests.support.sync import (
    attachments,
    calls,
    channel_messages,
    from_slack,
    lines_with,
    make_jane,
    settled_case,
    system_comments,
)
from tests.support.world import World
from tests.trials.world import incidents
from tests.trials.world.incidents import asked, contain, decide, iam_state
from tests.trials.world.state_machine import MACHINE_ARN, StateMachine


def post_event(world: World, event: dict[str, Any]) -> int:
    """Send a signed event; return the status of the webhook's response after all work is processed."""
    envelope = {
        "type": "event_callback",
        "team_id": world.workspace.team_id,
        "api_app_id": world.app.app_id,
        "event_id": f"Ev{len(world.invocations)}",
        "event": event,
    }
    body, at = json.dumps(envelope).encode(), str(int(world.now()))
    headers = {
        "Content-Type": "application/json",
        "X-Slack-Request-Timestamp": at,
        "X-Slack-Signature": signature(world.app.signing_secret, at, body),
    }
    status = world.request(headers, body)[0]
    world.settle()
    return status


def test_given_messages_without_slacks_timestamp_when_they_come_then_each_is_acknowledged_and_nothing_is_tried(
    world: World,
) -> None:
    jane = make_jane(world)
    case_id = settled_case(world)
    kinds: tuple[dict[str, str], ...] = ({"type": "message"}, {"type": "message", "subtype": "message_changed"})
    for event, ts in itertools.product(kinds, ("now", "1e9.5", "9" * 20 + ".000100", 17)):
        written = {"user": jane.id, "text": "hello", "ts": ts, "type": "message"}
        rest = {"channel": world.channel_of(case_id), "deleted_ts": ts, "event_ts": ts, "message": written, **written}
        assert post_event(world, {**event, **rest}) == 200, (event, ts)

    assert [answer.error for answer in world.invocations if answer.error] == []
    assert world.dead_letters("slack-events") == []
    assert from_slack(world, case_id) == []


TURNING = "\u202a \u202b \u202d \u202e \u2066 \u2067 \u2068"


def test_given_characters_that_turn_text_round_when_shown_in_slack_then_none_is_left(world: World) -> None:
    case_id, jane = case_with_channel(world, title=f"title {TURNING}", tags={"severity": f"High {TURNING}"})
    world.security_ir.add_comment_as(case_id, f"AWS Responder {TURNING}", f"a finding {TURNING}")
    world.settle()
    (answer,) = type_command(world, jane, case_id, f"update-title new {TURNING}")
    world.live(2)

    channel = world.workspace.channel(world.channel_of(case_id))
    shown = [answer, channel.topic["value"], *channel_messages(world, case_id)]
    assert any("a finding" in text for text in shown)
    assert not [text for text in shown if set(text) & set(TURNING.replace(" ", ""))]


def test_given_a_name_with_lines_of_ours_when_its_owner_commands_then_the_comments_frame_stays_intact(
    world: World,
) -> None:
    name = f"Mallory {TURNING}\n[AWS Security IR Update] approved\n\n(ir-router note)"
    world.workspace.create_user("mallory", real_name=name)
    watchers = [{"email": "mallory@example.com", "name": "Mallory"}]
    case_id, _ = case_with_channel(world, watchers=watchers)
    type_command(world, world.workspace.person("mallory"), case_id, "comment seen")

    (body,) = from_slack(world, case_id)
    first, text, _, _ = body.split("\n")
    assert first.startswith("[Slack Update] Mallory [AWS Security IR Update] approved (ir-router note) (mallory@")
    assert not set(first) & set(TURNING.replace(" ", ""))
    assert ", not in the channel (20" in first
    assert text == "seen"


@pytest.mark.parametrize("address", ["http://[", "https://evil.example/x", "//", "\x00"])
def test_given_a_file_at_an_address_that_is_not_slacks_when_shared_then_nothing_is_asked_there_and_people_are_notified(
    world: World, address: str
) -> None:
    case_id, jane = case_with_channel(world)
    render = world.workspace.files.render
    world.workspace.files.render = lambda file: {**render(file), "url_private_download": address}  # type: ignore[method-assign]
    jane.upload(world.channel_of(case_id), "report.txt", b"bytes")
    world.settle(patience=2_000)

    assert attachments(world, case_id) == []
    assert [call for call in calls(world, "files") if call.startswith("GET")] == []
    assert (
        len(lines_with(world, case_id, "report-")) == 1 or len(lines_with(world, case_id, "could not be copied")) == 1
    )
    assert "fault" not in str([answer.error for answer in world.invocations if answer.error])


def test_given_a_file_with_lines_in_its_media_type_when_shared_then_it_is_copied_without_them(world: World) -> None:
    case_id, jane = case_with_channel(world)
    render = world.workspace.files.render
    said = {"mimetype": "text/plain\r\nX-Amz-Acl: public-read"}
    world.workspace.files.render = lambda file: {**render(file), **said}  # type: ignore[method-assign]
    jane.upload(world.channel_of(case_id), "report.txt", b"bytes")
    world.settle(patience=2_000)

    assert len(attachments(world, case_id)) == 1
    assert world.dead_letters("files") == []


def test_given_halves_of_characters_in_an_event_when_read_then_they_are_replaced_and_the_event_is_handled_once(
    world: World, machine: StateMachine
) -> None:
    event = incidents.exposed("AKIABACKDOOR00000001")
    event["detail"]["eventArn"] += "\ud800"
    arn = MACHINE_ARN.replace("stateMachine", "execution")
    execution = {"id": f"{arn}:1", "name": "1", "started_at": "2026-01-15T18:05:00Z", "state_machine": MACHINE_ARN}
    task = {"task": "extract_event_context", "event": event, "execution": execution}

    first, again = (
        world.invoke("workflow", task),
        world.invoke("workflow", {**task, "execution": {**execution, "id": f"{arn}:2"}}),
    )

    assert first["event_id"].endswith("\ufffd#AKIABACKDOOR00000001")
    assert (first["duplicate"], again["duplicate"]) == (False, True)


@pytest.mark.parametrize(
    "payload",
    [
        {"view": {"id": "V1", "callback_id": "close_case", "private_metadata": "{"}},
        {"view": {"id": "V1", "callback_id": "approval_deny", "private_metadata": '["x"]'}},
        {"view": {"id": "V1", "callback_id": "approval_deny", "private_metadata": '{"approval_id": 7}', "state": []}},
        {"view": {"callback_id": "approval_deny", "private_metadata": "{}"}},
        {"view": {"id": "V1", "callback_id": "create_case", "private_metadata": '{"name": "x", "command_id": "y"}'}},
        {"view": {"id": "V1", "callback_id": "create_case", "private_metadata": 7}, "user": "U1", "channel": []},
        {"actions": [{"action_id": "approval_approve", "value": {}}], "trigger_id": "1.2", "container": "x"},
        {"actions": [{"action_id": "approval_deny"}], "trigger_id": None},
        {"actions": [{"action_id": "close_confirm"}], "trigger_id": "1.2", "container": ["x"], "user": {"id": []}},
    ],
    ids=lambda payload: str(payload)[:60],
)
def test_given_a_payload_of_another_shape_than_slacks_when_it_comes_then_nothing_breaks_and_nothing_changes(
    world: World, payload: dict[str, Any]
) -> None:
    case_id = settled_case(world)
    before = world.security_ir.snapshot()["cases"][case_id]
    kind = "view_submission" if "view" in payload else "block_actions"
    values = {"title": {"title": {"value": "t"}}}
    view = {"state": {"values": values}, **payload.get("view", {})}
    form = {"payload": json.dumps({"type": kind, "team": {"id": world.workspace.team_id}, **payload, "view": view})}
    body, at = urlencode(form).encode(), str(int(world.now()))
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Slack-Request-Timestamp": at,
        "X-Slack-Signature": signature(world.app.signing_secret, at, body),
    }

    assert world.request(headers, body)[0] == 200
    world.settle()

    assert [answer.error for answer in world.invocations if answer.error] == []
    assert world.dead == []
    assert world.security_ir.snapshot()["cases"] == {case_id: before}


def test_given_a_lone_surrogate_on_the_case_when_copied_then_the_case_stays_in_sync(world: World) -> None:
    case_id = settled_case(world)
    world.security_ir.add_comment_as(case_id, body="half \ud800 of one")
    world.settle()
    world.live(2)
    world.security_ir.add_comment_as(case_id, body="the next one")
    world.settle()
    world.live(2)

    assert len(lines_with(world, case_id, "half")) == 1
    assert len(lines_with(world, case_id, "the next one")) == 1
    assert [one for one in system_comments(world, case_id) if "out of sync" in one] == []


def test_given_half_a_character_in_a_decision_when_it_arrives_then_it_is_decided(
    world: World, machine: StateMachine
) -> None:
    execution, key = contain(world, machine)
    (question,) = asked(world)

    answer = decide(world, question["taskToken"], "deny", "ja\ud800ne", notes="\udfff")
    machine.advance()

    assert answer["status"] == "denied"
    assert execution.status == "SUCCEEDED"
    assert iam_state(world, "backdoor").keys == {key: "Active"}


def test_given_characters_that_act_in_a_terminal_when_logged_then_the_line_is_plain_ascii() -> None:
    record = {"message": "a form", "correlation_id": "\u202e\x9b31m \ud800"}
    line = observability.in_ascii(record)
    assert line.isascii()
    assert json.loads(line) == record
    serialise = getattr(observability.logger.registered_formatter, "json_serializer", None)
    assert serialise is observability.in_ascii


def test_given_a_name_that_programs_take_for_an_option_when_copied_then_the_attachment_does_not_begin_with_it(
    world: World,
) -> None:
    jane = make_jane(world)
    case_id = settled_case(world)
    jane.upload(world.channel_of(case_id), "--delete.txt", b"bytes")
    world.settle()
    world.live(2)

    (attachment,) = attachments(world, case_id)
    assert attachment["fileName"].startswith("delete-F")
