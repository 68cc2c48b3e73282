"""Compare everything that the plan shows with AWS's documented limits, at the extremes of the variables.

Each limit has the page of its source. A value that only AWS knows (the URL of a queue) counts with its longest form.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from typing import Any

import pytest

from ir_operator.project import PROJECT_ROOT
from tests.terraform.deployments import BROUGHT_KEY
from tests.terraform.root import ACCOUNT, OwnTests, Plan, TerraformRoot

PREFIX = "a-prefix-of-28-letters-xxxxx"
REGION = "ap-southeast-1"
"""A region with the longest name of those that the variable accepts. It forwards the events of global services."""


def long_arn(kind: str, number: int) -> str:
    """Return an ARN of 200 characters, the longest that the variables accept."""
    return f"arn:aws:iam::{ACCOUNT}:{kind}/{number:03}".ljust(200, "x")


def filled(start: str, most: int) -> list[str]:
    """Return e-mail addresses whose JSON has at most `most` characters."""
    address = f"{start}-0000@example.com"
    return [f"{start}-{number:04}@example.com" for number in range((most - 2) // (len(address) + 3))]


def changed_severities(most: int) -> dict[str, str]:
    """Return severities of the first detections, whose JSON has at most `most` characters."""
    table = json.loads((PROJECT_ROOT / "src" / "ir_router" / "workflow" / "detections.json").read_text("utf-8"))
    found: dict[str, str] = {}
    for name in sorted(detection["id"] for detection in table["detections"]):
        longer = {**found, name: "CRITICAL"}
        if len(json.dumps(longer, separators=(",", ":"))) <= most:
            found = longer
    return found


EXTREME: dict[str, Any] = {
    "name_prefix": PREFIX,
    "region": REGION,
    "containment_mode": "enforce",
    "kms_key_arn": BROUGHT_KEY.replace("us-east-1", REGION),
    "web_acl_arn": f"arn:aws:wafv2:{REGION}:{ACCOUNT}:regional/webacl/{'w' * 128}/00000000-1111-2222-3333-444444444444",
    "manage_api_gateway_account": True,
    "xray_tracing": True,
    "slack_channel_prefix": "c" * 48,
    "slack_channel_visibility": "private",
    "security_channel_id": "C" + "0" * 20,
    "slack_approvers": filled("approver", 700),
    "slack_case_editors": filled("editor", 700),
    "case_resolver_type": "Self",
    "initial_import": "open",
    "owner_tag": "t" * 128,
    "allowed_cidrs": [f"2001:db8:{number:04x}:ffff:ffff:ffff:ffff:ffff/128" for number in range(500)],
    "allowed_principals": [long_arn("role", number) for number in range(200)],
    "protected_principals": [long_arn("user", number) for number in range(200)],
    "alert_emails": [f"recipient-{number}@example.com" for number in range(20)],
    "audit_retention_days": 36500,
    "case_retention_days": 36500,
    "extra_environment": {"LONG": "x" * 489},
    "watcher_domains": ["a.io"],
    "severity_overrides": changed_severities(1048),
    "extra_detections_path": "./tests/extra_detections.json",
    "mirror_bots": True,
    "remove_former_watchers": True,
    "contain_actor": True,
    "containment_scope": "principal",
    "ask_before_containing_roles": "service_roles",
    "log_level": "debug",
    "log_retention_days": 3653,
    "previous_signing_secret_hours": 168,
    "max_containments_per_hour": 1000,
}


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


RANGES = {
    # docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
    ("aws_lambda_function", "timeout"): (1, 900),
    ("aws_lambda_function", "memory_size"): (128, 10_240),
    # docs.aws.amazon.com/lambda/latest/api/API_PutFunctionEventInvokeConfig.html
    ("aws_lambda_function_event_invoke_config", "maximum_event_age_in_seconds"): (60, 21_600),
    ("aws_lambda_function_event_invoke_config", "maximum_retry_attempts"): (0, 2),
    # docs.aws.amazon.com/lambda/latest/dg/services-sqs-parameters.html (a FIFO queue)
    ("aws_lambda_event_source_mapping", "batch_size"): (1, 10),
    # docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html
    ("aws_sqs_queue", "visibility_timeout_seconds"): (0, 43_200),
    ("aws_sqs_queue", "message_retention_seconds"): (60, 1_209_600),
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
    assert len(plan.resources("aws_cloudwatch_event_rule")) <= 100  # the smallest default of a region per bus


def test_given_log_groups_when_planned_then_their_names_are_those_that_aws_writes_to(plan: Plan):
    """Check the characters (docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html).

    EventBridge writes only below /aws/events/ (docs.aws.amazon.com/eventbridge/latest/userguide/eb-targets.html), and
    Step Functions best below /aws/vendedlogs/ (docs.aws.amazon.com/step-functions/latest/dg/bp-cwl.html).
    """
    folders = ("/aws/lambda/", "/aws/events/", "/aws/vendedlogs/states/", "/aws/apigateway/")
    for values in plan.resources("aws_cloudwatch_log_group").values():
        assert re.fullmatch(r"[.\-_/#A-Za-z0-9]+", values["name"])
        assert values["name"].startswith(folders)
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
    # A task of the workflow waits longer than its function runs.
    (machine,) = plan.resources("aws_sfn_state_machine").values()
    for state, timeout in seconds_of_tasks(json.loads(machine["definition"])["States"]).items():
        assert timeout >= timeouts[f"{prefix}-workflow"], state


def seconds_of_tasks(states: dict[str, Any]) -> dict[str, int]:
    """Return the timeouts of the tasks that invoke a function and wait for its answer, by state."""
    return {
        name: state["TimeoutSeconds"]
        for name, state in states.items()
        if state["Type"] == "Task" and "TimeoutSeconds" in state and not state["Resource"].endswith(".waitForTaskToken")
    }


def test_given_an_index_when_planned_then_it_projects_at_most_twenty_attributes(plan: Plan):
    """docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html: 20 in an index, 100 in all."""
    for values in plan.resources("aws_dynamodb_table").values():
        indexes = values["global_secondary_index"]
        assert len(indexes) <= 20
        assert all(len(index["non_key_attributes"]) <= 20 for index in indexes)


def test_given_tags_when_planned_then_each_resource_has_at_most_fifty(plan: Plan):
    """docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html."""
    for resource in plan.content["planned_values"]["root_module"]["resources"]:
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
