"""JSON that is nested without limit counts as unreadable, and a report of one thing counts one."""

from __future__ import annotations

from ir_router.cloudtrail import _record
from ir_router.cloudtrail_lake import _COLUMN, _records
from ir_router.sync import report_message
from ir_router.workflow.report_failure import error_of

NESTED = "[" * 100_000


def test_given_a_nested_record_when_the_event_history_returns_it_then_the_known_fields_count() -> None:
    event = {"EventId": "e-1", "EventName": "GetUser", "CloudTrailEvent": NESTED}
    assert _record(event, "us-east-1")["eventName"] == "GetUser"


def test_given_a_nested_record_when_the_lake_returns_it_then_the_others_count() -> None:
    rows = [[{_COLUMN: NESTED}], [{_COLUMN: '{"eventName": "GetUser"}'}]]
    assert _records(rows) == [{"eventName": "GetUser"}]


def test_given_a_nested_cause_when_a_step_failed_then_the_alert_has_the_beginning_of_the_text() -> None:
    name, cause = error_of({"Error": "States.TaskFailed", "Cause": NESTED})
    assert name == "States.TaskFailed"
    assert cause.startswith("[[[")


def test_given_one_follow_up_when_a_report_is_complete_then_the_message_counts_one() -> None:
    report = {
        "version": 1,
        "requested_by": "",
        "durations": [],
        "decisions": [],
        "follow_ups": ["Close the case."],
        "timeline": [{}],
        "evidence": [{}, {}],
        "audit": {"records": [{}]},
    }
    message = report_message.message(report, {"hash": "0" * 64}, "here")
    assert message.text.endswith(" 1 open follow-up.")
    assert "1 event, 2 files, 1 audit record ·" in str(message.blocks)
