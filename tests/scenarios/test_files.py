"""S8 and S9: files are copied once and completely in both directions; failed copies are reported."""

from __future__ import annotations

import hashlib
import json

import pytest

from ir_sandbox.security_ir.attachments import EICAR
from ir_sandbox.security_ir.settings import Settings
from ir_sandbox.slack.faults import Fault
from ir_sandbox.slack.people import Person
from tests.support.sync import (
    attachments,
    configured,
    from_slack,
    lines_with,
    settled_case,
    shared_files,
    system_comments,
)
from tests.support.world import World

UPLOADED = "📎 File uploaded to AWS Security IR case"
NEW = "📎 New attachment from AWS Security IR case"


def hashes(world: World, case_id: str) -> list[str]:
    """Return the hashes of the case's files."""
    return [one["sha256"] for one in world.security_ir.snapshot()["cases"][case_id]["attachments"].values()]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# From Slack


def test_given_a_shared_file_when_both_events_arrive_then_the_case_has_it_once_and_the_channel_says_so(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    content = b"evidence" * 50_000
    file_id, _ = jane.upload(channel, "Bericht März.txt", content, text="look at this")
    world.settle()
    world.live(3)

    (attachment,) = attachments(world, case_id)
    assert attachment["fileName"] == f"Bericht_Marz-{file_id}.txt"
    assert hashes(world, case_id) == [sha256(content)]
    assert [m["text"] for m in world.said(case_id)].count(UPLOADED) == 1
    assert len(lines_with(world, case_id, f"`Bericht März.txt` as `Bericht_Marz-{file_id}.txt`")) == 1
    (comment,) = from_slack(world, case_id)
    assert "look at this\n📎 Bericht März.txt (attachment Bericht_Marz-" in comment
    assert shared_files(world, case_id) == []  # no echo
    snapshot = world.security_ir.snapshot()["cases"][case_id]["attachments"].values()
    assert [one["content_type"] for one in snapshot] == ["application/octet-stream"]  # the type that AWS's URL signs
    (event,) = [event for event in world.bus if event["detail-type"] == "FileSynchronized"]
    assert event["source"] == "slack"
    assert event["detail"].items() >= {"caseId": case_id, "channelId": channel, "fileId": file_id}.items()


def test_given_two_files_of_one_name_when_copied_then_both_arrive(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    jane.upload(channel, "log.txt", b"first")
    jane.upload(channel, "log.txt", b"second")
    world.settle()

    assert sorted(hashes(world, case_id)) == sorted([sha256(b"first"), sha256(b"second")])
    assert len({one["fileName"] for one in attachments(world, case_id)}) == 2


def test_given_the_same_file_delivered_often_when_copied_then_it_arrives_once(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    file_id, _ = jane.upload(channel, "log.txt", b"first")
    world.settle()
    body = {"event": {"type": "file_shared", "channel_id": channel, "file_id": file_id, "user_id": jane.id}}
    for number in range(3):
        answer = world.invoke("sync", {"Records": [world.record("files", body, message_id=f"m{number}")]})
        assert answer == {"batchItemFailures": []}
    jane.share_again(channel, file_id, "again")
    world.settle()

    assert len(attachments(world, case_id)) == 1
    assert [m["text"] for m in world.said(case_id)].count(UPLOADED) == 1


def test_given_a_file_event_that_slack_lost_when_the_message_came_then_the_file_comes_over_too(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    world.workspace.deliveries.disturb("drop", matches=lambda envelope: envelope["event"]["type"] == "file_shared")
    jane.upload(channel, "log.txt", b"first", text="see")
    world.settle()
    assert attachments(world, case_id) == []
    world.live(4)

    assert hashes(world, case_id) == [sha256(b"first")]


def test_given_a_file_of_one_case_when_it_is_shared_in_another_then_both_cases_have_it(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    other = settled_case(world)
    file_id, _ = jane.upload(channel, "log.txt", b"first")
    jane.share_again(world.channel_of(other), file_id)
    world.settle()
    world.live(4)

    assert hashes(world, case_id) == hashes(world, other) == [sha256(b"first")]


@pytest.mark.parametrize(
    ("content", "reason", "on_case"),
    [
        (b"", "it is empty.", "empty"),
        (
            None,
            "it is 101 MB, and a case accepts at most 100 MB per file. Split it, or post a link.",
            "101 MB, more than a case accepts",
        ),
    ],
)
def test_given_a_file_that_a_case_does_not_take_when_shared_then_the_channel_says_why_once(
    world: World, jane: Person, case_id: str, channel: str, content: bytes | None, reason: str, on_case: str
) -> None:
    pieces = [b"x" * 1_048_576] * 101 if content is None else [content]
    jane.upload(channel, "dump.bin", pieces)
    world.settle()
    world.live(13)  # Slack announces size 0 for a file that it has not processed

    assert attachments(world, case_id) == []
    assert len(lines_with(world, case_id, f"⚠️ File `dump.bin` was not copied to the case: {reason}")) == 1
    assert f"📎 dump.bin (in Slack only: {on_case})" in from_slack(world, case_id)[0]
    assert world.dead_letters("files") == []


def test_given_a_file_that_was_deleted_at_once_when_its_turn_comes_then_the_channel_says_so(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    file_id, _ = jane.upload(channel, "oops.txt", b"oops")
    jane.delete_file(file_id)
    world.settle()
    world.live(13)

    assert attachments(world, case_id) == []
    (line,) = lines_with(world, case_id, "was not copied to the case")
    assert "`oops.txt` was not copied to the case: it was deleted in Slack before it could be copied." in line
    assert "📎 oops.txt (deleted in Slack)" in from_slack(world, case_id)[0]
    assert world.dead_letters("files") == []


def test_given_fifty_attachments_when_one_more_file_is_shared_then_the_channel_says_that_the_case_is_full(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    for number in range(49):
        world.security_ir.add_attachment_as(case_id, file_name=f"a{number}.txt", content=b"x")
    jane.upload(channel, "fifty.txt", b"fifty")
    world.settle()
    jane.upload(channel, "fifty-one.txt", b"fifty-one")
    world.settle()
    world.live(3)

    assert len(attachments(world, case_id)) == 50
    assert (
        len(lines_with(world, case_id, "`fifty-one.txt` was not copied to the case: the case has its maximum of 50"))
        == 1
    )
    assert len(shared_files(world, case_id)) == 49


def test_given_a_closed_case_when_a_file_is_shared_then_the_channel_says_so(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    world.security_ir.close_case_as(case_id)
    world.settle()
    jane.upload(channel, "late.txt", b"late")
    world.settle()

    assert len(lines_with(world, case_id, "`late.txt` was not copied to the case: the case is closed.")) == 1
    assert world.dead_letters("files") == []


@pytest.mark.parametrize("mirrored", [False, True])
def test_given_another_bots_file_when_it_is_shared_then_the_variable_decides(
    world: World, jane: Person, case_id: str, channel: str, mirrored: bool
) -> None:
    other = world.workspace.create_app("scanner", deliver=lambda *_: (200, {}, b""))
    jane.invite(channel, other.bot_user_id)
    with configured(world, IR_MIRROR_BOTS=str(mirrored).lower()):
        world.workspace.person("scanner").upload(channel, "scan.txt", b"scan")
        world.settle()

    assert len(attachments(world, case_id)) == mirrored


def test_given_a_rotated_token_when_a_file_is_downloaded_then_the_new_one_is_read_and_it_arrives(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    old = world.app.token
    world.workspace.issue_token(world.app)
    import boto3

    boto3.client("ssm").put_parameter(
        Name="/SecurityIncidentResponse/slackBotToken", Value=world.app.token, Type="SecureString", Overwrite=True
    )
    world.workspace.faults.add(Fault("files.info", "latency", seconds=0.0))
    world.workspace.revoke_token(old)
    jane.upload(channel, "log.txt", b"first")
    world.settle()

    assert hashes(world, case_id) == [sha256(b"first")]


@pytest.mark.parametrize("method", ["files.info", "files.download"])
def test_given_slack_that_fails_for_a_while_when_a_file_is_copied_then_it_arrives_once(
    world: World, jane: Person, case_id: str, channel: str, method: str
) -> None:
    world.workspace.faults.add(Fault(method, "status", times=4, status=503))
    jane.upload(channel, "log.txt", b"first")
    world.settle()

    assert hashes(world, case_id) == [sha256(b"first")]
    assert [m["text"] for m in world.said(case_id)].count(UPLOADED) == 1
    assert system_comments(world, case_id)[1:] == []  # no notice, because the failure was short


@pytest.mark.parametrize("method", ["files.info", "files.download"])
def test_given_slack_that_asks_to_wait_when_a_file_is_copied_then_nothing_is_given_up(
    world: World, jane: Person, case_id: str, channel: str, method: str
) -> None:
    world.workspace.faults.add(Fault(method, "ratelimited", times=2, retry_after=30))
    began = world.now()
    jane.upload(channel, "log.txt", b"first")
    world.settle()

    assert hashes(world, case_id) == [sha256(b"first")]
    assert world.now() - began >= 60
    assert lines_with(world, case_id, "could not be copied") == []


def test_given_a_download_that_breaks_off_when_tried_again_then_the_complete_file_arrives_once(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    world.workspace.faults.add(Fault("files.download", "answer_lost", times=2))
    content = b"0123456789" * 100_000
    jane.upload(channel, "log.txt", content)
    world.settle()

    assert hashes(world, case_id) == [sha256(content)]


def test_given_an_upload_whose_answer_is_lost_when_settled_then_the_case_has_the_file_once(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    world.security_ir.faults.lose_answer("UploadAttachment")
    jane.upload(channel, "log.txt", b"first")
    world.settle()

    assert hashes(world, case_id) == [sha256(b"first")]
    assert [m["text"] for m in world.said(case_id)].count(UPLOADED) == 1


def test_given_a_case_that_always_refuses_files_when_shared_then_both_sides_are_notified_once_and_it_can_be_replayed(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    world.security_ir.faults.refuse("AccessDeniedException", "GetCaseAttachmentUploadUrl", times=None)
    jane.upload(channel, "log.txt", b"first")
    world.settle()
    world.live(15)

    (line,) = lines_with(
        world, case_id, "could not be copied: AWS Security Incident Response rejected the request (AccessDenied"
    )
    error_id = line.split("Error ID: ")[1].split('"')[0]
    assert [error_id in comment for comment in system_comments(world, case_id)] == [False, True]
    refused = [c for c in world.security_ir.calls.all() if c.operation == "GetCaseAttachmentUploadUrl"]
    assert len(refused) == 1  # a permanent refusal is not repeated
    (dead,) = world.dead_letters("files")

    world.security_ir.faults.clear()
    world.invoke("sync", {"Records": [world.record("files", dead)]})
    assert hashes(world, case_id) == [sha256(b"first")]


# To Slack


def test_given_an_attachment_when_it_is_verified_then_the_channel_has_the_file_once(
    world: World, case_id: str, channel: str
) -> None:
    content = b"\x00\x01" * 50_000
    world.security_ir.add_attachment_as(case_id, file_name="evidence.pdf", content=content)
    world.settle()
    world.live(4)

    (message,) = [m for m in world.workspace.channel_messages(channel) if m.get("files")]
    assert message["text"].startswith(f"{NEW}\n[AWS Security IR Update] `evidence.pdf`, added by AWS Responder <!date^")
    (file,) = message["files"]
    assert (file["name"], file["mimetype"], file["size"]) == ("evidence.pdf", "application/pdf", len(content))
    stored = world.workspace.store.files[file["id"]].path.read_bytes()
    assert sha256(stored) == sha256(content)
    assert len(attachments(world, case_id)) == 1  # no echo
    assert from_slack(world, case_id) == []


def test_given_an_attachment_that_is_scanned_for_long_when_it_is_verified_then_it_comes_over(
    world: World, case_id: str
) -> None:
    world.security_ir.configure(Settings(verification_delay_seconds=240))
    world.security_ir.add_attachment_as(case_id, file_name="evidence.bin", content=b"x")
    world.live(3)
    assert shared_files(world, case_id) == []
    world.live(5)

    assert len(shared_files(world, case_id)) == 1


@pytest.mark.parametrize("from_slack_side", [False, True])
def test_given_a_file_that_fails_its_scan_when_looked_at_often_then_the_channel_is_notified_once(
    world: World, jane: Person, case_id: str, channel: str, from_slack_side: bool
) -> None:
    if from_slack_side:
        jane.upload(channel, "bad.exe", EICAR)
    else:
        world.security_ir.add_attachment_as(case_id, file_name="bad.exe", content=EICAR)
    world.settle()
    world.live(5)

    assert len(lines_with(world, case_id, "failed the malware scan")) == 1
    assert shared_files(world, case_id) == []


def test_given_an_attachment_over_the_limit_when_synchronised_then_the_channel_says_how_to_get_it(
    world: World, case_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ir_router.sync import file_to_slack

    monkeypatch.setattr(file_to_slack, "FILE_SIZE_LIMIT", 1_000)  # the API itself accepts at most 100 MB
    world.security_ir.add_attachment_as(case_id, file_name="dump.bin", content=b"x" * 5_000_000)
    world.live(3)

    assert shared_files(world, case_id) == []
    text = "📎 Attachment `dump.bin` was not copied: it is 5 MB, and the limit is 100 MB."
    (line,) = lines_with(world, case_id, text)
    assert f"#/cases/{case_id}|the case in the AWS console>" in line


@pytest.mark.parametrize("method", ["files.getUploadURLExternal", "files.upload", "files.completeUploadExternal"])
@pytest.mark.parametrize("kind", ["status", "reset", "answer_lost", "malformed"])
def test_given_slack_that_fails_at_any_step_when_an_attachment_is_copied_then_it_is_there_once(
    world: World, case_id: str, method: str, kind: str
) -> None:
    world.workspace.faults.add(Fault(method, kind, times=1, status=503 if kind == "status" else None))  # type: ignore[arg-type]
    world.security_ir.add_attachment_as(case_id, file_name="evidence.bin", content=b"x" * 100_000)
    world.live(3)
    world.settle()
    world.live(2)

    assert len(shared_files(world, case_id)) == 1


def test_given_empty_attachments_when_synchronised_then_the_channel_names_each_once(world: World, case_id: str) -> None:
    world.security_ir.configure(Settings(verification_delay_seconds=0))
    for name in ("nothing.txt", "none.txt"):
        world.security_ir.add_attachment_as(case_id, file_name=name, content=b"")
    world.live(3)

    for name in ("nothing.txt", "none.txt"):
        assert len(lines_with(world, case_id, f"📎 Attachment `{name}` was not copied because it is empty.")) == 1


def test_given_a_dead_transfer_when_its_message_is_still_hidden_then_minutes_later_the_file_comes_over(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    jane.upload(channel, "log.txt", b"first", text="see")
    world.deliver()
    world._run_queue("slack-events", "slack")
    world.wire.kill_on("files", "GET slack", "before")
    began = world.now()
    world._run_queue("files", "sync")
    assert world.wire.died_at is not None
    world.live(12)

    assert hashes(world, case_id) == [sha256(b"first")]
    assert world.now() - began < 15 * 60
    assert [json.dumps(letter) for letter in world.dead_letters("files")] == []
