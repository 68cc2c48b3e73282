"""Reports of a case: their reasons, stored contents, audit record, files and message, in which order."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import clock, transfer
from ir_router.errors import RefusedError, UncertainError
from ir_router.ledger import audit, claims, keys, reports
from ir_router.report import building, page, sealing
from ir_router.security_ir import gateway as security_ir
from ir_router.slack import messages
from ir_router.slack.text import quoted
from ir_router.sync import (
    comment_claims,
    own_attachments,
    posting,
    report,
    report_files,
    report_message,
    report_sources,
)
from tests.support.journal import Journal, refused
from tests.support.synchronising import case_of, syncing
from tests.support.transfers import attachment, claim

NOW = 50_000.0
AWS = "AWS Security Incident Response"
KEY = keys.report("1")
FULL = "in this channel: the case accepts no further attachments"


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> Journal:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    return Journal(monkeypatch)


# The report


@pytest.mark.parametrize(
    ("row", "reason", "asked", "begun", "published"),
    [
        (None, None, [{}], None, None),
        (None, "closed", [{}], {}, {}),
        ({"pending": {"version": 3}}, None, [], None, {"version": 3}),
        ({"version": 2}, "requested", [{"version": 2}], {"version": 2}, {}),
    ],
)
def test_given_a_case_when_its_report_is_due_then_the_pending_one_comes_before_a_new_one(
    journal: Journal, row: Any, reason: str | None, asked: list[Any], begun: Any, published: Any
) -> None:
    own = syncing(journal, rows={KEY.sk: row} if row else {})
    journal.replace(report, "_reason", reason)
    journal.replace(report, "_begin", {})
    journal.replace(report, "_publish")

    report.synchronise(own)

    assert journal.calls == [
        *[("_reason", own, one) for one in asked],
        *([] if begun is None else [("_begin", own, begun, reason)]),
        *([] if published is None else [("_publish", own, row or {}, published)]),
    ]


@pytest.mark.parametrize(
    ("row", "begins", "published"),
    [
        ({}, True, {"new": 1}),
        ({"final": True}, False, None),
        ({"pending": {"version": 3}}, False, {"version": 3}),
        ({"pending": {"version": 3}, "final": True}, False, {"version": 3}),
    ],
)
def test_given_a_case_that_closes_next_when_asked_then_its_last_report_is_published_once(
    journal: Journal, row: dict[str, Any], begins: bool, published: Any
) -> None:
    own = syncing(journal)
    journal.replace(reports, "get", row)
    journal.replace(report, "_begin", {"new": 1})
    journal.replace(report, "_publish")

    report.before_closing(own)

    assert journal.calls == [
        ("get", "1"),
        *([("_begin", own, row, "closing")] if begins else []),
        *([("_publish", own, row, published)] if published else []),
    ]


@pytest.mark.parametrize(
    ("row", "reason", "version", "by", "requested_at"),
    [
        ({}, "closed", 1, "", 0),
        ({"version": 4, "requested_by": "Jane", "requested_at": 7.0}, "requested", 5, "Jane", 7.0),
        ({"version": 4, "requested_by": "Jane", "requested_at": 7.0}, "closing", 5, "", 7.0),
        ({}, "requested", 1, "", 0),
    ],
)
def test_given_a_reason_when_a_report_begins_then_both_contents_are_stored_before_the_version(
    journal: Journal, row: dict[str, Any], reason: str, version: int, by: str, requested_at: float
) -> None:
    own = syncing(journal)
    journal.replace(report_sources, "collect", "sources")
    journal.replace(building, "build", "built")
    journal.replace(page, "render", "p\u00e4ge\ud800")
    journal.replace(sealing, "canonical", "json")
    journal.replace(reports, "store", 2, 3)
    journal.replace(reports, "save")

    pending = report._begin(own, row, reason)

    parts = {"html": 2, "json": 3}
    assert pending == {"version": version, "reason": reason, "by": by, "parts": parts, "requested_at": requested_at}
    assert journal.calls == [
        ("check", 15),
        ("collect", own, version, reason, by),
        ("build", "sources"),
        ("render", "built"),
        ("canonical", "built"),
        ("store", "1", f"{version}.html", b"p\xc3\xa4ge?"),
        ("store", "1", f"{version}.json", b"json"),
        ("save", "1", {"pending": pending}),
    ]


@pytest.mark.parametrize(
    ("reason", "final_before", "final"),
    [("closed", None, True), ("closing", None, True), ("requested", None, None), ("requested", True, True)],
)
@pytest.mark.parametrize(("by", "actor"), [("Jane", "Jane"), ("", "ir-router"), (None, "ir-router")])
@pytest.mark.parametrize("is_posted", [True, False])
def test_given_a_pending_report_when_published_then_record_files_message_and_row_follow_in_order(
    journal: Journal, reason: str, final_before: bool | None, final: bool | None, by: Any, actor: str, is_posted: bool
) -> None:
    own = syncing(journal)
    taken = None if is_posted else claim()
    journal.replace(own, "claim", taken)
    journal.replace(reports, "load", b"page", b'{"a": 1}')
    journal.replace(report, "_record", {"hash": "h"})
    journal.replace(report, "_deliver", "where")
    journal.replace(report_message, "message", "message")
    journal.replace(posting, "post")
    journal.replace(reports, "save")
    journal.replace(reports, "erase")
    row = {"kept": 1, "version": 3, "waits": 2.0, "final": final_before}
    pending = {"version": 4, "reason": reason, "by": by, "parts": {"html": 2, "json": "3"}, "requested_at": 7.0}

    report._publish(own, row, pending)

    contents = {"html": b"page", "json": b'{"a": 1}'}
    sealed: Any = {kind: sealing.seal(kind, contents[kind], {"hash": "h"}) for kind in ("html", "json")}
    values = {"version": 4, "answered_at": 7.0, "final": final, "pending": None, "waits": None}
    posted = [("message", {"a": 1}, {"hash": "h"}, "where"), ("post", own.slack, "C1", taken, "message")]
    assert journal.calls == [
        ("check", 15),
        ("load", "1", "4.html", 2),
        ("load", "1", "4.json", 3),
        ("_record", own, actor, 4, contents),
        ("_deliver", own, 4, sealed),
        ("claim", keys.note("1", "report-4")),
        *([] if is_posted else posted),
        ("save", "1", values),
        ("erase", "1"),
        ("revisit", NOW),
    ]
    assert own.rows == {KEY.sk: {"kept": 1, **values}}


def test_given_contents_when_recorded_then_the_audit_has_their_hashes_once_and_its_record_is_returned(
    journal: Journal,
) -> None:
    contents: Any = {"html": b"page", "json": b"{}"}
    details = sealing.facts("1", 4, contents)
    once = f"report/1/4/{details['json_sha256']}"
    journal.replace(audit, "append")
    journal.replace(audit, "recorded", {"PK": "p", "SK": "s", "hash": "h", "details": "d"}, None)
    own = syncing(journal)

    assert report._record(own, "Jane", 4, contents) == {"hash": "h", "details": "d"}
    assert journal.calls == [("append", "report_made", "Jane", details, {"once": once}), ("recorded", once)]
    with pytest.raises(audit.AuditDamagedError, match="the audit record of the report is missing; run verify_audit"):
        report._record(own, "Jane", 4, contents)


@pytest.mark.parametrize(
    ("closed", "error", "addresses", "where"),
    [
        (False, None, [], "case"),
        (
            False,
            refused("x", AWS),
            ["https://s/a|b", ""],
            f"Files <{quoted('https://s/a|b', 2_000)}|report-4.html> and report-4.json {FULL}",
        ),
        (
            True,
            None,
            ["https://a", "https://b"],
            f"Files <https://a|report-4.html> and <https://b|report-4.json> {FULL}",
        ),
        (False, refused("x"), [], RefusedError),
        (False, UncertainError(AWS, "m", "x"), [], UncertainError),
    ],
)
def test_given_the_files_of_a_report_when_delivered_then_the_channel_gets_them_if_the_case_rejects_them(
    monkeypatch: pytest.MonkeyPatch, journal: Journal, closed: bool, error: Any, addresses: list[str], where: Any
) -> None:
    own = syncing(journal, case=case_of(case_status="Closed" if closed else "Acknowledged"))
    monkeypatch.setattr(report, "settings", lambda: SimpleNamespace(region="eu-west-1"))
    journal.replace(own_attachments, "attach", error)
    journal.replace(report_files, "share", *addresses)
    files: Any = {"html": b"h", "json": b"j"}

    attached = [("attach", own, "report-4.html", b"h"), ("attach", own, "report-4.json", b"j")]
    shared = [
        ("share", own, "report-4.html", b"h", "text/html"),
        ("share", own, "report-4.json", b"j", "application/json"),
    ]
    if isinstance(where, type):
        with pytest.raises(where):
            report._deliver(own, 4, files)
        shared = []
    elif where == "case":
        link = messages.console_link("1", "eu-west-1")
        assert report._deliver(own, 4, files) == f"Attachments report-4.html and report-4.json of <{link}|the case>"
        shared = []
    else:
        assert report._deliver(own, 4, files) == where
    assert journal.calls == [*([] if closed else attached[: 1 if error else 2]), *shared]


# The files of the report


@pytest.mark.parametrize(
    ("present", "attempt", "row", "number"),
    [
        ([], 3, {"upload": 2}, 3),
        ([attachment("other")], 1, {}, 1),
        ([attachment("r.html", "Pending")], 3, {"upload": 2, "claimed_at": NOW - 899}, 2),
        ([attachment("r.html", "Pending")], 3, {"claimed_at": NOW - 899}, 1),
        ([attachment("r.html", "Pending")], 3, {"claimed_at": NOW - 900}, None),
        ([attachment("r.html", "Verified")], 3, {"claimed_at": NOW}, None),
        ([attachment("r.html", "Pending")], 3, {}, None),
        ([attachment("other")] * 49, 1, {}, 1),
        ([*[attachment("other")] * 49, attachment("r.html")], 1, {}, None),
    ],
)
@pytest.mark.parametrize("error", [None, refused("x", AWS), UncertainError(AWS, "m", "x")])
def test_given_attachments_when_a_report_is_attached_then_a_complete_one_is_only_confirmed(
    journal: Journal, present: list[Any], attempt: int, row: dict[str, Any], number: int | None, error: Any
) -> None:
    own, taken = syncing(journal), claim(attempt, **row)
    journal.replace(own, "claim", taken)
    journal.replace(security_ir, "get_case", SimpleNamespace(case_attachments=present))
    journal.replace(security_ir, "upload_url", "https://s3")
    journal.replace(transfer, "upload_content", error)
    for name in ("note", "confirm", "refused"):
        journal.replace(claims, name)

    if error and number:
        with pytest.raises(type(error)):
            own_attachments.attach(own, "r.html", b"abc")
    else:
        own_attachments.attach(own, "r.html", b"abc")
    sent = [
        ("note", taken, {"upload": number}),
        ("upload_url", "1", "r.html", 3, comment_claims.token_for("1", "r.html", str(number))),
        ("upload_content", AWS, "https://s3", b"abc"),
    ]
    sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    end: list[Any] = [("confirm", taken, {"stored_name": "r.html", "sha256": sha256})]
    if error and number:
        end = [("refused", taken)] if isinstance(error, RefusedError) else []
    assert journal.taken() == [
        ("claim", keys.note("1", "r.html")),
        ("get_case", "1"),
        *(sent if number else []),
        *end,
    ]
    journal.replace(own, "claim", None)
    own_attachments.attach(own, "r.html", b"abc")
    assert len(journal.calls) == 1
