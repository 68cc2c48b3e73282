"""S12: the answers of commands that fail, and the final outcome."""

from __future__ import annotations

import re

import pytest

from ir_router.commands.catalogue import SUB_COMMANDS
from ir_sandbox.slack.faults import Fault
from tests.support.commands import answers, case, case_with_channel, type_command
from tests.support.world import World

API_ERROR = re.compile(
    r"❌ Unable to update case due to service error\n"
    r"Error ID: (api-error-\d{8}-\d{6}-[0-9a-f]{4})\n"
    r"Please try again or contact support"
)
NETWORK_ERROR = re.compile(
    r"⚠️ Temporary connectivity issue\n"
    r"Your request is being processed\. Please check case status in a few moments\n"
    r"Error ID: network-error-\d{8}-\d{6}-[0-9a-f]{4}"
)


def test_given_a_channel_of_no_case_when_a_command_is_typed_then_the_specified_error_is_shown(world: World) -> None:
    jane = world.workspace.create_user("jane.smith")
    channel = world.workspace.create_channel("general-talk", [jane])

    for typed in ("status", "update-status Resolved", "close", "incident-details", "sync", "comment x"):
        jane.command(channel.id, "/security-ir", typed)
    world.settle()

    assert (
        answers(world, jane)
        == [
            (
                "❌ This command can only be used in AWS Security IR incident channels\n"
                "Channel name must start with: aws-security-incident-response-case-"
            )
        ]
        * 6
    )


def test_given_help_or_nothing_or_nonsense_when_typed_then_usage_is_shown(world: World) -> None:
    jane = world.workspace.create_user("jane.smith")
    channel = world.workspace.create_channel("general-talk", [jane])

    for typed in ("help", "", "stauts", "<!channel> & co"):
        jane.command(channel.id, "/security-ir", typed)
    world.settle()

    usage = f"Usage: /security-ir [{'|'.join(SUB_COMMANDS)}]"
    assert "[status|update-status|update-description|update-title|close|incident-details|" in usage  # as specified
    first, second, near, far = answers(world, jane)
    assert first == second
    assert "• /security-ir update-status <status> - Update case status\n" in first
    assert near == f'❌ Unknown command "stauts"\nDid you mean /security-ir status?\n{usage}'
    assert far == f'❌ Unknown command "<!channel>"\n{usage}'
    raw = [message["text"] for message in world.workspace.ephemerals(jane.id)]
    assert not any("<" in text for text in raw), "nothing typed may mention or link"


def test_given_a_refusal_by_aws_when_a_command_runs_then_its_error_id_is_shown_and_logged_and_nothing_changed(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    case_id, jane = case_with_channel(world)
    before = case(world, case_id)
    world.security_ir.faults.refuse("AccessDeniedException", "UpdateCase")

    (answer,) = type_command(world, jane, case_id, "update-title x")

    found = API_ERROR.fullmatch(answer)
    assert found
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert [getattr(record, "error_id", None) for record in errors] == [found[1]]
    assert case(world, case_id) == before
    world.security_ir.faults.refuse("AccessDeniedException", "GetCase")
    (reading,) = type_command(world, jane, case_id, "status")
    assert reading.startswith("❌ Unable to read case due to service error\nError ID: api-error-")
    assert type_command(world, jane, case_id, "update-title x")[0].startswith("✅")


def retry(world: World) -> None:
    """End the fault; a minute later Lambda retries the failed invocation."""
    world.security_ir.faults.clear()
    world.advance(60)
    world.settle()


def run_once(world: World) -> None:
    """Run the asynchronous invocation without Lambda's retries."""
    world._run_asynchronous()


def test_given_a_lost_connection_when_a_command_runs_then_it_goes_on_behind_the_scenes_and_reports_the_outcome(
    world: World,
) -> None:
    case_id, jane = case_with_channel(world)
    world.security_ir.faults.reset_connection("UpdateCase", times=None)

    jane.command(world.channel_of(case_id), "/security-ir", "update-title After the storm")
    run_once(world)
    (told,) = answers(world, jane)
    assert NETWORK_ERROR.fullmatch(told)
    assert case(world, case_id)["title"] == "Suspicious API Activity Detected"

    retry(world)

    _, outcome = answers(world, jane)
    assert outcome.startswith('✅ Case title updated\nOld title: "Suspicious API Activity Detected"\n')
    assert case(world, case_id)["title"] == "After the storm"


def test_given_a_lost_answer_when_the_command_is_tried_again_then_it_happened_once_and_is_reported_as_done(
    world: World,
) -> None:
    case_id, jane = case_with_channel(world)
    world.security_ir.faults.lose_answer("UpdateCaseStatus", times=None)

    jane.command(world.channel_of(case_id), "/security-ir", "update-status In Progress")
    run_once(world)
    assert case(world, case_id)["caseStatus"] == "Detection and Analysis"

    retry(world)

    assert answers(world, jane)[-1].startswith('✅ Case status updated to "In Progress"\nUpdated by: @jane.smith')
    assert sum("Status changed from Open" in text for text in world.comments(case_id)) == 1


def test_given_a_close_whose_answer_is_lost_when_botocore_repeats_it_then_it_counts_as_closed(world: World) -> None:
    case_id, jane = case_with_channel(world)
    type_command(world, jane, case_id, "close")
    world.security_ir.faults.lose_answer("CloseCase", times=1)

    jane.press(world.channel_of(case_id), world.workspace.ephemerals(jane.id)[-1]["ts"], "close_confirm")
    world.settle()

    assert answers(world, jane)[-1].startswith("🔒 Case closed successfully\n")


def test_given_a_close_that_aws_refuses_when_the_button_was_pressed_then_the_error_takes_the_questions_place(
    world: World,
) -> None:
    case_id, jane = case_with_channel(world)
    type_command(world, jane, case_id, "close")
    world.security_ir.faults.refuse("AccessDeniedException", "CloseCase")

    jane.press(world.channel_of(case_id), world.workspace.ephemerals(jane.id)[-1]["ts"], "close_confirm")
    world.settle()

    (answer,) = answers(world, jane)
    assert API_ERROR.fullmatch(answer)
    assert "close_confirm" not in str(world.workspace.ephemerals(jane.id)[-1]["blocks"])
    assert case(world, case_id)["caseStatus"] == "Submitted"


def test_given_a_later_change_by_another_user_when_a_command_is_tried_again_then_theirs_is_kept(world: World) -> None:
    case_id, jane = case_with_channel(world)
    world.security_ir.faults.reset_connection("UpdateCase", times=None)
    jane.command(world.channel_of(case_id), "/security-ir", "update-title Mine")
    run_once(world)
    world.security_ir.call("UpdateCase", {"caseId": case_id, "title": "Theirs"})

    retry(world)

    assert answers(world, jane)[-1] == (
        '❌ Another user has changed the case title to "Theirs"\n'
        "Your change was not made. Repeat the command if you still want it"
    )
    assert case(world, case_id)["title"] == "Theirs"


def test_given_no_answer_after_all_attempts_when_the_last_one_ends_then_the_person_is_asked_to_look(
    world: World,
) -> None:
    case_id, jane = case_with_channel(world)
    world.security_ir.faults.reset_connection("UpdateCase", times=None)

    jane.command(world.channel_of(case_id), "/security-ir", "update-title x")
    for _ in range(3):
        run_once(world)
        world.advance(60)

    first, last = answers(world, jane)
    assert NETWORK_ERROR.fullmatch(first)
    assert last.startswith("❌ /security-ir update-title: the outcome is unknown after several attempts")
    assert world.dead == []


def test_given_one_command_delivered_three_times_when_carried_out_then_it_is_once(world: World) -> None:
    case_id, jane = case_with_channel(world)
    jane.command(world.channel_of(case_id), "/security-ir", "update-title Once")
    world.asynchronous *= 3
    world.settle()

    assert len(answers(world, jane)) == 1
    assert world.security_ir.calls.count()["UpdateCase"] == 1
    assert sum("Title changed" in text for text in world.comments(case_id)) == 1


def test_given_a_response_url_that_fails_when_the_command_ends_then_the_answer_comes_as_an_ephemeral_message(
    world: World,
) -> None:
    case_id, jane = case_with_channel(world)
    channel = world.channel_of(case_id)

    jane.command(channel, "/security-ir", "status")
    world.advance(31 * 60)
    world.settle()
    world.workspace.faults.add(Fault("response_url", "status", status=500))
    type_command(world, jane, case_id, "status")

    shown = [message for message in world.workspace.ephemerals(jane.id) if message["via"] != "command"]
    assert [message["via"] for message in shown] == ["chat.postEphemeral"] * 2
    assert all(message["text"].startswith("📋 Case Status\n") for message in shown)


def test_given_a_response_url_elsewhere_when_a_command_ends_then_nothing_is_sent_there(world: World) -> None:
    case_id, jane = case_with_channel(world)
    form = {
        "command": "/security-ir",
        "text": "status",
        "trigger_id": "1.2.3",
        "user_id": jane.id,
        "channel_id": world.channel_of(case_id),
        "team_id": world.workspace.team_id,
        "response_url": "http://127.0.0.1:9/commands/steal",
    }

    world.invoke("slack", {"task": "slash_command", "command": form})

    assert answers(world, jane)[0].startswith("📋 Case Status\n")


def test_given_commands_when_run_then_each_is_an_event_with_ids_alone(world: World) -> None:
    case_id, jane = case_with_channel(world)
    mallory = world.workspace.create_user("mallory")
    jane.invite(world.channel_of(case_id), mallory.id)
    world.settle()
    world.bus.clear()

    type_command(world, jane, case_id, "update-title Secret words")
    type_command(world, mallory, case_id, "update-title Secret words")

    events = [event for event in world.bus if event["detail-type"] == "CommandExecuted"]
    ids = {"workspaceId": world.workspace.team_id, "caseId": case_id, "channelId": world.channel_of(case_id)}
    assert [event["source"] for event in events] == ["slack", "slack"]
    assert [event["detail"] for event in events] == [
        {**ids, "command": "update-title", "outcome": "done", "userId": jane.id},
        {**ids, "command": "update-title", "outcome": "not_permitted", "userId": mallory.id},
    ]
