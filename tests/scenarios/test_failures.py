"""S15: ir-router recovers from transient failures, reports persistent ones once on both sides, and loses nothing."""

from __future__ import annotations

import json
import logging

import pytest

from ir_router import observability
from ir_router.errors import RetryLaterError
from ir_sandbox.security_ir.faults import Fault as AwsFault
from ir_sandbox.security_ir.faults import FaultKind
from ir_sandbox.slack.faults import Fault
from ir_sandbox.slack.people import Person
from tests.support.sync import configured, from_slack, lines_with, settled_case, system_comments
from tests.support.world import World

SLACK_FAULTS = [
    Fault("*", "ratelimited", times=None, retry_after=5),
    Fault("*", "status", times=None, status=503),
    Fault("*", "reset", times=None),
    Fault("*", "malformed", times=None),
    Fault("*", "answer_lost", times=None),
    Fault("*", "error", times=None, error="internal_error"),
]
AWS_FAULTS = [
    AwsFault(kind=FaultKind.ERROR, code="ThrottlingException", times=None, retry_after_seconds=3),
    AwsFault(kind=FaultKind.ERROR, code="InternalServerException", times=None),
    AwsFault(kind=FaultKind.RESET, times=None),
    AwsFault(kind=FaultKind.RESET, times=None, after_effect=True),
    AwsFault(kind=FaultKind.MALFORMED, times=None, after_effect=True),
]


def _name(fault: Fault | AwsFault) -> str:
    return f"{fault.kind}{'-after' if getattr(fault, 'after_effect', False) else ''}"


@pytest.mark.parametrize("fault", SLACK_FAULTS, ids=_name)
@pytest.mark.parametrize("seconds", [1, 30, 600])
def test_given_slack_that_fails_for_a_time_when_it_is_back_then_the_next_poll_has_all_in_sync(
    world: World, case_id: str, fault: Fault, seconds: int
) -> None:
    for number in range(3):
        world.security_ir.add_comment_as(case_id, body=f"finding {number}.")
    world.workspace.faults.add(Fault(**{**fault.to_json(), "until": world.now() + seconds}))
    ends = world.now() + seconds
    world.settle(patience=30)
    while world.now() < ends:
        world.live(1)
    world.workspace.faults.clear()
    world.live(2)  # the next poll, wherever in its minute the fault ended

    findings = [line.split("finding ")[1].split(".")[0] for line in lines_with(world, case_id, "finding ")]
    assert findings == ["0", "1", "2"]
    on_case = [comment for comment in system_comments(world, case_id) if "out of sync" in comment]
    assert len(on_case) <= 1
    assert len(lines_with(world, case_id, "out of sync")) <= len(on_case)  # an unreachable channel gets no notice


@pytest.mark.parametrize("fault", AWS_FAULTS, ids=_name)
@pytest.mark.parametrize("seconds", [30, 600])
def test_given_aws_that_fails_for_a_time_when_it_is_back_then_both_sides_are_in_sync_once(
    world: World, jane: Person, case_id: str, channel: str, fault: AwsFault, seconds: int
) -> None:
    world.unexpected.allow(RetryLaterError)
    jane.post(channel, "said before the fault")
    world.security_ir.faults.add(fault)
    ends = world.now() + seconds
    jane.post(channel, "said during the fault")
    while world.now() < ends:
        world.live(1)
    world.security_ir.faults.clear()
    world.live(3)

    said = [body.split("\n")[1] for body in from_slack(world, case_id)]
    assert said == ["said before the fault", "said during the fault"]
    assert lines_with(world, case_id, "the fault") == []
    assert lines_with(world, case_id, "(empty)") == []  # an unreadable response counts as none
    assert world.dead_letters("slack-events") == []


def test_given_slack_that_is_down_for_an_hour_when_a_case_is_new_then_its_channel_is_made_on_recovery_once(
    world: World,
) -> None:
    world.workspace.faults.add(Fault("*", "answer_lost", times=None, status=504, until=world.now() + 3600))
    case_id = world.create_case()
    world.settle(patience=30)
    for _ in range(61):
        world.live(1)
    world.live(2)

    names = [channel.name for channel in world.workspace.store.channels.values()]
    assert names == [f"aws-security-incident-response-case-{case_id}"]
    assert len(lines_with(world, case_id, "Case " + case_id)) == 1


def test_given_a_message_that_aws_always_refuses_when_spent_then_both_sides_are_notified_once_and_it_can_be_replayed(
    world: World, jane: Person, case_id: str, channel: str, caplog: pytest.LogCaptureFixture
) -> None:
    world.security_ir.faults.refuse("AccessDeniedException", "CreateCaseComment", times=1)
    with caplog.at_level(logging.ERROR):
        jane.post(channel, "refused words")
        world.settle()
        jane.post(channel, "next words")
        world.settle()
        world.live(3)

    (line,) = lines_with(
        world, case_id, "copied to the case: AWS Security Incident Response rejected the request (AccessDenied"
    )
    error_id = line.split("Error ID: ")[1].split('"')[0]
    (comment,) = [comment for comment in system_comments(world, case_id) if "could not be copied" in comment]
    assert error_id in comment
    assert error_id in {getattr(record, "error_id", None) for record in caplog.records}
    creates = [call for call in world.security_ir.calls.all() if call.operation == "CreateCaseComment"]
    assert sum(call.status == 403 for call in creates) == 1  # not retried
    (dead,) = world.dead_letters("slack-events")
    assert [body.split("\n")[1] for body in from_slack(world, case_id)] == ["next words"]

    world.invoke("slack", {"Records": [world.record("slack-events", dead)]})
    world.settle()
    world.live(2)
    assert [body.split("\n")[1] for body in from_slack(world, case_id)] == ["next words", "refused words"]


def test_given_a_message_that_is_refused_permanently_when_others_wait_behind_it_then_they_are_copied_and_not_given_up(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    world.security_ir.faults.refuse("AccessDeniedException", "CreateCaseComment", times=1)
    for text in ("refused", "one", "two", "three"):
        jane.post(channel, text)
    world.settle()

    assert [body.split("\n")[1] for body in from_slack(world, case_id)] == ["one", "two", "three"]
    (dead,) = world.dead_letters("slack-events")
    assert dead["event"]["text"] == "refused"


def test_given_a_closed_case_when_people_go_on_talking_then_they_are_notified_once_and_nothing_is_tried_again(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    ts = jane.post(channel, "before")
    world.settle()
    world.security_ir.close_case_as(case_id)
    world.settle()
    jane.post(channel, "one")
    jane.post(channel, "two")
    jane.edit(channel, ts, "before, edited")
    world.settle()
    world.live(3)

    assert len(lines_with(world, case_id, "The case is closed. New messages in this channel are not copied")) == 1
    assert lines_with(world, case_id, "could not be copied") == []
    assert world.dead_letters("slack-events") == []
    assert len(from_slack(world, case_id)) == 1


def test_given_a_channel_that_was_archived_when_it_is_back_then_what_was_missed_is_brought_over(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    admin = world.workspace.create_user("admin", is_admin=True)
    jane.invite(channel, admin.id)
    admin.archive_channel(channel)
    world.security_ir.add_comment_as(case_id, body="while archived")
    world.settle()
    world.live(5)
    (comment,) = [comment for comment in system_comments(world, case_id) if "out of sync" in comment]
    assert "the channel is archived" in comment
    assert "Unarchive the channel" in comment
    admin.unarchive_channel(channel)
    jane.kick(channel, world.app.bot_user_id)
    world.advance(3600)
    world.live(2)
    (comment,) = [comment for comment in system_comments(world, case_id) if "cannot see its private" in comment]
    assert "Invite the app to the channel again" in comment  # another cause in the same outage
    jane.invite(channel, world.app.bot_user_id)
    world.advance(3600)
    world.live(2)

    assert len(lines_with(world, case_id, "while archived")) == 1


@pytest.mark.parametrize("visibility", ["private", "public"])
def test_given_a_bot_that_was_removed_when_it_is_back_then_both_sides_have_what_they_missed(
    world: World, jane: Person, visibility: str
) -> None:
    with configured(world, IR_CHANNEL_VISIBILITY=visibility):
        case_id = settled_case(world)
    channel = world.channel_of(case_id)
    ts = jane.post(channel, "before")
    world.settle()
    jane.kick(channel, world.app.bot_user_id)
    jane.post(channel, "while the bot was away")
    jane.post(channel, "a reply that it missed", thread_ts=ts)
    world.security_ir.add_comment_as(case_id, body="unheard finding")
    world.settle()
    world.live(3)
    (comment,) = [comment for comment in system_comments(world, case_id) if "out of sync" in comment]
    assert "Invite the app to the channel again" in comment

    jane.invite(channel, world.app.bot_user_id)
    world.advance(3600)
    world.live(3)

    said = [body.split("\n")[1] for body in from_slack(world, case_id)]
    assert said == ["before", "while the bot was away", "a reply that it missed"]
    assert len(lines_with(world, case_id, "unheard finding")) == 1
    assert lines_with(world, case_id, "while the bot was away") == []


def test_given_a_renamed_channel_when_the_case_changes_then_it_is_still_the_cases_channel(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    admin = world.workspace.create_user("admin", is_admin=True)
    jane.invite(channel, admin.id)
    admin.rename_channel(channel, "incident-of-the-year")
    world.security_ir.add_comment_as(case_id, body="still here")
    jane.post(channel, "me too")
    world.settle()
    world.live(2)

    assert [c.name for c in world.workspace.store.channels.values()] == ["incident-of-the-year"]
    texts = [m["text"] for m in world.workspace.channel_messages(channel)]
    assert sum("still here" in text for text in texts) == 1
    assert len(from_slack(world, case_id)) == 1


def test_given_a_token_that_is_revoked_in_mid_run_when_a_new_one_is_set_then_all_comes_over_once(
    world: World, case_id: str
) -> None:
    for number in range(4):
        world.security_ir.add_comment_as(case_id, body=f"finding {number}.")
    world.workspace.faults.add(Fault("chat.postMessage", "error", times=None, error="token_revoked", skip=2))
    world.settle()
    world.live(2)
    (comment,) = [comment for comment in system_comments(world, case_id) if "out of sync" in comment]
    assert "Slack rejected chat.postMessage (token_revoked): the bot token is not valid" in comment
    world.workspace.faults.clear()
    world.advance(3600)
    world.live(2)

    findings = [line.split("finding ")[1].split(".")[0] for line in lines_with(world, case_id, "finding ")]
    assert findings == ["0", "1", "2", "3"]


@pytest.mark.parametrize("orphan", ["own", "somebody's", "own archived"])
def test_given_a_taken_channel_name_when_a_case_is_new_then_it_has_one_usable_channel(
    world: World, jane: Person, orphan: str
) -> None:
    world.drop_native_events = True
    case_id = world.create_case()
    name = f"aws-security-incident-response-case-{case_id}"
    maker = jane if orphan == "somebody's" else world.workspace.person("ir-router")
    taken = maker.create_channel(name, is_private=True)
    if orphan == "own archived":
        maker.archive_channel(taken)
    world.live(2)

    names = sorted(channel.name for channel in world.workspace.store.channels.values())
    assert names == ([name] if orphan == "own" else [name, f"{name}-2"])
    used = world.workspace.channel(names[-1])
    texts = [message["text"] for message in world.workspace.channel_messages(used.id)]
    assert sum(f"Case {case_id}" in text for text in texts) == 1


def test_given_a_crash_that_left_a_public_channel_when_a_user_writes_there_before_it_is_adopted_then_it_is_copied(
    world: World, jane: Person
) -> None:
    world.drop_native_events = True
    with configured(world, IR_CHANNEL_VISIBILITY="public"):
        case_id = world.create_case()
        world.wire.kill_on("slack", "conversations.create", "after")
        world.live(1)
        assert world.wire.died_at is not None
        jane.join(world.channel_of(case_id))
        jane.post(world.channel_of(case_id), "what is this?")
        world.live(4)

    (body,) = from_slack(world, case_id)
    assert body.split("\n")[1] == "what is this?"
    assert len(lines_with(world, case_id, f"Case {case_id}")) == 1


def test_given_a_crash_before_the_notice_when_the_case_changes_before_the_next_run_then_the_report_is_consistent(
    world: World, jane: Person
) -> None:
    world.drop_native_events = True
    case_id = world.create_case(title="Before")
    world.wire.kill_on("slack", "chat.postMessage", "before")
    world.live(1)
    assert world.wire.died_at is not None
    world.security_ir.call("UpdateCase", {"caseId": case_id, "title": "After"})
    world.security_ir.set_status_as(case_id, "Post-incident Activities")
    world.live(4)

    (notice,) = lines_with(world, case_id, f"Case {case_id}")
    assert "Before. Status: Open (Submitted)" in notice
    (told_later,) = lines_with(world, case_id, "→")
    assert "*Title*: Before → After" in told_later
    assert "*Status*: Open (Submitted) → Resolved (Post-incident Activities)" in told_later


def test_given_messages_that_slack_could_not_deliver_when_the_case_is_resynced_then_it_has_them_once(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    jane.post(channel, "delivered")
    world.settle()
    world.workspace.deliveries.disturb("drop", times=3)
    ts = jane.post(channel, "while the door was shut")
    jane.post(channel, "a reply to it", thread_ts=ts)
    world.settle()
    world.live(2)
    assert len(from_slack(world, case_id)) == 1
    for _ in range(2):
        assert world.invoke("operations", {"task": "resync", "case_id": case_id})["outcome"] == "synced"
        world.settle()

    said = [body.split("\n")[1] for body in from_slack(world, case_id)]
    assert said == ["delivered", "while the door was shut", "a reply to it"]
    assert lines_with(world, case_id, "while the door was shut") == []


def test_given_replies_to_an_old_thread_that_slack_could_not_deliver_when_the_case_is_resynced_then_it_has_them_once(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    old = jane.post(channel, "said last week")
    jane.post(channel, "answered last week", thread_ts=old)
    jane.post(channel, "said last week, never answered")
    world.settle()
    world.advance(7 * 86_400)
    world.workspace.deliveries.disturb("drop", times=2)
    jane.post(channel, "an answer while the door was shut", thread_ts=old)
    jane.post(channel, "said while the door was shut")
    world.settle()
    world.live(2)
    before = len(world.wire.calls)
    for _ in range(2):
        assert world.invoke("operations", {"task": "resync", "case_id": case_id})["outcome"] == "synced"
        world.settle()

    said = [body.split("\n")[1] for body in from_slack(world, case_id)]
    assert said[3:] == ["an answer while the door was shut", "said while the door was shut"]
    assert len(said) == 5
    read = [call.operation for call in world.wire.calls[before:] if call.operation == "conversations.replies"]
    assert len(read) <= 3  # once in each run, and once for the quoted message


def test_given_failures_and_texts_when_all_logs_are_read_then_they_hold_no_words_names_or_addresses(
    world: World,
    jane: Person,
    case_id: str,
    channel: str,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    lines: list[str] = []
    handler = logging.StreamHandler()
    handler.setFormatter(observability.logger.registered_formatter)
    handler.emit = lambda record: lines.append(handler.format(record))  # type: ignore[method-assign]
    observability.logger.addHandler(handler)
    observability.logger.setLevel("DEBUG")
    caplog.set_level(logging.INFO)
    world.security_ir.faults.add(AWS_FAULTS[4].model_copy(update={"times": 4}))
    world.workspace.faults.add(Fault("chat.postMessage", "malformed", times=2))
    jane.post(channel, "canary-said")
    jane.upload(channel, "canary-file.txt", b"canary-bytes", text="canary-caption")
    world.security_ir.add_comment_as(case_id, body="canary-comment")
    world.security_ir.call(
        "UpdateCase",
        {"caseId": case_id, "title": "canary-title", "watchersToAdd": [{"email": "canary@example.com"}]},
    )
    world.settle()
    world.live(4)

    observability.logger.setLevel("ERROR")
    logging.getLogger(observability.logger.service).removeHandler(handler)
    written = capfd.readouterr()
    logged = "\n".join((*lines, written.out, written.err, caplog.text))
    assert "case.sync_ended" in logged
    assert "sqs.message_failed" in logged
    assert "canary" not in logged
    assert "Jane" not in logged
    assert "@example.com" not in logged
    assert world.app.token not in logged
    ended = [json.loads(line) for line in lines if "case.sync_ended" in line]
    assert {line["correlation_id"] for line in ended} == {case_id}
