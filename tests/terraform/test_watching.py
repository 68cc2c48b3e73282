"""D5: every fault notifies someone, and one page answers an operator's questions in their usual order."""

from __future__ import annotations

import json

import pytest

from tests.terraform.root import Plan

PREFIX = "security-incident-"
# The faults that must be noticed, and the alarms for them.
NOTICED = {
    "events or invocations were lost": ("failures-not-empty",),
    "a function that nobody calls fails": ("operations-errors", "sync-errors", "workflow-errors"),
    "no poll succeeds": ("polls-failing",),
    "a scheduled function does not run, whatever the logs say": (
        "sync-silent",
        "workflow-silent",
        "operations-silent",
    ),
    "the synchronisation is behind": ("sync-behind", "slack-events-waiting", "files-waiting"),
    "a case keeps failing": ("case-failing",),
    "a containment failed or was slow": ("containment-failed", "containment-slow"),
    "an approval nears its time-out": ("approval-near-timeout",),
    "somebody makes more events than can be looked at": (
        "detections-flood",
        "detections-cost",
        "intake-flood",
        "intake-waiting",
    ),
    "the API refuses or fails": ("api-4xx-flood", "api-5xx"),
    "a part of the deployment is missing or changed": ("deployment-differs",),
}

QUESTIONS = [
    "Is anything waiting for a human?",
    "Is anything failing?",
    "How far behind is synchronisation?",
    "How fast was containment?",
    "What does it cost?",
]


@pytest.mark.parametrize("what", NOTICED)
def test_given_something_wrong_when_it_happens_then_there_is_an_alarm_for_it(enforcing: Plan, what: str):
    alarms = {values["alarm_name"] for values in enforcing.resources("aws_cloudwatch_metric_alarm").values()}

    assert {PREFIX + name for name in NOTICED[what]} <= alarms


def test_given_the_alarms_when_counted_then_none_is_beyond_what_must_be_noticed(enforcing: Plan):
    alarms = {values["alarm_name"] for values in enforcing.resources("aws_cloudwatch_metric_alarm").values()}

    assert alarms == {PREFIX + name for names in NOTICED.values() for name in names}


def test_given_addresses_when_planned_then_each_gets_alerts_and_alarms(enforcing: Plan):
    subscriptions = enforcing.resources("aws_sns_topic_subscription").values()

    assert [(values["protocol"], values["endpoint"]) for values in subscriptions] == [
        ("email", "security@example.com")
    ] * 2


def test_given_a_failed_timed_out_or_stopped_execution_when_it_ends_then_the_alarm_topic_gets_its_name(
    enforcing: Plan,
):
    rule = enforcing.resources("aws_cloudwatch_event_rule", "executions")["aws_cloudwatch_event_rule.executions"]
    target = enforcing.resources("aws_cloudwatch_event_target", "executions")["aws_cloudwatch_event_target.executions"]
    (topic,) = [
        json.loads(values["policy"]) for values in enforcing.resources("aws_sns_topic_policy", "alarms").values()
    ]
    # https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html
    detail = json.loads(rule["event_pattern"])["detail"]

    assert detail["status"] == ["ABORTED", "FAILED", "TIMED_OUT"]
    assert detail["stateMachineArn"] == [
        "arn:aws:states:us-east-1:123456789012:stateMachine:security-incident-response"
    ]
    (transformer,) = target["input_transformer"]
    assert all(f"<{name}>" in transformer["input_template"] for name in transformer["input_paths"])
    service = {"Service": "events.amazonaws.com"}
    allowed = [statement for statement in topic["Statement"] if statement["Principal"] == service]
    assert "security-incident-executions" in json.dumps(allowed)


def test_given_the_default_when_planned_then_there_is_no_dashboard_to_pay_for(dry_run: Plan):
    assert dry_run.resources("aws_cloudwatch_dashboard") == {}


def test_given_the_dashboard_when_read_from_above_then_it_answers_the_questions_in_their_order(enforcing: Plan):
    (dashboard,) = enforcing.resources("aws_cloudwatch_dashboard").values()
    widgets = json.loads(dashboard["dashboard_body"])["widgets"]
    titles = sorted((widget["y"], widget["properties"]["markdown"]) for widget in widgets if widget["type"] == "text")

    assert [title.removeprefix("## ") for _, title in titles] == QUESTIONS
    for (top, title), (bottom, _) in zip(titles, [*titles[1:], (10_000, "")], strict=True):
        row = [widget for widget in widgets if widget["type"] == "metric" and top < widget["y"] < bottom]
        assert len(row) >= 2, title
        assert all(widget["properties"]["metrics"] for widget in row), title
        assert sum(widget["width"] for widget in row) <= 24, title


def test_given_tracing_when_switched_then_functions_workflow_and_api_follow(enforcing: Plan, dry_run: Plan):
    for plan, on in ((enforcing, True), (dry_run, False)):
        for values in plan.resources("aws_lambda_function").values():
            assert values["tracing_config"][0]["mode"] == ("Active" if on else "PassThrough")
        (machine,) = plan.resources("aws_sfn_state_machine").values()
        assert any(block["enabled"] for block in machine.get("tracing_configuration") or []) is on
        (stage,) = plan.resources("aws_api_gateway_stage").values()
        assert stage["xray_tracing_enabled"] is on
