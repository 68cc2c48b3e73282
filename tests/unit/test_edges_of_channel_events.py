"""Events of a case's channel: the step of each, its arguments, the claims that make it wait, and the reports."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError

from ir_router.deadline import Deadline
from ir_router.errors import RefusedError, RetryLaterError, UncertainError
from ir_router.ledger import claims, keys, table
from ir_router.ledger.claims import ClaimLostError, Done, Held
from ir_router.security_ir import gateway as security_ir
from ir_router.slack import inbound, messages
from ir_router.sync import approval_tampering, failures, file_comments, hints, posting, queue, slack_to_case
from ir_router.sync.case_sync import ClaimHeldError
from tests.support.answers import client_error
from tests.support.channel_messages import NOW, PEOPLE, journal_of_messages, record
from tests.support.journal import Journal, refused
from tests.support.transfers import claim

TS = "1768500000.5"
DEADLINE = Deadline(soft=NOW + 30, hard=NOW + 50)
AWS = "AWS Security Incident Response"


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> Journal:
    return journal_of_messages(monkeypatch)


@pytest.mark.parametrize(
    ("event", "owner", "tampered", "step"),
    [
        ({"type": "file_deleted"}, {"case_id": "1"}, False, "_file_deleted"),
        ({inbound.APPROVALS: ["a"]}, {"case_id": "1"}, True, ""),
        ({inbound.APPROVALS: ["a"]}, {"case_id": "1"}, False, "_message"),
        ({}, None, False, ""),
        ({"type": "channel_id_changed"}, {"case_id": "1"}, False, "_channel"),
        ({"type": "channel_deleted"}, {"case_id": "1"}, False, "_channel"),
        ({"type": "group_deleted"}, {"case_id": "1"}, False, "_channel"),
        ({"type": "member_left_channel"}, {"case_id": "1"}, False, "_membership"),
        ({"type": "member_joined_channel"}, {"case_id": "1"}, False, "_membership"),
    ],
)
@pytest.mark.parametrize(("receives", "patient"), [(3, True), (4, False)])
def test_given_an_event_when_recorded_then_its_kind_and_channel_decide_about_the_step(
    journal: Journal, event: dict[str, Any], owner: Any, tampered: bool, step: str, receives: int, patient: bool
) -> None:
    journal.replace(inbound, "channel_of", "C1")
    journal.replace(approval_tampering, "notice", tampered)
    journal.replace(table, "get", owner)
    journal.replace(slack_to_case, "Slack", "slack")
    journal.replace(slack_to_case, "Names", "names")
    for name in ("_file_deleted", "_channel", "_membership", "_message"):
        journal.replace(slack_to_case, name)
    one = record(event, receives)
    sent = one.body["event"]

    slack_to_case._record(one, DEADLINE)

    noticed = [("notice", sent)] if inbound.APPROVALS in event else []
    owned = [("channel_of", sent), ("get", keys.channel("C1")), *([("correlate", "1")] if owner else [])]
    named: list[Any] = [("Slack", DEADLINE), ("Names", "slack", {"patient": patient})]
    calls: dict[str, list[Any]] = {
        "_file_deleted": [("_file_deleted", sent)],
        "_channel": [("_channel", sent, "1", "C1")],
        "_membership": [*named, ("_membership", sent, "1", "C1", "names")],
        "_message": [*named, ("_message", sent, one, "1", "slack", "names")],
        "": [],
    }
    before = [] if step == "_file_deleted" else [*noticed, *([] if tampered else owned)]
    assert journal.calls == [*before, *calls[step]]


@pytest.mark.parametrize(
    ("error", "receives", "closed", "reported"),
    [
        (refused("x"), 1, False, True),
        (refused("x"), 1, True, None),
        (refused("ConflictException"), 1, False, False),
        (refused("ConflictException"), queue.REPORTED_AT_RECEIVE_COUNT, False, True),
        (RetryLaterError("S", "m", "x", 1), queue.REPORTED_AT_RECEIVE_COUNT - 1, True, False),
        (UncertainError("S", "m", "x"), queue.REPORTED_AT_RECEIVE_COUNT, True, True),
        (client_error("x"), queue.REPORTED_AT_RECEIVE_COUNT, False, True),
        (BotoCoreError(), queue.REPORTED_AT_RECEIVE_COUNT, False, True),
        (ClaimLostError("x"), queue.REPORTED_AT_RECEIVE_COUNT, False, False),
        (ValueError("odd"), queue.REPORTED_AT_RECEIVE_COUNT, False, False),
    ],
)
def test_given_a_failed_message_when_it_lasts_then_it_is_reported_unless_the_case_is_closed(
    journal: Journal, error: Exception, receives: int, closed: bool, reported: bool | None
) -> None:
    journal.replace(table, "get", {"case_id": "1"})
    journal.replace(slack_to_case, "Slack", "slack")
    journal.replace(slack_to_case, "Names", "names")
    journal.replace(slack_to_case, "_message", error)
    journal.replace(slack_to_case, "_announced_as_closed", closed)
    journal.replace(slack_to_case, "_report_failure")
    one = record({}, receives)

    if reported is None:
        slack_to_case._record(one, DEADLINE)
    else:
        with pytest.raises(type(error)):
            slack_to_case._record(one, DEADLINE)

    asked = [("_announced_as_closed", "1", "C1", "slack", DEADLINE)] if isinstance(error, RefusedError) else []
    told = [("_report_failure", one.body["event"], error, "1", "C1", DEADLINE)] if reported else []
    assert [call for call in journal.calls if call[0].startswith(("_announced", "_report"))] == [*asked, *told]


INNER = {"user": "U1", "ts": TS, "text": "t"}


@pytest.mark.parametrize(
    ("event", "given", "call"),
    [
        (INNER, {}, ("create", {"repeated": True})),
        (
            {"subtype": "message_changed", "message": INNER, "event_ts": "9", "ts": "8", "previous_message": {"p": 1}},
            {},
            ("edit", "9", {"repeated": True}),
        ),
        ({"subtype": "message_changed", "message": INNER, "ts": "8"}, {}, ("edit", "8", {"repeated": True})),
        ({"subtype": "message_deleted", "deleted_ts": "7", "ts": "8"}, {}, ("delete", "7")),
        ({"subtype": "message_deleted"}, {}, ("delete", "")),
        ({"subtype": "message_changed", "message": {**INNER, "subtype": "tombstone"}}, {}, ("delete", TS)),
        ({**INNER, "in_history": True}, {"text": "from history"}, ("create", {"repeated": True})),
    ],
)
@pytest.mark.parametrize("written", [["c1"], []])
def test_given_a_message_when_handled_then_creation_edit_or_deletion_gets_its_arguments_and_is_announced(
    journal: Journal, event: dict[str, Any], given: Any, call: Any, written: list[str]
) -> None:
    if "in_history" in event:
        event = {**INNER, inbound.IN_HISTORY: True}
    made: Any = SimpleNamespace(create=None, edit=None, delete=None)
    for name in ("create", "edit", "delete"):
        journal.replace(made, name, written)
    journal.replace(slack_to_case, "SlackMessage", lambda *_, **__: made)
    journal.replace(slack_to_case, "_in_history", given)
    journal.replace(slack_to_case, "is_copied_to_case", True)
    journal.replace(slack_to_case, "_is_of_another", True)
    one = record(event, 2)
    sent = one.body["event"]
    slack: Any = "slack"

    slack_to_case._message(sent, one, "1", slack, PEOPLE)

    inner = sent.get("message", {}) if sent.get("subtype") == "message_changed" else sent
    if given:
        assert journal.calls.pop(0) == ("_in_history", inner, "C1", slack)
        inner = {**inner, **given}
    asked = (
        [] if call[0] == "delete" else [("is_copied_to_case", inner, "AOWN", PEOPLE), ("_is_of_another", inner, PEOPLE)]
    )
    before = {"before": sent.get("previous_message")}
    values = {"caseId": "1", "channelId": "C1", "ts": inner.get("ts"), "commentIds": written}
    assert journal.calls == [
        *([] if call[0] == "delete" else asked),
        ("SlackMessage", "1", "C1", "T1", inner, slack, PEOPLE, before),
        call,
        *([("announce", "MessageSynchronized", values)] if written else []),
    ]


@pytest.mark.parametrize(
    ("copied", "another", "known", "is_made"),
    [(False, True, False, False), (True, True, True, True), (True, False, True, False), (True, False, False, True)],
)
@pytest.mark.parametrize(("receives", "patient"), [(1, True), (queue.REPORTED_AT_RECEIVE_COUNT, False)])
def test_given_an_own_message_when_handled_then_the_ledger_decides_unless_another_author_is_certain(
    journal: Journal, copied: bool, another: bool, known: bool, is_made: bool, receives: int, patient: bool
) -> None:
    journal.replace(slack_to_case, "is_copied_to_case", copied)
    journal.replace(slack_to_case, "_is_of_another", another)
    journal.replace(slack_to_case, "_is_in_ledger", known)
    made: Any = SimpleNamespace(create=None)
    journal.replace(made, "create", [])
    journal.replace(slack_to_case, "SlackMessage", made)
    one, slack = record(INNER, receives), SimpleNamespace()
    sent = one.body["event"]

    slack_to_case._message(sent, one, "1", slack, PEOPLE)  # type: ignore[arg-type]

    asked = [("_is_in_ledger", "1", sent, {"patient": patient})] if copied and not another else []
    created = [("create", {"repeated": receives > 1})] if is_made else []
    assert [call for call in journal.calls if call[0] in ("_is_in_ledger", "create")] == [*asked, *created]


@pytest.mark.parametrize(
    ("thread_ts", "method", "more"),
    [(None, "history", {}), (TS, "history", {}), ("1.0", "replies", {"ts": "1.0"})],
)
def test_given_a_long_message_when_read_then_it_is_searched_in_its_channel_or_thread(
    journal: Journal, thread_ts: str | None, method: str, more: dict[str, Any]
) -> None:
    slack: Any = SimpleNamespace(pages=None)
    journal.replace(slack, "pages", [{"ts": "0"}, {"ts": TS, "text": "t"}], [])
    message = {"ts": TS, "thread_ts": thread_ts}

    assert slack_to_case._in_history(message, "C1", slack) == {"ts": TS, "text": "t"}
    assert slack_to_case._in_history(message, "C1", slack) == {}
    arguments = {"channel": "C1", "oldest": TS, "latest": TS, "inclusive": True, **more}
    assert journal.calls == [("pages", f"conversations.{method}", "messages", arguments)] * 2


@pytest.mark.parametrize("taken", [claim(), Done({}), Held(7.0)])
def test_given_a_closed_case_when_a_message_is_rejected_then_the_channel_reads_it_once(
    journal: Journal, taken: Any
) -> None:
    slack: Any = "slack"
    journal.replace(security_ir, "get_case", SimpleNamespace(is_closed=True))
    journal.replace(claims, "take", taken)
    journal.replace(posting, "post")

    if isinstance(taken, Held):
        with pytest.raises(ClaimHeldError) as error:
            slack_to_case._announced_as_closed("1", "C1", slack, DEADLINE)
        assert error.value.until == 7.0
    else:
        assert slack_to_case._announced_as_closed("1", "C1", slack, DEADLINE) is True
    line = messages.line("The case is closed. New messages in this channel are not copied to it.")
    assert journal.taken() == [
        ("get_case", "1"),
        ("take", keys.note("1", "closed-to-messages"), {"settle_after": DEADLINE.settle_after}),
        *([("post", slack, "C1", taken, line)] if isinstance(taken, claims.Claim) else []),
    ]
    journal.replace(security_ir, "get_case", SimpleNamespace(is_closed=False))
    assert slack_to_case._announced_as_closed("1", "C1", slack, DEADLINE) is False
    assert len(journal.calls) == 1


@pytest.mark.parametrize(
    ("event", "rows"),
    [
        ({"type": "channel_deleted"}, [(keys.channel("C1"), {"case_id": "1", "deleted": True})]),
        ({"type": "channel_id_changed"}, []),
        (
            {"type": "channel_id_changed", "new_channel_id": "C2"},
            [(keys.channel("C2"), {"case_id": "1"}), (keys.channel("C1"), {"case_id": "1", "moved_to": "C2"})],
        ),
    ],
)
def test_given_a_changed_channel_when_recorded_then_the_case_is_synchronised(
    journal: Journal, event: dict[str, Any], rows: list[Any]
) -> None:
    slack_to_case._channel(event, "1", "C1")

    hinted = [("add_hint", "1"), ("publish", [hints.Hint("1", "CaseUpdated")])]
    assert journal.calls == [*(("put", key, row) for key, row in rows), *hinted]


def test_given_a_deleted_file_and_a_membership_when_recorded_then_each_case_and_user_is_named(journal: Journal) -> None:
    journal.replace(inbound, "channel_ids", ["C1", "C2"])
    journal.replace(table, "get", {"case_id": "2"}, None, {"case_id": "1"})
    journal.replace(file_comments, "mark_deleted")

    slack_to_case._file_deleted({"file_id": "F1"})
    assert [call for call in journal.taken() if call[0] != "channel_ids"] == [
        ("get", keys.channel("C1")),
        ("get", keys.channel("C2")),
        ("get", keys.shared_file("F1")),
        *(call for one in ("1", "2") for call in (("correlate", one), ("mark_deleted", one, "F1"))),
    ]
    for kind, name in (("member_joined_channel", "MemberJoined"), ("member_left_channel", "MemberLeft")):
        slack_to_case._membership({"type": kind, "user": "U1"}, "1", "C1", PEOPLE)
        values = {"caseId": "1", "channelId": "C1", "userId": "U1", "name": "name of U1"}
        assert journal.taken() == [("announce", name, values)]


@pytest.mark.parametrize(
    ("event", "ts", "at"),
    [
        ({"ts": TS}, TS, "18:00:00"),
        ({"ts": "1", "message": {"ts": TS}}, TS, "18:00:00"),
        ({"deleted_ts": TS}, TS, "18:00:00"),
        ({}, "", "00:00:00"),
    ],
)
@pytest.mark.parametrize(("code", "permanent"), [("x", True), ("ConflictException", False)])
def test_given_a_failed_message_when_reported_then_time_cause_and_fix_are_complete(
    journal: Journal, event: dict[str, Any], ts: str, at: str, code: str, permanent: bool
) -> None:
    journal.replace(failures, "first_error_id", "first")
    journal.replace(slack_to_case, "error_id", "api-error-1")
    error = refused(code, AWS)

    slack_to_case._report_failure(event, error, "1", "C1", DEADLINE)

    kept = "" if permanent else " No data is lost: ir-router keeps the message until it can be copied."
    failure = failures.Failure(
        name=f"message-{ts}",
        what=f"The message sent at {at} UTC could not be copied to the case: {failures.cause(error)}.{kept}",
        fix="Once the cause is fixed, ask the operators of ir-router to replay it." if permanent else "",
        retried=not permanent,
        error_id="first",
        transient=not permanent,
    )
    assert journal.calls == [
        ("add_hint", "1"),
        ("error_id", "api-error"),
        ("first_error_id", "1", f"message-{ts}", "api-error-1"),
        ("report", "1", "C1", failure, DEADLINE),
    ]
