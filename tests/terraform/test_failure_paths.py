"""Every asynchronous step retries, gives up in time, and stores the failed item."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

from ir_operator.project import PROJECT_ROOT
from ir_router.workflow.detections import is_direct
from tests.terraform.iam import allows
from tests.terraform.root import ACCOUNT, OwnTests, Plan

FAILURES = f"arn:aws:sqs:us-east-1:{ACCOUNT}:security-incident-failures"


def configured(plan: Plan, kind: str) -> list[dict[str, Any]]:
    """Return the configuration of a resource type, with the references that a plan does not resolve."""
    return [
        resource for resource in plan.content["configuration"]["root_module"]["resources"] if resource["type"] == kind
    ]


def test_given_each_event_target_when_planned_then_it_has_retries_a_maximum_age_and_a_dead_letter_queue(
    enforcing: Plan,
):
    targets = enforcing.resources("aws_cloudwatch_event_target")
    assert len(targets) >= 6

    for address, target in targets.items():
        (retry,) = target["retry_policy"]
        assert retry["maximum_retry_attempts"] >= 1, address
        assert 60 <= retry["maximum_event_age_in_seconds"] <= 86400, address
    for target in configured(enforcing, "aws_cloudwatch_event_target"):
        (dead_letters,) = target["expressions"]["dead_letter_config"]
        assert any("failures" in reference for reference in dead_letters["arn"]["references"]), target["address"]


def test_given_each_rule_that_delivers_when_planned_then_the_dead_letter_queue_takes_from_it(enforcing: Plan):
    policy = json.loads(enforcing.resources("aws_sqs_queue")["aws_sqs_queue.failures"]["policy"])["Statement"]

    rules = {
        f"arn:aws:events:us-east-1:{ACCOUNT}:rule/"
        + (f"{values['event_bus_name']}/" if values["event_bus_name"] != "default" else "")
        + values["name"]
        for values in enforcing.resources("aws_cloudwatch_event_rule").values()
    }
    assert len(rules) >= 6
    for rule in rules:
        assert allows(policy, "sqs:SendMessage", FAILURES, aws_SourceArn=rule), rule
    assert not allows(
        policy, "sqs:SendMessage", FAILURES, aws_SourceArn=f"arn:aws:events:us-east-1:{ACCOUNT}:rule/other"
    )


def test_given_each_function_that_is_invoked_without_waiting_when_planned_then_its_failures_are_kept(enforcing: Plan):
    (invocation,) = configured(enforcing, "aws_lambda_function_event_invoke_config")
    (destination,) = invocation["expressions"]["destination_config"]
    assert "aws_sqs_queue.failures" in str(destination)

    configurations = enforcing.resources("aws_lambda_function_event_invoke_config")
    functions = {address.partition('["')[2].rstrip('"]') for address in configurations}
    assert functions == {"slack", "sync", "operations", "approval-handler"}
    for function, policy in enforcing.role_policies().items():
        assert allows(policy, "sqs:SendMessage", FAILURES) == (function in functions), function
    for values in configurations.values():
        assert values["maximum_retry_attempts"] == 2
        assert 60 <= values["maximum_event_age_in_seconds"] <= 21600


def test_given_each_queue_that_a_function_reads_when_planned_then_it_outlasts_the_function_and_has_dead_letters(
    enforcing: Plan,
):
    queues = enforcing.resources("aws_sqs_queue")
    functions = enforcing.resources("aws_lambda_function")

    for queue, function in (("slack_events", "slack"), ("files", "sync")):
        values = queues[f"aws_sqs_queue.{queue}"]
        timeout = functions[f'aws_lambda_function.this["{function}"]']["timeout"]
        assert values["visibility_timeout_seconds"] >= 6 * timeout
        assert values["fifo_queue"]
        assert queues[f"aws_sqs_queue.{queue}_dlq"]["fifo_queue"]
        assert queues[f"aws_sqs_queue.{queue}_dlq"]["message_retention_seconds"] == 14 * 86400
    redriven = {resource["name"] for resource in configured(enforcing, "aws_sqs_queue_redrive_policy")}
    assert redriven == {"slack_events", "files", "intake"}
    assert queues["aws_sqs_queue.intake"]["visibility_timeout_seconds"] >= 6 * 60
    for mapping in enforcing.resources("aws_lambda_event_source_mapping").values():
        assert mapping["function_response_types"] == ["ReportBatchItemFailures"]


def test_given_the_intake_when_planned_then_only_the_rules_of_detections_may_send_and_medium_and_low_ones_do(
    enforcing: Plan,
):
    queue = enforcing.resources("aws_sqs_queue")["aws_sqs_queue.intake"]
    (allowed,) = (one for one in json.loads(queue["policy"])["Statement"] if one["Effect"] == "Allow")
    source, members = allowed["Condition"]["ArnLike"]["aws:SourceArn"]
    assert (allowed["Principal"], allowed["Action"]) == ({"Service": "events.amazonaws.com"}, "sqs:SendMessage")
    assert source.endswith(":rule/security-incident-detect-*")
    assert members.endswith(":rule/security-incident-detections/security-incident-detect-*")

    targets = enforcing.resources("aws_cloudwatch_event_target", "detection")
    # The role of the workflow's rules is known after the apply only. A queue needs no role.
    direct = {address.partition('["')[2].rstrip('"]') for address, one in targets.items() if "role_arn" not in one}
    known = json.loads((PROJECT_ROOT / "src/ir_router/workflow/detections.json").read_text("utf-8"))["detections"]
    assert direct == {one["id"] for one in known if is_direct(one["severity"], tampering=one.get("tampering", False))}


def test_given_the_approval_queue_when_planned_then_its_messages_outlive_the_decision(enforcing: Plan):
    queue = enforcing.resources("aws_sqs_queue")["aws_sqs_queue.approval"]

    assert queue["name"] == "security-incident-approval"
    assert queue["message_retention_seconds"] == 4 * 86400


def test_given_the_failures_queue_when_something_waits_in_it_then_an_alarm_says_so(enforcing: Plan):
    alarms = enforcing.resources("aws_cloudwatch_metric_alarm").values()
    watched = {
        alarm["dimensions"]["QueueName"]
        for alarm in alarms
        if alarm["metric_name"] == "ApproximateNumberOfMessagesVisible" and alarm["threshold"] == 0
    }

    # The hourly verification reports the other dead letters.
    assert watched == {"security-incident-failures"}


def test_given_each_alarm_when_read_then_it_says_what_it_means_and_notifies_someone(enforcing: Plan):
    alarms = enforcing.resources("aws_cloudwatch_metric_alarm")
    assert len(alarms) >= 20

    for address, alarm in alarms.items():
        assert len(alarm["alarm_description"]) > 40, address
    topics = {
        alarm["name"]: str(alarm["expressions"]["alarm_actions"])
        for alarm in configured(enforcing, "aws_cloudwatch_metric_alarm")
    }
    assert "aws_sns_topic.alerts" in topics["this"]
    assert "aws_sns_topic.alarms" in topics["this"]
    assert "aws_sns_topic.forwarding_alarms" in topics["forwarding_failures"]
    assert len(topics) == 2


def test_given_a_measurement_when_emitted_then_with_the_one_dimension_that_alarms_look_at(own_tests: OwnTests):
    alarms = [
        values
        for address, values in own_tests.applied.items()
        if address.startswith("aws_cloudwatch_metric_alarm.") and values["namespace"] == "ir-router"
    ]
    assert len(alarms) >= 5
    (environment,) = own_tests.applied['aws_lambda_function.this["sync"]']["environment"]

    printed = subprocess.run(
        [sys.executable, "-c", "from ir_router.observability import measure; measure('PollFailed')"],
        env={"PYTHONPATH": str(PROJECT_ROOT / "src"), **environment["variables"]},
        capture_output=True,
        text=True,
        check=True,
    )

    line = json.loads(printed.stdout)
    (described,) = line["_aws"]["CloudWatchMetrics"]
    assert described["Namespace"] == "ir-router"
    ((name,),) = described["Dimensions"]
    for alarm in alarms:
        assert alarm["dimensions"] == {name: line[name]}, alarm["alarm_name"]


def test_given_the_code_when_it_measures_then_the_name_is_among_those_that_terraform_lists():
    listed = set(re.findall(r"^#   (\w+) ", (PROJECT_ROOT / "terraform" / "alarms.tf").read_text(), re.MULTILINE))
    sources = sorted((PROJECT_ROOT / "src" / "ir_router").rglob("*.py"))
    measured = {name for source in sources for name in re.findall(r'\bmeasure\(\s*"(\w+)"', source.read_text())}

    assert "PollFailed" in measured
    assert measured - listed == set()


def test_given_logs_of_any_kind_when_planned_then_each_group_has_a_retention_and_the_key(enforcing: Plan):
    groups = enforcing.resources("aws_cloudwatch_log_group")
    assert len(groups) == 9

    for address, group in groups.items():
        expected = 7 if address == "aws_cloudwatch_log_group.access[0]" else 400
        assert group["retention_in_days"] == expected, address
        assert group["kms_key_id"], address
