"""Comments and files between a case and its channel: queued transfers, open claims, and comments that name files."""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import aws, clock
from ir_router.cases import file_lines
from ir_router.cases.changes import digest
from ir_router.cases.models import Comment
from ir_router.deadline import Deadline
from ir_router.errors import OutOfTimeError, RefusedError
from ir_router.ledger import claims, keys, table
from ir_router.ledger.claims import Done, Held
from ir_router.ledger.keys import Key
from ir_router.slack import messages
from ir_router.slack.messages import Message
from ir_router.sync import attachments, comment_claims, comments, file_comments, files, posting, queue, system_comments
from tests.support.journal import Journal, refused
from tests.support.synchronising import case_of, syncing
from tests.support.transfers import attachment, claim

NOW = 500_000.0
DEADLINE = Deadline(soft=NOW + 30, hard=NOW + 50)
MESSAGE = Message(text="t", blocks=[])


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> Journal:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    found = Journal(monkeypatch)
    for name in ("put", "update", "get"):
        found.replace(table, name)
    found.replace(posting, "post", "1.5")
    found.replace(posting, "replace")
    return found


# Records of files.fifo


@pytest.mark.parametrize(
    ("body", "owner", "shared", "made"),
    [
        ({"kind": "attachment", "case_id": "1234567890", "attachment_id": "A1"}, None, True, "to"),
        ({"kind": "attachment", "case_id": "x/y", "attachment_id": "A1"}, None, True, None),
        ({"event": {"channel_id": "C1", "file_id": "F1", "user_id": "U1"}}, {"case_id": "7"}, True, "from"),
        ({"event": {"channel_id": "C1", "file_id": "F1", "user_id": "U1"}}, {"case_id": "7"}, False, "asked"),
        ({"event": {"channel_id": "C1", "file_id": "F1", "user_id": "USLACKBOT"}}, {"case_id": "7"}, False, "from"),
        ({"channel_id": "C1", "file_id": "F1"}, {"case_id": "7"}, False, "from"),
        ({"channel_id": "C1", "file_id": "F1"}, None, True, None),
        ({"channel_id": "C1"}, {"case_id": "7"}, True, None),
        ({"file_id": "F1"}, {"case_id": "7"}, True, None),
    ],
)
def test_given_a_record_when_handled_then_only_a_file_of_a_case_is_transferred_with_its_key(
    monkeypatch: pytest.MonkeyPatch, journal: Journal, body: dict[str, Any], owner: Any, shared: bool, made: str | None
) -> None:
    @contextmanager
    def enforced(deadline: Deadline) -> Any:
        assert deadline is DEADLINE
        yield

    context: Any = object()
    record: Any = SimpleNamespace(body=body)
    transfer: Any = SimpleNamespace(copy=None, was_shared_for_the_case=None)
    journal.replace(transfer, "copy")
    journal.replace(transfer, "was_shared_for_the_case", shared)
    journal.replace(files, "of_invocation", DEADLINE)
    monkeypatch.setattr(files, "enforced", enforced)
    journal.replace(files, "correlate")
    journal.replace(files, "Transfer", transfer)
    journal.replace(files, "FileToSlack", SimpleNamespace(copy="to"))
    journal.replace(files, "FileFromSlack", SimpleNamespace(copy="from"))
    journal.replace(table, "get", owner)

    files._record(record, context)

    begun = [("of_invocation", context, {"reserve": 15, "at_most": 240})]
    asked = [("get", keys.channel("C1"))] if body.get("channel_id") or "event" in body else []
    case_id = "1234567890" if made == "to" else "7"
    known = [("correlate", case_id), ("Transfer", case_id, DEADLINE, record)]
    event = body.get("event", body)
    looked = [("was_shared_for_the_case", event, body)] if event.get("user_id") == "U1" else []
    from_slack = [("FileFromSlack", "7", "C1", "F1", transfer), ("copy", keys.slack_message("7", "F1#file"), "from")]
    to_slack = [("FileToSlack", "1234567890", "A1", transfer), ("copy", keys.attachment(case_id, "A1"), "to")]
    ends: dict[Any, list[Any]] = {
        None: [],
        "to": [*known, *to_slack],
        "from": [*known, *looked, *from_slack],
        "asked": [*known, *looked],
    }
    assert journal.calls == [*begun, *asked, *ends[made]]


def test_given_an_event_of_the_queue_when_handled_then_each_record_must_come_from_it(
    monkeypatch: pytest.MonkeyPatch, journal: Journal
) -> None:
    monkeypatch.setattr(files, "settings", lambda: SimpleNamespace(require=lambda name: f"url:{name}"))
    context: Any = object()
    record: Any = SimpleNamespace(require_received=None)
    journal.replace(record, "require_received")
    journal.replace(files, "_record")
    journal.replace(queue, "process", lambda _event, _url, handle: handle(record) or "answer")

    assert files.handle({"e": 1}, context) == "answer"

    (process, *rest) = journal.calls
    assert process[:3] == ("process", {"e": 1}, "url:files_queue_url")
    assert rest == [("require_received", "url:files_queue_url"), ("_record", record, context)]


# Transfers that the synchronisation queues


@pytest.mark.parametrize(
    ("row", "attempt", "revisit", "is_sent"),
    [
        (None, 0, NOW + 600, True),
        ({"settle_after": NOW, "attempt": 3}, 3, NOW + 600, True),
        ({"settle_after": NOW + 0.5, "attempt": 3}, 3, NOW + 0.5, False),
        ({"settle_after": 0, "attempt": 3, "given_up": "x"}, 3, None, False),
    ],
)
def test_given_a_transfer_when_queued_then_the_record_is_complete_and_each_attempt_has_its_group(
    monkeypatch: pytest.MonkeyPatch, journal: Journal, row: Any, attempt: int, revisit: float | None, is_sent: bool
) -> None:
    sqs = SimpleNamespace(send_message=None)
    journal.replace(sqs, "send_message")
    monkeypatch.setattr(aws, "client", lambda name: sqs if name == "sqs" else None)
    monkeypatch.setattr(attachments, "settings", lambda: SimpleNamespace(require=lambda name: f"url:{name}"))

    attachments._queue_transfer(syncing(journal), {"kind": "attachment", "x": 1}, "F1", row)

    name = digest(["attachment", "1", "F1", attempt, int(NOW // 600)])
    sent = {
        "QueueUrl": "url:files_queue_url",
        "MessageBody": json.dumps({"kind": "attachment", "x": 1, "case_id": "1"}),
        "MessageGroupId": name,
        "MessageDeduplicationId": name,
    }
    assert journal.calls == [
        *([("send_message", sent)] if is_sent else []),
        *([("revisit", revisit)] if revisit else []),
    ]


@pytest.mark.parametrize(("age", "pause"), [(0, 60), (119, 60), (200, 100), (7_200, 3_600), (7_300, 3_600)])
def test_given_attachments_when_synchronised_then_scans_are_awaited_and_verified_ones_queued_in_order(
    journal: Journal, age: float, pause: float
) -> None:
    at = datetime.fromtimestamp(NOW - age, UTC)

    def one(name: str, status: str, file_name: str = "a.txt") -> Any:
        return attachment(file_name, status, name).model_copy(update={"created_date": at})

    from_slack = "s-F0ABCDEF12.txt"
    listed = [
        one("A5", "Verified", from_slack),
        one("A3", "Pending"),
        one("A2", "Verified"),
        one("A1", "Failed"),
        one("A4", "Verified"),
        one("A6", "Pending", from_slack),
        one("A0", "Failed", from_slack),
    ]
    done, slack_key = keys.attachment("1", "A4"), file_comments.key_of("1", "F0ABCDEF12")
    slack_row = {"origin": "slack"}
    known = {"x": 1}
    rows = {done.sk: {"state": "done"}, slack_key.sk: slack_row, keys.attachment("1", "A2").sk: known}
    own = syncing(journal, case=case_of(case_attachments=listed), rows=rows)
    own.is_done = lambda key: key == done
    journal.replace(attachments, "_announce_failed_scan")
    journal.replace(attachments, "_queue_transfer")

    attachments.synchronise(own)

    assert journal.calls == [
        ("_announce_failed_scan", own, listed[6], slack_row),
        ("_announce_failed_scan", own, listed[3], None),
        ("_queue_transfer", own, {"kind": "attachment", "attachment_id": "A2"}, "A2", known),
        ("revisit", NOW + pause),
        ("revisit", NOW + pause),
    ]
    assert [attachments.is_copied(own, listed[number]) for number in (4, 2, 0)] == [True, False, False]
    slack_row["state"] = "done"
    assert attachments.is_copied(own, listed[0]) is True
    slack_row["origin"] = "aws"
    assert attachments.is_copied(own, listed[0]) is False


@pytest.mark.parametrize(
    ("from_slack", "message", "rejected"),
    [
        (None, messages.failed_scan("a.txt"), False),
        ({"outcome": "copied", "file_name": "b.txt"}, messages.attachment_rejected("b.txt", "a.txt"), True),
        ({"outcome": "rejected"}, messages.attachment_rejected("a.txt", "a.txt"), False),
    ],
)
@pytest.mark.parametrize("is_claimed", [True, False])
def test_given_a_failed_scan_when_announced_then_the_message_fits_its_origin_once(
    journal: Journal, from_slack: Any, message: Message, rejected: bool, is_claimed: bool
) -> None:
    own = syncing(journal)
    journal.replace(own, "claim", "taken" if is_claimed else None)
    journal.replace(file_comments, "reject")

    attachments._announce_failed_scan(own, attachment(), from_slack)

    assert journal.calls == [
        ("claim", keys.note("1", "scan-failed-A1")),
        *([("post", own.slack, "C1", "taken", message)] if is_claimed else []),
        *([("reject", "1", from_slack)] if rejected else []),
    ]


# Comments


def test_given_open_claims_when_resumed_then_those_of_before_are_settled_in_order_and_new_ones_wait(
    journal: Journal,
) -> None:
    def row(name: str, at: float | None, **more: Any) -> dict[str, Any]:
        known = {} if at is None else {"claimed_at": at}
        return {"PK": "CASE#1", "SK": name, "state": "claimed", "client_token": "t", **known, **more}

    rows = [
        row("SLACK#b", NOW - 60),
        row("NOTE#a", NOW - 60),
        row("SLACK#first", NOW - 99, origin="private"),
        row("SLACK#new", NOW - 59),
        row("SLACK#done", NOW - 99, state="done"),
        row("SLACK#up", NOW - 99, given_up="x"),
        {**row("SLACK#other", NOW - 99), "client_token": None},
    ]
    del rows[-1]["client_token"]
    own = syncing(journal, rows={one["SK"]: one for one in rows})
    taken = [claim(), Held(9.0), claim()]
    journal.replace(claims, "take", *taken)
    journal.replace(comment_claims, "settle")

    comments.resume_open_claims(own)

    def take(name: str) -> list[Any]:
        return [("check",), ("take", Key("CASE#1", name), {"settle_after": NOW})]

    assert journal.taken() == [
        *take("SLACK#first"),
        ("settle", "1", taken[0], "private"),
        *take("NOTE#a"),
        *take("SLACK#b"),
        ("settle", "1", taken[2], "slack"),
        ("revisit", NOW + 1),
    ]
    own.case = case_of(case_status="Closed")
    comments.resume_open_claims(own)
    assert journal.calls == []
    assert comments._origin({"SK": "NOTE#a"}) == system_comments.ORIGIN


@pytest.mark.parametrize(
    ("code", "again", "passes"),
    [("invalid_blocks", "again", False), ("msg_too_long", None, False), ("is_archived", "again", True)],
)
def test_given_a_comment_that_slack_rejects_when_posted_then_a_line_names_its_author(
    journal: Journal, code: str, again: Any, passes: bool
) -> None:
    own, key = syncing(journal), keys.comment("1", "c1")
    own.lease = SimpleNamespace(row={})
    taken = claim(hash="h")
    journal.replace(own, "claim", taken, again)
    journal.replace(posting, "post", refused(code), "1.5")
    comment = Comment(comment_id="c1", body="b", creator="Jane")

    if passes:
        with pytest.raises(RefusedError):
            comments._post(own, comment, key, MESSAGE, "h")
    else:
        comments._post(own, comment, key, MESSAGE, "h")
    line = messages.line(f"A comment by {messages.author('Jane')} cannot be shown in Slack. Read it on the case.")
    assert journal.calls == [
        ("claim", key, {"origin": "aws", "hash": "h"}),
        ("post", own.slack, "C1", taken, MESSAGE),
        *([] if passes else [("claim", key)]),
        *([("post", own.slack, "C1", again, line)] if again and not passes else []),
    ]


@pytest.mark.parametrize(
    ("hints", "created", "frozen", "measured"),
    [(1, NOW - 7, "h", True), (0, NOW - 7, "h", False), (1, None, "h", False), (1, NOW - 7, "older", True)],
)
def test_given_a_comment_when_posted_then_its_delay_is_measured_and_an_older_text_replaced(
    journal: Journal, hints: int, created: float | None, frozen: str, measured: bool
) -> None:
    own, key = syncing(journal), keys.comment("1", "c1")
    own.lease = SimpleNamespace(row={"synced_hints": hints})
    taken = claim(hash=frozen)
    journal.replace(own, "claim", taken, None)
    journal.replace(comments, "measure")
    date = None if created is None else datetime.fromtimestamp(created, UTC)

    for _ in range(2):
        comments._post(own, Comment(comment_id="c1", body="b", created_date=date), key, MESSAGE, "h")

    asked = ("claim", key, {"origin": "aws", "hash": "h"})
    assert journal.calls == [
        asked,
        ("post", own.slack, "C1", taken, MESSAGE),
        *([("measure", "CommentToMessageSeconds", 7.0, "Seconds")] if measured else []),
        *([("replace", own.slack, "C1", "1.5", MESSAGE)] if frozen == "older" else []),
        asked,
    ]


def test_given_an_edit_when_replaced_then_the_time_is_checked_and_the_message_is_that_of_the_row(
    journal: Journal,
) -> None:
    own = syncing(journal)
    journal.replace(posting, "replace", "v", refused("edit_window_closed"), refused("x"), OutOfTimeError("x"))
    known = {"channel_id": "C7", "ts": 2.5}

    assert comments._replace(own, known, MESSAGE) is True
    assert comments._replace(own, known, MESSAGE) is False
    for error in (RefusedError, OutOfTimeError):
        with pytest.raises(error):
            comments._replace(own, known, MESSAGE)
    assert journal.calls == [("check",), ("replace", own.slack, "C7", "2.5", MESSAGE)] * 4


# Comments that name files


def test_given_a_copied_file_of_several_messages_when_settled_then_comments_since_the_first_are_read(
    journal: Journal,
) -> None:
    row = {"state": "done", "origin": "slack", "shown_in": {"3.0", "1.0", "2.0"}, "file_name": "a", "deleted": True}
    journal.replace(table, "get", row, {**row, "file_name": None, "deleted": None}, Done({}).row, None)
    journal.replace(comment_claims, "texts", {"c": "t"})
    journal.replace(file_comments, "_write", True, False, True)
    key = file_comments.key_of("1", "F1")

    file_comments.settle("1", "F1")

    line = file_lines.finished("a", "F1", row, is_gone=True)
    sets = "DELETE shown_in :ts ADD named_in :ts"
    assert journal.taken() == [
        ("get", key),
        ("texts", "1", "1.0"),
        ("_write", "1", "1.0", "F1", line, {"c": "t"}),
        ("update", key, sets, {"ts": {"1.0"}}),
        ("_write", "1", "2.0", "F1", line, {"c": "t"}),
        ("_write", "1", "3.0", "F1", line, {"c": "t"}),
        ("update", key, sets, {"ts": {"3.0"}}),
    ]
    file_comments.settle("1", "F1")
    unnamed = file_lines.finished("F1", "F1", row, is_gone=False)
    assert [call[4] for call in journal.taken() if call[0] == "_write"] == [unnamed] * 3
    for _ in range(2):
        file_comments.settle("1", "F1")
    assert [name for name, *_ in journal.calls] == ["get", "get"]
