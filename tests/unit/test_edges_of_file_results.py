"""Results of file copies in both directions: claims, notices, events, and which errors keep the claim open."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ir_router.errors import OutOfTimeError, RefusedError, RetryLaterError, UncertainError
from ir_router.ledger import keys
from ir_router.security_ir import gateway as security_ir
from ir_router.slack import messages
from ir_router.sync.file_from_slack import FileFromSlack, _Copied, _StaysInSlackError
from ir_router.sync.file_to_slack import FileToSlack
from ir_router.sync.file_transfer import NotReadyError
from tests.support.journal import Journal, refused
from tests.support.transfers import attachment, claim, journal_of_uploads, transfer_of

LIMIT = 100 * 1_048_576
AWS = "AWS Security Incident Response"
NOT_YET = NotReadyError("not yet")
LATER = RetryLaterError("Slack", "m", "x", 1)
UNCERTAIN = UncertainError("Slack", "m", "timeout")


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> Journal:
    return journal_of_uploads(monkeypatch)


@pytest.mark.parametrize(
    ("known", "outcome", "result", "announced"),
    [
        ("b.txt", "copied", {"stored_name": "s", "sha256": "h"}, True),
        ("", "not copied", {"reason": "empty"}, False),
    ],
)
def test_given_a_file_from_slack_when_copied_then_claim_record_confirmation_event_and_comment_follow_in_order(
    journal: Journal, known: str, outcome: str, result: dict[str, str], announced: bool
) -> None:
    taken = claim()
    own = FileFromSlack("1", "C1", "F1", transfer_of(journal, taken, file_name=known))
    journal.replace(own, "_outcome", (outcome, result))

    own.copy()

    event = ("announce", "FileSynchronized", {"caseId": "1", "channelId": "C1", "fileId": "F1"})
    key = keys.slack_message("1", "F1#file")
    assert journal.calls == [
        ("claim", key, {"kind": "file", "file_id": "F1", "channel_id": "C1", "origin": "slack"}),
        ("put", keys.shared_file("F1"), {"case_id": "1"}),
        ("remember", taken),
        ("_outcome", taken),
        ("confirm", taken, {"outcome": outcome, "file_name": known or "file F1", **result}),
        *([event] if announced else []),
        ("settle", "1", "F1"),
    ]
    journal.calls.clear()
    FileFromSlack("1", "C1", "F1", transfer_of(journal)).copy()
    assert [name for name, *_ in journal.calls] == ["claim"]


@pytest.mark.parametrize(
    ("error", "is_noted"),
    [(NOT_YET, True), (refused("x"), True), (LATER, True), (UNCERTAIN, True), (OutOfTimeError("x"), False)],
)
@pytest.mark.parametrize("landed", [True, False])
def test_given_a_failure_when_a_file_is_copied_then_only_an_answer_of_a_service_is_noted_on_the_claim(
    journal: Journal, error: Exception, is_noted: bool, landed: bool
) -> None:
    taken = claim()
    own = FileFromSlack("1", "C1", "F1", transfer_of(journal, taken))
    assert (own._may_have_landed, own._moved) == (False, False)
    own._may_have_landed, own._moved = landed, not landed
    journal.replace(own, "_outcome", error)
    case = SimpleNamespace(case_attachments=[attachment()], is_closed=True)
    journal.replace(security_ir, "get_case", case)
    back = FileToSlack("1", "A1", transfer_of(journal, taken))
    assert (back._may_be_shared, back._moved) == (False, False)
    back._may_be_shared, back._moved = landed, not landed
    journal.replace(back, "_settled")
    journal.replace(back, "_make", error)

    failed = [("failed", taken, error, {"may_have_landed": landed, "moved": not landed})] if is_noted else []
    for run in (own.copy, back.copy):
        with pytest.raises(type(error)):
            run()
        assert [call for call in journal.taken() if call[0] in ("failed", "confirm")] == failed


@pytest.mark.parametrize(
    ("rejection", "sha256", "passes"),
    [
        (None, "h", False),
        (None, "", False),
        (refused("is_archived"), "h", False),
        (refused("invalid_auth"), "h", True),
    ],
)
def test_given_a_copied_file_when_confirmed_in_the_channel_then_only_an_error_of_the_app_matters(
    journal: Journal, rejection: RefusedError | None, sha256: str, passes: bool
) -> None:
    given = transfer_of(journal)
    own = FileFromSlack("1", "C1", "F1", given)
    journal.replace(own, "_make", _Copied("s.txt", "remark", sha256))
    journal.replace(given, "post_once", rejection)
    taken = claim()

    if passes:
        with pytest.raises(RefusedError):
            own._outcome(taken)
    else:
        known = {"sha256": sha256} if sha256 else {}
        assert own._outcome(taken) == ("copied", {"stored_name": "s.txt", **known})
    assert journal.calls == [
        ("_make", taken),
        ("post_once", "file-F1", messages.file_uploaded("file F1", "s.txt", "remark")),
    ]
    assert own._may_have_landed is True
    journal.replace(own, "_make", _StaysInSlackError("long", "short"))
    assert own._outcome(taken) == ("not copied", {"reason": "short"})


CANVAS = {"id": "F1", "mode": "canvas", "title": "Plan", "permalink": "https://p"}
LINK = {"id": "F1", "mode": "external", "name": "l.txt", "external_url": "https://x"}


@pytest.mark.parametrize(
    ("file", "error", "name", "notice"),
    [
        ({"id": "F1", "name": "a.txt"}, None, "a.txt", None),
        ({"id": "F1", "name": "a.txt"}, _StaysInSlackError("", "s"), "a.txt", None),
        (
            {"id": "F1", "name": "a.txt"},
            _StaysInSlackError("it is empty.", "s"),
            "a.txt",
            messages.file_not_copied("a.txt", "it is empty."),
        ),
        (CANVAS, _StaysInSlackError("r", "s"), "Plan", messages.file_only_in_slack("Plan", "canvas", "https://p")),
        (LINK, _StaysInSlackError("r", "s"), "l.txt", messages.file_only_in_slack("l.txt", "", "https://x")),
    ],
)
def test_given_a_read_file_when_it_stays_in_slack_then_the_notice_fits_its_kind(
    journal: Journal, file: dict[str, Any], error: Exception | None, name: str, notice: messages.Message | None
) -> None:
    given = transfer_of(journal, None, {"file": file})
    own, taken = FileFromSlack("1", "C1", "F1", given), claim()
    journal.replace(own, "_check_channel")
    journal.replace(own, "_copy", error or _Copied("s"))

    if error is None:
        assert own._make(taken) == _Copied("s")
    else:
        with pytest.raises(_StaysInSlackError) as stays:
            own._make(taken)
        assert stays.value is error
    assert (own._name, given.file_name) == (name, name)
    assert journal.calls == [
        ("read", "files.info", {"file": "F1"}),
        ("_check_channel", taken, file),
        ("_copy", taken, file),
        *([("post_once", "file-refused-F1", notice)] if notice else []),
    ]


def test_given_a_file_that_slack_does_not_show_when_copied_then_the_notice_names_its_id(journal: Journal) -> None:
    own = FileFromSlack("1", "C1", "F1", transfer_of(journal, None, refused("file_deleted")))

    with pytest.raises(_StaysInSlackError) as stays:
        own._make(claim(claimed_at=1.0))

    notice = messages.file_not_copied("file F1", "it was deleted in Slack before it could be copied.")
    assert journal.calls[1:] == [("post_once", "file-refused-F1", notice)]
    assert isinstance(stays.value.__cause__, RefusedError)
