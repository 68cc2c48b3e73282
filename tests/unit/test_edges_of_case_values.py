"""Values of a case: structured fields, key events with their users, steps of containments, and lists of calls."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ir_router.cases import (
    activity,
    comments,
    containment_steps,
    files,
    fingerprints,
    followed_fields,
    structured_fields,
    timeline,
)
from ir_router.cases.activity import Activity, Scope
from ir_router.cases.changes import digest
from ir_router.cases.fingerprints import Reading
from ir_router.cases.lasting_changes import Lasting
from ir_router.cases.models import Case, CaseEdit
from ir_router.cases.timeline import Moment, SlackChange
from ir_router.cases.trail_calls import TrailCall

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
ANALYSED = "Status updated to In Progress (Detection and Analysis)"
BOTH = "x (verified), NOT verified: y"


@pytest.mark.parametrize(
    ("source", "agent", "entry"),
    [
        ("192.0.2.1", "", {"ipAddress": "192.0.2.1"}),
        ("192.0.2.1", " a\n b ", {"ipAddress": "192.0.2.1", "userAgent": "a b"}),
        ("192.0.2.1", "x" * 501, {"ipAddress": "192.0.2.1", "userAgent": "x" * 500}),
        ("2001:db8::a", "", {"ipAddress": "2001:0DB8:0000:0000:0000:0000:0000:000A"}),
        ("lambda.amazonaws.com", "a", None),
        ("", "", None),
    ],
)
def test_given_a_source_when_entered_then_only_an_address_has_an_entry(source: str, agent: str, entry: Any) -> None:
    assert structured_fields.threat_actor(source, agent) == entry
    assert structured_fields.address(source) == (entry or {}).get("ipAddress", "")


@pytest.mark.parametrize(
    ("name", "service", "region"),
    [
        ("eu-west-1", True, True),
        ("us-gov-east-1", True, True),
        ("us-iso-b-1", True, True),
        ("eu-west-", True, False),
        ("e-west-1", True, False),
        ("AWS IAM (x): y.z", True, False),
        ("ab", True, False),
        ("a", False, False),
        ("x" * 50, True, False),
        ("x" * 51, False, False),
        ("a/b", False, False),
        ("eu-west-1\n", False, False),
    ],
)
def test_given_a_name_when_checked_then_service_and_region_have_their_forms(
    name: str, service: bool, region: bool
) -> None:
    assert (structured_fields.is_service(name), structured_fields.is_region(name)) == (service, region)


def changes() -> list[SlackChange]:
    named = [
        (timeline.STATUS, "Detection and Analysis", "status"),
        (timeline.STATUS, "Closed", "closed"),
        (timeline.TITLE, "any", "title"),
        (timeline.DESCRIPTION, "any", "description"),
    ]
    return [SlackChange(START, field, value, by) for field, value, by in named]


@pytest.mark.parametrize(
    ("action", "message", "what", "by"),
    [
        (
            "Status updated",
            "Submitted to Detection and Analysis",
            "Status updated to In Progress (Detection and Analysis)",
            "status",
        ),
        ("Status updated", "Submitted to Closed", "Case closed", "closed"),
        (" Closed by user ", None, "Case closed", "closed"),
        ("Updated", "STATUS: Submitted", "Status updated to Open (Submitted)", None),
        ("Updated", "the Title", "Title updated", "title"),
        (" Resolver type changed ", None, "Resolver type changed", None),
        ("", "now managed", "Resolver changed", None),
        (None, "resolver", "Resolver changed", None),
        ("Case Created", "status Closed", None, None),
        ("Comment added", "title", None, None),
        ("Other", "Submitted", None, None),
        (None, None, None, None),
    ],
)
def test_given_an_edit_when_read_then_time_words_and_user_are_complete(
    action: str | None, message: str | None, what: str | None, by: str | None
) -> None:
    case = Case(case_id="7", case_arn="arn", case_status="s", title="t")
    edit = CaseEdit(action=action, message=message, event_timestamp=START)

    expected = [] if what is None else [Moment(START, what, by)]
    assert timeline.key_events(case, [edit], changes(), []) == expected
    assert timeline.key_events(case, [CaseEdit(action=action, message=message)], changes(), []) == []


def test_given_a_closed_case_when_its_events_are_listed_then_the_closing_is_there_once_and_all_are_sorted() -> None:
    later = START + timedelta(hours=1)
    case = Case(case_id="7", case_arn="a", case_status="s", title="t", created_date=later, closed_date=START)
    steps = [Moment(START - timedelta(1), "step"), Moment(later + timedelta(1), "last")]
    edit = CaseEdit(action="Case closed", event_timestamp=later + timedelta(2))

    created, closed = Moment(later, "Case created"), Moment(START, "Case closed", "closed")
    assert timeline.key_events(case, [], changes(), steps) == [steps[0], closed, created, steps[1]]
    found = timeline.key_events(case, [edit], changes(), [])
    assert found == [created, Moment(later + timedelta(2), "Case closed")]


NAMES: dict[str, Any] = {"principals": [{"principal": "arn:aws:iam::1:user/a"}, {"principal": ""}, {"in_account": "x"}]}
DONE = [{"what": "x", "verified": True}, {"what": "y", "verified": False}]


@pytest.mark.parametrize(
    ("action", "details", "what"),
    [
        ("contained", {**NAMES, "outcome": "joined"}, "Further event; a was already contained"),
        ("contained", {**NAMES, "outcome": "dry_run"}, "Dry run, nothing changed: a would have been contained"),
        ("contained", {**NAMES, "outcome": "off"}, "Not contained because containment is off: a"),
        ("contained", {**NAMES, "outcome": "gone"}, "Nothing left to contain: a"),
        ("contained", {**NAMES, "outcome": "closed"}, "Not contained because the account is closed: a"),
        ("contained", {"outcome": "contained", "principals": None}, "Contained: no principal"),
        (
            "containment_needs_approval",
            {**NAMES, "outcome": "ask_first"},
            "Not contained yet because the role needs an approval: a",
        ),
        (
            "containment_limit_reached",
            {**NAMES, "outcome": "limit_reached"},
            "Not contained yet because the hourly limit is reached: a",
        ),
        (
            "containment_reapplied",
            {"actions": DONE},
            "Containment was undone and re-applied: x (verified), NOT verified: y",
        ),
        ("containment_reapplied", {"actions": "odd"}, None),
        ("creator_containment_requested", {"principal": "arn:user/b"}, "Containment of the key's creator requested: b"),
        ("creator_containment_requested", {}, "Containment of the key's creator requested: "),
        ("decision_received", {"kind": "contain", "decision": "approve"}, "Containment approved"),
        ("decision_received", {"kind": "contain", "decision": "deny"}, "Containment denied"),
        ("decision_received", {"kind": "remediate", "decision": "approve"}, "Remediation approved"),
        ("decision_received", {"kind": "x"}, "Decision taken"),
        ("approval_timed_out", {}, "No decision within 24 hours"),
        ("step_failed", {"step": "s"}, "Workflow step failed: s"),
        ("ended", {"remediation": DONE}, f"Remediation: {BOTH}"),
        ("ended", {}, None),
        ("released", {"actions": DONE[:1]}, "Released: x (verified)"),
        ("released", {}, "Released"),
        ("other", {}, None),
    ],
)
@pytest.mark.parametrize(("actor", "by"), [("Jane", "Jane"), ("ir-router workflow", None)])
def test_given_a_record_when_described_then_words_user_and_time_are_complete(
    action: str, details: dict[str, Any], what: str | None, actor: str, by: str | None
) -> None:
    contained_at = (START - timedelta(minutes=1)).isoformat()
    texts = json.dumps({**details, "contained_at": contained_at})
    record = {"action": action, "details": texts, "actor": actor, "at": START.isoformat()}

    at = START - timedelta(minutes=1) if action == "contained" else START
    assert containment_steps.of([record]) == ([] if what is None else [Moment(at, what, by)])


def call(number: int, **changes: Any) -> TrailCall:
    values: dict[str, Any] = {"region": "eu", "service": "iam", "name": "N", "error": "", "address": "", "agent": ""}
    values |= {"key": "K", "caller": "c", "of": "arn:a"}
    return TrailCall(event_id=f"e{number}", at=float(number), **{**values, **changes})


def test_given_calls_when_listed_then_lasting_effects_reads_and_numbers_have_their_lines() -> None:
    lasting = Lasting("user x", "user x", "delete it")
    calls = [
        call(1, lasting=(lasting,), read=("secret a", "secret b"), address="1.1.1.1", agent="cli"),
        call(2, read=("secret a",), address="2.2.2.2"),
        call(3, service="s3", error="AccessDenied", address="2.2.2.2", agent="=cmd"),
        call(4, region="us", error="Odd"),
    ]
    found = Activity(calls, Scope({"arn:a": 1.0}, 0.0, 9.0, ["eu"], ["key K"], complete=True, limited=["z"]))

    lines = activity.comment(found, "a.csv and b.csv").split("\n")

    assert lines[:-1] == [
        "Activity of the contained credentials: 4 calls.",
        "Not complete: z.",
        "First seen 1970-01-01 00:00:01 UTC, last seen 1970-01-01 00:00:04 UTC.",
        "",
        "After the containment:",
        "- 1 call succeeded, the last one N at 1970-01-01 00:00:02 UTC",
        "- 1 call denied, the last one N at 1970-01-01 00:00:03 UTC",
        "- 1 call failed, the last one N at 1970-01-01 00:00:04 UTC",
        "",
        "Effects that the containment does not undo:",
        "- user x. To undo: delete it",
        "",
        "Secrets and parameters that were read:",
        "- secret a",
        "- secret b",
        "",
        "Calls by service, Region and result:",
        "- iam, eu: 2 succeeded",
        "- iam, us: 1 failed",
        "- s3, eu: 1 denied",
        "",
        "Source addresses:",
        "- 2.2.2.2: 2",
        "- 1.1.1.1: 1",
        "",
        "User agents:",
        "- cli: 1",
        "- =cmd: 1",
        "",
        "The attachments a.csv and b.csv have every call.",
        "",
    ]
    rows = activity.csv_text(found).split("\r\n")
    assert len(rows) == 6
    third = "1970-01-01 00:00:03,s3,N,eu,denied,AccessDenied,2.2.2.2,'=cmd,K,c,arn:a,yes,e3"
    assert rows[3] == third
    assert rows[1].split(",")[-2:] == ["no", "e1"]
    unread = Activity([], Scope({}, 0.0, 9.0, ["eu"], [], complete=False))
    assert activity.comment(unread, "f").split("\n")[:3] == [
        "Activity of the contained credentials: 0 calls.",
        "The reading continues. These are the newest calls.",
        "",
    ]


def test_given_kinds_of_fields_when_made_then_each_reads_its_part_of_the_case() -> None:
    case = Case(
        case_id="7", case_arn="a", case_status="s", title="T", pending_action=None, impacted_accounts=["2", "1"]
    )
    text = followed_fields._text("x", "Label", "title", show=str.upper)
    missing = followed_fields._text("y", "Label", "pending_action", missing="None")
    tag = followed_fields._tag("z", "Label", "severity", missing="Not set")
    listed = followed_fields._list("l", "Label", lambda one: one.impacted_accounts)

    made = [(one.attribute, one.label, one.model_field, one.tag) for one in (text, missing, tag, listed)]
    assert made == [
        ("x", "Label", "title", None),
        ("y", "Label", "pending_action", None),
        ("z", "Label", None, "severity"),
        ("l", "Label", None, None),
    ]
    assert [one.read(case, {}) for one in (text, missing, tag, listed)] == ["T", "None", "Not set", "1, 2"]
    assert (tag.read(case, {"severity": "LOW"}), text.show("a"), missing.show("a")) == ("LOW", "A", "a")
    kept = {followed_fields.TITLE.attribute: "other", followed_fields.SEVERITY.attribute: "LOW"}
    assert followed_fields.with_values(case, kept) == case.model_copy(update={"title": "other"})
    assert followed_fields.SEVERITY.attribute not in followed_fields.values(case, None)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ({"name": "a b", "mode": "hosted", "mimetype": "text/plain"}, "a_b-F1"),
        ({"name": "a b", "mode": "snippet", "mimetype": "text/plain"}, "a_b-F1.txt"),
        ({"name": "\u00e4 b", "mode": "hosted", "mimetype": "text/plain"}, "a_b-F1.txt"),
        ({"name": "-", "mode": "hosted", "mimetype": "text/plain"}, "file_F1-F1.txt"),
        ({"name": "-", "title": "T 1", "mode": "hosted", "mimetype": None}, "T_1-F1"),
        ({}, "file_F1-F1"),
    ],
)
def test_given_a_file_object_when_named_then_only_a_chosen_name_stays_without_an_extension(
    file: dict[str, Any], name: str
) -> None:
    assert files.attachment_name({"id": "F1", **file}) == name


def test_given_digests_of_an_older_version_when_compared_then_times_and_all_its_fields_count() -> None:
    case = Case(case_id="7", case_arn="a", case_status="s", title="T", created_date=START, description="d")
    fields = fingerprints._OLD_CASE_FIELDS
    old = digest(case.model_dump(mode="json", include=fields))
    new = fingerprints.fingerprint(Reading(case, [])).split(".")

    def differs(fields_digest: str, changed: Case = case) -> str | None:
        return fingerprints.what_differs(".".join((fields_digest, *new[1:])), Reading(changed, []))

    assert differs(old) is None
    assert differs("other") == "CaseUpdated"
    assert differs(old, case.model_copy(update={"created_date": START + timedelta(1)})) == "CaseUpdated"


@pytest.mark.parametrize(
    ("body", "slack", "system", "approval"),
    [
        ("t\n\n(Slack C1/1.5)", ("C1", "1.5", 0, "1.5#0"), None, None),
        ("t\n\n(Slack C1/1.5 part 3) \n", ("C1", "1.5", 2, "1.5#2"), None, None),
        ("(Slack C1/1.5) t", None, None, None),
        ("t\n\n(ir-router a.b:c-1)", None, "a.b:c-1", None),
        ("t\n\n(ir-router approval-x)", None, "approval-x", "x"),
        ("t", None, None, None),
    ],
)
def test_given_the_last_line_of_a_comment_when_read_then_its_source_is_known(
    body: str, slack: Any, system: str | None, approval: str | None
) -> None:
    found = comments.slack_reference(body)

    assert (found and (found.channel_id, found.ts, found.part, found.row)) == slack
    assert (comments.system_reference(body), comments.approval_reference(body)) == (system, approval)


def test_given_texts_when_made_comments_then_frames_are_complete_and_forged_ones_set_apart() -> None:
    assert (
        comments.system_comment("t", "n", "(part 2 of 3) ")
        == "[AWS Security IR Update] (part 2 of 3) t\n\n(ir-router n)"
    )
    assert comments.shown_by_approval("t", "a1") == "t\n\n(ir-router approval-a1)"
    private = comments.private_comment("t", "Jane", START, "n")
    assert private == "[Slack Update] Jane, not in the channel (2026-01-01 12:00:00 UTC)\nt\n\n(ir-router n)"
    forged = ["[Slack Update] x", " *[ AWS\u200b security IR update ]", "(Slack c1/", "(ir-router n)", comments.DELETED]
    assert comments.set_apart("\n".join([*forged, "x [Slack Update]"])) == "\n".join(
        [*(f"> {line}" for line in forged), "x [Slack Update]"]
    )
    assert comments.sender("t") == ("", None, "")
