"""Slack's errors: each is reported with its subject, once, and the work continues after the fix."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
import urllib3
from slack_sdk.web.base_client import BaseClient

from ir_sandbox.slack.faults import Fault
from ir_sandbox.slack.people import Person
from ir_sandbox.slack.quirks import errors
from tests.support.commands import answers
from tests.support.operations import deployed_in
from tests.support.sync import (
    JANE,
    attachments,
    from_slack,
    lines_with,
    make_jane,
    settled_case,
    shared_files,
    system_comments,
)  # fmt: skip
from tests.support.world import World

EXPIRIES = ["expiry_in_arguments", "expiry_as_trigger_expired", "trigger_always_expired"]


def refuse(world: World, method: str, code: str, times: int | None = None) -> None:
    world.workspace.faults.add(Fault(method, "error", times=times, error=code))


def everything_told(world: World, case_id: str) -> str:
    return json.dumps([world.comments(case_id), world.said(case_id)])


@pytest.mark.parametrize("method", ["users.lookupByEmail", "conversations.invite"])
@pytest.mark.parametrize("code", ["missing_scope", "token_revoked", "team_access_not_granted", "ekm_access_denied"])
def test_given_an_error_about_the_app_when_members_are_invited_then_no_member_is_blamed_and_all_come_in_minutes(
    world: World, method: str, code: str
) -> None:
    jane = make_jane(world)
    refuse(world, method, code)
    case_id = settled_case(world, watchers=[JANE])
    world.live(3)
    assert "could not be invited" not in everything_told(world, case_id)
    (told,) = [text for text in system_comments(world, case_id) if "out of sync" in text]
    assert f"Slack rejected {method} ({code}): " in told

    world.workspace.faults.clear()
    world.live(6)
    assert jane.id in world.workspace.channel(world.channel_of(case_id)).members
    assert len(lines_with(world, case_id, "Added to this channel")) == 1


@pytest.mark.parametrize("code", ["accesslimited", "too_many_convos_for_app_on_team", "method_deprecated"])
def test_given_a_new_code_about_the_app_when_a_channel_is_made_then_the_case_names_cause_and_fix(
    world: World, code: str
) -> None:
    make_jane(world)
    refuse(world, "conversations.create", code)
    case_id = settled_case(world)
    (told,) = [text for text in system_comments(world, case_id) if "out of sync" in text]
    assert f"({code}): " in told
    assert "Ask " in told

    world.workspace.faults.clear()
    world.live(6)
    assert world.channel_of(case_id)


def test_given_a_policy_against_external_people_when_a_watcher_is_invited_then_only_this_person_is_named(
    world: World,
) -> None:
    make_jane(world)
    refuse(world, "conversations.invite", "no_external_invite_permission")
    case_id = settled_case(world, watchers=[JANE])
    assert lines_with(world, case_id, "could not be invited to this channel")
    assert "out of sync" not in everything_told(world, case_id)


def test_given_an_upload_that_slack_could_not_complete_when_retried_then_the_file_is_in_the_channel_once(
    world: World,
) -> None:
    case_id = settled_case(world)
    refuse(world, "files.completeUploadExternal", "file_update_failed", times=1)
    world.security_ir.add_attachment_as(case_id, file_name="a.pdf", content=b"x" * 9)
    world.live(30)
    assert [file["name"] for file in shared_files(world, case_id)] == ["a.pdf"]
    assert "could not be copied" not in everything_told(world, case_id)


def test_given_a_workspace_that_lets_no_app_create_channels_when_a_case_is_new_then_it_names_the_setting(
    world: World,
) -> None:
    world.workspace.store.quirks.turn_on(["channels_by_administrators"])
    case_id = settled_case(world)
    with deployed_in(world) as deployed:
        (line,) = [check for check in deployed.verify()["checks"] if check["name"] == "synchronisation"]
    assert line["detail"].startswith("1 case out of sync: Slack rejected conversations.create (restricted_action)")
    assert "Channel Management" in line["mend"]
    (told,) = system_comments(world, case_id)
    assert "Slack rejected conversations.create (restricted_action): a policy of the workspace forbids it" in told
    assert "Channel Management" in told

    world.workspace.store.quirks.turn_all_off()
    world.live(6)
    assert world.channel_of(case_id)


def test_given_a_policy_against_topics_when_a_case_lives_then_nothing_waits_for_the_topic(world: World) -> None:
    refuse(world, "conversations.setTopic", "restricted_action")
    case_id = settled_case(world)
    world.security_ir.add_comment_as(case_id, body="seen in use")
    world.settle()

    assert len(lines_with(world, case_id, "seen in use")) == 1
    assert not [text for text in system_comments(world, case_id) if "out of sync" in text]


def test_given_a_channel_that_is_away_for_an_attachment_when_it_is_back_then_the_file_is_there_once(
    world: World, jane: Person, case_id: str
) -> None:
    refuse(world, "files.completeUploadExternal", "not_in_channel", times=2)
    world.security_ir.add_attachment_as(case_id, file_name="report.pdf", content=b"pdf")
    world.live(10)

    assert [file["name"] for file in shared_files(world, case_id)] == ["report.pdf"]
    (told,) = [text for text in system_comments(world, case_id) if "report.pdf" in text]
    assert "(not_in_channel): the app is not in the channel. ir-router retries this" in told
    assert world.dead_letters("files") == []


def test_given_a_channel_that_excludes_the_app_when_a_comment_comes_then_the_case_names_the_permission(
    world: World, jane: Person, case_id: str
) -> None:
    world.workspace.store.quirks.turn_on(["channel_read_only"])
    world.security_ir.add_comment_as(case_id, body="seen in use")
    world.settle()
    (told,) = [text for text in system_comments(world, case_id) if "out of sync" in text]
    assert "the channel's posting permissions do not let the app post" in told

    world.workspace.store.quirks.turn_all_off()
    world.advance(3600)
    world.live(2)
    assert len(lines_with(world, case_id, "seen in use")) == 1


def test_given_a_guest_among_the_watchers_when_a_case_is_new_then_the_others_are_invited(world: World) -> None:
    make_jane(world)
    world.workspace.create_user("gus", email="gus@example.com", is_restricted=True)
    world.workspace.create_user("bob", email="bob@example.com", real_name="Bob Stone")
    case_id = settled_case(world, watchers=[{"email": "gus@example.com"}, {"email": "bob@example.com"}])

    (told,) = lines_with(world, case_id, "gus@example.com (a guest; apps cannot invite guests)")
    assert "ask an administrator to add the guest to the channel" in told
    assert "not in the workspace" not in told
    assert len(lines_with(world, case_id, "Bob Stone")) == 1


@pytest.mark.parametrize("quirks", [EXPIRIES[2:], EXPIRIES[:1] + EXPIRIES[2:], EXPIRIES[1:]], ids="/".join)
def test_given_any_form_of_an_expired_trigger_when_a_case_is_to_be_opened_then_the_user_is_asked_to_repeat(
    world: World, jane: Person, channel: str, quirks: list[str]
) -> None:
    world.workspace.store.quirks.turn_on(quirks)
    assert jane.command(channel, "/security-ir", "create leaked key").error is None
    world.settle()

    assert answers(world, jane) == ["❌ Slack did not open the form in time. Send the command again."]


def test_given_a_form_that_is_closed_at_once_when_the_user_may_not_use_it_then_they_read_that_and_nothing_failed(
    world: World, channel: str, jane: Person, caplog: pytest.LogCaptureFixture
) -> None:
    world.workspace.store.quirks.turn_on(["form_closed_at_once"])
    mallory = world.workspace.create_user("mallory")
    jane.invite(channel, mallory.id)
    mallory.command(channel, "/security-ir", "create leaked key")
    world.settle()

    (answer,) = answers(world, mallory)
    assert answer.startswith("❌ You don't have permission to open cases")
    assert not [record for record in caplog.records if record.getMessage().startswith("command.failed")]


def test_given_errors_about_the_app_on_every_method_when_they_end_then_nothing_is_lost_and_nobody_was_blamed(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    world.workspace.create_user("bob", email="bob@example.com", real_name="Bob Stone")
    world.workspace.store.quirks.turn_on(["app_refused"])
    world.security_ir.add_comment_as(case_id, body="seen in use")
    world.security_ir.add_attachment_as(case_id, file_name="report.pdf", content=b"pdf")
    world.security_ir.call("UpdateCase", {"caseId": case_id, "watchersToAdd": [{"email": "bob@example.com"}]})
    jane.post(channel, "the key is old")
    jane.upload(channel, "log.txt", b"first", text="the log")
    world.settle()
    world.live(10)
    assert "bob@example.com" not in everything_told(world, case_id)

    world.workspace.store.quirks.turn_all_off()
    world.live(20)
    assert len(lines_with(world, case_id, "seen in use")) == 1
    assert len(lines_with(world, case_id, "Bob Stone")) == 1
    assert [file["name"] for file in shared_files(world, case_id)] == ["report.pdf"]
    assert [body.split("\n")[1] for body in from_slack(world, case_id)] == ["the key is old", "the log"]
    assert len(attachments(world, case_id)) == 2
    assert world.dead_letters("files") == world.dead_letters("slack-events") == []


def test_given_a_channel_in_which_the_app_may_not_post_when_a_file_is_shared_then_nobody_reads_that_it_is_missing(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    world.workspace.store.quirks.turn_on([errors.CHANNEL_READ_ONLY.name])
    file_id, _ = jane.upload(channel, "evidence.pcap", b"bytes")
    world.live(20)

    assert [one["fileName"] for one in attachments(world, case_id)] == [f"evidence-{file_id}.pcap"]
    assert f"📎 evidence.pcap (attachment evidence-{file_id}.pcap)" in from_slack(world, case_id)[-1]
    assert not any("could not be copied" in body for body in world.comments(case_id))
    assert world.dead_letters("files") == []


def test_given_a_workspace_without_uploads_when_an_attachment_waits_for_hours_then_slack_is_asked_ever_less(
    world: World,
) -> None:
    make_jane(world)
    case_id = settled_case(world, watchers=[JANE])
    refuse(world, "files.getUploadURLExternal", "file_uploads_disabled")
    world.security_ir.add_attachment_as(case_id, file_name="dump.bin", content=b"x")
    world.live(20)
    before = len([call for call in world.workspace.calls if call.method == "files.getUploadURLExternal"])
    for _ in range(8):
        world.advance(14 * 60)
        world.live(1)
    asked = [call for call in world.workspace.calls if call.method == "files.getUploadURLExternal"]
    assert len(asked) - before <= 12  # once in ten minutes

    world.workspace.faults.clear()
    world.advance(14 * 60)
    world.live(2)
    assert len(shared_files(world, case_id)) == 1


def test_given_a_policy_against_files_when_an_attachment_is_copied_then_the_advice_is_about_posting(
    world: World,
) -> None:
    make_jane(world)
    case_id = settled_case(world, watchers=[JANE])
    refuse(world, "files.completeUploadExternal", "restricted_action")
    world.security_ir.add_attachment_as(case_id, file_name="dump.bin", content=b"x")
    world.live(3)

    (told,) = [text for text in system_comments(world, case_id) if "dump.bin" in text]
    assert "to let the app post messages and files in this channel" in told
    assert "create and manage channels" not in told


@pytest.mark.parametrize("code", ["file_not_found", "file_deleted"])
def test_given_an_upload_that_slack_no_longer_knows_when_completed_then_the_bytes_are_sent_in_a_new_upload(
    world: World, code: str
) -> None:
    case_id = settled_case(world)
    refuse(world, "files.completeUploadExternal", code, times=1)
    world.security_ir.add_attachment_as(case_id, file_name="a.pdf", content=b"x" * 9)
    world.live(5)
    assert [file["name"] for file in shared_files(world, case_id)] == ["a.pdf"]
    assert "could not be copied" not in everything_told(world, case_id)
    assert world.dead_letters("files") == []


def test_given_a_scanner_that_deletes_each_upload_when_copied_then_it_ends_after_three_retries_and_the_case_states_it(
    world: World,
) -> None:
    case_id = settled_case(world)
    refuse(world, "files.completeUploadExternal", "file_deleted")
    world.security_ir.add_attachment_as(case_id, file_name="a.pdf", content=b"x" * 9)
    for _ in range(12):
        world.live(2)
        world.advance(15 * 60)
    uploads = [call for call in world.workspace.calls if call.method == "files.completeUploadExternal"]
    assert len(uploads) == 4
    assert "a.pdf" in everything_told(world, case_id)
    assert shared_files(world, case_id) == []


@pytest.mark.parametrize("code", ["invalid_channel", "access_denied", "posting_to_channel_denied", "channel_not_found"])
def test_given_a_channel_that_rejects_a_file_when_it_ends_then_the_file_is_there_and_the_case_named_the_fix_once(
    world: World, code: str
) -> None:
    case_id = settled_case(world)
    refuse(world, "files.completeUploadExternal", code)
    world.security_ir.add_attachment_as(case_id, file_name="a.pdf", content=b"x" * 9)
    world.live(10)
    (told,) = [text for text in system_comments(world, case_id) if "a.pdf" in text]
    assert f"({code}): " in told
    assert "ir-router retries this automatically. " in told
    assert "workspace to approve the app" not in told
    assert len(lines_with(world, case_id, "a.pdf")) == 1

    world.workspace.faults.clear()
    for _ in range(2):
        world.advance(1200)
        world.live(1)
    assert [file["name"] for file in shared_files(world, case_id)] == ["a.pdf"]
    assert world.dead_letters("files") == []


@pytest.mark.parametrize("code", ["restricted_action", "too_long", "user_is_restricted", "a_new_code"])
def test_given_a_rejected_topic_when_a_case_lives_then_nothing_waits_and_the_channel_names_the_reason_once(
    world: World, code: str
) -> None:
    refuse(world, "conversations.setTopic", code)
    case_id = settled_case(world)
    world.security_ir.add_comment_as(case_id, body="seen in use")
    world.settle()
    world.security_ir.add_comment_as(case_id, body="seen once more")
    world.settle()

    assert len(lines_with(world, case_id, "seen in use")) == len(lines_with(world, case_id, "seen once more")) == 1
    assert "out of sync" not in everything_told(world, case_id)
    (line,) = lines_with(world, case_id, f"Slack rejected conversations.setTopic ({code})")
    assert "The topic of this channel does not show the status" in line


@pytest.mark.parametrize("code", ["accesslimited", "not_in_channel"])
def test_given_a_topic_that_the_app_cannot_set_when_a_case_is_new_then_the_rest_is_copied_and_the_fix_is_named_once(
    world: World, code: str
) -> None:
    refuse(world, "conversations.setTopic", code)
    case_id = settled_case(world)
    world.security_ir.add_comment_as(case_id, body="seen in use")
    world.live(20)
    assert len(lines_with(world, case_id, "seen in use")) == 1
    (told,) = [text for text in system_comments(world, case_id) if "out of sync" in text]
    assert "Ask " in told or "Invite " in told

    world.workspace.faults.clear()
    world.advance(4000)
    world.live(2)
    assert "Open" in world.workspace.channel(world.channel_of(case_id)).topic["value"]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, '["x"]'),
        (200, '"x"'),
        (200, "null"),
        (200, ""),
        (200, "[" * 100_000),
        (503, "<html>"),
        (502, ""),
        (429, ""),
    ],
    ids=["list", "text", "null", "empty", "nested", "page", "nothing", "throttled"],
)
def test_given_an_answer_of_slack_without_json_when_a_comment_is_copied_then_it_is_in_the_channel_once(
    world: World, case_id: str, monkeypatch: pytest.MonkeyPatch, status: int, body: str
) -> None:
    answered: list[str] = []
    send = BaseClient._perform_urllib_http_request

    def send_with_a_fault(client: BaseClient, *, url: str, args: dict[str, Any]) -> dict[str, Any]:
        if url.endswith("chat.postMessage") and not answered:
            answered.append(url)
            return {"status": status, "headers": {"Retry-After": "soon"}, "body": body}
        return send(client, url=url, args=args)

    monkeypatch.setattr(BaseClient, "_perform_urllib_http_request", send_with_a_fault)
    world.security_ir.add_comment_as(case_id, body="seen in use")
    world.live(5)
    assert answered
    assert len(lines_with(world, case_id, "seen in use")) == 1


@pytest.mark.parametrize("wait", ["", "soon", "²", "9" * 5_000, "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_given_any_retry_after_of_a_file_url_when_a_file_is_shared_then_the_case_has_it_within_minutes(
    world: World, jane: Person, case_id: str, channel: str, monkeypatch: pytest.MonkeyPatch, wait: str
) -> None:
    refused: list[str] = []
    request = urllib3.PoolManager.request

    def request_with_a_fault(pool: urllib3.PoolManager, method: str, url: str, **more: Any) -> Any:
        if "files-pri" in url and not refused:
            refused.append(url)
            headers = {"Retry-After": wait} if wait else {}
            return urllib3.HTTPResponse(io.BytesIO(b"<html>"), headers, 429, preload_content=False)
        return request(pool, method, url, **more)

    monkeypatch.setattr(urllib3.PoolManager, "request", request_with_a_fault)
    jane.upload(channel, "log.txt", b"first")
    world.live(20)
    assert refused
    assert len(attachments(world, case_id)) == 1
    assert world.dead_letters("files") == []
