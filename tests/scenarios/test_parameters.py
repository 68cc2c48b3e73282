"""Unreadable SSM parameters: cached values stay in use; without them nothing counts as done, and the failure is
reported.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import boto3
import pytest

from ir_router import aws
from ir_router.errors import RetryLaterError
from ir_router.slack import credentials
from ir_router.slack.gateway import Names
from tests.scenarios.test_commands_forms import filled, open_form, opened_cases, responder
from tests.scenarios.test_webhook import envelope, outbound, request, send, warmed
from tests.support.commands import answers, type_command
from tests.support.sync import from_slack, lines_with, make_jane, settled_case, system_comments
from tests.support.world import HttpAnswer, World, forget_everything
from tests.trials.world.outages import Kind, Outage, struck_by

ROOT = "/SecurityIncidentResponse/"
KINDS = pytest.mark.parametrize("kind", ["throttling", "server error", "time-out", "connection reset"])
LONG = 100_000


def put(name: str, value: str) -> None:
    boto3.client("ssm").put_parameter(Name=ROOT + name, Value=value, Overwrite=True)


def command(world: World) -> tuple[bytes, dict[str, Any]]:
    """Return a slash command as Slack sends it."""
    form = {"command": "/security-ir", "text": "status", "team_id": world.workspace.team_id, "trigger_id": "1.2.3"}
    body = urlencode(form).encode()
    headers = request(world, body)["headers"] | {"Content-Type": "application/x-www-form-urlencoded"}
    return body, {"headers": headers}


@contextmanager
def refused(name: str, code: str, times: int = LONG) -> Iterator[list[str]]:
    """Refuse to return this one parameter; yield the list of requests for it."""
    asked: list[str] = []

    def refuse(params: dict[str, Any], **_: Any) -> Any:
        if name not in str(params["body"]) or len(asked) >= times:
            return None
        asked.append(name)
        return HttpAnswer(400), {"Error": {"Code": code, "Message": "no"}}

    hooks = boto3.DEFAULT_SESSION.events  # type: ignore[union-attr]
    aws.forget_clients()  # a client keeps the hooks that existed at its creation
    hooks.register("before-call.ssm.GetParameter", refuse)
    try:
        yield asked
    finally:
        hooks.unregister("before-call.ssm.GetParameter", refuse)
        aws.forget_clients()


@KINDS
def test_given_a_warm_webhook_when_ssm_fails_for_long_then_signed_requests_are_taken_and_others_are_not(
    world: World, case_id: str, kind: Kind
) -> None:
    warmed(world, case_id)
    with struck_by(world, Outage("ssm", "GetParameter", kind, LONG)):
        for minute in range(10):
            world.advance(60)
            assert send(world, envelope(world, case_id, event_id=f"Ev{minute}")) == 200
            body, changes = command(world)
            answer = world.invoke("webhook", request(world, body, **changes))
            assert (answer["statusCode"], "not accepted" in answer["body"]) == (200, False)
            forged = request(world, envelope(world, case_id))
            forged["headers"]["X-Slack-Signature"] = "v0=" + "0" * 64
            assert world.invoke("webhook", forged)["statusCode"] == 401


def test_given_a_warm_webhook_when_ssm_fails_then_it_is_asked_once_a_minute_however_many_requests_come(
    world: World, case_id: str
) -> None:
    warmed(world, case_id)
    world.advance(301)
    with refused("slack", "AccessDeniedException") as asked:
        for number in range(24):
            assert send(world, envelope(world, case_id, event_id=f"Ev{number}")) == 200
            world.advance(5)

    assert len(asked) == 2


def test_given_ssm_that_answers_again_when_the_secret_was_rotated_meanwhile_then_the_new_one_is_used(
    world: World, case_id: str
) -> None:
    warmed(world, case_id)
    with struck_by(world, Outage("ssm", "GetParameter", "server error", LONG)):
        world.advance(400)
        assert send(world, envelope(world, case_id, event_id="Ev1")) == 200
    put("slackSigningSecret", "b" * 32)
    world.app.signing_secret = "b" * 32
    world.advance(61)

    assert send(world, envelope(world, case_id, event_id="Ev2")) == 200


@KINDS
def test_given_a_cold_webhook_when_ssm_fails_then_slack_is_asked_to_send_again_and_the_errors_id_is_logged(
    world: World, case_id: str, kind: Kind, caplog: pytest.LogCaptureFixture
) -> None:
    forget_everything()
    with struck_by(world, Outage("ssm", "GetParameter", kind, LONG)):
        answer = world.invoke("webhook", request(world, envelope(world, case_id)))

    assert answer["statusCode"] == 503
    shown = json.loads(answer["body"])["text"].rpartition("Error ID: ")[2]
    assert shown in [getattr(record, "error_id", None) for record in caplog.records]
    assert send(world, envelope(world, case_id)) == 200


def test_given_a_webhook_that_cannot_read_the_workspaces_id_when_a_command_comes_then_the_person_reads_the_errors_id(
    world: World, case_id: str
) -> None:
    forget_everything()
    body, changes = command(world)
    with refused("slackWorkspaceId", "ThrottlingException"):
        answer = world.invoke("webhook", request(world, body, **changes))

    assert answer["statusCode"] == 200
    assert "Your request was not accepted" in answer["body"]
    assert "Error ID: network-error-" in answer["body"]


def test_given_another_workspace_after_a_rotation_when_its_requests_come_then_a_warm_webhook_takes_them_within_a_minute(
    world: World, case_id: str
) -> None:
    warmed(world, case_id)
    put("slackWorkspaceId", "T0NEW")
    world.advance(61)

    assert send(world, envelope(world, case_id, team_id="T0NEW", event_id="EvNew")) == 200
    world.wire.calls.clear()
    assert send(world, envelope(world, case_id, event_id="EvOld")) == 200
    assert "sqs SendMessage" not in outbound(world)


def test_given_another_workspace_after_a_rotation_when_five_minutes_have_passed_then_the_old_one_is_refused(
    world: World, case_id: str
) -> None:
    warmed(world, case_id)
    put("slackWorkspaceId", "T0NEW")
    world.advance(301)

    world.wire.calls.clear()
    assert send(world, envelope(world, case_id, event_id="EvOld")) == 200
    assert "sqs SendMessage" not in outbound(world)
    world.wire.calls.clear()
    assert send(world, envelope(world, case_id, event_id="EvOld2")) == 200
    assert outbound(world) == []


@pytest.mark.parametrize("code", ["ThrottlingException", "AccessDeniedException"])
def test_given_a_prefix_that_cannot_be_read_when_a_form_was_submitted_then_one_case_is_opened_and_reported_as_opened(
    world: World, code: str
) -> None:
    world.unexpected.allow(RetryLaterError)
    jane, channel = responder(world)
    view = open_form(world, jane, channel)
    credentials.forget()

    with refused("slackChannelPrefix", code):
        jane.submit(view, filled(world))
        world._run_asynchronous()
        assert opened_cases(world) == []
        assert answers(world, jane)[0].startswith("⚠️ Temporary connectivity issue\n")
    world.advance(60)
    world.settle()

    (case_id,) = opened_cases(world)
    told = answers(world, jane)
    assert told[-1].startswith(f"✅ Case opened\nCase ID: {case_id}\n")
    assert not any("Unable to open" in text for text in told)


@pytest.mark.parametrize("code", ["ThrottlingException", "InternalServerError", "AccessDeniedException"])
def test_given_a_token_that_cannot_be_read_for_ten_minutes_when_it_can_then_the_next_poll_has_both_sides_in_sync(
    world: World, code: str
) -> None:
    world.unexpected.allow(RetryLaterError)
    jane = make_jane(world)
    case_id = settled_case(world)
    until = world.now() + 600

    with refused("slackBotToken", code) as asked:
        credentials.forget()
        Names.forget()  # only Slack knows the author's name
        jane.post(world.channel_of(case_id), "a finding")
        world.security_ir.add_comment_as(case_id, body="from AWS")
        world.settle(patience=30)
        while world.now() < until:
            world.live(1)
        # The message is more important than its author's name: after three attempts the comment shows the user id.
        assert [body.split("\n")[1] for body in from_slack(world, case_id)] == ["a finding"]
    assert len(asked) > 10
    world.live(2)

    assert [body.split("\n")[1] for body in from_slack(world, case_id)] == ["a finding"]
    assert len(lines_with(world, case_id, "from AWS")) == 1
    assert len([comment for comment in system_comments(world, case_id) if "Error ID" in comment]) <= 1


def test_given_a_warm_function_when_ssm_fails_then_commands_are_carried_out_with_what_it_knows(world: World) -> None:
    jane = make_jane(world)
    case_id = settled_case(world)
    world.advance(301)

    with struck_by(world, Outage("ssm", "GetParameter", "throttling", LONG)):
        (answer,) = type_command(world, jane, case_id, "status")

    assert f"\nID: {case_id}\n" in answer


def test_given_functions_that_have_just_started_when_a_command_is_typed_then_each_reads_what_it_needs_itself(
    world: World,
) -> None:
    """In the simulator they share their caches. In Lambda the webhook's cache does not help the others."""
    case_id = settled_case(world)
    jane = make_jane(world)
    world.settle()
    forget_everything()
    jane.command(world.channel_of(case_id), "/security-ir", "status")

    forget_everything()
    world._run_asynchronous()

    assert answers(world, jane)[-1].startswith("📋 Case Status")
