"""The files of a report that the channel gets, and the message about the report: calls, waits and complete texts."""

from __future__ import annotations

from typing import Any

import pytest

from ir_router import clock, transfer
from ir_router.errors import OutOfTimeError, RefusedError, RetryLaterError, UncertainError
from ir_router.ledger import claims, keys, table
from ir_router.report.page import duration
from ir_router.slack.messages import Message, context, sections
from ir_router.sync import report_files, report_message
from ir_router.sync.case_sync import ClaimHeldError
from tests.support.journal import Journal, refused
from tests.support.synchronising import syncing
from tests.support.transfers import claim

NOW = 50_000.0
KEY = keys.note("1", "shared-r.html")


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> Journal:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    found = Journal(monkeypatch)
    for name in ("note", "confirm", "refused", "unanswered"):
        found.replace(claims, name)
    found.replace(table, "put")
    found.replace(transfer, "check_slack_host")
    found.replace(transfer, "upload_content")
    return found


@pytest.mark.parametrize(
    ("addresses", "result"), [(["a"], "a"), ([""], ""), ([None, "b"], "b"), ([None, None], ClaimHeldError)]
)
def test_given_a_file_when_shared_then_the_one_of_an_earlier_attempt_comes_first(
    journal: Journal, addresses: list[str | None], result: Any
) -> None:
    own, taken = syncing(journal), claim(slack_file_at=7.0)
    journal.replace(own, "claim", taken)
    journal.replace(report_files, "_address", *addresses)
    journal.replace(report_files, "_upload")

    if isinstance(result, str):
        assert report_files.share(own, "r.html", b"abc", "text/html") == result
    else:
        with pytest.raises(ClaimHeldError) as error:
            report_files.share(own, "r.html", b"abc", "text/html")
        assert error.value.until == 127.0
    asked = ("_address", own, taken)
    uploaded = [("_upload", own, taken, "r.html", b"abc", "text/html"), asked]
    confirmed = [("confirm", taken, {"address": result})]
    assert journal.taken() == [
        ("claim", KEY),
        asked,
        *(uploaded if addresses[0] is None else []),
        *(confirmed if isinstance(result, str) else []),
    ]
    journal.replace(own, "claim", None)
    for row, address in (({"address": "known"}, "known"), ({}, "")):
        own.rows[KEY.sk] = row
        assert report_files.share(own, "r.html", b"abc", "text/html") == address


@pytest.mark.parametrize(
    ("answer", "age", "result"),
    [
        ({"channels": ["C1"], "permalink": "p"}, 0, "p"),
        ({"channels": ["C1"]}, 0, ""),
        ({"channels": ["C2"]}, 119, "waits"),
        ({"channels": ["C2"]}, 120, None),
        (refused("file_not_found"), 119, "waits"),
        (refused("file_not_found"), 120, None),
        (refused("invalid_auth"), 0, RefusedError),
    ],
)
@pytest.mark.parametrize("deletion", [{}, refused("x")])
def test_given_an_uploaded_file_when_looked_for_then_it_may_appear_late_and_a_lost_one_is_deleted(
    journal: Journal, answer: Any, age: float, result: Any, deletion: Any
) -> None:
    own, taken = syncing(journal), claim(slack_file_id="F1", slack_file_at=NOW - age)
    journal.replace(own.slack, "read", {"file": answer} if isinstance(answer, dict) else answer, deletion)

    if result == "waits":
        with pytest.raises(ClaimHeldError) as error:
            report_files._address(own, taken)
        assert error.value.until == NOW + 1
    elif result is RefusedError:
        with pytest.raises(RefusedError):
            report_files._address(own, taken)
    else:
        assert report_files._address(own, taken) == result
    assert journal.taken() == [
        ("read", "files.info", {"file": "F1"}),
        *([("unanswered", taken, NOW + 1)] if result == "waits" else []),
        *([("read", "files.delete", {"file": "F1"})] if result is None else []),
    ]
    assert report_files._address(own, claim()) is None
    assert journal.calls == []


@pytest.mark.parametrize(
    ("answer", "is_cleared"),
    [
        ({}, False),
        (refused("x"), True),
        (RetryLaterError("Slack", "m", "x", 1), True),
        (OutOfTimeError("x"), True),
        (UncertainError("Slack", "m", "x"), False),
    ],
)
def test_given_a_content_when_uploaded_then_its_id_is_stored_before_it_is_shared(
    journal: Journal, answer: Any, is_cleared: bool
) -> None:
    own, taken = syncing(journal), claim()
    url = "https://files.slack.com/up"
    journal.replace(own.slack, "read", {"upload_url": url, "file_id": "F1"})
    journal.replace(own.slack, "post", answer)

    if isinstance(answer, Exception):
        with pytest.raises(type(answer)):
            report_files._upload(own, taken, "r.html", b"abc", "text/html")
    else:
        report_files._upload(own, taken, "r.html", b"abc", "text/html")

    found = {"slack_file_id": "F1", "slack_file_at": NOW}
    row = {"state": "done", "kind": "file", "origin": "aws", "stored_name": "r.html"}
    shared = {"files": [{"id": "F1", "title": "r.html"}], "channel_id": "C1"}
    cleared = [("note", taken, {"slack_file_id": ""}), ("refused", taken)]
    assert journal.calls == [
        ("read", "files.getUploadURLExternal", {"filename": "r.html", "length": 3}),
        ("check_slack_host", url),
        ("upload_content", "Slack", url, b"abc", {"method": "POST", "content_type": "text/html"}),
        ("note", taken, found),
        ("put", keys.slack_message("1", "F1#file"), row),
        ("post", "files.completeUploadExternal", shared),
        *(cleared if is_cleared else []),
    ]
    assert taken.row == found


EMPTY: dict[str, Any] = {
    "version": 2,
    "requested_by": "",
    "durations": [],
    "decisions": [],
    "follow_ups": [],
    "timeline": [],
    "evidence": [],
    "audit": {"records": []},
}


def decided(decision: str, by: str | None, headline: str | None) -> dict[str, Any]:
    return {"decision": decision, "by": by, "information": {"headline": headline}}


def test_given_a_report_when_announced_then_times_decisions_follow_ups_and_counts_are_complete() -> None:
    full = {
        **EMPTY,
        "requested_by": "Jane <x>",
        "durations": [
            {"time_to": name, "seconds": "90"} for name in ("contain", "ask", "decide", "close", "ask", "close")
        ],
        "decisions": [
            decided("approve", "Joe", "H1"),
            decided("deny", "", "H2"),
            decided("release", None, None),
            decided("x", "Ann", "H4"),
            decided("deny", "", "H5"),
        ],
        "follow_ups": [f"f{number}" for number in range(6)],
        "timeline": [1],
        "evidence": [1, 2],
        "audit": {"records": [1]},
    }

    head = "📄 Report 2 about this case is complete"
    small = "`ir-router report verify FILE --record h` checks the file"
    took = duration(90)
    assert report_message.message(EMPTY, {"hash": "h"}, "where") == Message(
        text=f"{head}. 0 open follow-ups.",
        blocks=[*sections([f"*{head}*", "where"]), context(f"0 events, 0 files, 0 audit records · {small}")],
    )
    head += ", requested by Jane &lt;x&gt;"
    parts = ("event to containment", "containment to request", "request to decision", "opening to closing")
    times = ", ".join(f"{part} {took}" for part in (*parts, "containment to request"))
    lines = [
        f"*{head}*",
        "where",
        f"*Times*  {times}",
        "*Decisions* (5)",
        "• Approved by Joe: H1",
        "• Denied: H2",
        "• Released:",
        "• Not decided by Ann: H4",
        "• Denied: H5",
        "*Open follow-ups* (6)",
        *(f"• f{number}" for number in range(5)),
        "• and 1 more in the report",
    ]
    found = report_message.message(full, {"hash": "h"}, "where")
    assert found.text == f"{head}. 6 open follow-ups."
    assert found.blocks[-1] == context(f"1 event, 2 files, 1 audit record · {small}")
    one = {**EMPTY, "follow_ups": ["x"]}
    assert report_message.message(one, {"hash": "h"}, "w").text.endswith(". 1 open follow-up.")
    assert found.blocks[:-1] == sections(lines)
