"""Transfers of files and posts: retries, claims, reports, and every argument of the calls to Slack."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError

from ir_router import clock
from ir_router.deadline import Deadline
from ir_router.errors import OutOfTimeError, RefusedError, RetryLaterError, UncertainError
from ir_router.ledger import claims, keys, leases, table
from ir_router.ledger.claims import Claim, ClaimLostError, Done, Held
from ir_router.observability import logger
from ir_router.slack.error_codes import meaning_of
from ir_router.slack.messages import Message
from ir_router.sync import failures, file_transfer, posting
from ir_router.sync.case_sync import ClaimHeldError
from ir_router.sync.file_transfer import NotReadyError, Transfer
from tests.support.answers import client_error
from tests.support.journal import Journal, refused
from tests.support.transfers import claim

NOW = 50_000.0
DEADLINE = Deadline(soft=NOW + 30, hard=NOW + 50)
KEY = keys.attachment("1", "A1")
MESSAGE = Message(text="t", blocks=[{"b": 1}])


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> Journal:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    found = Journal(monkeypatch)
    for name in ("confirm", "refused", "unanswered", "note"):
        found.replace(claims, name)
    found.replace(table, "get", {"slackChannelId": "C1"})
    found.replace(file_transfer, "Slack", "slack")
    return found


def transfer_of(journal: Journal, receive_count: int = 1) -> Transfer:
    record: Any = SimpleNamespace(receive_count=receive_count)
    made = Transfer("1", DEADLINE, record)
    assert journal.taken() == [("Slack", DEADLINE), ("get", keys.case("1"))]
    assert (made.case_id, made.deadline, str(made.slack), made.channel_id) == ("1", DEADLINE, "slack", "C1")
    assert (made.file_name, made.transfers, made.transferred_at) == ("", 0, 0.0)
    return made


@pytest.mark.parametrize(
    ("error", "reported", "permanent", "effect"),
    [
        (None, False, False, None),
        (ClaimLostError("x"), True, False, "raised"),
        (ClaimHeldError(77.0), True, False, "retry"),
        (refused("x"), True, True, "raised"),
        (refused("x"), False, True, "raised"),
        (refused("x"), True, False, "retry"),
        (NotReadyError("x"), False, False, "retry"),
        (client_error("x"), True, False, "retry"),
        (BotoCoreError(), False, False, "retry"),
        (ValueError("odd"), True, True, "raised"),
    ],
)
def test_given_a_copy_when_it_fails_then_it_is_reported_and_raised_or_retried(
    journal: Journal, error: Exception | None, reported: bool, permanent: bool, effect: str | None
) -> None:
    own = transfer_of(journal)
    own._retry_at = 99.0
    work: Any = SimpleNamespace(copy=None)
    journal.replace(work, "copy", error)
    journal.replace(own, "_is_reported", reported)
    journal.replace(own, "_report_failure")
    journal.replace(own, "_retry")
    journal.replace(file_transfer, "is_permanent", permanent)

    if effect == "raised":
        with pytest.raises(type(error or ValueError())):
            own.copy(KEY, work.copy)
    else:
        own.copy(KEY, work.copy)
    calls = [call for call in journal.calls if call[0] in ("_report_failure", "_retry")]
    looked = not isinstance(error, ClaimHeldError | ClaimLostError | ValueError)
    told = [("_report_failure", KEY, error)] if reported and looked else []
    until = 77.0 if isinstance(error, ClaimHeldError) else 99.0
    assert calls == [*told, *([("_retry", KEY, error, until)] if effect == "retry" else [])]
    assert journal.calls[0] == ("copy",)


@pytest.mark.parametrize(
    ("receives", "row", "raises"), [(2, {"given_up": "x"}, True), (1, {"given_up": "x"}, False), (2, None, False)]
)
def test_given_a_transfer_that_was_given_up_when_received_a_second_time_then_it_is_not_repeated(
    journal: Journal, receives: int, row: Any, raises: bool
) -> None:
    own = transfer_of(journal, receives)
    journal.replace(table, "get", row)
    journal.replace(own, "_report_failure")
    work: Any = SimpleNamespace(copy=None)
    journal.replace(work, "copy")

    if raises:
        with pytest.raises(RefusedError) as error:
            own.copy(KEY, work.copy)
        found = error.value
        assert (found.service, found.operation, found.code) == ("The receiving service", "the transfer", "x")
    else:
        own.copy(KEY, work.copy)
    asked = [("get", KEY)] if receives > 1 else []
    assert journal.calls[: len(asked)] == asked
    assert ("copy",) in journal.calls or raises


@pytest.mark.parametrize(
    ("error", "until", "receives", "row", "effect"),
    [
        (refused("x"), NOW + 300, 8, None, "held"),
        (refused("x"), None, 8, None, "raised"),
        (ClaimHeldError(5.0), 5.0, 8, None, "raised"),
        (refused("x"), NOW + 300.1, 1, {}, "left"),
        (client_error("x"), None, 9, {}, "left"),
        (refused("x"), None, 9, None, "raised"),
    ],
)
def test_given_a_failed_transfer_when_it_waits_then_queue_or_case_retries_it(
    journal: Journal, error: Exception, until: float | None, receives: int, row: Any, effect: str
) -> None:
    own = transfer_of(journal, receives)
    journal.replace(table, "get", row)
    journal.replace(leases, "add_hint")
    journal.replace(logger, "info")
    key = keys.slack_message("1", "F1#file")

    if effect == "left":
        own._retry(key, error, until)
    else:
        with pytest.raises(ClaimHeldError if effect == "held" else type(error)) as raised:
            own._retry(key, error, until)
        if effect == "held":
            assert (raised.value.until, raised.value.__cause__) == (until, error)  # type: ignore[attr-defined]
        else:
            assert raised.value is error
    assert [call for call in journal.calls if call[0] == "add_hint"] == (
        [("add_hint", "1")] if effect == "left" else []
    )


@pytest.mark.parametrize(("taken", "found"), [(claim(), True), (Done({}), False), (Held(7.0), None)])
def test_given_a_claim_when_taken_or_posted_once_then_a_held_one_waits(
    journal: Journal, taken: Any, found: bool | None
) -> None:
    own = transfer_of(journal)
    journal.replace(claims, "take", taken)
    journal.replace(posting, "post")
    settle = {"settle_after": DEADLINE.settle_after}

    if found is None:
        with pytest.raises(ClaimHeldError) as error:
            own.claim(KEY, origin="aws")
        assert error.value.until == 7.0
    else:
        assert own.claim(KEY, origin="aws") is (taken if found else None)
        own.post_once("n", MESSAGE)
        own.channel_id = ""
        own.post_once("m", MESSAGE)
    posted = [("post", "slack", "C1", taken, MESSAGE)] if found else []
    notes = [("take", keys.note("1", "n"), settle), *posted, ("take", keys.note("1", "m"), settle)]
    assert journal.calls == [("take", KEY, {**settle, "origin": "aws"}), *([] if found is None else notes)]
    own.deadline = Deadline(soft=NOW - 1, hard=NOW)
    with pytest.raises(OutOfTimeError):
        own.claim(KEY)


@pytest.mark.parametrize(
    ("error", "permanent", "transient"),
    [(refused("file_type_blocked", "AWS"), True, False), (UncertainError("AWS", "m", "x"), False, True)],
)
@pytest.mark.parametrize(
    ("own_name", "row", "name"),
    [
        ("a.txt", {"file_name": "b.txt"}, "a.txt"),
        ("", {"file_name": "b.txt", "file_id": "F1"}, "b.txt"),
        ("", {"file_id": "F1"}, "F1"),
        ("", None, ""),
    ],
)
def test_given_a_failed_transfer_when_reported_then_name_cause_and_fix_are_complete(
    journal: Journal, error: Exception, permanent: bool, transient: bool, own_name: str, row: Any, name: str
) -> None:
    own = transfer_of(journal)
    own.file_name = own_name
    journal.replace(table, "get", row)
    journal.replace(file_transfer, "error_id", "file-error-1")
    journal.replace(failures, "first_error_id", "first")
    journal.replace(failures, "report")

    own._report_failure(KEY, error)

    shown = f"The file {name} could not" if name else "The file could not"
    replay = "Once the cause is fixed, ask the operators of ir-router to replay it."
    failure = failures.Failure(
        name="file-FILE-A1",
        what=f"{shown} be copied: {failures.cause(error)}.",
        fix=replay if permanent else meaning_of(error).fix,
        retried=not permanent,
        error_id="first",
        transient=transient,
    )
    assert journal.calls == [
        ("get", KEY),
        ("error_id", "file-error"),
        ("first_error_id", "1", "file-FILE-A1", "file-error-1"),
        ("report", "1", "C1", failure, DEADLINE),
    ]


@pytest.mark.parametrize(
    ("error", "app", "permanent"),
    [
        (refused("invalid_auth"), True, False),
        (refused("is_archived"), False, False),
        (refused("odd"), False, True),
        (refused("ConflictException", "AWS"), False, False),
        (UncertainError("S", "m", "x"), False, False),
    ],
)
def test_given_an_error_when_judged_then_those_of_the_app_and_the_channel_are_retried(
    error: Exception, app: bool, permanent: bool
) -> None:
    assert (file_transfer.is_app_error(error), file_transfer.is_permanent(error)) == (app, permanent)


def test_given_a_permanent_rejection_when_a_copy_failed_then_the_claim_is_given_up_only(journal: Journal) -> None:
    own, taken = transfer_of(journal), claim()

    own.failed(taken, refused("odd"), may_have_landed=True, moved=True)

    assert journal.calls == [("refused", taken, {"given_up": "odd"})]
    assert own._retry_at is None


# Posts


@pytest.mark.parametrize(
    ("answer", "effect"),
    [
        ({"ts": 1.5, "message": {"text": "t"}}, "confirm"),
        (refused("x"), "refused"),
        (RetryLaterError("S", "m", "x", 1), "refused"),
        (OutOfTimeError("x"), "refused"),
        (UncertainError("S", "m", "x"), "unanswered"),
        (ValueError("odd"), ""),
    ],
)
@pytest.mark.parametrize(("thread", "keeps"), [(None, True), ("1.0", False)])
def test_given_a_claim_when_posted_then_the_message_has_its_key_and_the_claim_its_result(
    journal: Journal, answer: Any, effect: str, thread: str | None, keeps: bool
) -> None:
    slack: Any = SimpleNamespace(post=None, deadline=SimpleNamespace(settled_from_now=NOW + 9))
    journal.replace(slack, "post", answer)
    taken = claim()
    message = Message(text="t", blocks=[{"b": 1}], thread_ts=thread)

    if effect == "confirm":
        assert posting.post(slack, "C1", taken, message, keeps_version=keeps, shown="s") == "1.5"
    else:
        with pytest.raises(type(answer)):
            posting.post(slack, "C1", taken, message, keeps_version=keeps, shown="s")
    sent = {
        "channel": "C1",
        "text": "t",
        "blocks": [{"b": 1}],
        "metadata": {"event_type": "ir_router", "event_payload": {"row": "CASE#1", "key": "NOTE#x"}},
        "parse": "none",
        "unfurl_links": False,
        "unfurl_media": False,
        "link_names": False,
        **({"thread_ts": thread} if thread else {}),
    }
    versions = {"versions": [posting.version({"text": "t"})]} if keeps else {}
    confirmed = {"ts": "1.5", "channel_id": "C1", "posted_at": NOW, "shown": "s", **versions}
    ends: dict[str, list[Any]] = {
        "confirm": [("confirm", taken, confirmed)],
        "refused": [("refused", taken)],
        "unanswered": [("unanswered", taken, NOW + 9)],
    }
    assert journal.calls == [("post", "chat.postMessage", sent), *ends.get(effect, [])]


def sent_by(key: str, ts: Any, **metadata: Any) -> dict[str, Any]:
    payload = {"row": "CASE#1", "key": key}
    return {"ts": ts, "metadata": {"event_type": "ir_router", "event_payload": payload, **metadata}}


@pytest.mark.parametrize(("thread", "method"), [(None, "history"), ("1.0", "replies")])
@pytest.mark.parametrize(
    ("answer", "passes"), [({}, True), (refused("message_not_found"), True), (refused("x"), False)]
)
def test_given_an_earlier_attempt_when_its_message_is_found_then_the_first_one_stays(
    journal: Journal, thread: str | None, method: str, answer: Any, passes: bool
) -> None:
    slack: Any = SimpleNamespace(pages=None, read=None)
    listed = [
        sent_by("NOTE#x", "3.0"),
        sent_by("NOTE#x", "2.0"),
        sent_by("NOTE#y", "1.0"),
        sent_by("NOTE#x", "1.1", event_type="other"),
        sent_by("NOTE#x", "1.2", event_payload=None),
        {"ts": "0.5"},
    ]
    journal.replace(slack, "pages", listed, [])
    journal.replace(slack, "read", answer)
    journal.replace(logger, "error")
    taken = Claim(keys.note("1", "x"), 2, must_look=True, row={"claimed_at": 100})
    where = {"channel": "C1", "oldest": "40.000000", "include_all_metadata": True, **({"ts": thread} if thread else {})}

    if passes:
        message = Message(text="t", blocks=[], thread_ts=thread)
        assert posting.post(slack, "C1", taken, message, keeps_version=True) == "2.0"
    else:
        with pytest.raises(RefusedError):
            posting.find(slack, "C1", taken, thread)
    result = {"ts": "2.0", "channel_id": "C1", "posted_at": NOW}
    assert journal.taken() == [
        ("pages", f"conversations.{method}", "messages", where),
        ("error", "message.duplicate_deleted", {"extra": {"key": "NOTE#x", "ts": "3.0"}}),
        ("read", "chat.delete", {"channel": "C1", "ts": "3.0"}),
        *([("confirm", taken, result)] if passes else []),
    ]
    assert posting.find(slack, "C1", Claim(keys.note("1", "x"), 2, must_look=True, row={})) is None
    assert journal.calls[0][-1]["oldest"] == "-60.000000"


def test_given_a_posted_message_when_replaced_then_all_its_parts_are_sent_and_the_version_returned(
    journal: Journal,
) -> None:
    slack: Any = SimpleNamespace(read=None)
    journal.replace(slack, "read", {"message": {"text": "t"}}, {})

    assert posting.replace(slack, "C1", "1.5", MESSAGE) == posting.version({"text": "t"})
    assert posting.replace(slack, "C1", "1.5", MESSAGE) == posting.version({})
    sent = {"channel": "C1", "ts": "1.5", "text": "t", "blocks": [{"b": 1}], "attachments": [], "parse": "none"}
    assert journal.calls == [("read", "chat.update", sent)] * 2


@pytest.mark.parametrize(
    ("row", "unconfirmed"),
    [
        ({"claimed_at": 160}, True),
        ({"claimed_at": 160.1}, False),
        ({}, True),
        ({"SK": "SLACK#1"}, False),
        ({"state": "done"}, False),
        ({"refused": True}, False),
    ],
)
def test_given_a_row_when_it_may_be_an_unconfirmed_post_then_only_open_claims_of_before_count(
    row: dict[str, Any], unconfirmed: bool
) -> None:
    assert posting.is_unconfirmed({"SK": "NOTE#x", "state": "claimed", **row}, "100") is unconfirmed
