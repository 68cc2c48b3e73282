"""Compare everything that the plan shows with AWS's documented limits, at the extremes of the variables.

Each limit has the page of its source. A value that only AWS knows (the URL of a queue) counts with its longest form.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from typing import Any

import pytest

from tests.terraform.extremes import EXTREME, PREFIX, REGION
from tests.terraform.root import ACCOUNT, OwnTests, Plan, TerraformRoot


@pytest.fixture(scope="module")
def extreme(root: TerraformRoot) -> Plan:
    """Return the plan of a deployment with the longest values."""
    return root.plan(**EXTREME)


@pytest.fixture(params=["extreme", "enforcing", "dry_run"])
def plan(request: pytest.FixtureRequest) -> Plan:
    """Return each of the plans."""
    found: Plan = request.getfixturevalue(request.param)
    return found


def test_given_the_longest_values_when_planned_then_they_are_as_long_as_the_variables_accept():
    assert len(PREFIX) == 28
    assert 670 <= len(json.dumps(EXTREME["slack_approvers"], separators=(",", ":"))) <= 700
    assert len(json.dumps(EXTREME["extra_environment"], separators=(",", ":"))) == 500


NAMES = {
    # docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html
    ("aws_lambda_function", "function_name"): 64,
    ("aws_lambda_function", "description"): 256,
    # docs.aws.amazon.com/lambda/latest/api/API_AddPermission.html
    ("aws_lambda_permission", "statement_id"): 100,
    # docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    ("aws_iam_role", "name"): 64,
    ("aws_iam_role", "description"): 1000,
    ("aws_iam_role", "assume_role_policy"): 2048,
    ("aws_iam_role_policy", "name"): 128,
    ("aws_iam_policy", "name"): 128,
    ("aws_iam_policy", "description"): 1000,
    # docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html
    ("aws_sqs_queue", "name"): 80,
    # docs.aws.amazon.com/sns/latest/api/API_CreateTopic.html
    ("aws_sns_topic", "name"): 256,
    # docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html
    ("aws_cloudwatch_event_rule", "name"): 64,
    ("aws_cloudwatch_event_rule", "description"): 512,
    # docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html (event pattern size)
    ("aws_cloudwatch_event_rule", "event_pattern"): 2048,
    # docs.aws.amazon.com/eventbridge/latest/APIReference/API_CreateEventBus.html
    ("aws_cloudwatch_event_bus", "name"): 256,
    # docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html
    ("aws_cloudwatch_event_bus_policy", "policy"): 10_240,
    # docs.aws.amazon.com/eventbridge/latest/APIReference/API_Target.html
    ("aws_cloudwatch_event_target", "target_id"): 64,
    ("aws_cloudwatch_event_target", "input"): 8192,
    # docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html
    ("aws_dynamodb_table", "name"): 255,
    ("aws_dynamodb_table_item", "item"): 400 * 1024,
    # docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
    ("aws_sfn_state_machine", "name"): 80,
    ("aws_sfn_state_machine", "definition"): 1024 * 1024,
    # docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html
    ("aws_cloudwatch_log_group", "name"): 512,
    # docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutResourcePolicy.html
    ("aws_cloudwatch_log_resource_policy", "policy_document"): 5120,
    # docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
    ("aws_cloudwatch_metric_alarm", "alarm_name"): 255,
    ("aws_cloudwatch_metric_alarm", "alarm_description"): 1024,
    # docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutDashboard.html
    ("aws_cloudwatch_dashboard", "dashboard_name"): 255,
    # docs.aws.amazon.com/kms/latest/developerguide/resource-limits.html; .../latest/APIReference/API_CreateKey.html
    ("aws_kms_key", "policy"): 32 * 1024,
    ("aws_kms_key", "description"): 8192,
    # docs.aws.amazon.com/kms/latest/APIReference/API_CreateAlias.html
    ("aws_kms_alias", "name"): 256,
    # docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html (the ARN has at most 1,011)
    ("aws_ssm_parameter", "name"): 1011 - len(f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter"),
    ("aws_ssm_parameter", "description"): 1024,
    ("aws_ssm_parameter", "insecure_value"): 4096,
    # docs.aws.amazon.com/apigateway/latest/api/API_CreateStage.html
    ("aws_api_gateway_stage", "stage_name"): 128,
    # docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html
    ("aws_api_gateway_model", "schema"): 400 * 1024,
}
"""The most characters of an attribute, by type of resource."""


@pytest.mark.parametrize(("kind", "attribute"), NAMES, ids=[f"{kind}.{attribute}" for kind, attribute in NAMES])
def test_given_a_text_when_planned_then_it_is_not_longer_than_aws_allows(plan: Plan, kind: str, attribute: str):
    for address, values in plan.resources(kind).items():
        assert len((values.get(attribute) or "").encode()) <= NAMES[kind, attribute], address


FORMS = {
    # The pages of NAMES. Characters that AWS refuses would show only at the apply.
    ("aws_lambda_function", "function_name"): r"[a-zA-Z0-9_-]+",
    ("aws_lambda_permission", "statement_id"): r"[a-zA-Z0-9_-]+",
    # docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html
    ("aws_iam_role", "name"): r"[\w+=,.@-]+",
    ("aws_iam_role", "description"): "[\t\n\r\x20-\x7e\xa1-\xff]*",
    ("aws_iam_policy", "name"): r"[\w+=,.@-]+",
    ("aws_iam_role_policy", "name"): r"[\w+=,.@-]+",
    ("aws_sqs_queue", "name"): r"[a-zA-Z0-9_-]+(\.fifo)?",
    ("aws_sns_topic", "name"): r"[a-zA-Z0-9_-]+",
    ("aws_cloudwatch_event_rule", "name"): r"[.\-_A-Za-z0-9]+",
    # docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html: at least a minute.
    ("aws_cloudwatch_event_rule", "schedule_expression"): r"rate\((1 minute|[2-9] minutes|\d\d+ minutes)\)",
    ("aws_cloudwatch_event_bus", "name"): r"[/.\-_A-Za-z0-9]+",
    ("aws_cloudwatch_event_target", "target_id"): r"[.\-_A-Za-z0-9]+",
    # docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html
    ("aws_dynamodb_table", "name"): r"[a-zA-Z0-9_.-]{3,}",
    # docs.aws.amazon.com/step-functions/latest/apireference/API_CreateStateMachine.html: others get no metrics.
    ("aws_sfn_state_machine", "name"): r"[a-zA-Z0-9_-]+",
    ("aws_cloudwatch_dashboard", "dashboard_name"): r"[a-zA-Z0-9_-]+",
    ("aws_kms_alias", "name"): r"alias/(?!aws/)[a-zA-Z0-9/_-]+",
    # At most 15 levels, and not the names of AWS and of the service.
    ("aws_ssm_parameter", "name"): r"(?!/?([Aa][Ww][Ss]|[Ss][Ss][Mm]))(/[a-zA-Z0-9_.-]+){1,15}",
    ("aws_api_gateway_stage", "stage_name"): r"[a-zA-Z0-9_-]+",
    # docs.aws.amazon.com/apigateway/latest/developerguide/models-mappings-models.html
    ("aws_api_gateway_model", "name"): r"[a-zA-Z0-9]+",
}
"""The form of an attribute, by type of resource."""


@pytest.mark.parametrize(("kind", "attribute"), FORMS, ids=[f"{kind}.{attribute}" for kind, attribute in FORMS])
def test_given_a_name_when_planned_then_it_has_only_characters_that_aws_takes(plan: Plan, kind: str, attribute: str):
    for address, values in plan.resources(kind).items():
        assert not (value := values.get(attribute)) or re.fullmatch(FORMS[kind, attribute], value), address


RANGES = {
    # docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
    ("aws_lambda_function", "timeout"): (1, 900),
    ("aws_lambda_function", "memory_size"): (128, 10_240),
    # docs.aws.amazon.com/lambda/latest/api/API_PutFunctionEventInvokeConfig.html
    ("aws_lambda_function_event_invoke_config", "maximum_event_age_in_seconds"): (60, 21_600),
    ("aws_lambda_function_event_invoke_config", "maximum_retry_attempts"): (0, 2),
    # docs.aws.amazon.com/lambda/latest/dg/services-sqs-parameters.html. A FIFO queue allows 10.
    ("aws_lambda_event_source_mapping", "batch_size"): (1, 10_000),
    # docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html
    ("aws_sqs_queue", "visibility_timeout_seconds"): (0, 43_200),
    ("aws_sqs_queue", "message_retention_seconds"): (60, 1_209_600),
    # docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html
    ("aws_api_gateway_integration", "timeout_milliseconds"): (50, 29_000),
    # docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html: an account keeps 100 unreserved, and a new
    # account may have no more in all. Therefore no function reserves concurrency (-1).
    ("aws_lambda_function", "reserved_concurrent_executions"): (-1, -1),
    # docs.aws.amazon.com/kms/latest/APIReference/API_ScheduleKeyDeletion.html
    ("aws_kms_key", "deletion_window_in_days"): (7, 30),
    # docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
    ("aws_cloudwatch_metric_alarm", "period"): (10, 604_800),
    ("aws_cloudwatch_metric_alarm", "evaluation_periods"): (1, 8640),
}
"""The least and the most value of an attribute, by type of resource."""


@pytest.mark.parametrize(("kind", "attribute"), RANGES, ids=[f"{kind}.{attribute}" for kind, attribute in RANGES])
def test_given_a_number_when_planned_then_it_is_in_the_range_of_aws(plan: Plan, kind: str, attribute: str):
    least, most = RANGES[kind, attribute]
    for address, values in plan.resources(kind).items():
        number = values.get(attribute)
        assert number is None or least <= number <= most, address


def test_given_roles_when_planned_then_their_policies_fit_into_the_quotas_of_iam(plan: Plan):
    """docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html; white space does not count."""
    inline: Counter[str] = Counter()
    for values in plan.resources("aws_iam_role_policy").values():
        # The policy of a new key is unknown before the apply. The other plans have a key.
        inline[values["role"]] += len("".join(values.get("policy", "").split()))
    attached = Counter(values["role"] for values in plan.resources("aws_iam_role_policy_attachment").values())

    assert max(inline.values()) <= 10_240, inline
    assert max(attached.values(), default=0) <= 10
    for address, values in plan.resources("aws_iam_policy").items():
        assert len("".join(values.get("policy", "").split())) <= 6144, address


def test_given_functions_when_applied_then_their_environment_fits_and_has_no_reserved_name(own_tests: OwnTests):
    """docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html and .../configuration-envvars.html.

    A plan does not show the environments, because they contain the URLs of queues. Each function has a precondition
    with the same limit, and terraform/tests/extreme.tftest.hcl applies the longest values.
    """
    functions = {
        address: values for address, values in own_tests.applied.items() if "aws_lambda_function.this" in address
    }
    assert len(functions) == 6
    for address, values in functions.items():
        variables = values["environment"][0]["variables"]
        assert sum(len(f"{name}{value}".encode()) for name, value in variables.items()) <= 4096, address
        assert not [name for name in variables if name.startswith(("AWS_", "LAMBDA_", "_"))], address
        assert all(re.fullmatch(r"[a-zA-Z][a-zA-Z0-9_]+", name) for name in variables), address


def test_given_rules_when_planned_then_their_targets_and_retries_are_within_the_limits(plan: Plan):
    """docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html and .../APIReference/API_RetryPolicy.html."""
    targets: Counter[tuple[Any, ...]] = Counter()
    for address, values in plan.resources("aws_cloudwatch_event_target").items():
        targets[values["rule"], values["event_bus_name"], "forwarded" in address] += 1
        for policy in values["retry_policy"]:
            assert 60 <= policy["maximum_event_age_in_seconds"] <= 86_400
            assert 0 <= policy["maximum_retry_attempts"] <= 185
        # github.com/aws/aws-cdk/issues/28735: a target that is an event bus takes no retry policy.
        assert not (":event-bus/" in values.get("arn", "") and values["retry_policy"]), address
    assert max(targets.values()) <= 5
    buses = Counter(
        (values["event_bus_name"], "forwarded" in address)
        for address, values in plan.resources("aws_cloudwatch_event_rule").items()
    )
    assert max(buses.values()) <= 100  # the smallest default of a region per bus


RETENTIONS = {
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
}  # fmt: skip


def test_given_log_groups_when_planned_then_their_names_are_those_that_aws_writes_to(plan: Plan):
    """Check the characters (docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html).

    EventBridge writes only below /aws/events/ (docs.aws.amazon.com/eventbridge/latest/userguide/eb-targets.html), and
    Step Functions best below /aws/vendedlogs/ (docs.aws.amazon.com/step-functions/latest/dg/bp-cwl.html).
    """
    folders = ("/aws/lambda/", "/aws/events/", "/aws/vendedlogs/states/", "/aws/apigateway/")
    for values in plan.resources("aws_cloudwatch_log_group").values():
        assert re.fullmatch(r"[.\-_/#A-Za-z0-9]+", values["name"])
        assert values["name"].startswith(folders)
        # docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
        assert values["retention_in_days"] in RETENTIONS, values["name"]
    # docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html: 10 per region, not adjustable.
    assert len(plan.resources("aws_cloudwatch_log_resource_policy")) == 1


def test_given_alarms_when_planned_then_counts_are_within_the_limits(plan: Plan):
    """docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html and API_PutDashboard.html."""
    for address, values in plan.resources("aws_cloudwatch_metric_alarm").items():
        assert len(values["dimensions"] or {}) <= 30, address
        # An evaluation of at most one day, or seven with periods of an hour and more.
        seconds = (values["period"] or 60) * values["evaluation_periods"]
        assert seconds <= (7 * 86_400 if (values["period"] or 60) >= 3600 else 86_400), address
    for values in plan.resources("aws_cloudwatch_dashboard").values():
        widgets = json.loads(values["dashboard_body"])["widgets"]
        assert len(widgets) <= 500
        assert all(len(widget["properties"].get("metrics", [])) <= 500 for widget in widgets)


def test_given_timeouts_when_compared_then_each_waits_for_the_one_inside(plan: Plan):
    """A queue hides a message for six times the timeout of its consumer (docs.aws.amazon.com/lambda/latest/dg/
    services-sqs-configure.html). Concurrency of a mapping: 2 to 1,000 (.../services-sqs-scaling.html).
    """
    timeouts = {values["function_name"]: values["timeout"] for values in plan.resources("aws_lambda_function").values()}
    hidden = {
        values["name"].removesuffix(".fifo"): values["visibility_timeout_seconds"]
        for values in plan.resources("aws_sqs_queue").values()
    }
    prefix = next(iter(timeouts)).rpartition("-")[0].removesuffix("-approval")
    for queue, function in {"slack-events": "slack", "files": "sync"}.items():
        assert hidden[f"{prefix}-{queue}"] >= 6 * timeouts[f"{prefix}-{function}"]
    for values in plan.resources("aws_lambda_event_source_mapping").values():
        assert all(2 <= scaling["maximum_concurrency"] <= 1000 for scaling in values["scaling_config"])
    # docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html: 29 seconds.
    assert timeouts[f"{prefix}-webhook"] <= 29
    # A task of the workflow waits longer than its function runs.
    for state, values in states_of(plan).items():
        if values["Type"] == "Task" and not values["Resource"].endswith(".waitForTaskToken"):
            assert values["TimeoutSeconds"] >= timeouts[f"{prefix}-workflow"], state


def states_of(plan: Plan) -> dict[str, dict[str, Any]]:
    """Return the states of the workflow and of its branches, by name."""
    found: dict[str, dict[str, Any]] = {}
    (machine,) = plan.resources("aws_sfn_state_machine").values()
    waiting = [json.loads(machine["definition"])]
    for part in waiting:
        found |= part["States"]
        waiting += [branch for state in part["States"].values() for branch in state.get("Branches", [])]
    return found


def test_given_the_workflow_when_planned_then_its_names_waits_and_retries_are_those_that_step_functions_takes(
    plan: Plan,
):
    """docs.aws.amazon.com/step-functions/latest/dg/statemachine-structure.html, .../concepts-error-handling.html."""
    states = states_of(plan)
    assert len(states) > 60
    for name, state in states.items():
        assert len(name) <= 80
        assert 0 < state.get("TimeoutSeconds", 1) <= 99_999_999, name
        assert state.get("HeartbeatSeconds", 0) < state.get("TimeoutSeconds", 1), name
        for retry in state.get("Retry", []):
            assert 1 <= retry.get("IntervalSeconds", 1) <= 99_999_999, name
            assert 0 <= retry.get("MaxAttempts", 3) <= 99_999_999, name
            assert retry.get("BackoffRate", 2.0) >= 1, name
            assert retry.get("IntervalSeconds", 1) < retry.get("MaxDelaySeconds", 31_622_399) < 31_622_400, name


def test_given_dead_letter_queues_when_planned_then_they_keep_longer_than_their_source_and_count_as_sqs_takes(
    plan: Plan,
):
    """docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html.

    The retention of a message counts from its arrival in the first queue.
    """
    kept = {values["name"]: values["message_retention_seconds"] for values in plan.resources("aws_sqs_queue").values()}
    for name, seconds in kept.items():
        assert "-dlq" not in name or seconds > kept[name.replace("-dlq", "")], name
    for values in plan.resources("aws_sqs_queue_redrive_policy").values():
        policy = json.loads(values.get("redrive_policy") or "{}")  # known only after the apply
        assert 1 <= policy.get("maxReceiveCount", 1) <= 1000


def test_given_the_access_log_when_planned_then_each_line_has_the_id_that_api_gateway_requires(plan: Plan):
    """docs.aws.amazon.com/apigateway/latest/developerguide/set-up-logging.html; requests a second: .../limits.html."""
    for values in plan.resources("aws_api_gateway_stage").values():
        for settings in values["access_log_settings"]:
            assert "$context.requestId" in settings["format"]
    for values in plan.resources("aws_api_gateway_method_settings").values():
        (settings,) = values["settings"]
        assert settings["throttling_rate_limit"] <= 10_000
        assert settings["throttling_burst_limit"] <= 5_000


def test_given_an_index_when_planned_then_it_projects_at_most_twenty_attributes(plan: Plan):
    """docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html: 20 in an index, 100 in all."""
    for values in plan.resources("aws_dynamodb_table").values():
        indexes = values["global_secondary_index"]
        assert len(indexes) <= 20
        assert all(len(index["non_key_attributes"]) <= 20 for index in indexes)


def test_given_tags_when_planned_then_each_resource_has_at_most_fifty(plan: Plan):
    """docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html."""
    for resource in plan.all_resources():
        tags = resource.get("values", {}).get("tags_all") or {}
        assert len(tags) <= 50
        assert all(len(name) <= 128 and len(value) <= 256 for name, value in tags.items())


def test_given_resource_policies_when_planned_then_each_fits(plan: Plan):
    """Queues: 20 statements, 50 principals (docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/
    quotas-policies.html). Topics: 30 KB (docs.aws.amazon.com/general/latest/gr/sns.html).
    """
    sizes: dict[str, int] = defaultdict(int)
    for values in plan.resources("aws_sqs_queue").values():
        assert len(json.loads(values.get("policy", '{"Statement": []}'))["Statement"]) <= 20
    for address, values in plan.resources("aws_sns_topic_policy").items():
        sizes[address] += len(values.get("policy", ""))
    assert all(size <= 30 * 1024 for size in sizes.values())


WITHOUT_OWN_LIMITS = {
    "aws_api_gateway_account", "aws_api_gateway_deployment", "aws_api_gateway_gateway_response",
    "aws_api_gateway_integration_response", "aws_api_gateway_method",
    "aws_api_gateway_method_response", "aws_api_gateway_request_validator", "aws_api_gateway_resource",
    "aws_api_gateway_rest_api", "aws_sns_topic_subscription", "terraform_data",
    "aws_wafv2_web_acl_association",
}  # fmt: skip
"""Types whose plan has no text, number or list of this root that could reach a limit."""


def test_given_the_types_of_the_plan_when_compared_then_each_is_measured_or_has_no_limit(extreme: Plan):
    measured = {kind for kind, _ in [*NAMES, *FORMS, *RANGES]} | {
        "aws_api_gateway_method_settings",
        "aws_iam_role_policy_attachment",
        "aws_lambda_alias",  # with two fixed names
        "aws_sns_topic_policy",
        "aws_sqs_queue_redrive_policy",
    }
    planned = {resource["type"] for resource in extreme.all_resources() if resource["mode"] == "managed"}
    assert planned - measured == planned & WITHOUT_OWN_LIMITS
