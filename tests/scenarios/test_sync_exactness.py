"""The synchronisation step by step: one that fails stops no other, nothing is done twice, and counts are exact."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from typing import Any

import pytest

from ir_router import clock
from ir_router.deadline import of_invocation
from ir_router.errors import RefusedError, RetryLaterError
from ir_router.ledger import claims, keys, leases, table
from ir_router.ledger.claims import Claim
from ir_router.security_ir import gateway
from ir_router.slack import messages
from ir_router.slack.gateway import Names, Slack
from ir_router.sync import comment_claims, failures, posting
from ir_router.sync.slack_to_case import is_copied_to_case
from ir_sandbox.slack.faults import Fault
from ir_sandbox.slack.people import Person
from tests.support.sync import (
    attachments,
    calls,
    configured,
    from_slack,
    lines_with,
    settled_case,
    shared_files,
    system_comments,
)
from tests.support.world import Context, World


def slack_now(world: World) -> Slack:
    """The gateway as a function uses it, outside of one."""
    world.become("sync")
    return Slack(of_invocation(Context(900, "sync", "test"), reserve=0))


def meta(case_id: str) -> dict[str, Any]:
    return table.get(keys.case(case_id)) or {}


# Steps


@pytest.mark.parametrize(
    ("method", "missing"),
    [("conversations.setTopic", "topic"), ("conversations.invite", "member"), ("none", "")],
)
def test_given_a_step_that_slack_fails_when_the_case_is_synchronised_then_all_other_steps_are_done_in_that_run(
    world: World, method: str, missing: str
) -> None:
    case_id = settled_case(world)
    bob = world.workspace.create_user("bob", email="bob@example.com", real_name="Bob Stone")
    channel = world.workspace.channel(world.channel_of(case_id))
    topic = channel.topic["value"]
    world.drop_native_events = True
    world.security_ir.call(
        "UpdateCase",
        {"caseId": case_id, "title": "Another title", "watchersToAdd": [{"email": "bob@example.com"}]},
    )
    world.security_ir.set_status_as(case_id, "Containment, Eradication and Recovery")
    world.security_ir.add_comment_as(case_id, body="a finding")
    world.security_ir.add_attachment_as(case_id, file_name="evidence.bin", content=b"x" * 100)
    if missing:
        world.workspace.faults.add(Fault(method, "status", status=503, times=None))

    world.hints.append({"source": "aws.security-ir", "detail": {"caseId": case_id}})
    world.settle(patience=5)

    assert len(lines_with(world, case_id, "a finding")) == 1
    assert len(lines_with(world, case_id, "→ Another title")) == 1
    assert (channel.topic["value"] == topic) is (missing == "topic")
    assert (bob.id not in channel.members) is (missing == "member")
    outcomes = [one.value["outcome"] for one in world.invocations if "source" in one.event and one.value]
    assert (outcomes[-1] == "failed") is bool(missing)
    if missing:
        assert int(meta(case_id)["failures"]) >= 1
        world.workspace.faults.clear()
    world.advance(4000)
    world.live(2)
    if missing:
        assert channel.topic["value"] != topic
        assert bob.id in channel.members
    assert "failures" not in meta(case_id)
    assert [file["name"] for file in shared_files(world, case_id)] == ["evidence.bin"]
    assert len(lines_with(world, case_id, "a finding")) == 1
    assert len(lines_with(world, case_id, "→ Another title")) == 1


def test_given_a_case_in_sync_when_it_is_synchronised_again_and_again_then_the_topic_is_set_once(
    world: World, case_id: str
) -> None:
    for number in range(3):
        world.security_ir.add_comment_as(case_id, body=f"finding {number}.")
        world.settle()
    world.live(3)

    assert calls(world, "slack").count("conversations.setTopic") == 1
    topics = [m for m in world.workspace.channel_messages(world.channel_of(case_id)) if "topic" in m.get("subtype", "")]
    assert len(topics) == 1
    for method in ("conversations.create", "conversations.invite"):
        assert calls(world, "slack").count(method) <= 1


def test_given_an_unknown_case_when_another_run_holds_it_meanwhile_then_the_late_run_leaves_its_row(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    case_id = "9999999999"
    others: list[leases.Lease | None] = []

    def too_late(_case_id: str) -> Any:
        world.advance(1000)
        others.append(leases.take(case_id, until=clock.now() + 60))
        raise RefusedError("AWS Security Incident Response", "GetCase", "ResourceNotFoundException")

    monkeypatch.setattr(gateway, "get_case", too_late)
    answer = world.try_invoke("sync", {"source": "aws.security-ir", "detail": {"caseId": case_id}})

    assert others[0] is not None
    assert meta(case_id)["fence"] == others[0].fence
    assert answer.value is None or answer.value["outcome"] == "lost"
    world.unexpected.allow(Exception)  # any error is fine, because the row belongs to the other run


def test_given_a_run_that_loses_its_lease_when_it_has_made_the_channel_then_only_the_next_run_records_it(
    world: World, jane: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    case_id = world.create_case()
    post = Slack.post
    made: list[dict[str, Any]] = []

    def too_late(slack: Slack, method: str, **arguments: Any) -> dict[str, Any]:
        answer = post(slack, method, **arguments)
        if method == "conversations.create" and not made:
            made.append(answer["channel"])
            world.advance(1000)
            assert leases.take(case_id, until=clock.now() + 60) is not None
        return answer

    monkeypatch.setattr(Slack, "post", too_late)
    answer = world.try_invoke("sync", {"source": "aws.security-ir", "detail": {"caseId": case_id}})

    assert answer.value is None or answer.value["outcome"] == "lost"
    assert "channel_id" not in meta(case_id)
    assert table.get(keys.channel(made[0]["id"])) is None
    world.advance(1000)
    world.live(2)
    assert meta(case_id)["channel_id"] == made[0]["id"] == world.channel_of(case_id)
    assert len(world.workspace.store.channels) == 1


def test_given_an_unknown_case_when_it_is_hinted_at_then_no_row_of_it_is_left(world: World) -> None:
    answer = world.invoke("sync", {"source": "aws.security-ir", "detail": {"caseId": "9999999999"}})
    assert answer == {"case_id": "9999999999", "outcome": "unknown case"}
    assert table.get(keys.case("9999999999")) is None


# Polling


def test_given_an_expired_page_token_when_polled_then_the_poll_begins_again_and_later_ones_do_not_meet_it(
    world: World, case_id: str
) -> None:
    poller = table.get(keys.poller()) or {}
    kept = {name: value for name, value in poller.items() if name not in ("PK", "SK")}
    table.put(keys.poller(), {**kept, "cursor": "expired"})

    for _ in range(2):
        assert world.invoke("sync", {"task": "poll"})["listed"] == 1
    assert "cursor" not in (table.get(keys.poller()) or {})
    before = len(calls(world, "security-ir"))
    world.invoke("sync", {"task": "poll"})
    assert calls(world, "security-ir")[before:].count("ListCases") == 1


# Posting


def claim_of(case_id: str, name: str = "twice") -> Claim:
    """A claim that was taken over, so that its effect is looked for."""
    claims.take(keys.note(case_id, name), settle_after=clock.now() - 1)
    taken = claims.take(keys.note(case_id, name), settle_after=clock.now() + 60)
    assert isinstance(taken, Claim)
    assert taken.must_look
    return taken


def test_given_a_message_that_was_posted_twice_when_it_is_looked_for_then_the_first_stays_and_the_others_go(
    world: World, case_id: str, channel: str
) -> None:
    slack, claim, other = slack_now(world), claim_of(case_id), claim_of(case_id, "other")
    line = messages.line("said twice")
    stamps = [posting._send(slack, channel, claim, line)["ts"] for _ in range(3)]
    kept = posting._send(slack, channel, other, line)["ts"]

    assert posting.find(slack, channel, claim) == stamps[0]
    left = [m["ts"] for m in world.workspace.channel_messages(channel) if "said twice" in m["text"]]
    assert left == [stamps[0], kept]
    assert posting.find(slack, channel, claim_of(case_id, "never")) is None
    posting._delete(slack, channel, stamps[1])  # another call has already deleted it


def test_given_a_reply_that_was_posted_when_it_is_looked_for_then_it_is_found_in_its_thread(
    world: World, case_id: str, channel: str
) -> None:
    slack, claim, parent = slack_now(world), claim_of(case_id), claim_of(case_id, "parent")
    thread_ts = posting._send(slack, channel, parent, messages.line("the parent"))["ts"]
    ts = posting._send(slack, channel, claim, replace(messages.line("the reply"), thread_ts=thread_ts))["ts"]

    assert posting.find(slack, channel, claim, thread_ts) == ts
    assert posting.find(slack, channel, parent, thread_ts) == thread_ts


@pytest.mark.parametrize(("fault", "given_back"), [("error", True), ("ratelimited", True), ("reset", False)])
def test_given_a_post_that_fails_when_it_may_have_landed_then_the_claim_stays_and_else_it_is_given_back(
    world: World, case_id: str, channel: str, fault: str, given_back: bool
) -> None:
    slack, claim = slack_now(world), claim_of(case_id)
    more: dict[str, Any] = {"error": "restricted_action"} if fault == "error" else {}
    more |= {"retry_after": 4000} if fault == "ratelimited" else {}
    world.workspace.faults.add(Fault("chat.postMessage", fault, times=None, **more))  # type: ignore[arg-type]
    with pytest.raises(Exception, match=r".") as raised:
        posting.post(slack, channel, claim, messages.line("lost"))
    world.workspace.faults.clear()

    row = table.get(claim.key) or {}
    assert bool(row.get("refused")) is given_back, raised.value
    again = claims.take(claim.key, settle_after=clock.now() + 60)
    assert isinstance(again, Claim) is given_back


# Messages of people and bots


def test_given_two_messages_that_aws_refuses_when_told_then_each_has_its_own_line_and_one_id_everywhere(
    world: World, jane: Person, case_id: str, channel: str, caplog: pytest.LogCaptureFixture
) -> None:
    world.security_ir.faults.refuse("AccessDeniedException", "CreateCaseComment", times=1)
    with caplog.at_level(logging.ERROR):
        jane.post(channel, "first")
        world.settle()
        world.advance(2)
        world.security_ir.faults.refuse("AccessDeniedException", "CreateCaseComment", times=1)
        jane.post(channel, "second")
        world.settle()
        world.live(3)

    in_channel = [found for line in lines_with(world, case_id, "Error ID") for found in _ids(line)[:1]]
    on_case = [found for text in system_comments(world, case_id) for found in _ids(text)]
    logged = {getattr(record, "error_id", None) for record in caplog.records}
    assert len(in_channel) == len(set(in_channel)) == 2
    assert sorted(on_case) == sorted(in_channel)
    assert set(in_channel) <= logged
    names = {getattr(record, "failure", None) for record in caplog.records} - {None}
    assert len(names) == 2


def _ids(text: str) -> list[str]:
    return re.findall(r"(?:api|sync)-error-\d{8}-\d{6}-[0-9a-f]{4}", text)


def test_given_failures_of_one_outage_when_told_then_the_first_kind_is_and_after_the_outage_the_next(
    world: World, case_id: str, channel: str
) -> None:
    def report(name: str, *, of_case: bool, passing: bool = True) -> bool:
        failure = failures.Failure(name, f"It is {name}.", "", True, f"id-{name}", passing, of_case)
        failures.report(case_id, channel, failure, slack_now(world).deadline)
        on_case = sum(f"It is {name}." in text for text in system_comments(world, case_id))
        in_channel = len(lines_with(world, case_id, f"It is {name}."))
        assert on_case == in_channel
        return bool(on_case)

    assert report("a message", of_case=False)
    assert not report("the case", of_case=True)
    assert report("another message", of_case=False)
    assert report("something refused", of_case=True, passing=False)
    world.advance(failures._OUTAGE_SECONDS - 5)
    assert not report("the case again", of_case=True)
    world.advance(10)
    assert report("the case later", of_case=True)
    assert not report("a message later", of_case=False)
    assert report("a message", of_case=False)  # already announced, so not announced twice
    assert len(lines_with(world, case_id, "It is a message.")) == 1


def test_given_a_failure_that_goes_on_when_it_is_logged_again_then_its_first_id_stays_and_it_is_measured_once(
    world: World, case_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    world.become("sync")
    capsys.readouterr()
    assert [failures.first_error_id(case_id, "x", number) for number in ("id-1", "id-2", "id-3")] == ["id-1"] * 3
    assert failures.first_error_id(case_id, "y", "id-4") == "id-4"
    assert capsys.readouterr().out.count('"FailuresTold":[1') == 2


@pytest.mark.parametrize("mirrored", [False, True])
def test_given_a_bot_with_a_user_when_its_messages_come_then_they_are_copied_only_when_the_deployer_wants_them(
    world: World, case_id: str, channel: str, mirrored: bool
) -> None:
    class Known(Names):
        def __init__(self) -> None:
            pass

        def user(self, user_id: str) -> dict[str, Any]:
            people = {"U1": {}, "B1": {"is_bot": True, "profile": {"api_app_id": "A1"}}}
            ours = {"is_bot": True, "profile": {"api_app_id": world.app.app_id}}
            return {**people, "OURS": ours}[user_id]

        def own_ids(self) -> tuple[str, str]:
            return "OURS", "BOURS"

    with configured(world, IR_MIRROR_BOTS=str(mirrored).lower()):
        world.become("slack")
        ours = world.app.app_id
        assert is_copied_to_case({"user": "U1"}, ours, Known())
        assert is_copied_to_case({"user": "B1"}, ours, Known()) is mirrored
        assert is_copied_to_case({"user": "B1", "bot_id": "B", "app_id": "A1"}, ours, Known()) is mirrored
        assert is_copied_to_case({"bot_id": "B", "app_id": "A1"}, ours, Known()) is mirrored
        assert is_copied_to_case({"bot_id": "B"}, ours, Known()) is mirrored
        assert not is_copied_to_case({"user": "OURS"}, ours, Known())
        assert not is_copied_to_case({"user": "OURS", "bot_id": "B"}, ours, Known())
        assert not is_copied_to_case({"user": "U1", "app_id": ours}, ours, Known())
        assert not is_copied_to_case({"bot_id": "BOURS"}, ours, Known())
        assert not is_copied_to_case({}, ours, Known())


# Files


def test_given_a_file_that_was_copied_when_its_message_is_delivered_again_then_it_is_not_asked_for_again(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    file_id, _ = jane.upload(channel, "log.txt", b"first", text="see")
    world.settle()
    key = keys.slack_message(case_id, f"{file_id}#file")
    before = table.get(key) or {}
    assert before["state"] == "done"
    jane.share_again(channel, file_id, "again")
    world.settle()
    world.live(4)

    assert table.get(key) == before
    assert len(attachments(world, case_id)) == 1


def test_given_an_upload_that_failed_when_it_is_tried_again_then_a_new_address_is_asked_for_unless_it_is_listed(
    world: World, jane: Person, case_id: str, channel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens: list[str] = []
    upload_url = gateway.upload_url
    failing = [RetryLaterError("AWS Security Incident Response", "GetCaseAttachmentUploadUrl", "Throttling", 1.0)]

    def recorded(case: str, name: str, size: int, token: str) -> str:
        tokens.append(token)
        if failing:
            raise failing.pop()
        return upload_url(case, name, size, token)

    monkeypatch.setattr(gateway, "upload_url", recorded)
    file_id, _ = jane.upload(channel, "log.txt", b"first")
    world.settle()
    world.live(3)

    assert len(attachments(world, case_id)) == 1
    assert tokens == [comment_claims.token_for(case_id, "file", file_id, str(number)) for number in (1, 2)]
    assert len(from_slack(world, case_id)) == 1
