"""The emulator's EventBridge and CloudWatch; see `ir_sandbox.cloud.ministack_patches`, events and alarms."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import botocore.model
import pytest

from tests.local_cloud.emulator_stack import ROLE, Stack, make_stack
from tests.support.waiting import wait_for

pytestmark = pytest.mark.local_cloud


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    yield from make_stack()


def add_rule(stack: Stack, source: str, target: dict[str, Any], **settings: Any) -> str:
    events = stack.client("events")
    name = stack.name("rule")
    arn: str = events.put_rule(Name=name, EventPattern=json.dumps({"source": [source]}), **settings)["RuleArn"]
    events.put_targets(Rule=name, Targets=[{"Id": "target", **target}])
    return arn


def put_event(stack: Stack, source: str, detail: dict[str, Any], detail_type: str = "Any") -> None:
    answer = stack.client("events").put_events(
        Entries=[{"Source": source, "DetailType": detail_type, "Detail": json.dumps(detail)}]
    )
    assert answer["FailedEntryCount"] == 0


def function_arn(stack: Stack, function: str) -> str:
    return str(stack.client("lambda").get_function(FunctionName=function)["Configuration"]["FunctionArn"])


def test_given_an_event_of_an_aws_service_when_put_then_rules_take_it(stack: Stack) -> None:
    url, arn = stack.queue()
    add_rule(stack, "aws.security-ir", {"Arn": arn})

    put_event(stack, "aws.security-ir", {"caseId": "1234567890"})

    event = json.loads(stack.receive(url)["Body"])
    assert (event["source"], event["detail"]) == ("aws.security-ir", {"caseId": "1234567890"})


def test_given_a_log_group_as_target_when_an_event_matches_then_it_is_written_there(stack: Stack) -> None:
    logs = stack.client("logs")
    logs.create_log_group(logGroupName="/aws/events/slack")
    arn = "arn:aws:logs:us-east-1:000000000000:log-group:/aws/events/slack"
    add_rule(stack, "slack", {"Arn": arn})

    put_event(stack, "slack", {"channel": "C1"})
    put_event(stack, "slack", {"channel": "C2"})

    lines = wait_for(lambda: stack.log_lines("/aws/events/slack"))
    assert [json.loads(line)["detail"]["channel"] for line in lines] == ["C1", "C2"]


def test_given_a_target_that_is_gone_when_an_event_matches_then_it_is_in_the_dead_letter_queue(stack: Stack) -> None:
    url, arn = stack.queue()
    gone = function_arn(stack, function := stack.function())
    rule = add_rule(stack, "orders", {"Arn": gone, "DeadLetterConfig": {"Arn": arn}})
    stack.client("lambda").delete_function(FunctionName=function)

    put_event(stack, "orders", {"number": 7})

    message = stack.receive(url)
    assert json.loads(message["Body"])["detail"] == {"number": 7}
    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert attributes["RULE_ARN"] == rule
    assert attributes["TARGET_ARN"] == gone
    assert attributes["ERROR_CODE"] == "NO_RESOURCE"


def test_given_a_function_that_fails_when_an_event_reaches_it_then_it_is_retried_and_goes_to_its_destination(
    stack: Stack,
) -> None:
    url, arn = stack.queue()
    function = stack.function()
    stack.client("lambda").put_function_event_invoke_config(
        FunctionName=function, MaximumRetryAttempts=1, DestinationConfig={"OnFailure": {"Destination": arn}}
    )
    add_rule(stack, "failing", {"Arn": function_arn(stack, function), "Input": '{"do": "show", "fail": true}'})

    put_event(stack, "failing", {})

    envelope = json.loads(stack.receive(url)["Body"])
    assert envelope["responsePayload"]["errorType"] == "QuotaUsedUpError"
    assert envelope["requestContext"]["condition"] == "RetriesExhausted"
    assert len(stack.shown(function)) == 2


@pytest.mark.parametrize(
    ("state", "delivered"),
    [
        ("ENABLED", ["write"]),
        ("ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS", ["read", "write"]),
        ("DISABLED", []),
    ],
)
def test_given_a_rule_in_a_state_when_api_calls_arrive_then_read_only_ones_need_the_wider_state(
    state: str, delivered: list[str], stack: Stack
) -> None:
    url, arn = stack.queue()
    source = f"aws.{state.lower()}"
    add_rule(stack, source, {"Arn": arn}, State=state)

    put_event(stack, source, {"readOnly": True, "eventName": "read"}, "AWS API Call via CloudTrail")
    put_event(stack, source, {"readOnly": False, "eventName": "write"}, "AWS API Call via CloudTrail")

    names = [json.loads(stack.receive(url)["Body"])["detail"]["eventName"] for _ in delivered]
    assert sorted(names) == delivered
    assert "Messages" not in stack.client("sqs").receive_message(QueueUrl=url)


def test_given_a_state_machine_that_is_traced_when_described_then_it_is_as_given(stack: Stack) -> None:
    states = stack.client("stepfunctions")
    definition = json.dumps({"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}})
    arn = states.create_state_machine(
        name="traced", definition=definition, roleArn=ROLE, tracingConfiguration={"enabled": True}
    )["stateMachineArn"]
    assert states.describe_state_machine(stateMachineArn=arn)["tracingConfiguration"] == {"enabled": True}

    states.update_state_machine(stateMachineArn=arn, tracingConfiguration={"enabled": False})

    assert states.describe_state_machine(stateMachineArn=arn)["tracingConfiguration"] == {"enabled": False}


ALARMS: list[dict[str, Any]] = [
    {
        "MetricName": "Errors",
        "Namespace": "AWS/Lambda",
        "Statistic": "Sum",
        "Dimensions": [{"Name": "FunctionName", "Value": "a&b"}],
        "Period": 60,
        "AlarmDescription": "Errors <now>",
        "TreatMissingData": "notBreaching",
        "AlarmActions": ["arn:aws:sns:us-east-1:000000000000:alerts"],
        "OKActions": ["arn:aws:sns:us-east-1:000000000000:alerts"],
        "InsufficientDataActions": ["arn:aws:sns:us-east-1:000000000000:alerts"],
        "ActionsEnabled": False,
    },
    {
        "MetricName": "Duration",
        "Namespace": "AWS/Lambda",
        "ExtendedStatistic": "p99",
        "Period": 300,
        "EvaluateLowSampleCountPercentile": "ignore",
    },
    {
        "Metrics": [
            {"Id": "rate", "Expression": "errors / calls", "Label": "rate", "ReturnData": True},
            {
                "Id": "errors",
                "ReturnData": False,
                "MetricStat": {
                    "Metric": {
                        "Namespace": "AWS/Lambda",
                        "MetricName": "Errors",
                        "Dimensions": [{"Name": "FunctionName", "Value": "a"}],
                    },
                    "Period": 60,
                    "Stat": "Sum",
                },
            },
        ],
    },
]


@pytest.mark.parametrize("alarm", ALARMS, ids=["metric", "percentile", "expression"])
@pytest.mark.parametrize("protocol", ["json", "query"])
def test_given_an_alarm_when_described_then_it_is_as_it_was_put(
    alarm: dict[str, Any], protocol: str, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(botocore.model.ServiceModel, "resolved_protocol", protocol)
    cloudwatch = stack.client("cloudwatch")
    name = stack.name("alarm")
    given = {
        "AlarmName": name,
        "EvaluationPeriods": 2,
        "Threshold": 1.0,
        "ComparisonOperator": "GreaterThanThreshold",
        **alarm,
    }
    cloudwatch.put_metric_alarm(**given)

    (found,) = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]

    made_by_aws = {"AlarmArn", "StateValue", "StateReason", "StateUpdatedTimestamp"}
    made_by_aws.add("AlarmConfigurationUpdatedTimestamp")
    described = {key: value for key, value in found.items() if key not in made_by_aws and value != []}
    assert described == {"ActionsEnabled": True, "TreatMissingData": "missing", **given}


def test_given_a_composite_alarm_when_described_then_its_actions_and_description_are_there(stack: Stack) -> None:
    cloudwatch = stack.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="part", EvaluationPeriods=1, Threshold=1, ComparisonOperator="GreaterThanThreshold", **ALARMS[1]
    )
    given = {
        "AlarmName": "whole",
        "AlarmRule": "ALARM(part)",
        "AlarmDescription": "whole",
        "AlarmActions": ["arn:aws:sns:us-east-1:000000000000:alerts"],
    }
    cloudwatch.put_composite_alarm(**given)

    (found,) = cloudwatch.describe_alarms(AlarmNames=["whole"], AlarmTypes=["CompositeAlarm"])["CompositeAlarms"]

    assert {key: found[key] for key in given} == given
    assert found["ActionsEnabled"] is True
