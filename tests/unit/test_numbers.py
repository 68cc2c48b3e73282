"""Waits, attempts, lifetimes and limits. AWS, Slack, the docs and deployed versions rely on them.

If you change a number on purpose, change it here, and wherever the docs state it. `make mutants` changes numbers too.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator, Mapping

import pytest

from ir_operator.project import PROJECT_ROOT

SOURCE = PROJECT_ROOT / "src" / "ir_router"

NUMBERS: Mapping[str, Mapping[str, float]] = {
    "aws": {"_THROTTLED": 429, "_LONGEST_PAUSE_OF_BOTOCORE": 1},
    "bus": {"_ENTRIES_A_CALL": 10},
    "cases.after_containment": {"APPLIED_SECONDS": 15},
    "cases.activity": {"_MOST_LINES": 15, "_LINE_LENGTH": 300},
    "cases.comments": {"_FRAME_START_LENGTH": 200, "_FRAME_LENGTH": 600},
    "cases.file_lines": {"_MEGABYTE": 1048576},
    "cases.files": {"_NAME_LENGTH": 255, "_EXTENSION_LENGTH": 20},
    "cases.fingerprints": {"NEWEST_COMMENTS": 25, "_NAME_LENGTH": 4, "_VALUE_LENGTH": 8, "_SECTIONS": 4},
    "cloudtrail": {"PAGE_SIZE": 50, "PAUSE_SECONDS": 0.55},
    "cases.structured_fields": {"USER_AGENT_LENGTH": 500},
    "cases.trail_calls": {"_TEXT_LENGTH": 300, "_ADDRESS_LENGTH": 100},
    "cases.lasting_changes": {"_NAME_LENGTH": 200, "_MOST_READ": 50},
    "ledger.activity": {"_KEPT_SECONDS": 2592000},
    "sync.activity_message": {
        "_MOST_LASTING": 15,
        "_MOST_READ": 10,
        "_MOST_ROWS": 10,
        "_MOST_ADDRESSES": 5,
        "_LINE_LENGTH": 400,
    },
    "sync.activity": {
        "_SLICE_SECONDS": 20,
        "_NEEDED_SECONDS": 15,
        "_RETRIED_SECONDS": 60,
        "_MOST_ADDRESSES": 200,
        "_MEMBERS_AGAIN_SECONDS": 20,
        "_LONGEST_WAIT_FOR_MEMBERS_SECONDS": 900,
    },
    "sync.bookmarks": {"_FIRST_RETRY_SECONDS": 60, "_LONGEST_PAUSE_SECONDS": 86400},
    "ledger.member_activity": {"_KEPT_SECONDS": 2592000},
    "workflow.member_activity": {"_RESERVE_SECONDS": 15, "_SLICE_SECONDS": 30},
    "trail_search": {
        "BEFORE_SECONDS": 86400,
        "LATE_SECONDS": 1200,
        "MOST_PAGES": 100,
        "MOST_SESSIONS": 25,
        "_THROTTLED_TRIES": 3,
    },
    "cases.limits": {
        "TITLE_LIMIT": 300,
        "DESCRIPTION_LIMIT": 8000,
        "COMMENT_LIMIT": 12000,
        "WATCHER_LIMIT": 30,
        "ACCOUNT_LIMIT": 200,
        "ATTACHMENT_LIMIT": 50,
        "FILE_SIZE_LIMIT": 104857600,
    },
    "cases.quotas": {"_DAY": 86400},
    "commands.approvals": {"_SHOWN": 20, "_LINE_LENGTH": 300},
    "commands.linking": {"_LONGEST": 12_000},
    "commands.list": {"_PAGES": 10, "_SHOWN": 20, "_TITLE_LENGTH": 150},
    "commands.approval_buttons": {"_NAMED": 10},
    "commands.close": {"_TITLE_LENGTH": 200},
    "commands.escalate": {"_TITLE_LENGTH": 200},
    "commands.command": {"_RESERVE_SECONDS": 12.0},
    "commands.create": {"_CHANNEL_WAIT_SECONDS": 10},
    "commands.create_form": {"_TEXT_LENGTH": 3000},
    "commands.execution": {"_KEPT_SECONDS": 86400, "_ATTEMPTS": 3},
    "commands.forms": {"_CLOCK_SKEW_SECONDS": 300},
    "commands.home": {"_FRESH_SECONDS": 10},
    "commands.incident_details": {"_MONTHS": 12, "_RECORDS_A_MONTH": 1000},
    "commands.people": {"_GROUP_CACHE_SECONDS": 300},
    "commands.rendering": {"_DESCRIPTION_LENGTH": 1000, "_NAME_LENGTH": 40},
    "commands.timeline": {"SHOWN_EVENTS": 10, "_LINE_LENGTH": 150},
    "commands.watchers": {"_NAME_LENGTH": 50},
    "errors": {"_LONGEST_WAIT_SECONDS": 900.0},
    "ledger.alerts": {"KEPT_SECONDS": 1209600},
    "ledger.reports": {"_PART_BYTES": 300000, "_KEPT_SECONDS": 2592000},
    "ledger.audit_reading": {"_MOST_RECORDS": 20000, "_SKEW_SECONDS": 300},
    "report.building": {"_TEXT_LENGTH": 500},
    "sync.own_attachments": {"_URL_SECONDS": 900},
    "sync.report": {"_NEEDED_SECONDS": 15, "_WAIT_SECONDS": 30, "_LONGEST_WAIT_SECONDS": 600},
    "sync.report_files": {"_UNKNOWN_SECONDS": 120},
    "sync.report_message": {"_LINE_LENGTH": 400, "_MOST_LINES": 5},
    "sync.report_sources": {"_BEFORE_THE_CASE_SECONDS": 3600},
    "ledger.allowlisted_hours": {
        "_HOUR": 3600,
        "_DIGEST_BYTES": 12,
        "_STILL_COUNTING_SECONDS": 120,
        "_KEPT_SECONDS": 7776000,
    },
    "ledger.approvals": {"WAIT_SECONDS": 86400, "_DAY": 86400, "_TOKEN_DAYS": 7},
    "ledger.audit": {
        "MAIN": 0,
        "CHAINS": 16,
        "_TRIES": 25,
        "_TRIES_IN_A_CHAIN": 3,
        "_MAIN_READ_SECONDS": 60,
        "_DAY": 86400,
        "_ONCE_DAYS": 30,
    },
    "ledger.audit_verification": {"_DAY": 86400},
    "ledger.containments": {"LIMIT_SECONDS": 3600},
    "ledger.groups": {"SECONDS": 3600, "_KEPT_CALLERS": 20, "_KEPT_SECONDS": 93600},
    "ledger.joined_events": {"_KEPT_SECONDS": 604800, "_COVERED_SECONDS": 1209600, "MOST_COUNTED": 20},
    "ledger.two_people": {"_TRIES": 10},
    "ledger.urgent": {"_MOST": 10, "_URGENT_SECONDS": 86400},
    "ledger.table": {"_CONFLICT_TRIES": 6, "_ROWS_A_READ": 100},
    "ops.activity": {"_POLL_SECONDS": 900, "_FIRST_POLL_SECONDS": 180, "_PAGES": 20},
    "paging": {"_HEADLINE_LENGTH": 200, "_KEPT_SECONDS": 1209600, "_SUBJECT_LENGTH": 100, "_TEXT_LENGTH": 2000},
    "ops.approver_checks": {"_MOST_NAMED": 10},
    "ops.credentials": {"MAXIMUM_AGE_DAYS": 90, "_DAY": 86400},
    "ops.failing_cases": {"_MOST_READ": 20},
    "ops.forget": {"_RESERVE_SECONDS": 60},
    "ops.members": {"_SHOWN": 20, "_LATE_SECONDS": 10800},
    "ops.membership": {"_PAGES": 20, "_NEAR": 0.8},
    "ops.oversized": {
        "_RESERVE_SECONDS": 60,
        "_RECEIVES": 10,
        "_LARGEST_EVENT": 1048576,
        "_VISIBILITY_SECONDS": 60,
        "_LOOK_BACK_SECONDS": 3600,
        "_FAILED_AT_MOST": 100,
    },
    "ops.protected": {"_SHOWN_ARNS": 3, "_SHOWN_ENTRIES": 20},
    "ops.replay": {"LIMIT": 100, "WAIT_SECONDS": 1, "_MOST": 1000, "_RESERVE_SECONDS": 60, "_VISIBILITY_SECONDS": 120},
    "ops.resync": {"_DAY_SECONDS": 86400, "RUN_SECONDS": 840},
    "ops.slack_app": {"_TIMEOUT_SECONDS": 10, "EARLIER_TOKENS": 3},
    "ops.trimming": {"LARGEST_INPUT": 200000, "_MOST_ITEMS": 200},
    "ops.verify": {"_RESERVE_SECONDS": 20},
    "ops.watch": {"_RESERVE_SECONDS": 20, "_QUARTER_SECONDS": 900, "_LINE_LENGTH": 600},
    "ops.watching": {"_ALARMS_AT_MOST": 100, "_ACCESS_LOG_DAYS": 7},
    "router": {"PREPARATION_SECONDS": 3.0},
    "security_ir.gateway": {
        "PAGE_SIZE": 25,
        "_THROTTLED_SECONDS": 5.0,
        "_LONGEST_THROTTLED_SECONDS": 900.0,
        "_TRIES": 4,
        "_LONGEST_WAIT_SECONDS": 20.0,
        "_DETAIL_LENGTH": 500,
    },
    "slack.content.attachments": {"_NAME_LENGTH": 80},
    "slack.content.reading": {"_DEEPEST": 12},
    "slack.gateway": {
        "_TRIES": 3,
        "_TIMEOUT_SECONDS": 10,
        "_LONGEST_WAIT": 10.0,
        "_LONGEST_RETRY_AFTER": 300.0,
        "_DETAIL_LENGTH": 200,
    },
    "slack.identity": {"_NAME_LENGTH": 80, "_ADDRESS_LENGTH": 100},
    "slack.inbound": {"_MOST_APPROVALS": 5, "_CONTENT_LIMIT": 200000, "_DEEPEST": 60},
    "slack.installation": {"_CACHE_SECONDS": 600},
    "slack.messages": {
        "_COMMENT_PART_LENGTH": 2900,
        "_VALUE_LENGTH": 400,
        "_NAME_LENGTH": 200,
        "_HEADER_LENGTH": 150,
        "_IN_A_ROW": 5,
        "_TEXT_LIMIT": 12000,
    },
    "slack.parameters": {"CACHE_SECONDS": 300, "RETRY_SECONDS": 60, "_THROTTLED_SECONDS": 5.0},
    "slack.response_url": {"_TIMEOUT_SECONDS": 10},
    "slack.signature": {"WINDOW_SECONDS": 300, "_TIMESTAMP_DIGITS": 10},
    "slack.text": {"MESSAGE_LENGTH": 4000, "SECTION_LENGTH": 3000, "TOPIC_LENGTH": 250},
    "sync.alert_message": {"_LINE_LENGTH": 400, "_COMMAND_LENGTH": 2500},
    "sync.alerts": {"_RESERVE_SECONDS": 10, "_SLICE_SECONDS": 120},
    "sync.failure_alerts": {"_HOUR": 3600, "_KEPT_SECONDS": 86400, "_LINE_LENGTH": 600},
    "sync.approval_message": {"REASON_LENGTH": 1000, "_LINE_LENGTH": 400, "_MOST_CHOICES": 100, "_CHOICE_LENGTH": 75},
    "sync.approval_places": {"_VERSIONS_KEPT": 10},
    "sync.approval_tampering": {"_MOST_RESTORED": 20, "_HEADLINE_LENGTH": 200},
    "sync.approvals": {
        "_HOUR_IN_MINUTES": 60,
        "_RESERVE_SECONDS": 10,
        "_SLICE_SECONDS": 120,
        "_ROUNDS": 5,
        "_REDELIVERED_SECONDS": 60,
        "_OWNER_SECONDS": 1800,
    },
    "sync.request_people": {"_NAME_LENGTH": 80},
    "workflow.break_glass": {"_REASON_LENGTH": 1000},
    "sync.approver_set": {"_LINE_LENGTH": 400},
    "sync.approver_watch": {"_LINE_LENGTH": 1000},
    "sync.approvers": {"_MOST": 30},
    "sync.archiving": {"_DAY_SECONDS": 86400},
    "sync.attachments": {
        "_FIRST_SCAN_CHECK_SECONDS": 60.0,
        "_LONGEST_SCAN_CHECK_SECONDS": 3600.0,
        "_REQUEUED_SECONDS": 600,
    },
    "sync.availability": {"_UNREACHABLE_SECONDS": 150},
    "sync.back_off": {
        "_TRANSIENT_BACK_OFF": 15.0,
        "_FIRST_BACK_OFF": 30.0,
        "_LONGEST_BACK_OFF": 3600.0,
        "_LONGEST_BACK_OFF_OF_THE_APP": 300.0,
        "_REPORTED_AFTER_FAILURES": 3,
    },
    "sync.case_sync": {"SLICE_SECONDS": 60, "NEW_CASE_SLICE_SECONDS": 120, "LONGEST_SLICE_SECONDS": 780},
    "sync.case_to_slack": {"_RESERVE_SECONDS": 12},
    "sync.catch_up": {"_UNNOTICED_SECONDS": 3600, "_OLDER_MESSAGES": 1000},
    "sync.channel": {"NAME_LENGTH": 80, "_NAMES_TRIED": 9, "_MOST_REPLACEMENTS": 3},
    "sync.channel_pace": {"SECONDS_A_CHANNEL": 3.25, "LONGEST_WAIT_SECONDS": 75, "_TRIES": 20},
    "sync.comment_claims": {"CLOCK_SKEW_SECONDS": 600},
    "sync.comment_reading": {
        "COMPARED_EVERY_SECONDS": 3600,
        "_OVERLAP_SECONDS": 120,
        "_SECONDS_A_CALL": 1.0,
        "_LEAST_WORK_SECONDS": 15,
        "_SLOW_SECONDS": 15,
    },
    "sync.comments": {"_LEFT_ALONE_SECONDS": 60},
    "sync.creator_offers": {"MOST": 5, "_NOTE_LENGTH": 600, "_NAME_LENGTH": 55},
    "sync.failures": {"_OUTAGE_SECONDS": 900},
    "sync.file_comments": {"_NAME_LENGTH": 255, "_FILE_EVENT_SECONDS": 120},
    "sync.file_from_slack": {"_MEGABYTE": 1048576, "_URL_SECONDS": 900},
    "sync.file_to_slack": {"_UNKNOWN_SECONDS": 120.0, "_TRIES_ON_CLOSED_CASE": 3},
    "sync.file_transfer": {
        "YOUNG_SECONDS": 600.0,
        "_LONGEST_TRANSFER_PAUSE": 14400.0,
        "_REPORTED_AFTER_TRANSFERS": 3,
        "_LAST_RECEIVE": 9,
        "_LONGEST_PAUSE_IN_QUEUE": 300.0,
        "_LONGEST_RETRY_PAUSE": 600.0,
    },
    "sync.files": {"TRANSFER_SECONDS": 240, "_RESERVE_SECONDS": 15},
    "sync.awaited": {"_HOUR": 3600},
    "sync.findings": {"COMMENT_LENGTH": 1000, "_TITLE_LENGTH": 300, "_PART_LENGTH": 2900},
    "sync.life_cycle": {"_HOUR": 3600, "_LINE_LENGTH": 400},
    "sync.members": {"TEAM_KEPT_SECONDS": 900, "LOOKED_UP_AGAIN_SECONDS": 86400, "_ADDRESS_LENGTH": 260},
    "sync.poll": {
        "PAGE_BUDGET": 10,
        "DEEP_CHECK_BUDGET": 10,
        "NEW_CASES_BUDGET": 20,
        "_TAGS_BUDGET": 100,
        "OTHERS_EVERY": 10,
        "_RESERVE_SECONDS": 30,
        "_INVENTED_SECONDS": 3600,
        "APPROVERS_EVERY_MINUTES": 15,
        "_DEPLOYMENT_SECONDS": 300,
    },
    "sync.posting": {"_CLOCK_SKEW_SECONDS": 60},
    "sync.queue": {
        "MAX_RECEIVE_COUNT": 20,
        "REPORTED_AT_RECEIVE_COUNT": 6,
        "_LONGEST_WAIT_SECONDS": 60.0,
        "VISIBILITY_SECONDS": 5400,
    },
    "sync.retention": {"_DAY_SECONDS": 86400, "NEVER": 32503680000.0},
    "sync.urgent_messages": {"_LINE_LENGTH": 400},
    "sync.slack_message": {"_EXCERPT_LENGTH": 80, "_NAME_LENGTH": 80},
    "sync.slack_to_case": {"_RESERVE_SECONDS": 10, "_PATIENT_TRIES": 3, "_SETTLED_EVERY_SECONDS": 60},
    "transfer": {"_THROTTLED_SECONDS": 5.0, "_ERROR_BYTES": 4096, "_SPOOLED_BYTES": 4194304},
    "webhook": {"BODY_LIMIT": 1000000},
    "workflow.accounts": {"_KEPT_SECONDS": 86400, "RECENT_SECONDS": 900},
    "workflow.actor_incidents": {"MOST_PRINCIPALS": 100, "_ASKS_WITHIN_SECONDS": 120, "_TRIES": 3},
    "workflow.alert_only": {"GROUP_SECONDS": 3600},
    "workflow.approval": {"_NOTES_LENGTH": 1000, "_NAME_LENGTH": 200, "_MOST_EVENTS": 1000000000},
    "workflow.approval_queue": {"_HIDDEN_SECONDS": 10, "_MOST_BATCHES": 20},
    "workflow.attempts": {"REPORT_SECONDS": 300, "_KEPT_SECONDS": 604800},
    "workflow.audit_export": {"_SETTLED_SECONDS": 600, "_MOST_DAYS": 7, "_KEPT_SECONDS": 34560000},
    "workflow.changes": {"_READ_BACK_TRIES": 8, "_PAUSE_SECONDS": 1.0, "_RESERVE_SECONDS": 25.0},
    "workflow.check_allowlist": {"_NEW_DAYS": 7},
    "workflow.continuing": {"_KEPT_SECONDS": 1209600},
    "workflow.details": {"_VALUES": 8, "_VALUE_LENGTH": 150, "_DETAILS": 16},
    "workflow.detections": {"_MOST_CHARACTERS_OF_A_RULE": 64},
    "workflow.event_claims": {"_KEPT_DAYS": 14},
    "workflow.event_not_believed": {"_LENGTH": 20},
    "workflow.examination": {"_ROLE_APPLIES_SECONDS": 10},
    "workflow.extract_event_context": {"_RETRIES": 3},
    "workflow.findings": {"_SIGNALS": 8},
    "workflow.iam": {"_LARGEST_PAGE": 1000},
    "workflow.immediate_containment": {
        "_PERMISSIONS_APPLY_SECONDS": 60,
        "_RESERVE_SECONDS": 12.0,
    },
    "workflow.inputs": {"_LONGEST": 1000},
    "workflow.intake": {"_CLAIMS_AT_ONCE": 99, "_ROUNDS": 4},
    "workflow.later_verifications": {"_SHORTEST_SECONDS": 3600.0, "_LONGEST_SECONDS": 86400.0, "_SHARE": 24},
    "workflow.left_behind": {"_RESERVE_SECONDS": 25.0, "_TRIED_SECONDS": 900.0, "_MOST": 12, "_LENGTH": 200},
    "workflow.member_checks": {"_SHOWN": 5},
    "workflow.members": {"_RESERVE_SECONDS": 30, "_KEPT_PROBLEMS": 200, "_DETAIL_LENGTH": 900},
    "workflow.missing_cases": {"_KEPT_SECONDS": 1209600},
    "workflow.not_contained": {
        "_OPENS_WITHIN_SECONDS": 60,
        "_MOST_COMMENTED": 10,
        "_MOST_KEPT": 1000,
        "_TRIES": 3,
    },
    "workflow.notices": {"_SUBJECT_LENGTH": 100},
    "workflow.open_case": {"_MOST_REPORTED": 10},
    "workflow.owners": {"_KEPT_SECONDS": 604800},
    "workflow.phase": {"_ABANDONED_SECONDS": 93600, "_STEPS_SECONDS": 1800},
    "workflow.reading": {"_USER_AGENT_LENGTH": 256},
    "workflow.reapplication": {"_READS": 3, "_PAUSE_SECONDS": 1.0},
    "workflow.rejections": {"_MESSAGE_LENGTH": 500},
    "workflow.remediation": {"_KEPT_SECONDS": 604800, "_RESERVE_SECONDS": 12.0},
    "workflow.report_failure": {"_CAUSE_LENGTH": 1500, "_RESERVE_SECONDS": 20.0},
    "workflow.request_approval": {"_NAME_LENGTH": 200, "_NOTES_LENGTH": 1000},
    "workflow.roles": {"_SHOWN": 10},
    "workflow.sessions": {"_SECONDS": 900, "_RENEWED_SECONDS": 300, "_NAME_LENGTH": 64},
    "workflow.third_parties": {"_MARGIN_SECONDS": 5.0},
    "workflow.stale_allowlist": {"_SHOWN": 20, "_AT_ONCE": 200, "_KEPT_SECONDS": 34560000},
    "workflow.verify_containment": {"_FIRST_SECONDS": 120, "_RESERVE_SECONDS": 25.0, "_STRIDE": 17},
    "workflow.witness_audit": {"_KEPT_SECONDS": 34560000},
    "workflow.wording": {"_VALUE_LENGTH": 300},
    "workflow.wording_decisions": {"_NAME_LENGTH": 80, "_MOST_CHANGES": 12},
    "workflow.wording_subjects": {"_NAMES_LENGTH": 45, "_ANALYST_LENGTH": 20},
    "workflow.wording_many": {"MOST_NAMED": 3, "_MOST_LISTED": 100, "_NAMED": 2},
}


@pytest.mark.parametrize("module", NUMBERS)
def test_given_the_numbers_of_a_module_when_read_then_they_are_those_that_others_rely_on(module: str) -> None:
    found = vars(importlib.import_module(f"ir_router.{module}"))

    assert {name: found.get(name) for name in NUMBERS[module]} == NUMBERS[module]


def test_given_the_modules_when_their_numbers_are_listed_then_none_is_missing_here() -> None:
    assert sorted(_listed()) == sorted((module, name) for module, names in NUMBERS.items() for name in names)


def _listed() -> Iterator[tuple[str, str]]:
    """Yield the numbers at the top level of the deployed package, each with its module."""
    for file in SOURCE.rglob("*.py"):
        module = ".".join(file.relative_to(SOURCE).with_suffix("").parts)
        names = [name for name in _assigned(file.read_text("utf-8")) if name.isupper()]
        found = vars(importlib.import_module(f"ir_router.{module}")) if names else {}
        for name in names:
            if isinstance(found[name], int | float) and not isinstance(found[name], bool):
                yield module, name


def _assigned(source: str) -> Iterator[str]:
    for statement in ast.parse(source).body:
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        for target in targets:
            for one in target.elts if isinstance(target, ast.Tuple) else [target]:
                if isinstance(one, ast.Name):
                    yield one.id
