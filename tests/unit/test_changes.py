"""The changes that a deep check finds, the schedule of deep checks, and the recognition of ir-router's own comments."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ir_router.cases import changes, comments, files, fingerprints
from ir_router.cases.fingerprints import Reading
from ir_router.cases.followed_fields import FOLLOWED
from ir_router.cases.imports import is_ours
from ir_router.cases.models import Attachment, Case, CaseEdit, CaseRow, Comment, Person
from ir_router.sync.poll import due_ranks

AT = datetime(2026, 1, 15, 12, tzinfo=UTC)
CASE = Case(case_id="1234567890", case_arn="arn", title="t", case_status="Submitted", last_updated_date=AT)
SAID = [Comment(comment_id="1", body="one")]
TEAM = [Person(email="Jane@example.com")]
FILE = Attachment(attachment_id="a", file_name="f", attachment_status="Pending", creator="x", created_date=AT)


@pytest.mark.parametrize(
    ("case", "said", "team", "event"),
    [
        (CASE, SAID, TEAM, None),
        (CASE.model_copy(update={"last_updated_date": None}), SAID, TEAM, None),
        (CASE, SAID, [Person(email="jane@EXAMPLE.com")], None),
        (CASE, list(reversed([*SAID])), TEAM, None),
        (CASE.model_copy(update={"title": "u"}), SAID, TEAM, "CaseUpdated"),
        (CASE.model_copy(update={"watchers": TEAM}), SAID, TEAM, "CaseUpdated"),
        (CASE, SAID, [], "CaseUpdated"),
        (CASE, [], TEAM, "CommentAdded"),
        (CASE, [Comment(comment_id="1", body="two")], TEAM, "CommentAdded"),
        (CASE, None, TEAM, None),
        (CASE.model_copy(update={"case_attachments": [FILE]}), SAID, TEAM, "AttachmentAdded"),
        (CASE.model_copy(update={"case_attachments": [FILE]}), None, TEAM, "AttachmentAdded"),
    ],
)
def test_given_a_stored_fingerprint_when_compared_then_what_differs_is_named(
    case: Case, said: list[Comment] | None, team: list[Person], event: str | None
) -> None:
    before = fingerprints.fingerprint(Reading(CASE, TEAM, SAID, {}))

    assert fingerprints.what_differs(before, Reading(case, team, said)) == event


@pytest.mark.parametrize("before", [None, "", "a.b.c", "nonsense"])
def test_given_no_fingerprint_of_ours_when_compared_then_the_case_is_looked_at(before: str | None) -> None:
    assert fingerprints.what_differs(before, Reading(CASE, TEAM, SAID)) == "CaseUpdated"


def test_given_the_digests_when_their_parts_are_counted_then_each_field_has_its_own() -> None:
    fields = fingerprints.fingerprint(Reading(CASE, TEAM, SAID, {})).split(".")[0]

    assert len(set(fields.split(","))) == len(FOLLOWED) + 1  # the watchers
    assert len({part[:4] for part in fields.split(",")}) == len(FOLLOWED) + 1
    parts = fingerprints.row_digest(CASE).split(",")
    assert len({part[:4] for part in parts}) == len(parts) >= 7


def test_given_digests_of_older_versions_when_the_models_are_read_then_what_those_covered_is_still_there() -> None:
    # The rows of closed cases keep such a digest. Without one of these fields, each case would be published again.
    assert set(fingerprints._OLD_ROW_FIELDS) <= set(CaseRow.model_fields)
    assert set(fingerprints._OLD_CASE_FIELDS) <= set(Case.model_fields)


def test_given_the_followed_fields_when_read_then_attributes_and_labels_are_distinct_and_the_model_has_them() -> None:
    assert len({field.attribute for field in FOLLOWED}) == len({field.label for field in FOLLOWED}) == len(FOLLOWED)
    assert {field.model_field for field in FOLLOWED} - {None} <= set(Case.model_fields)


def test_given_a_history_when_asked_who_changed_the_case_then_comments_and_files_do_not_count() -> None:
    edits = [
        CaseEdit(principal="alice", action="Case Updated"),
        CaseEdit(principal="bob", action="Case Comment Added"),
        CaseEdit(principal="carol", action="Case Attachment Uploaded"),
        CaseEdit(principal=None, action="Case Updated"),
    ]

    assert changes.changed_by(edits) == "alice"
    assert changes.changed_by(edits[1:]) is None


@given(st.integers(0, 400), st.integers(0, 10**6))
def test_given_open_cases_when_minutes_pass_then_each_is_checked_in_its_turn_and_never_too_many(
    count: int, minute: int
) -> None:
    turns = max(1, -(-count // 10))
    checked = [rank for step in range(turns) for rank in due_ranks(count, minute + step)]

    assert sorted(checked) == list(range(count))
    assert all(len(due_ranks(count, minute + step)) <= 10 for step in range(turns))


@pytest.mark.parametrize(
    ("created", "closed", "first_poll", "initial_import", "ours"),
    [
        (200, False, 100, "none", True),
        (200, True, 100, "none", True),
        (50, False, 100, "none", False),
        (50, False, 100, "open", True),
        (50, True, 100, "open", False),
        (50, False, None, "open", True),
        (50, False, None, "none", False),
    ],
)
def test_given_a_case_when_asked_whether_it_gets_a_channel_then_age_state_and_variable_decide(
    created: float, closed: bool, first_poll: float | None, initial_import: str, ours: bool
) -> None:
    assert is_ours(created, closed, first_poll, initial_import) is ours


@given(st.text(), st.integers(0, 12))
def test_given_a_comment_from_slack_when_read_again_then_its_reference_is_the_message_whatever_it_says(
    text: str, part: int
) -> None:
    (body,) = comments.from_slack([text], "Jane", AT, "C123", "1700000000.000100", only_part=part)
    reference = comments.slack_reference(body)

    assert reference is not None
    assert (reference.channel_id, reference.row) == ("C123", f"1700000000.000100#{part}")
    assert comments.system_reference(body) is None


@given(st.text(), st.from_regex(r"F[A-Z0-9]{6,12}", fullmatch=True))
def test_given_any_file_name_when_made_safe_then_aws_takes_it_and_the_files_id_is_found_in_it(
    name: str, file_id: str
) -> None:
    import re

    safe = files.safe_name(name, file_id)

    assert re.fullmatch(r"[a-zA-Z0-9._-]{1,255}", safe)
    assert files.slack_file_id(safe) == file_id


def test_given_a_full_comment_when_marked_deleted_then_it_still_fits() -> None:
    marked = comments.marked_deleted("first line\n" + "😀" * 5_995)

    assert "(This message was deleted in Slack.)" in marked
    assert len(marked.encode("utf-16-le")) // 2 <= 12_000
    assert comments.marked_deleted(marked) == marked


def test_given_a_value_when_its_digest_is_taken_then_it_equals_the_one_that_earlier_versions_stored() -> None:
    assert changes.digest({"b": [1, 2], "a": "é\ud800"}) == changes.digest({"a": "é\ud800", "b": [1, 2]})
    assert changes.digest({"b": [1, 2], "a": "é\ud800"}) == "f2d1e49c09134a8e3c634cf2"
