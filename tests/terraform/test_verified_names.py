"""The verification's assumptions about names and formats agree with Terraform."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ir_router.ops import formats, names, slack_app
from ir_router.settings import settings
from tests.terraform.root import Plan, TerraformRoot

TERRAFORM = Path(__file__).parents[2] / "terraform"

DEPLOYMENTS = {
    "alone, at home in us-east-1": {"name_prefix": "security-incident", "region": "us-east-1"},
    "beside another, at home elsewhere": {"name_prefix": "acme-security", "region": "eu-west-1"},
    "in an organisation": {
        "name_prefix": "security-incident",
        "region": "eu-west-1",
        "organization_id": "o-a1b2c3d4e5",
    },
}


@pytest.fixture(scope="module", params=DEPLOYMENTS)
def deployment(request: pytest.FixtureRequest, root: TerraformRoot) -> Iterator[tuple[Plan, dict[str, str]]]:
    """Return a plan, with its environment of -sync."""
    variables = DEPLOYMENTS[request.param]
    environment = {
        "IR_NAME_PREFIX": variables["name_prefix"],
        "AWS_REGION": variables["region"],
        "IR_EVENT_BUS_NAME": f"{variables['name_prefix']}-events",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        settings.cache_clear()
        yield root.plan(**variables), environment
    settings.cache_clear()


def test_given_a_plan_when_compared_then_its_rules_are_the_verified_ones(
    deployment: tuple[Plan, dict[str, str]],
) -> None:
    plan, environment = deployment
    planned = {
        (rule["name"], rule["event_bus_name"] or "default", rule["state"] or "ENABLED", "forwarded" in address)
        for address, rule in plan.resources("aws_cloudwatch_event_rule").items()
    }

    rules = names.rules(members="aws_cloudwatch_event_bus.detections[0]" in plan.resources("aws_cloudwatch_event_bus"))
    expected = {(rule.name, rule.bus, rule.state, rule.region != environment["AWS_REGION"]) for rule in rules}
    assert expected == planned
    assert any(forwarded for *_, forwarded in planned) is names.forwards()


def test_given_a_plan_when_compared_then_functions_queues_and_logs_are_the_verified_ones(
    deployment: tuple[Plan, dict[str, str]],
) -> None:
    plan, _ = deployment
    functions = {function["function_name"] for function in plan.resources("aws_lambda_function").values()}
    queues = {queue["name"] for queue in plan.resources("aws_sqs_queue").values()}
    groups = {group["name"] for group in plan.resources("aws_cloudwatch_log_group").values()}

    assert {names.function(part) for part in names.FUNCTIONS} == functions
    forwarding = {names.forwarding_failures_queue()} if names.forwards() else set()
    assert {*names.queues(), *forwarding} == queues
    assert set(names.log_groups()) == groups
    assert {names.log_group("sync"), names.access_log_group()} <= groups


def test_given_a_plan_when_compared_then_alarms_and_topics_are_the_verified_ones(
    deployment: tuple[Plan, dict[str, str]],
) -> None:
    plan, environment = deployment
    alarms = {alarm["alarm_name"] for alarm in plan.resources("aws_cloudwatch_metric_alarm").values()}
    topics = {topic["name"] for topic in plan.resources("aws_sns_topic").values()}
    account, prefix = "123456789012", settings().name_prefix

    assert {*names.alarms(), *([names.forwarding_alarm()] if names.forwards() else [])} == alarms
    for queue in names.FIFO_QUEUES:
        assert f"{prefix}-{queue}-waiting" in alarms, queue
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IR_ALERT_TOPIC_ARN", f"arn:aws:sns:{environment['AWS_REGION']}:{account}:{prefix}-alerts")
        settings.cache_clear()
        assert names.forwarding_topic() == f"arn:aws:sns:us-east-1:{account}:{prefix}-forwarding-alarms"
        assert (names.forwarding_topic().rpartition(":")[2] in topics) is names.forwards()
    settings.cache_clear()


def test_given_the_variables_when_compared_then_formats_are_the_verified_ones() -> None:
    text = (TERRAFORM / "variables.tf").read_text("utf-8")
    for variable, wanted in (
        ("slack_bot_token", formats.BOT_TOKEN),
        ("slack_signing_secret", formats.SIGNING_SECRET),
        ("slack_workspace_id", formats.WORKSPACE_ID),
        ("slack_channel_prefix", formats.CHANNEL_PREFIX),
    ):
        found = re.search(rf'can\(regex\("\^(.*)\$", var\.{variable}\)\)', text)
        assert found, variable
        assert found[1] == wanted.pattern


def test_given_the_manifest_when_compared_then_its_scopes_are_the_verified_ones(
    deployment: tuple[Plan, dict[str, str]],
) -> None:
    source = (TERRAFORM / "slack_app.tf").read_text("utf-8")
    listed = re.search(r"slack_scopes = \[(.*?)\]", source, re.DOTALL)
    # Terraform reads scopes.json, or contains the same list.
    assert "scopes.json" in source or (
        listed and set(re.findall(r'"([a-z:.]+)"', listed[1])) == set(slack_app.wanted_scopes())
    )
