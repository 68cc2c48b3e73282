"""Attachments of a case on their way to Slack: calls, notices, and uploads that Slack shares late or never."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import clock, transfer
from ir_router.cases.models import Attachment
from ir_router.errors import OutOfTimeError, RefusedError, RetryLaterError, UncertainError
from ir_router.ledger import keys
from ir_router.observability import logger
from ir_router.security_ir import gateway as security_ir
from ir_router.slack import messages
from ir_router.sync.file_to_slack import FileToSlack
from ir_router.sync.file_transfer import NotReadyError
from tests.support.journal import Journal, refused
from tests.support.transfers import NOW, attachment, claim, journal_of_uploads, transfer_of

LIMIT = 100 * 1_048_576
AWS = "AWS Security Incident Response"
NOT_YET = NotReadyError("not yet")
LATER = RetryLaterError("Slack", "m", "x", 1)
UNCERTAIN = UncertainError("Slack", "m", "timeout")


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> Journal:
    return journal_of_uploads(monkeypatch)


@pytest.mark.parametrize(
    ("attachments", "channel", "claims_it"),
    [
        ([attachment("z", attachment_id="A2"), attachment()], "C1", True),
        ([attachment()], "", False),
        ([attachment(status="Pending")], "C1", False),
        ([attachment(status="Failed")], "C1", False),
        ([attachment(attachment_id="A2")], "C1", False),
    ],
)
@pytest.mark.parametrize(("settled", "made"), [("copied", False), (None, True)])
def test_given_an_attachment_when_copied_then_only_a_verified_one_is_claimed_and_confirmed(
    journal: Journal, attachments: list[Attachment], channel: str, claims_it: bool, settled: str | None, made: bool
) -> None:
    taken = claim()
    case = SimpleNamespace(case_attachments=attachments, is_closed=True)
    journal.replace(security_ir, "get_case", case)
    own = FileToSlack("1", "A1", transfer_of(journal, taken, channel_id=channel))
    journal.replace(own, "_settled", settled)
    journal.replace(own, "_make", "empty")

    own.copy()

    steps = [
        ("claim", keys.attachment("1", "A1"), {"origin": "aws", "file_name": "a.txt"}),
        ("remember", taken),
        ("_settled", taken),
        *([("_make", taken, attachment(), {"closed": True})] if made else []),
        ("confirm", taken, {"outcome": settled or "empty"}),
    ]
    assert journal.taken() == [("get_case", "1"), *(steps if claims_it else [])]
    FileToSlack("1", "A1", transfer_of(journal, channel_id=channel)).copy()
    assert [name for name, *_ in journal.calls] == ["get_case", *(["claim"] if claims_it else [])]


@pytest.mark.parametrize(
    ("answer", "age", "outcome"),
    [
        ({"file": {"channels": ["C1"]}}, 0, "copied"),
        ({"file": {"channels": ["C2"]}}, 599, "waits"),
        ({"file": {"channels": ["C2"]}}, 600, "deleted"),
        ({"file": {}}, 599, "waits"),
        (refused("file_not_found"), 119, "waits"),
        (refused("file_not_found"), 120, "deleted"),
        (refused("invalid_auth"), 0, "raised"),
    ],
)
@pytest.mark.parametrize(("deletion", "passes"), [({}, True), (refused("x"), True), (refused("invalid_auth"), False)])
def test_given_an_earlier_upload_when_settled_then_slack_may_share_it_late_and_a_lost_one_is_deleted(
    journal: Journal, answer: Any, age: float, outcome: str, deletion: Any, passes: bool
) -> None:
    own = FileToSlack("1", "A1", transfer_of(journal, None, answer, deletion))
    journal.replace(logger, "info")
    journal.replace(logger, "warning")
    taken = claim(slack_file_id="F1", slack_file_at=NOW - age)
    asked, deleted = (("read", f"files.{name}", {"file": "F1"}) for name in ("info", "delete"))

    if outcome == "copied":
        assert own._settled(taken) == "copied"
    elif outcome == "waits":
        with pytest.raises(NotReadyError, match="Slack does not show the uploaded file in the channel yet"):
            own._settled(taken)
    elif outcome == "raised" or not passes:
        with pytest.raises(RefusedError, match="invalid_auth"):
            own._settled(taken)
    else:
        assert own._settled(taken) is None
    noted = [("note", taken, {"slack_file_id": ""})] if passes else []
    calls = [call for call in journal.taken() if call[0] in ("read", "note")]
    assert calls == [asked, *([deleted, *noted] if outcome == "deleted" else [])]
    assert own._may_be_shared is (outcome == "waits")
    assert own._settled(claim()) is None
    assert journal.calls == []


@pytest.mark.parametrize(("now", "waits"), [(600.0, False), (599.5, True)])
def test_given_an_upload_without_a_time_when_settled_then_it_is_as_old_as_the_epoch(
    monkeypatch: pytest.MonkeyPatch, journal: Journal, now: float, waits: bool
) -> None:
    monkeypatch.setattr(clock, "now", lambda: now)
    own = FileToSlack("1", "A1", transfer_of(journal, None, {"file": {}}))

    if waits:
        with pytest.raises(NotReadyError):
            own._settled(claim(slack_file_id="F1"))
    else:
        assert own._settled(claim(slack_file_id="F1")) is None


@pytest.mark.parametrize(
    ("length", "values", "outcome", "name", "notice"),
    [
        (5, {"transfers": 3}, "closed", "closed", messages.attachment_not_retried("a.txt")),
        (
            LIMIT + 1,
            {},
            "too large",
            "too-large",
            messages.attachment_too_large("a.txt", LIMIT + 1, messages.console_link("1", "eu-west-1")),
        ),
        (0, {}, "empty", "empty", messages.attachment_empty("a.txt")),
        (LIMIT, {"transfers": 2}, "copied", "", None),
        (1, {"transfers": 2}, "copied", "", None),
    ],
)
def test_given_an_attachment_when_made_then_each_call_has_its_arguments_and_a_notice_names_a_failure(
    journal: Journal, length: int, values: dict[str, int], outcome: str, name: str, notice: messages.Message | None
) -> None:
    source = SimpleNamespace(length=length, content_type="text/x", sha256="sha")
    serve(journal, source)
    answer = {"upload_url": "https://files.slack.com/up", "file_id": "F1"}
    own = FileToSlack("1", "A1", transfer_of(journal, None, answer, **values))
    journal.replace(own, "_share")
    taken = claim()

    assert own._make(taken, attachment(), closed=True) == outcome

    opened = [("download_url", "1", "A1"), ("download", AWS, "https://s3/get")]
    if outcome == "copied":
        assert journal.calls == [
            *opened,
            ("read", "files.getUploadURLExternal", {"filename": "a.txt", "length": length}),
            ("check_slack_host", "https://files.slack.com/up"),
            ("begin", taken),
            ("upload", "Slack", "POST", "https://files.slack.com/up", source, length, {"Content-Type": "text/x"}),
            ("_share", taken, attachment(), "F1", "sha"),
        ]
        assert own._moved is True
    else:
        posted = ("post_once", f"attachment-{name}-A1", notice)
        assert journal.calls == [*([] if outcome == "closed" else opened), posted]
        assert own._moved is False


def serve(journal: Journal, source: Any) -> None:
    @contextmanager
    def opened(*_arguments: object) -> Iterator[Any]:
        yield source

    journal.replace(transfer, "download", opened)


def test_given_an_open_case_when_made_then_it_is_retried_and_a_download_without_a_length_is_uncertain(
    journal: Journal,
) -> None:
    serve(journal, SimpleNamespace(length=None))
    own = FileToSlack("1", "A1", transfer_of(journal, transfers=9))

    with pytest.raises(UncertainError) as error:
        own._make(claim(), attachment(), closed=False)

    found = error.value
    assert (found.service, found.operation, found.cause) == (AWS, "the download of an attachment", "no Content-Length")


@pytest.mark.parametrize(
    ("completed", "transfers", "answer", "raised", "is_cleared"),
    [
        ({}, 0, {"file": {"channels": ["C1"]}}, None, False),
        ({}, 0, {"file": {}}, NotReadyError, False),
        ({}, 0, refused("file_not_found"), NotReadyError, False),
        (refused("file_not_found"), 2, {}, RetryLaterError, True),
        (refused("file_deleted"), 2, {}, RetryLaterError, True),
        (refused("file_deleted"), 3, {}, RefusedError, True),
        (refused("other"), 0, {}, RefusedError, True),
        (LATER, 0, {}, RetryLaterError, True),
        (OutOfTimeError("x"), 0, {}, OutOfTimeError, True),
        (UNCERTAIN, 0, {}, UncertainError, False),
    ],
)
def test_given_an_upload_when_shared_then_its_id_is_stored_first_and_only_a_rejection_clears_it(
    journal: Journal, completed: Any, transfers: int, answer: Any, raised: Any, is_cleared: bool
) -> None:
    given = transfer_of(journal, None, answer, transfers=transfers)
    journal.replace(given.slack, "post", completed)
    own, taken = FileToSlack("1", "A1", given), claim()

    if raised is None:
        own._share(taken, attachment(), "F1", "sha")
    else:
        with pytest.raises(raised) as error:
            own._share(taken, attachment(), "F1", "sha")
        if raised is RetryLaterError and completed is not LATER:
            kept: Any = error.value
            assert (kept.service, kept.operation, kept.code, kept.seconds) == ("Slack", "m", completed.code, 0.0)
        if raised is NotReadyError:
            assert str(error.value) == "Slack does not show the uploaded file in the channel yet"
    asked = [("read", "files.info", {"file": "F1"})]
    row = {"state": "done", "kind": "file", "origin": "aws", "attachment_id": "A1", "stored_name": "a.txt"}
    shared: dict[str, Any] = {"files": [{"id": "F1", "title": "a.txt"}], "channel_id": "C1"}
    assert journal.calls == [
        ("note", taken, {"slack_file_id": "F1", "slack_file_at": NOW, "sha256": "sha"}),
        ("put", keys.slack_message("1", "F1#file"), row),
        (
            "post",
            "files.completeUploadExternal",
            {**shared, "initial_comment": messages.new_attachment(attachment())},
        ),
        *([("note", taken, {"slack_file_id": ""})] if is_cleared else []),
        *(asked if completed == {} else []),
    ]
    assert own._may_be_shared is True
