"""R2: files that Slack has not processed yet, shares late or never, or keeps to itself."""

from __future__ import annotations

import hashlib

import boto3
import pytest

from ir_sandbox.slack.faults import Fault
from ir_sandbox.slack.people import Person
from ir_sandbox.slack.quirks import files as quirks
from ir_sandbox.slack.quirks.quirk import Quirk
from tests.support.sync import attachments, from_slack, lines_with, shared_files, system_comments
from tests.support.world import World
from tests.trials.world.outages import Outage, struck_by

UPLOADED = "📎 File uploaded to AWS Security IR case"
TRANSIENT = [
    quirks.CHECK_FILE_INFO,
    quirks.NO_URL_AT_FIRST,
    quirks.UNKNOWN_AT_FIRST,
    quirks.EMPTY_AT_FIRST,
    quirks.OTHER_SIZE_AT_FIRST,
    quirks.NO_MEDIA_TYPE,
    quirks.REDIRECT_AT_FIRST,
    quirks.PAGE_AT_FIRST,
    quirks.MISSING_AT_FIRST,
]


def hashes(world: World, case_id: str) -> list[str]:
    return [one["sha256"] for one in world.security_ir.snapshot()["cases"][case_id]["attachments"].values()]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def downloads(world: World) -> int:
    """Return how often a file's content was requested from Slack or from the case."""
    slack = sum(call.method == "files.download" for call in world.workspace.calls)
    return slack + sum(call.operation == "DownloadAttachment" for call in world.security_ir.calls.all())


def is_quiet(world: World, case_id: str) -> bool:
    """Whether users read about no failure, and operators have nothing to replay."""
    warnings = [
        line for line in lines_with(world, case_id, "⚠️") if "could not be copied" in line or "not copied" in line
    ]
    return not warnings and system_comments(world, case_id)[1:] == [] and world.dead_letters("files") == []


# From Slack


@pytest.mark.parametrize("quirk", TRANSIENT, ids=lambda quirk: quirk.name)
@pytest.mark.parametrize("name", ["evidence.pcap", "report.html"])
def test_given_a_file_that_is_not_ready_when_it_becomes_ready_then_it_is_copied_once_without_a_word(
    world: World, jane: Person, case_id: str, channel: str, quirk: Quirk, name: str
) -> None:
    world.workspace.store.quirks.turn_on([quirk.name])
    content = b"<html>evidence</html>" * 500
    file_id, _ = jane.upload(channel, name, content, text="look")
    world.settle(patience=300)
    world.live(2)

    (attachment,) = attachments(world, case_id)
    assert hashes(world, case_id) == [sha256(content)]
    assert attachment["fileName"].endswith(name[name.index(".") :])
    assert [m["text"] for m in world.said(case_id)].count(UPLOADED) == 1
    (comment,) = from_slack(world, case_id)
    assert f"📎 {name} (attachment {attachment['fileName']})" in comment
    assert file_id in attachment["fileName"]
    assert is_quiet(world, case_id)


def test_given_every_quirk_at_once_when_the_file_is_ready_then_it_is_copied_once(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    world.workspace.store.quirks.turn_on(quirk.name for quirk in TRANSIENT)
    jane.upload_several(channel, {"log.txt": b"first", "報告書.pdf": b"second"}, text="look")
    world.settle(patience=300)
    world.live(2)

    assert sorted(hashes(world, case_id)) == sorted([sha256(b"first"), sha256(b"second")])
    (comment,) = from_slack(world, case_id)
    assert "📎 報告書.pdf (attachment file-F" in comment
    assert "being copied" not in comment
    assert is_quiet(world, case_id)


def test_given_a_file_that_is_not_ready_when_its_message_is_copied_then_the_comment_promises_no_attachment(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    world.workspace.faults.add(Fault("files.info", "error", times=None, error="file_not_found"))
    file_id, _ = jane.upload(channel, "log.txt", b"first", text="look")
    world.settle(patience=60)

    assert f"📎 log.txt (file {file_id}, being copied to the case)" in from_slack(world, case_id)[0]
    assert is_quiet(world, case_id)

    world.live(13)

    assert len(lines_with(world, case_id, "⚠️ File `log.txt` was not copied to the case: Slack does not have it")) == 1
    assert "📎 log.txt (in Slack only: not available)" in from_slack(world, case_id)[0]
    assert world.dead_letters("files") == []


def test_given_a_clip_of_another_length_when_copied_then_it_has_what_slack_serves_and_the_channel_says_so(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    world.workspace.store.quirks.turn_on([quirks.TRANSCODED.name])
    jane.upload(channel, "audio_message.m4a", b"clip" * 1000)
    world.settle(patience=300)

    assert hashes(world, case_id) == [sha256(b"clip" * 1000)]
    assert len(lines_with(world, case_id, "Slack announced 7,507 bytes and served 4,000 bytes.")) == 1
    assert is_quiet(world, case_id)


@pytest.mark.parametrize("kind", ["canvas", "list", "post"])
def test_given_a_document_of_slack_when_shared_then_both_sides_name_it_once_with_a_link_and_nothing_is_downloaded(
    world: World, jane: Person, case_id: str, channel: str, kind: str
) -> None:
    jane.share_document(channel, kind, "Incident notes", text="our notes")
    world.settle()
    world.live(12)

    assert attachments(world, case_id) == []
    (line,) = lines_with(world, case_id, f"📎 `Incident notes` is a {kind}. It is in Slack only")
    assert ".slack.com/files/" in line
    assert f"📎 Incident notes (in Slack only: a {kind}: https://" in from_slack(world, case_id)[0]
    assert downloads(world) == 0
    assert is_quiet(world, case_id)


def test_given_an_e_mail_when_shared_then_its_page_is_an_attachment(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    jane.share_document(channel, "email", "Invoice overdue")
    world.settle()

    (attachment,) = attachments(world, case_id)
    assert attachment["fileName"].startswith("Invoice_overdue-F")
    assert is_quiet(world, case_id)


def test_given_a_refused_token_when_a_file_is_shared_then_users_read_it_soon_and_the_file_comes_after_the_rotation(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    world.workspace.store.quirks.turn_on([quirks.NO_MEDIA_TYPE.name])
    jane.upload(channel, "log.txt", b"first", text="look")
    world.deliver()
    world._run_queue("slack-events", "slack")
    world.workspace.revoke_token(world.app.token)
    world.settle(patience=120)

    (report,) = [one for one in system_comments(world, case_id) if "log.txt" in one]
    assert (
        "The file log.txt could not be copied: Slack rejected the request (token_revoked): the bot token is not"
        in report
    )
    assert "Ask the operators of ir-router to run make verify and make rotate." in report

    world.workspace.issue_token(world.app)
    boto3.client("ssm").put_parameter(
        Name="/SecurityIncidentResponse/slackBotToken", Value=world.app.token, Type="SecureString", Overwrite=True
    )
    world.live(15)

    assert hashes(world, case_id) == [sha256(b"first")]
    assert world.dead_letters("files") == []


def test_given_a_file_of_another_conversation_when_a_record_asks_for_it_then_it_is_not_copied_and_not_named(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    elsewhere = jane.create_channel("elsewhere")
    jane.invite(elsewhere, world.app.bot_user_id)
    file_id, _ = jane.upload(elsewhere, "salaries.xlsx", b"secret")
    world.settle()
    body = {"event": {"type": "file_shared", "channel_id": channel, "file_id": file_id, "user_id": jane.id}}
    for number in range(3):
        world.invoke("sync", {"Records": [world.record("files", body, message_id=f"m{number}")]})
        world.live(8)

    assert attachments(world, case_id) == []
    assert lines_with(world, case_id, "salaries") == []
    assert downloads(world) == 0


def test_given_a_copied_file_that_aws_rejects_later_when_synchronised_then_the_channel_and_the_comment_say_so(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    from ir_sandbox.security_ir.attachments import EICAR

    jane.upload(channel, "bad.exe", EICAR, text="look")
    world.settle()
    world.live(5)

    assert len(lines_with(world, case_id, "⚠️ AWS Security Incident Response did not accept file `bad.exe`")) == 1
    assert "rejected by AWS, not available)" in from_slack(world, case_id)[0]


def test_given_a_file_that_is_deleted_in_slack_when_it_was_copied_then_the_comment_says_so_and_names_the_copy(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    file_id, _ = jane.upload(channel, "log.txt", b"first", text="look")
    world.settle()
    world.advance(60)
    jane.delete_file(file_id)
    world.settle()

    assert (
        f"📎 log.txt (deleted in Slack; the copy on the case stays: attachment log-{file_id}.txt)"
        in from_slack(world, case_id)[0]
    )
    assert hashes(world, case_id) == [sha256(b"first")]


# To the case's storage


@pytest.mark.parametrize(
    "code",
    ["ConditionalRequestConflict", "RequestTimeout", "SlowDown", "InternalError", "RequestExpired", "ExpiredToken"],
)
def test_given_s3_that_rejects_an_upload_for_now_when_retried_then_the_file_is_on_the_case_once(
    world: World, jane: Person, case_id: str, channel: str, code: str
) -> None:
    world.security_ir.faults.refuse(code, "UploadAttachment", times=2)
    jane.upload(channel, "log.txt", b"first")
    world.settle()

    assert hashes(world, case_id) == [sha256(b"first")]
    assert is_quiet(world, case_id)


def test_given_an_expired_download_url_when_retried_then_the_file_is_in_the_channel_once(
    world: World, case_id: str
) -> None:
    world.security_ir.faults.refuse("RequestExpired", "DownloadAttachment", times=2)
    world.security_ir.add_attachment_as(case_id, file_name="evidence.pdf", content=b"x")
    world.live(4)

    assert len(shared_files(world, case_id)) == 1
    assert is_quiet(world, case_id)


def test_given_a_full_case_that_is_not_listed_as_full_when_refused_then_the_channel_reads_it_once_with_the_name(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    world.security_ir.faults.refuse("ServiceQuotaExceededException", "GetCaseAttachmentUploadUrl", times=None)
    jane.upload(channel, "log.txt", b"first", text="look")
    world.settle()
    world.live(30)

    text = "⚠️ File `log.txt` was not copied to the case: the case has its maximum of 50 attachments."
    assert len(lines_with(world, case_id, text)) == 1
    asked = [call for call in world.security_ir.calls.all() if call.operation == "GetCaseAttachmentUploadUrl"]
    assert len(asked) == 1
    assert "📎 log.txt (in Slack only: the case has its maximum of attachments)" in from_slack(world, case_id)[0]
    assert world.dead_letters("files") == []


# To Slack


@pytest.mark.parametrize("lost", [False, True])
def test_given_an_upload_that_slack_shares_late_when_it_appears_then_it_is_there_once(
    world: World, case_id: str, lost: bool
) -> None:
    world.workspace.store.quirks.turn_on([quirks.SHARED_LATE.name])
    if lost:
        world.workspace.faults.add(Fault("files.completeUploadExternal", "answer_lost", times=1))
    world.security_ir.add_attachment_as(case_id, file_name="evidence.pdf", content=b"x")
    world.live(20)

    assert len(shared_files(world, case_id)) == 1
    assert sum(call.method == "files.upload" for call in world.workspace.calls) == 1
    assert is_quiet(world, case_id)


def test_given_an_upload_that_slack_never_shares_when_noticed_then_it_is_uploaded_again_and_there_once(
    world: World, case_id: str
) -> None:
    world.workspace.store.quirks.turn_on([quirks.NEVER_SHARED.name])
    world.security_ir.add_attachment_as(case_id, file_name="evidence.pdf", content=b"x")
    world.live(5)
    assert shared_files(world, case_id) == []
    world.live(12)

    assert len(shared_files(world, case_id)) == 1
    assert sum(call.method == "files.upload" for call in world.workspace.calls) == 2


# A failure that lasts


@pytest.mark.parametrize("to_slack", [False, True])
def test_given_a_step_that_fails_for_a_day_when_it_works_again_then_few_transfers_one_report_and_one_copy(
    world: World, jane: Person, case_id: str, channel: str, to_slack: bool
) -> None:
    if to_slack:
        world.workspace.faults.add(Fault("files.upload", "status", times=None, status=503))
        world.security_ir.add_attachment_as(case_id, file_name="evidence.pdf", content=b"x")
    else:
        world.security_ir.faults.refuse("InternalError", "UploadAttachment", times=None)
        jane.upload(channel, "evidence.pdf", b"x")
    world.settle(patience=300)
    for _ in range(24 * 4):
        world.live(1)
        world.advance(14 * 60)

    assert downloads(world) <= 12
    assert len(lines_with(world, case_id, "evidence.pdf could not be copied")) == 1
    assert world.dead_letters("files") == []

    world.workspace.faults.clear()
    world.security_ir.faults.clear()
    for _ in range(5 * 4):
        world.live(1)
        world.advance(14 * 60)

    assert len(shared_files(world, case_id) if to_slack else attachments(world, case_id)) == 1


def test_given_an_attachment_that_fails_when_its_case_is_closed_then_it_is_not_retried_and_the_channel_says_so(
    world: World, case_id: str
) -> None:
    world.workspace.faults.add(Fault("files.upload", "status", times=None, status=503))
    world.security_ir.add_attachment_as(case_id, file_name="evidence.pdf", content=b"x")
    world.live(30)
    before = downloads(world)
    world.security_ir.close_case_as(case_id)
    for _ in range(24):
        world.live(1)
        world.advance(59 * 60)

    assert downloads(world) == before
    assert len(lines_with(world, case_id, "`evidence.pdf` was not copied before the case was closed")) == 1


def test_given_a_queue_that_does_not_take_a_message_back_when_ten_minutes_pass_then_the_file_is_there_once(
    world: World, case_id: str
) -> None:
    outage = Outage("sqs", "ChangeMessageVisibility", "server error", 30.0)
    with struck_by(world, outage):
        world.security_ir.add_attachment_as(case_id, file_name="evidence.bin", content=b"evidence")
        world.advance(2)  # AWS has verified the attachment
        world.live(1)
    assert outage.struck
    assert shared_files(world, case_id) == []

    world.live(11)
    assert len(shared_files(world, case_id)) == 1
