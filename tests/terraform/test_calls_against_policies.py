"""What the functions ask for while scenarios run, held against what Terraform gives them: none missing, none unused.

Calls to AWS against the roles, settings against the environments, Slack's scopes against the manifest.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pytest

from ir_local.build.project import PROJECT_ROOT
from ir_router.ops.slack_app import wanted_scopes
from tests.support.aws_calls import AwsCall
from tests.support.recording import RECORD_FILE
from tests.terraform.iam import allows, strings
from tests.terraform.root import OwnTests, Plan

# Enough of the scenario tests to see every call; a right whose last user is not among them shows as unused.
SCENARIOS = (
    "given_public_channels_when_a_case_is_new_then_everybody_finds_its_channel",
    "given_a_watcher_who_is_taken_off_when_synchronised_then_the_channel_is_told",
    "given_a_watcher_when_updating_the_status_then_answer_case_channel_topic_and_comment_agree",
    "given_a_button_pressed_twice_when_both_presses_arrive_then_the_first_outcome_stays",
    "given_functions_that_have_just_started_when_a_command_is_typed_then_each_reads_what_it_needs_itself",
    "given_one_command_delivered_three_times_when_carried_out_then_it_is_once",
    "given_a_responder_when_the_form_is_submitted_then_the_case_is_opened_once_as_filled_in",
    "given_a_refusal_by_aws_when_the_form_was_submitted_then_what_was_typed_is_given_back",
    "given_more_events_than_are_shown_when_asked_for_details_then_the_newest_ten_and_how_many_more",
    "given_a_lost_answer_when_the_decision_arrived_then_the_next_call_says_so",
    "given_a_bad_token_when_deciding_then_nothing_is_decided_and_the_answer_says_where_tokens_are[AQC-not-a-token]",
    "given_a_user_group_of_approvers_when_a_member_presses_then_it_counts",
    "given_configured_approvers_when_somebody_of_the_response_team_presses_then_they_are_refused",
    "given_a_decision_that_was_not_delivered_when_polled_then_it_is_delivered_again",
    "given_nobody_answers_when_hours_pass_then_each_reminder_comes_once_and_at_last_the_end",
    "given_allowlist_entries_when_listed_and_removed_then_both_kinds_show_and_only_added_ones_go",
    "given_no_audit_when_verified_then_it_is_whole",
    "given_reconnaissance_when_it_repeats_then_one_alert_and_the_count_after_an_hour",
    "given_a_grave_finding_about_a_role_when_denied_then_the_denial_is_lifted",
    "given_exposed_keys_of_two_users_when_told_by_aws_health_then_both_are_contained_and_asked_about",
    "given_a_message_and_a_file_that_aws_refused_when_mended_and_replayed_then_the_case_has_each_once",
    "given_a_detection_that_did_not_start_the_workflow_when_replayed_twice_then_it_starts_once",
    "given_failed_work_when_replayed_then_it_is_named_by_ids_and_never_by_its_content",
    "given_no_such_case_when_resynced_then_it_says_so_and_leaves_nothing",
    "given_a_trail_of_writes_only_when_verified_then_reads_are_said_to_be_missed",
    "given_a_fresh_rotation_when_slack_still_signs_with_the_old_secret_then_until_when_that_works_is_said",
    "given_an_attachment_when_it_is_verified_then_the_channel_has_the_file_once",
    "given_an_edit_and_a_deletion_when_they_arrive_then_the_comment_follows",
    "given_another_bot_when_it_posts_then_the_variable_decides",
)

# Rights that AWS's own services use in a function's name, so that no call of the function shows them.
USED_BY_AWS = {
    # Lambda's runtime writes the function's log.
    "WriteLogs",
    # Lambda keeps an asynchronous event that the function gave up on.
    "KeepFailures",
    # X-Ray's daemon beside the function.
    "SendTraces",
}
# Lambda's poller takes from the queue; the function itself only makes a message visible again.
TAKEN_BY_LAMBDA = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}
TAKEN_FROM = ("TakeSlackEvents", "TakeFiles")

# Settings that are nobody's to give: Lambda says the region, Slack's address is its own, and a claim's time to settle
# is shortened by tests only.
NOT_TOLD = {"region", "slack_api_base_url", "settle_seconds"}


def file_of(name: str) -> str:
    """The file with that scenario test."""
    function = f"def test_{name.partition('[')[0]}("
    found = [
        file for file in (PROJECT_ROOT / "tests" / "scenarios").glob("test_*.py") if function in file.read_text("utf-8")
    ]
    assert len(found) == 1, f"{name} is in {len(found)} files"
    return str(found[0].relative_to(PROJECT_ROOT))


@dataclass(frozen=True)
class Recorded:
    """`calls`: each right once. `settings`: (function, setting). `scopes`: those that a method of Slack looked for."""

    calls: frozenset[AwsCall]
    settings: frozenset[tuple[str, str]]
    scopes: frozenset[str]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """What the scenarios asked for. They run in a process of their own, as `make test` runs them."""
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
        timeout=500,
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
    """What was asked of AWS."""
    return recorded.calls


@pytest.fixture(scope="module")
def told(own_tests: OwnTests) -> Mapping[str, set[str]]:
    """The settings that Terraform gives, by function."""
    found = {}
    for address, values in own_tests.applied.items():
        if address.startswith("aws_lambda_function."):
            names = values["environment"][0]["variables"]
            found[address.partition('["')[2].rstrip('"]')] = {
                name.removeprefix("IR_").lower() for name in names if name.startswith("IR_")
            }
    return found


def rights(statements: Sequence[Mapping[str, object]]) -> Iterator[tuple[str, str, str, Mapping[str, object]]]:
    """Each action on each resource that a role is allowed, with the statement's id and a policy of that alone."""
    for statement in statements:
        if statement["Effect"] == "Allow":
            for action in strings(statement["Action"]):  # type: ignore[arg-type]
                for resource in strings(statement["Resource"]):  # type: ignore[arg-type]
                    yield str(statement["Sid"]), action, resource, {**statement, "Action": action, "Resource": resource}


def test_given_the_scenarios_when_functions_call_aws_then_their_roles_allow_it(
    enforcing: Plan, calls: frozenset[AwsCall]
):
    roles = enforcing.role_policies()

    assert {call.deployment for call in calls} == set(roles)
    refused = {call for call in calls if not allows(roles[call.deployment], call.action, call.resource, **call.context)}
    assert refused == set()


def test_given_what_roles_allow_when_the_scenarios_have_run_then_each_right_was_used(
    enforcing: Plan, calls: frozenset[AwsCall]
):
    unused = {
        (role, sid, action, resource)
        for role, statements in enforcing.role_policies().items()
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
    # Lambda itself takes from these functions' queues, and puts into the failures queue what they gave up on.
    by_lambda = {role: {"sqs"} for role in ("slack", "sync", "approval-handler")}

    for role, statements in enforcing.role_policies("function_key").items():
        used = {call.action.partition(":")[0] for call in calls if call.deployment == role and not _describes(call)}
        services = {service for service in encrypted if service in used} | by_lambda.get(role, set())
        allowed = {
            service
            for service in encrypted
            for statement in statements
            if f"{service}.us-east-1.amazonaws.com" in json.dumps(statement["Condition"])
        }
        assert allowed == services, role


def test_given_the_settings_that_functions_read_when_deployed_then_each_function_is_told_them(
    recorded: Recorded, told: Mapping[str, set[str]]
):
    missing = {(function, name) for function, name in recorded.settings if name not in told[function]}

    assert {name for _, name in recorded.settings} > {"table_name", "previous_signing_secret_hours"}
    assert {(function, name) for function, name in missing if name not in NOT_TOLD} == set()


def test_given_the_settings_that_functions_are_told_when_the_scenarios_have_run_then_each_was_read(
    recorded: Recorded, told: Mapping[str, set[str]]
):
    unread = {
        (function, name)
        for function, names in told.items()
        for name in names
        if (function, name) not in recorded.settings
    }

    # Whatever a function measures, it measures for its deployment.
    assert {(function, name) for function, name in unread if name != "name_prefix"} == set()


def test_given_the_scopes_of_the_manifest_when_the_scenarios_have_run_then_each_was_needed(recorded: Recorded):
    # Slack sends the command only to an app that has its scope; no method looks for it.
    assert recorded.scopes | {"commands"} == set(wanted_scopes())


def _describes(call: AwsCall) -> bool:
    """Whether it reads how a resource is made, and nothing that is encrypted."""
    return call.action in ("sns:GetTopicAttributes", "sns:ListSubscriptionsByTopic", "dynamodb:DescribeTable")
