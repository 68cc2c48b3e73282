"""Compare the functions' requests in scenarios with Terraform's grants: none is missing, none is unused.

AWS calls are compared with the roles, settings with the environments, and Slack's scopes with the manifest.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pytest

from ir_operator.project import PROJECT_ROOT
from ir_router.ops.slack_app import wanted_scopes
from tests.support.aws_calls import AwsCall
from tests.support.recording import RECORD_FILE
from tests.terraform.iam import allows, strings
from tests.terraform.root import OwnTests, Plan

# Scenario tests that show every call, and few of them: they run once more here. A permission that only other tests need
# shows as unused.
SCENARIOS = (
    "given_a_watcher_who_is_taken_off_when_synchronised_then_the_channel_is_notified",
    "given_a_watcher_when_updating_the_status_then_answer_case_channel_topic_and_comment_agree",
    "given_a_button_pressed_twice_when_both_presses_arrive_then_the_first_outcome_stays",
    "given_functions_that_have_just_started_when_a_command_is_typed_then_each_reads_what_it_needs_itself",
    "given_one_command_delivered_three_times_when_carried_out_then_it_is_once",
    "given_a_responder_when_the_form_is_submitted_then_the_case_is_opened_once_as_filled_in",
    "given_more_events_than_are_shown_when_asked_for_details_then_the_newest_ten_and_how_many_more",
    "given_a_lost_answer_when_the_decision_arrived_then_the_next_call_says_so",
    "given_a_user_group_of_approvers_when_a_member_presses_then_it_counts",
    "given_a_decision_that_was_not_delivered_when_polled_then_it_is_delivered_again",
    "given_allowlist_entries_when_listed_and_removed_then_both_kinds_show_and_only_added_ones_go",
    "given_entries_of_deleted_principals_when_a_day_passes_then_one_alert_names_them_once[None]",
    "given_many_repeated_and_allowlisted_events_when_they_arrive_then_one_execution_and_the_counts",
    "given_messages_that_fail_when_given_up_and_replayed_then_events_return_and_others_stay",
    "given_a_message_and_a_file_that_aws_refused_when_fixed_and_replayed_then_the_case_has_each_once",
    "given_a_previous_bot_token_when_verified_then_it_is_red_until_slack_refuses_it",
    "given_a_fresh_rotation_when_slack_still_signs_with_the_old_secret_then_until_when_that_works_is_said",
    "given_an_edit_and_a_deletion_when_they_arrive_then_the_comment_follows",
    "given_an_organisation_when_verified_then_the_rules_for_members_are_verified_too",
    "given_each_fault_of_a_member_when_checked_then_one_message_names_it_with_the_fix_and_its_end",
    "given_a_channel_whose_id_changes_when_both_sides_write_then_nothing_is_missed_or_doubled[True]",
    "given_another_bot_when_it_posts_then_the_variable_decides",
    "given_an_event_of_300_kb_when_the_schedule_or_a_replay_runs_then_it_is_contained_and_alerted[start_oversized]",
    "given_an_event_just_below_the_limit_when_a_state_fails_for_it_then_it_is_contained[261000-Evaluate Severity]",
    "given_detections_of_its_own_when_evaluated_and_verified_then_they_are_active",
    "given_a_notification_that_was_not_logged_when_replayed_then_it_is_on_the_bus_again",
    "given_a_person_in_closed_and_open_cases_when_forgotten_then_only_the_closed_ones_are_erased[slack id]",
    "given_the_command_line_when_the_creator_is_contained_twice_then_it_is_once_and_the_first_analyst_is_named",
    "given_an_alert_when_its_button_is_pressed_then_the_form_has_its_text_and_opens_the_case",
    "given_the_command_in_the_case_channel_when_submitted_then_the_reason_is_kept_and_the_user_released",
    "given_open_requests_when_an_approver_lists_them_anywhere_then_each_has_a_link_to_its_message",
    "given_cases_when_listed_then_each_shows_status_and_channel_only_to_those_who_may_see_it",
    "given_a_role_of_services_when_it_must_be_contained_then_an_analyst_permits_it_and_reads_what_stops",
    "given_credentials_of_every_kind_when_contained_then_the_case_lists_them_once",
    "given_aws_that_refuses_the_list_when_polled_then_the_channel_reads_it_within_a_minute_once_and_its_end",
    "given_an_execution_that_is_stopped_when_the_same_event_arrives_then_it_is_contained",
    "given_a_crash_at_a_call_when_continued_then_each_bookmark_is_there_once",
    "given_findings_of_aws_when_ten_minutes_pass_then_each_appears_once_and_its_rating_reaches_aws",
    "given_a_self_managed_case_when_escalated_then_aws_handles_it_after_a_confirmation",
    "given_a_role_when_contained_then_the_calls_of_its_sessions_are_shown",
    "given_a_session_in_a_member_when_three_minutes_pass_then_its_calls_there_are_shown",
    "given_an_event_data_store_when_read_then_data_events_and_other_regions_appear_too",
    "given_a_member_when_the_hub_has_the_store_of_the_organisation_then_it_serves_the_member_alone",
    "given_a_decided_case_when_no_activity_follows_for_the_hours_then_it_is_closed_with_the_reason",
    "given_a_bucket_when_days_end_then_each_day_is_one_locked_object_with_its_records_and_ends",
    "given_the_disabled_key_when_a_grave_event_arrives_then_it_is_contained_at_once_and_decided_later",
)

# Permissions that AWS's own services use on behalf of a function, so that no call of the function shows them.
USED_BY_AWS = {
    # Lambda's runtime writes the function's log.
    "WriteLogs",
    # Lambda stores an asynchronous event that failed permanently.
    "KeepFailures",
    # X-Ray's daemon runs beside the function.
    "SendTraces",
}
# Lambda's poller receives from the queue; the function itself only makes a message visible again.
TAKEN_BY_LAMBDA = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}
TAKEN_FROM = ("TakeEvents", "TakeFiles", "TakeSlackEvents")

# Settings without a Terraform value: Lambda sets the region, Slack's address has a default, and only tests shorten the
# lifetime of a claim. Terraform writes the lists into the ledger; a back-test and most scenarios set them here.
NOT_TOLD = {
    "region",
    "slack_api_base_url",
    "settle_seconds",
    "allowed_cidrs",
    "allowed_principals",
    "protected_principals",
}


def file_of(name: str) -> str:
    """Return the file with that scenario or attack."""
    function = f"def test_{name.partition('[')[0]}("
    files = [
        file for folder in ("scenarios", "attacks") for file in (PROJECT_ROOT / "tests" / folder).glob("test_*.py")
    ]
    found = [file for file in files if function in file.read_text("utf-8")]
    assert len(found) == 1, f"{name} is in {len(found)} files"
    return str(found[0].relative_to(PROJECT_ROOT))


@dataclass(frozen=True)
class Recorded:
    """Recorded permissions (`calls`), pairs of function and setting (`settings`), and scopes that Slack checked
    (`scopes`).
    """

    calls: frozenset[AwsCall]
    settings: frozenset[tuple[str, str]]
    scopes: frozenset[str]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """Record the scenarios. They run in a separate process, as in `make test`."""
    file = tmp_path_factory.mktemp("recorded") / "recorded.json"
    names = [f"{file_of(name)}::test_{name}" for name in SCENARIOS]
    options = ("-q", "-p", "tests.support.recording", "-p", "no:cacheprovider")
    answer = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *names],
        cwd=PROJECT_ROOT,
        env=os.environ | {RECORD_FILE: str(file), "PYTHONPATH": f"{PROJECT_ROOT / 'src'}{os.pathsep}{PROJECT_ROOT}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=1800,
    )
    assert answer.returncode == 0, answer.stdout[-4000:] + answer.stderr[-4000:]
    found = json.loads(file.read_text("utf-8"))
    return Recorded(
        frozenset(AwsCall(**call) for call in found["calls"]),
        frozenset((function, name) for function, name in found["settings"]),
        frozenset(found["scopes"]),
    )


@pytest.fixture(scope="module")
def calls(recorded: Recorded) -> frozenset[AwsCall]:
    """Return the recorded AWS calls."""
    return recorded.calls


@pytest.fixture(scope="module")
def granted_settings(own_tests: OwnTests) -> Mapping[str, set[str]]:
    """Return Terraform's settings by function."""
    found = {}
    for address, values in own_tests.applied.items():
        if address.startswith("aws_lambda_function."):
            names = values["environment"][0]["variables"]
            found[address.partition('["')[2].rstrip('"]')] = {
                name.removeprefix("IR_").lower() for name in names if name.startswith("IR_")
            }
    return found


def all_roles(plan: Plan) -> dict[str, list[dict[str, object]]]:
    """Return the statements of the functions' roles, and of the role that `-workflow` assumes."""
    return {**plan.role_policies(), "containment": plan.containment_policy()}


def rights(statements: Sequence[Mapping[str, object]]) -> Iterator[tuple[str, str, str, Mapping[str, object]]]:
    """Yield each action on each resource that a role allows, with the statement's id and a policy of
    that grant alone.
    """
    for statement in statements:
        if statement["Effect"] == "Allow":
            for action in strings(statement["Action"]):  # type: ignore[arg-type]
                for resource in strings(statement["Resource"]):  # type: ignore[arg-type]
                    yield str(statement["Sid"]), action, resource, {**statement, "Action": action, "Resource": resource}


def test_given_the_scenarios_when_functions_call_aws_then_their_roles_allow_it(
    enforcing: Plan, calls: frozenset[AwsCall]
):
    keys = enforcing.role_policies("function_key")
    roles = {role: [*statements, *keys.get(role, [])] for role, statements in all_roles(enforcing).items()}

    assert {call.deployment for call in calls} == set(roles)
    refused = {call for call in calls if not allows(roles[call.deployment], call.action, call.resource, **call.context)}
    assert refused == set()


def test_given_what_roles_allow_when_the_scenarios_have_run_then_each_right_was_used(
    enforcing: Plan, calls: frozenset[AwsCall]
):
    unused = {
        (role, sid, action, resource)
        for role, statements in all_roles(enforcing).items()
        for sid, action, resource, alone in rights(statements)
        if not (sid in USED_BY_AWS or (sid in TAKEN_FROM and action in TAKEN_BY_LAMBDA))
        and not any(
            call.deployment == role and allows([alone], call.action, call.resource, **call.context) for call in calls
        )
    }

    assert unused == set()


def test_given_the_encryption_key_when_functions_call_aws_then_they_may_use_it_through_those_services_and_no_other(
    enforcing: Plan, calls: frozenset[AwsCall]
):
    encrypted = ("dynamodb", "sns", "sqs", "ssm")
    # Lambda itself receives from these functions' queues, and writes failed events to the failures queue.
    by_lambda = {role: {"sqs"} for role in ("slack", "sync", "operations", "approval-handler")}

    for role, statements in enforcing.role_policies("function_key").items():
        used = {call.action.partition(":")[0] for call in calls if call.deployment == role and not _describes(call)}
        services = {service for service in encrypted if service in used} | by_lambda.get(role, set())
        allowed = {
            service
            for service in encrypted
            for statement in statements
            if f"{service}.us-east-1.amazonaws.com" in json.dumps(statement.get("Condition", {}))
        }
        assert allowed == services, role


def test_given_the_settings_that_functions_read_when_deployed_then_each_function_is_given_them(
    recorded: Recorded, granted_settings: Mapping[str, set[str]]
):
    missing = {(function, name) for function, name in recorded.settings if name not in granted_settings[function]}

    assert {name for _, name in recorded.settings} > {"table_name", "previous_signing_secret_hours"}
    assert {(function, name) for function, name in missing if name not in NOT_TOLD} == set()


def test_given_the_settings_that_functions_are_given_when_the_scenarios_have_run_then_each_was_read(
    recorded: Recorded, granted_settings: Mapping[str, set[str]]
):
    unread = {
        (function, name)
        for function, names in granted_settings.items()
        for name in names
        if (function, name) not in recorded.settings
    }

    # A function publishes metrics for its own deployment only.
    assert {(function, name) for function, name in unread if name != "name_prefix"} == set()


def test_given_the_scopes_of_the_manifest_when_the_scenarios_have_run_then_each_was_needed(recorded: Recorded):
    # Slack sends the command only to an app that has its scope; no method checks it.
    assert recorded.scopes | {"commands"} == set(wanted_scopes())


def _describes(call: AwsCall) -> bool:
    """Return whether the action reads a resource's configuration and nothing that is encrypted."""
    return call.action in ("sns:GetTopicAttributes", "sns:ListSubscriptionsByTopic", "dynamodb:DescribeTable")
