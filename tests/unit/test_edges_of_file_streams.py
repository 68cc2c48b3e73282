"""The bytes of a file from Slack: every call to Slack and AWS, the order of the steps, and the values to store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import clock, transfer
from ir_router.cases import files
from ir_router.cases.models import Attachment
from ir_router.errors import RefusedError
from ir_router.ledger import claims, table
from ir_router.ledger.claims import Claim
from ir_router.security_ir import gateway as security_ir
from ir_router.slack import credentials
from ir_router.sync import comment_claims, file_comments, file_from_slack
from ir_router.sync.file_from_slack import FileFromSlack, _Copied
from ir_router.sync.file_transfer import NotReadyError
from tests.support.journal import Journal, refused
from tests.support.transfers import attachment, claim, transfer_of

NOW = 50_000.0
MEGABYTE = 1_048_576
AWS = "AWS Security Incident Response"
URL = "https://files.slack.com/a"
FILE_ID = "F0ABCDEF12"
FILE: dict[str, Any] = {"id": FILE_ID, "name": "a.txt", "size": 4, "url_private_download": URL, "channels": ["C1"]}
QUOTA = "ServiceQuotaExceededException"


class Source:
    """An open download."""

    def __init__(self, journal: Journal, length: int | None, content_type: str = "text/plain") -> None:
        self.length, self.content_type, self.sha256, self._journal = length, content_type, "sha", journal

    @contextmanager
    def measured(self, limit: int) -> Iterator[None]:
        self._journal.calls.append(("measured", limit))
        if self.length is None:
            self.length = 4
        yield


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> Journal:
    found = Journal(monkeypatch)
    monkeypatch.setattr(clock, "now", lambda: NOW)
    for name in ("note", "confirm", "refused"):
        found.replace(claims, name)
    found.replace(table, "put")
    found.replace(transfer, "check_slack_host")
    found.replace(transfer, "upload")
    found.replace(transfer, "signed_headers", contextmanager(lambda *_: iter([{"x-amz-meta": "signed"}])))
    found.replace(credentials, "bot_token", "token")
    found.replace(security_ir, "upload_url", "https://s3/put")
    found.replace(security_ir, "download_url", "https://s3/get")
    found.replace(file_comments, "settle")
    found.replace(file_from_slack, "announce")
    return found


def serving(journal: Journal, *sources: Any) -> None:
    """Let downloads give these sources in turn, or raise these errors."""

    @contextmanager
    def opened(source: Any) -> Iterator[Any]:
        yield source

    answers = [one if isinstance(one, Exception) else (lambda *_, one=one: opened(one)) for one in sources]
    journal.replace(transfer, "download", *answers)


def from_slack(own: Any) -> FileFromSlack:
    return FileFromSlack("1", "C1", FILE_ID, own)


def token(number: int) -> str:
    return comment_claims.token_for("1", "file", FILE_ID, str(number))


STORED = files.attachment_name(FILE)
GET = ("download", "Slack", URL, {"Authorization": "Bearer token"})


def put(source: Any, stored: str, number: int, length: int = 4) -> list[tuple[Any, ...]]:
    """Return the calls that send the bytes to the case."""
    return [
        ("upload_url", "1", stored, length, token(number)),
        ("begin", ...),
        ("signed_headers", AWS, "https://s3/put", source),
        ("upload", AWS, "PUT", "https://s3/put", source, length, {"x-amz-meta": "signed"}),
    ]


def with_claim(calls: list[tuple[Any, ...]], taken: Claim) -> list[tuple[Any, ...]]:
    return [tuple(taken if one is ... else one for one in call) for call in calls]


def test_given_a_file_when_streamed_then_each_call_has_its_arguments_and_the_transfer_counts_once(
    journal: Journal,
) -> None:
    taken, source = claim(), Source(journal, 4)
    serving(journal, source)
    own = from_slack(transfer_of(journal))

    assert own._stream(taken, FILE, None) == _Copied(STORED, "", "sha")

    start = [("check_slack_host", URL), ("bot_token",), GET]
    sent = with_claim(put(source, STORED, 1), taken)
    assert journal.taken() == [*start, ("measured", 100 * MEGABYTE), *sent]
    assert (own._moved, own._may_have_landed) == (True, True)
    again = Source(journal, None)
    serving(journal, again)
    assert own._stream(taken, FILE, None) == _Copied(STORED, "", "sha")
    assert [name for name, *_ in journal.taken()].count("begin") == 0
    with pytest.raises(NotReadyError, match="Slack returns no URL for the file"):
        own._stream(taken, {**FILE, "url_private_download": ""}, None)
    assert journal.calls == []


def test_given_no_length_when_streamed_then_the_transfer_counts_before_the_body_is_stored(journal: Journal) -> None:
    taken, source = claim(), Source(journal, None)
    serving(journal, source)
    own = from_slack(transfer_of(journal))

    assert own._send(taken, {**FILE, "size": 4}, "other", "s", "t") == _Copied("s", "", "sha")

    assert journal.calls[:3] == [
        ("download", "Slack", URL, {"Authorization": "Bearer other"}),
        ("begin", taken),
        ("measured", 100 * MEGABYTE),
    ]
    assert journal.calls[3:] == [
        ("upload_url", "1", "s", 4, "t"),
        ("signed_headers", AWS, "https://s3/put", source),
        ("upload", AWS, "PUT", "https://s3/put", source, 4, {"x-amz-meta": "signed"}),
    ]


@pytest.mark.parametrize(
    ("attempt", "row", "listed", "number", "noted"),
    [
        (1, {}, None, 1, []),
        (3, {}, None, 3, [3]),
        (3, {"upload": 3}, None, 3, []),
        (3, {"upload": 2}, None, 3, [3]),
        (3, {"upload": 2}, "x.txt", 2, []),
        (3, {}, "x.txt", 1, []),
    ],
)
def test_given_an_earlier_attempt_when_streamed_then_a_listed_attachment_gets_its_own_address(
    journal: Journal, attempt: int, row: dict[str, Any], listed: str | None, number: int, noted: list[int]
) -> None:
    taken, source = claim(attempt, **row), Source(journal, 4)
    serving(journal, source)

    found = from_slack(transfer_of(journal))._stream(taken, FILE, listed)

    assert found.stored_name == (listed or STORED)
    assert [call for call in journal.calls if call[0] == "note"] == [("note", taken, {"upload": one}) for one in noted]
    assert ("upload_url", "1", listed or STORED, 4, token(number)) in journal.calls


@pytest.mark.parametrize(
    ("content_type", "length", "file", "refusal"),
    [
        ("text/html; charset=utf-8", 9, {}, True),
        ("text/html", None, {}, True),
        ("text/html", 4, {}, False),
        ("application/html", 9, {}, False),
        ("text/html", 9, {"mimetype": "text/html"}, False),
    ],
)
def test_given_a_web_page_when_served_for_another_file_then_it_is_a_refused_download(
    journal: Journal, content_type: str, length: int | None, file: dict[str, Any], refusal: bool
) -> None:
    serving(journal, Source(journal, length, content_type))
    own, taken = from_slack(transfer_of(journal)), claim(served_length=9, claimed_at=NOW - 600)

    if refusal:
        with pytest.raises(RefusedError) as error:
            own._send(taken, {**FILE, **file}, "b", "s", "t")
        found = error.value
        assert (found.service, found.operation, found.code) == ("Slack", "the download of a file", "web_page")
        assert [name for name, *_ in journal.calls] == ["download"]
    else:
        remark = "" if length == 4 else "Slack announced 4 bytes and served 9 bytes."
        assert own._send(taken, {**FILE, **file}, "b", "s", "t") == _Copied("s", remark, "sha")
        young = claim(served_length=9, claimed_at=NOW - 599)
        if file:
            with pytest.raises(NotReadyError, match="its download is a web page of another length"):
                own._send(young, {**FILE, **file}, "b", "s", "t")


def test_given_a_long_file_when_its_length_differs_then_the_remark_separates_thousands(journal: Journal) -> None:
    serving(journal, Source(journal, 1_000_000))
    own = from_slack(transfer_of(journal))

    found = own._send(claim(served_length=1_000_000), {**FILE, "size": 2_000}, "b", "s", "t")

    assert found.remark == "Slack announced 2,000 bytes and served 1,000,000 bytes."
    unknown = claim(served_length=5)
    with pytest.raises(NotReadyError, match="Slack serves another length than it announces"):
        own._check_length(unknown, FILE, 6, is_page=False)
    assert unknown.row == {"served_length": 6}
    assert journal.calls[-1] == ("note", unknown, {"served_length": 6})


def test_given_a_refused_download_when_the_token_was_rotated_then_it_is_repeated_with_the_new_one(
    journal: Journal,
) -> None:
    taken, source = claim(claimed_at=NOW - 600), Source(journal, 4)
    serving(journal, refused("HTTP 403"), source)
    journal.replace(credentials, "bot_token", "token", "renewed")

    found = from_slack(transfer_of(journal))._stream(taken, FILE, "x.txt")

    renewed = ("download", "Slack", URL, {"Authorization": "Bearer renewed"})
    assert found == _Copied("x.txt", "", "sha")
    assert journal.taken()[1:5] == [("bot_token",), GET, ("bot_token", {"fresh": True}), renewed]
    serving(journal, refused("HTTP 403"))
    journal.replace(credentials, "bot_token", "token")
    with pytest.raises(file_from_slack._StaysInSlackError, match="Slack does not serve its content") as stays:
        from_slack(transfer_of(journal))._stream(taken, FILE, None)
    assert isinstance(stays.value.__cause__, RefusedError)
    assert journal.taken()[-1] == ("read", "auth.test")
    serving(journal, refused("AccessDenied", AWS))
    with pytest.raises(RefusedError, match="AccessDenied"):
        from_slack(transfer_of(journal))._stream(taken, FILE, None)
    assert [name for name, *_ in journal.calls].count("bot_token") == 1


@pytest.mark.parametrize(
    ("present", "attempt", "values", "streamed"),
    [
        ([], 1, {}, (None,)),
        ([attachment("other.txt", attachment_id=FILE_ID)], 1, {}, (None,)),
        ([attachment(STORED)], 2, {}, None),
        ([attachment(STORED, "Pending")], 1, {"claimed_at": NOW}, None),
        ([attachment("z.txt"), attachment(STORED, "Pending")], 2, {"transferred_at": NOW - 899}, (STORED,)),
        ([attachment(STORED, "Pending")], 2, {"transferred_at": NOW - 900}, None),
        ([attachment(STORED, "Pending")], 2, {"claimed_at": NOW - 899}, (STORED,)),
        ([attachment(STORED, "Pending")], 2, {"claimed_at": NOW - 900}, None),
        ([attachment(STORED, "Pending")], 2, {"claimed_at": NOW, "transferred_at": NOW - 900}, None),
        ([attachment(STORED, "Pending")], 2, {}, None),
    ],
)
def test_given_attachments_of_the_case_when_copied_then_a_complete_copy_is_not_repeated(
    journal: Journal,
    present: list[Attachment],
    attempt: int,
    values: dict[str, float],
    streamed: tuple[str | None] | None,
) -> None:
    case = SimpleNamespace(case_attachments=present, is_closed=streamed != (None,))
    journal.replace(security_ir, "get_case", case)
    own = from_slack(transfer_of(journal, transferred_at=values.get("transferred_at", 0.0)))
    journal.replace(own, "_stream", _Copied("s"))
    taken = claim(attempt, **{name: value for name, value in values.items() if name == "claimed_at"})

    found = own._copy(taken, FILE)

    assert found == (_Copied(STORED) if streamed is None else _Copied("s"))
    sent = [] if streamed is None else [("_stream", taken, FILE, *streamed)]
    assert journal.taken() == [("get_case", "1"), *sent]
    case.case_attachments, case.is_closed = [attachment()] * 50, False
    with pytest.raises(file_from_slack._StaysInSlackError) as full:
        own._copy(taken, FILE)
    assert str(full.value) == "the case has its maximum of 50 attachments."


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (refused(QUOTA, AWS), "the case has its maximum of 50 attachments."),
        (refused(QUOTA), None),
        (refused("x", AWS), None),
    ],
)
def test_given_a_quota_when_an_upload_is_rejected_then_the_file_stays_in_slack(
    journal: Journal, error: RefusedError, reason: str | None
) -> None:
    journal.replace(security_ir, "get_case", SimpleNamespace(case_attachments=[], is_closed=False))
    own = from_slack(transfer_of(journal))
    journal.replace(own, "_stream", error)

    if reason is None:
        with pytest.raises(RefusedError):
            own._copy(claim(), FILE)
    else:
        with pytest.raises(file_from_slack._StaysInSlackError) as stays:
            own._copy(claim(), FILE)
        assert (str(stays.value), stays.value.short) == (reason, "the case has its maximum of attachments")


@pytest.mark.parametrize(
    ("file", "short"),
    [
        ({"mode": "canvas"}, "a canvas"),
        ({"mode": "external"}, "an external link"),
        ({"is_external": True, "permalink": "https://p"}, "an external link: https://p"),
    ],
)
def test_given_a_document_when_copied_then_it_stays_in_slack_without_a_call(
    journal: Journal, file: dict[str, Any], short: str
) -> None:
    journal.replace(security_ir, "get_case")

    with pytest.raises(file_from_slack._StaysInSlackError) as stays:
        from_slack(transfer_of(journal))._copy(claim(), file)

    assert (str(stays.value), stays.value.short) == ("it is in Slack only.", short)
    assert journal.calls == []


def test_given_a_message_with_the_file_when_the_channel_is_checked_then_the_messages_are_read_in_order(
    journal: Journal,
) -> None:
    shows = {"messages": [{"ts": "1.2", "files": [FILE]}, {"ts": "2.2", "files": [{"id": "F2"}, FILE]}]}
    own = transfer_of(journal, None, refused("thread_not_found"), {}, shows)
    taken = claim(shown_in={"3.2", "2.2", "1.1"})

    assert from_slack(own)._is_in_message(taken) is False
    asked = {"channel": "C1", "inclusive": True, "limit": 1}
    assert journal.taken() == [
        ("read", "conversations.replies", {**asked, "ts": ts, "oldest": ts}) for ts in ("1.1", "2.2", "3.2")
    ]
    assert from_slack(own)._is_in_message(claim(shown_in={"2.2"})) is True
    assert from_slack(own)._is_in_message(claim(shown_in={"1.2"})) is True
    assert from_slack(own)._is_in_message(claim()) is False
    rejected = transfer_of(journal, None, refused("invalid_auth"))
    with pytest.raises(RefusedError, match="invalid_auth"):
        from_slack(rejected)._is_in_message(taken)
