"""Content of a case at its limits: steps of a containment, key events, fingerprints, cut comments, names of files."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ir_router.cases import activity, comments, containment_steps, files, fingerprints, timeline
from ir_router.cases.activity import Activity, Scope
from ir_router.cases.models import Case, CaseEdit, CaseRow, Comment, Investigation, Person
from ir_router.cases.timeline import Moment, SlackChange
from ir_router.cases.trail_calls import TrailCall

START = datetime(2026, 1, 1, 12, tzinfo=UTC)


def step(action: str, details: dict[str, Any], actor: str = "ir-router workflow") -> dict[str, Any]:
    return {"action": action, "details": json.dumps(details), "actor": actor, "at": "2026-01-01T12:00:00.000Z"}


A, B = ({"principal": f"arn:aws:iam::111122223333:user/{name}"} for name in "ab")


@pytest.mark.parametrize(
    ("details", "words"),
    [
        ({"outcome": "contained", "principals": [A, B]}, "Contained: a, b"),
        (
            {"outcome": "contained", "principals": [A, {**B, "added": True}]},
            "Contained, joined the incident of the same actor: a, b",
        ),
        ({"outcome": "contained", "principals": [{**A, "scope": "key"}]}, "Contained: only the new key of a"),
        ({"outcome": "contained", "principals": [{**A, "in_account": "b (1)"}, {}]}, "Contained: a in b (1)"),
        ({"outcome": "refused", "principals": []}, "NOT contained: no principal"),
        ({"outcome": "new one", "principals": [A]}, "Containment: a"),
    ],
)
def test_given_a_containment_when_described_then_one_principal_that_joined_changes_the_words(
    details: dict[str, Any], words: str
) -> None:
    (found,) = containment_steps.of([step("contained", details)])
    assert (found.what, found.by, found.at) == (words, None, START)


def test_given_records_of_two_executions_when_a_case_is_described_then_only_its_own_are_included() -> None:
    records = [
        step("contained", {"execution": "e1", "principals": [A], "contained_at": "2026-01-01T11:59:00+00:00"}),
        step("decision_received", {"incident": "e1", "case_id": "7", "kind": "remediate", "decision": "deny"}, "Jane"),
        step("released", {"execution": "e2", "case_id": "8", "actions": [{"what": "x", "verified": False}]}),
        step("released", {"case_id": "7"}),
        step("decision_recorded", {"execution": "e1"}),
        step("ended", {"execution": "e1", "remediation": [{"what": "deny policy removed", "verified": True}]}),
        step("ended", {"execution": "e1"}),
    ]
    assert [(one.at, one.what, one.by) for one in containment_steps.moments(records, "7")] == [
        (START - timedelta(minutes=1), "Containment: a", None),
        (START, "Remediation denied", "Jane"),
        (START, "Remediation: deny policy removed (verified)", None),
    ]
    assert [one.what for one in containment_steps.moments(records, "8")] == ["Released: NOT verified: x"]


def change(minutes: float, by: str, field: str = timeline.STATUS, value: str = "Closed") -> SlackChange:
    return SlackChange(START + timedelta(minutes=minutes), field, value, by)


@pytest.mark.parametrize(
    ("changes", "by"),
    [
        ([], None),
        ([change(2, "at the limit")], "at the limit"),
        ([change(-2, "before")], "before"),
        ([change(2.01, "too late")], None),
        ([change(-2.01, "too early")], None),
        ([change(1, "far"), change(-0.5, "near")], "near"),
        ([change(0, "other", value="Submitted")], None),
        ([change(0, "title", timeline.TITLE)], None),
    ],
)
def test_given_changes_from_slack_when_a_case_is_closed_then_the_nearest_one_within_two_minutes_names_the_user(
    changes: list[SlackChange], by: str | None
) -> None:
    case = Case(case_id="7", case_arn="arn", case_status="Closed", title="t", closed_date=START)
    assert timeline.key_events(case, [], changes, []) == [Moment(START, "Case closed", by)]


def test_given_edits_of_a_case_when_its_key_events_are_listed_then_each_kind_has_its_words() -> None:
    edits = [
        ("Case created", "Status: Submitted"),
        ("Comment added", "title"),
        ("Status updated", "from Submitted to Detection and Analysis"),
        ("Status updated", "from Submitted to Containment, Eradication, and Recovery"),
        ("Case closed", None),
        ("Status updated", "from Submitted to Closed"),
        ("Case updated", "the title"),
        ("Resolver type changed", None),
        ("", "now AWS managed"),
        ("Other", "Submitted"),
        (None, None),
    ]
    listed = [
        CaseEdit(action=action, message=message, event_timestamp=START + timedelta(minutes=number))
        for number, (action, message) in enumerate(edits)
    ]
    case = Case(case_id="7", case_arn="arn", case_status="Closed", title="t", created_date=START, closed_date=START)
    steps = [Moment(START - timedelta(minutes=1), "Contained: a")]
    listed.append(CaseEdit(action="Case closed"))

    assert [event.what for event in timeline.key_events(case, reversed(listed), [], steps)] == [
        "Contained: a",
        "Case created",
        "Status updated to In Progress (Detection and Analysis)",
        "Status updated to In Progress (Containment, Eradication and Recovery)",
        "Case closed",
        "Case closed",
        "Title updated",
        "Resolver type changed",
        "Resolver changed",
    ]


def reading(**values: Any) -> fingerprints.Reading:
    case = Case(case_id="7", case_arn="arn", case_status="Submitted", title="t")
    given: dict[str, Any] = {"case": case, "team": [], **values}
    return fingerprints.Reading(**given)


def said(*names: str, body: str = "b") -> list[Comment]:
    return [Comment(comment_id=name, body=body) for name in names]


def test_given_a_stored_fingerprint_when_compared_then_each_part_has_its_event() -> None:
    before = fingerprints.fingerprint(reading(comments=said("a"), tags={"x": "1"}))
    differs = fingerprints.what_differs

    assert differs(before, reading(comments=said("a"), tags={"x": "1"})) is None
    assert differs(before, reading(comments=said("a", "b"), tags={"x": "1"})) == "CommentAdded"
    assert differs(before, reading(comments=said("a", body="c"))) == "CommentAdded"
    assert differs(before, reading(comments=None)) is None
    team = [Person(email="Jane@example.com", name="Jane")]
    assert differs(before, reading(comments=said("a"), team=team)) == "CaseUpdated"
    assert differs(None, reading()) == differs("a.b.c", reading()) == differs("", reading()) == "CaseUpdated"
    other = Case(case_id="7", case_arn="arn", case_status="Submitted", title="t2")
    assert differs(before, reading(case=other, comments=said("a"))) == "CaseUpdated"
    attached: Any = [
        {"attachmentId": "f", "attachmentStatus": "Verified", "fileName": "n", "creator": "c", "createdDate": START}
    ]
    file_case = Case.model_validate({**reading().case.model_dump(), "caseAttachments": attached})
    assert differs(before, reading(case=file_case, comments=said("a"))) == "AttachmentAdded"
    assert differs(before, reading(case=file_case, comments=said("b"))) == "CommentAdded"


def test_given_more_comments_than_a_page_when_compared_then_only_the_newest_25_count_in_any_order() -> None:
    many = said(*(f"c{number:02}" for number in range(26)))
    before = fingerprints.fingerprint(reading(comments=many))
    assert fingerprints.what_differs(before, reading(comments=many[1:])) is None
    assert fingerprints.what_differs(before, reading(comments=many[:0:-1])) is None
    assert fingerprints.what_differs(before, reading(comments=many[2:])) == "CommentAdded"


def test_given_fields_that_the_ledger_lacks_when_completed_then_the_stored_ones_stay() -> None:
    finding = Investigation(investigation_id="i", status="Completed")
    old, new = reading(), reading(findings=[finding])
    before = fingerprints.fingerprint(old)
    assert fingerprints.completed(before, old) is None
    assert fingerprints.completed(before, new) == fingerprints.fingerprint(new)
    assert fingerprints.completed(fingerprints.fingerprint(new), old) is None
    assert fingerprints.what_differs(before, new) is None
    changed = Case(case_id="7", case_arn="arn", case_status="Submitted", title="t2")
    completed = fingerprints.completed(before, reading(case=changed, findings=[finding])) or ""
    assert fingerprints.what_differs(completed, new) is None
    assert fingerprints.row_differs("", CaseRow(case_id="7"))


def test_given_a_text_at_the_limit_when_cut_then_it_is_complete_and_a_longer_one_names_its_length() -> None:
    assert comments.at_most(40, "x" * 40) == "x" * 40
    cut = comments.at_most(40, "x" * 1_041)
    assert cut == "x" * (40 - len(cut.lstrip("x"))) + "… (cut; 1,041 characters in all)"
    assert len(cut) == 40
    emoji = comments.at_most(40, "😀" * 21)
    assert emoji.endswith("… (cut; 21 characters in all)")
    assert len(emoji.encode("utf-16-le")) // 2 <= 40
    assert comments.at_most(42, "😀" * 21) == "😀" * 21


def test_given_parts_of_a_message_when_written_then_only_later_ones_have_a_part_in_their_reference() -> None:
    first, second = comments.from_slack(["a", "b"], "Jane", START, "C1", "1.2", ", edited")
    assert first == "[Slack Update] Jane, edited, part 1 of 2 (2026-01-01 12:00:00 UTC)\na\n\n(Slack C1/1.2)"
    assert second == "[Slack Update] Jane, edited, part 2 of 2 (2026-01-01 12:00:00 UTC)\nb\n\n(Slack C1/1.2 part 2)"
    (only,) = comments.from_slack(["a"], "Jane", START, "C1", "1.2", only_part=2)
    assert only == "[Slack Update] Jane (2026-01-01 12:00:00 UTC)\na\n\n(Slack C1/1.2 part 3)"
    assert [comments.slack_reference(one) for one in (first, second)] == [
        comments.SlackReference("C1", "1.2", 0),
        comments.SlackReference("C1", "1.2", 1),
    ]
    assert comments.sender(second.replace(", part 2 of 2", "")) == ("Jane, edited", START, "b")
    assert comments.marked_deleted("a\nb") == f"a\n{comments.DELETED}\nb"
    assert comments.marked_deleted(comments.marked_deleted("a")) == f"a\n{comments.DELETED}"


def call(at: float, name: str = "ListUsers", error: str = "") -> TrailCall:
    return TrailCall(f"e{at}", at, "eu", "iam", name, error, "10.0.0.1", "cli", "AKIA", "caller", "arn:a")


def test_given_calls_around_the_containment_when_counted_then_fifteen_seconds_are_expected() -> None:
    calls = [call(99), call(100), call(101), call(115), call(116), call(117, "GetCallerIdentity"), call(118, error="X")]
    scope = Scope({"arn:a": 100.0}, 0.0, 110.0, ["eu"], ["AKIA"])
    found = Activity(calls, scope)
    assert [one.at for one in found.after("succeeded")] == [101, 115, 116, 117]
    assert [one.at for one in found.escaped] == [116]
    assert [one.at for one in found.after("failed")] == [118]
    unknown = Activity([call(110), call(111)], Scope({}, 0.0, 110.0, ["eu"], ["AKIA"]))
    assert [unknown.is_after(one) for one in unknown.calls] == [False, True]
    assert [one.at for one in activity.merged([call(2), call(1), call(2)])] == [1, 2]
    assert [activity.calls_of(number) for number in (0, 1, 2, 1_234)] == ["0 calls", "1 call", "2 calls", "1,234 calls"]


@pytest.mark.parametrize(
    ("name", "media_type", "expected"),
    [
        ("Bericht März.pdf", "", "Bericht_Marz-F1.pdf"),
        ("報告書.pdf", "", "file-F1.pdf"),
        (".bashrc", "", "bashrc-F1"),
        ("--help.txt", "", "help-F1.txt"),
        ("notes", "text/plain", "notes-F1.txt"),
        ("notes", "application/octet-stream", "notes-F1"),
        ("a." + "x" * 21, "", "a-F1." + "x" * 20),
        ("x" * 300 + ".pdf", "", "x" * 248 + "-F1.pdf"),
        ("a.tar.gz", "", "a.tar-F1.gz"),
    ],
)
def test_given_a_name_in_slack_when_stored_then_a_case_accepts_it(name: str, media_type: str, expected: str) -> None:
    assert files.safe_name(name, "F1", media_type) == expected
    assert len(expected) <= 255


def test_given_forwarded_messages_inside_each_other_when_read_then_files_down_to_the_fourth_level_are_found_once() -> (
    None
):
    message: dict[str, Any] = {}
    for level in range(6, -1, -1):
        message = {"files": [{"id": f"F{level}"}, {"id": "same"}, {"id": ""}, "odd"], "attachments": [message, "odd"]}
    assert [file["id"] for file in files.files_of(message)] == ["F0", "same", "F1", "F2", "F3", "F4"]
    quoted = {"attachments": [{"message_blocks": [{"message": {"files": [{"id": "F9"}]}}, {"message": "odd"}]}]}
    assert [file["id"] for file in files.files_of(quoted)] == ["F9"]


def test_given_calls_when_commented_on_the_case_then_each_part_of_the_text_is_there() -> None:
    calls = [
        TrailCall("e1", 90.0, "eu", "iam", "ListUsers", "", "10.0.0.1", "cli", "AKIA", "caller", "arn:a"),
        TrailCall("e2", 120.0, "us", "s3", "GetObject", "AccessDenied", "10.0.0.2", "sdk", "AKIA", "caller", "arn:a"),
    ]
    scope = Scope({"arn:a": 100.0}, 0.0, 7_200.0, ["eu", "us"], ["key AKIA"])

    extent = (
        "Read from CloudTrail's event history at 1970-01-01 02:00:00 UTC, for key AKIA, since 1970-01-01 00:00:00 UTC, "
        "in eu, us. The history shows management events some minutes after the call. It has no data events, such as "
        "reads of S3 objects."
    )
    assert activity.comment(Activity(calls, scope), "calls.csv and calls.html").split("\n") == [
        "Activity of the contained credentials: 2 calls.",
        "First seen 1970-01-01 00:01:30 UTC, last seen 1970-01-01 00:02:00 UTC.",
        "",
        "After the containment:",
        "- 1 call denied, the last one GetObject at 1970-01-01 00:02:00 UTC",
        "",
        "Calls by service, Region and result:",
        "- iam, eu: 1 succeeded",
        "- s3, us: 1 denied",
        "",
        "Source addresses:",
        "- 10.0.0.1: 1",
        "- 10.0.0.2: 1",
        "",
        "User agents:",
        "- cli: 1",
        "- sdk: 1",
        "",
        "The attachments calls.csv and calls.html have every call.",
        "",
        extent,
    ]
    assert "attachments" not in activity.comment(Activity(calls, replace(scope, complete=False)), "calls.csv")
