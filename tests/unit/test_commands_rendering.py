"""The specification's blocks to the letter, with its own values, and ir-router's texts for values that it omits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ir_router.cases import status
from ir_router.cases import timeline as events_of
from ir_router.cases.models import Case, CaseEdit, Person
from ir_router.cases.timeline import Moment, SlackChange
from ir_router.commands import rendering, timeline
from ir_router.commands.catalogue import SUB_COMMANDS
from ir_router.commands.timeline import Counts

DAY = datetime(2024, 1, 15, tzinfo=UTC)
CASE_ID = "case-12345678-abcd-1234-efgh-123456789012"
CASE = Case(
    case_id=CASE_ID,
    case_arn="arn",
    title="Suspicious API Activity Detected",
    description="Unusual API calls detected from unknown IP addresses",
    case_status="Detection and Analysis",
    created_date=DAY + timedelta(hours=14, minutes=30),
    last_updated_date=DAY + timedelta(hours=16, minutes=30),
    watchers=[Person(email=f"{name}@example.com") for name in ("jane", "john", "sam")],
)


def at(hours: int, minutes: int) -> datetime:
    return DAY + timedelta(hours=hours, minutes=minutes)


def test_given_the_specifications_case_when_its_status_is_shown_then_only_awss_word_is_added() -> None:
    assert rendering.case_status(CASE, "High") == (
        "📋 Case Status\n"
        "ID: case-12345678-abcd-1234-efgh-123456789012\n"
        "Status: In Progress (Detection and Analysis)\n"
        "Severity: High\n"
        "Title: Suspicious API Activity Detected\n"
        "Description: Unusual API calls detected from unknown IP addresses\n"
        "Created: 2024-01-15 14:30:00 UTC\n"
        "Last Updated: 2024-01-15 16:30:00 UTC\n"
        "Watchers: 3 users"
    )


def test_given_the_specifications_changes_when_answered_then_the_blocks_are_to_the_letter() -> None:
    assert rendering.status_updated("Resolved", "john.doe", at(17, 0)) == (
        '✅ Case status updated to "Resolved"\nUpdated by: @john.doe\nTimestamp: 2024-01-15 17:00:00 UTC'
    )
    assert rendering.description_updated("Updated findings after further analysis", "jane.smith", at(17, 15)) == (
        "✅ Case description updated\n"
        'New description: "Updated findings after further analysis"\n'
        "Updated by: @jane.smith\n"
        "Timestamp: 2024-01-15 17:15:00 UTC"
    )
    new = "Critical Security Breach - Resolved"
    assert rendering.title_updated(CASE.title, new, "security.team", at(17, 30)) == (
        "✅ Case title updated\n"
        'Old title: "Suspicious API Activity Detected"\n'
        'New title: "Critical Security Breach - Resolved"\n'
        "Updated by: @security.team\n"
        "Timestamp: 2024-01-15 17:30:00 UTC"
    )
    assert rendering.closed(CASE_ID, "incident.manager", at(18, 0)) == (
        "🔒 Case closed successfully\n"
        "Case ID: case-12345678-abcd-1234-efgh-123456789012\n"
        "Closed by: @incident.manager\n"
        "Timestamp: 2024-01-15 18:00:00 UTC\n"
        "Channel will remain active for reference"
    )


def test_given_the_specifications_errors_when_shown_then_they_are_to_the_letter() -> None:
    assert rendering.invalid_status() == "Invalid status. Valid options: Open, In Progress, Resolved, Closed"
    assert rendering.missing(SUB_COMMANDS["update-status"]) == (
        "Please specify a status. Usage: /security-ir update-status <status>"
    )
    assert rendering.service_error("api-error-20240115-180500", "update") == (
        "❌ Unable to update case due to service error\n"
        "Error ID: api-error-20240115-180500\n"
        "Please try again or contact support"
    )
    assert rendering.connectivity("network-error-20240115-180600") == (
        "⚠️ Temporary connectivity issue\n"
        "Your request is being processed. Please check case status in a few moments\n"
        "Error ID: network-error-20240115-180600"
    )


def test_given_the_specifications_incident_when_summed_up_then_the_block_is_to_the_letter() -> None:
    closed = CASE.model_copy(update={"case_status": "Closed", "closed_date": at(18, 0)})
    edits = [
        CaseEdit(event_timestamp=at(14, 30), action="Case Created", message="Case was created."),
        CaseEdit(
            event_timestamp=at(17, 0),
            action="Case Status Updated",
            message="Status changed from Detection and Analysis to Post-incident Activities.",
        ),
        CaseEdit(event_timestamp=at(18, 0), action="Case Closed", message="Case was closed."),
    ]
    steps = [
        Moment(at(15, 45), "Analysis completed", "John Doe"),
        Moment(at(16, 30), "Mitigation applied", "Jane Smith"),
    ]

    events = events_of.key_events(closed, edits, [], steps)

    assert timeline.summary(closed, "High", at(23, 0), edits, events, Counts(5, 3, 2)) == (
        "📊 Case Summary\n"
        "Case ID: case-12345678-abcd-1234-efgh-123456789012\n"
        "Title: Suspicious API Activity Detected\n"
        "Status: Resolved (Post-incident Activities) → Closed\n"
        "Severity: High\n"
        "Duration: 3 hours 30 minutes\n"
        "\n"
        "Key Events:\n"
        "• 14:30 - Case created\n"
        "• 15:45 - Analysis completed (John Doe)\n"
        "• 16:30 - Mitigation applied (Jane Smith)\n"
        "• 17:00 - Status updated to Resolved (Post-incident Activities)\n"
        "• 18:00 - Case closed\n"
        "\n"
        "Comments: 8 total (5 from AWS Security IR, 3 from Slack)\n"
        "Attachments: 2 files\n"
        "Watchers: 3 users"
    )


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "less than a minute"),
        (59, "less than a minute"),
        (60, "1 minute"),
        (3600, "1 hour"),
        (12_600, "3 hours 30 minutes"),
        (86_400, "1 day"),
        (86_400 + 300, "1 day"),
        (90_000, "1 day 1 hour"),
        (200 * 86_400 + 7_200, "200 days 2 hours"),
    ],
)
def test_given_a_length_of_time_when_put_into_words_then_it_has_two_units_at_most(seconds: int, words: str) -> None:
    assert rendering.duration(seconds) == words


def test_given_a_long_description_when_shown_then_how_much_was_cut_and_where_the_rest_is_are_said() -> None:
    shown = rendering.case_status(CASE.model_copy(update={"description": "x" * 8000}), "High")
    assert "… (8000 characters in total; the rest is on the case)" in shown
    assert len(shown) < 1_500


def test_given_edits_in_other_words_when_read_then_what_is_known_is_reported_and_the_rest_left_out() -> None:
    edits = [
        CaseEdit(
            event_timestamp=at(15, 0), action="CASE_STATUS_UPDATED", message="Containment, Eradication, and Recovery"
        ),
        CaseEdit(event_timestamp=at(16, 0), action="Case Comment Added", message="Comment 123456: status is Closed"),
        CaseEdit(event_timestamp=at(16, 30), action="Something new", message="AWS invented it."),
        CaseEdit(event_timestamp=at(17, 0), action="Case Updated To Service Managed", message=None),
        CaseEdit(event_timestamp=None, action="Case Closed", message="Status: Closed"),
    ]

    events = events_of.key_events(CASE, edits, [], [])

    assert [event.what for event in events] == [
        "Case created",
        "Status updated to In Progress (Containment, Eradication and Recovery)",
        "Case Updated To Service Managed",
    ]


def test_given_changes_from_slack_near_an_edit_when_reported_then_the_right_person_is_named() -> None:
    edits = [
        CaseEdit(event_timestamp=at(15, 0), action="Status", message="Status changed to Post-incident Activities"),
        CaseEdit(event_timestamp=at(16, 0), action="Status", message="Status changed to Detection and Analysis"),
    ]
    changes = [
        SlackChange(at(15, 1), events_of.STATUS, "Post-incident Activities", "Jane Smith"),
        SlackChange(at(15, 0), events_of.STATUS, "Detection and Analysis", "Wrong Value"),
        SlackChange(at(15, 0), events_of.TITLE, "Post-incident Activities", "Wrong Field"),
        SlackChange(at(16, 3), events_of.STATUS, "Detection and Analysis", "Too Late"),
    ]

    events = events_of.key_events(CASE, edits, changes, [])

    assert [event.by for event in events] == [None, "Jane Smith", None]


STATUSES = ["Submitted", "Acknowledged", *status.SETTABLE, "Ready to Close", "Closed"]


@given(now=st.sampled_from(STATUSES), wanted=st.sampled_from(status.SETTABLE))
def test_given_any_two_statuses_when_a_way_is_asked_for_then_it_ends_there_by_settable_steps(
    now: str, wanted: str
) -> None:
    steps = status.way(now, wanted)
    assert (steps[-1:] or (now,)) == (wanted,)
    assert set(steps) <= set(status.SETTABLE)
    assert len(steps) <= 1 or wanted in status.reachable(now)


def test_given_a_new_case_when_it_is_to_be_resolved_then_the_way_leads_over_analysis() -> None:
    assert status.way("Submitted", "Post-incident Activities") == ("Detection and Analysis", "Post-incident Activities")
    assert status.way("Detection and Analysis", "Submitted") == ("Submitted",)
