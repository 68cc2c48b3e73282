"""The recipients of alerts: topic and alarms of the home region, and of us-east-1 if it forwards events."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from ir_router import aws
from ir_router.ops import names, watching
from ir_router.ops.checks import Check
from ir_router.settings import settings
from tests.trials.world import moto_speed

ACCOUNT = "123456789012"
HOME = "eu-west-1"


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": HOME,
        "AWS_REGION": HOME,
        "IR_ALERT_TOPIC_ARN": f"arn:aws:sns:{HOME}:{ACCOUNT}:security-incident-alerts",
    }.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    with mock_aws():
        aws.forget_session()
        aws.session().register_component("data_loader", moto_speed.models())
        yield
    settings.cache_clear()


def lines() -> dict[str, Check]:
    return {check.name: check for check in watching.checks()}


def put_alarm(name: str, topic: str) -> None:
    boto3.client("cloudwatch", region_name="us-east-1").put_metric_alarm(
        AlarmName=name,
        AlarmActions=[topic],
        Namespace="AWS/SQS",
        MetricName="ApproximateNumberOfMessagesVisible",
        Statistic="Maximum",
        Period=300,
        EvaluationPeriods=1,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
    )


def test_given_another_home_region_when_nothing_is_in_us_east_1_then_its_lines_are_red() -> None:
    found = lines()

    assert found["alarms in us-east-1"].state == "failed"
    assert found["alarms in us-east-1"].detail.endswith(": security-incident-forwarding-failures-not-empty")
    assert found["alert topic in us-east-1"].state == "failed"
    assert "does not exist" in found["alert topic in us-east-1"].detail


def test_given_another_home_region_when_us_east_1_has_topic_and_alarm_then_only_the_subscription_is_missed() -> None:
    topic = boto3.client("sns", region_name="us-east-1").create_topic(Name="security-incident-forwarding-alarms")
    put_alarm(names.forwarding_alarm(), topic["TopicArn"])

    found = lines()

    assert found["alarms in us-east-1"].state == "ok"
    assert found["alert topic in us-east-1"].state == "warning"
    assert "no recipient gets alerts" in found["alert topic in us-east-1"].detail


def test_given_an_alarm_in_us_east_1_for_another_topic_when_verified_then_it_is_reported_without_a_recipient() -> None:
    put_alarm(names.forwarding_alarm(), f"arn:aws:sns:us-east-1:{ACCOUNT}:of-somebody-else")

    assert "not notify the alert topic" in lines()["alarms in us-east-1"].detail
