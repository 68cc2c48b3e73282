"""Attacks that make ir-router blind or silent: its key, logs, audit, code, workflow and rules."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest

from ir_operator.project import PROJECT_ROOT
from ir_router.ledger import audit
from ir_router.ops import names
from tests.support.operations import Deployed, deployed_in
from tests.support.world import World
from tests.terraform.root import Plan
from tests.trials.world.incidents import alerts

RULE = "security-incident-detect-create-access-key"
FUNCTION = "security-incident-workflow"


@pytest.fixture
def deployed(world: World) -> Iterator[Deployed]:
    with deployed_in(world) as deployed:
        yield deployed


def disable_key(deployed: Deployed) -> None:
    boto3.client("kms").disable_key(KeyId=deployed.world.environment["IR_KEY_ARN"].rpartition("/")[2])


def disable_workflow_key(deployed: Deployed) -> None:
    boto3.client("kms").disable_key(KeyId=deployed.workflow_key.rpartition("/")[2])


def cut_retention(_: Deployed) -> None:
    boto3.client("logs").put_retention_policy(logGroupName=names.log_group("workflow"), retentionInDays=1)


def forget_retention(_: Deployed) -> None:
    boto3.client("logs").delete_retention_policy(logGroupName=names.log_group("workflow"))


def replace_log_group(_: Deployed) -> None:
    logs = boto3.client("logs")
    logs.delete_log_group(logGroupName=names.log_group("workflow"))
    logs.create_log_group(logGroupName=names.log_group("workflow"))
    logs.put_retention_policy(logGroupName=names.log_group("workflow"), retentionInDays=400)


def mute_essential_alarm(deployed: Deployed) -> None:
    alert_topic = deployed.world.environment["IR_ALERT_TOPIC_ARN"]
    deployed.put_alarm("security-incident-containment-failed", AlarmActions=[alert_topic])


def narrow_rule(_: Deployed) -> None:
    boto3.client("events").put_rule(Name=RULE, EventPattern='{"source": ["nothing"]}', State="ENABLED")


def change_code(_: Deployed) -> None:
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("handler.py", "evil")
    boto3.client("lambda").update_function_code(FunctionName=FUNCTION, ZipFile=package.getvalue())


def change_environment(_: Deployed) -> None:
    boto3.client("lambda").update_function_configuration(
        FunctionName=FUNCTION, Environment={"Variables": {"IR_CONTAINMENT_MODE": "off"}}
    )


def change_workflow(deployed: Deployed) -> None:
    definition = {"StartAt": "Nothing", "States": {"Nothing": {"Type": "Succeed"}}}
    boto3.client("stepfunctions").update_state_machine(
        stateMachineArn=deployed.world.environment["IR_STATE_MACHINE_ARN"], definition=json.dumps(definition)
    )


def decrypt_history(deployed: Deployed) -> None:
    arn = deployed.world.environment["IR_STATE_MACHINE_ARN"]
    states = boto3.client("stepfunctions")
    states.update_state_machine(
        stateMachineArn=arn,
        definition=states.describe_state_machine(stateMachineArn=arn)["definition"],
        encryptionConfiguration={"type": "AWS_OWNED_KEY"},
    )


ATTACKS: dict[str, tuple[Callable[[Deployed], None], str, str]] = {
    "kms:DisableKey": (disable_key, "encryption key", "its state is Disabled"),
    "kms:DisableKey, workflow": (disable_workflow_key, "key of the workflow", "its state is Disabled"),
    "logs:PutRetentionPolicy": (cut_retention, "log groups", "kept for 1 days instead of 400"),
    "logs:DeleteRetentionPolicy": (forget_retention, "log groups", "kept for ever instead of 400"),
    "logs:DeleteLogGroup": (replace_log_group, "log groups", "not encrypted with the key of ir-router"),
    "cloudwatch:PutMetricAlarm": (mute_essential_alarm, "essential alarms", "security-incident-containment-failed"),
    "events:PutRule": (narrow_rule, f"rule {RULE}", "the event pattern was changed"),
    "lambda:UpdateFunctionCode": (change_code, "function workflow", "its code is not the zip that was deployed"),
    "lambda:UpdateFunctionConfiguration": (change_environment, "variables of the functions", "they were changed"),
    "states:UpdateStateMachine": (change_workflow, "workflow", "the definition of the state machine was changed"),
    "states:UpdateStateMachine, key": (decrypt_history, "workflow", "history is not encrypted with the key"),
}


@pytest.mark.parametrize("permission", ATTACKS)
def test_given_one_permission_when_it_is_used_to_silence_then_the_hourly_check_reports_it(
    world: World, deployed: Deployed, permission: str
) -> None:
    attack, line, says = ATTACKS[permission]
    deployed.expect_digests()
    assert world.invoke("operations", {"task": "watch", "now": True})["differences"] == []

    attack(deployed)

    assert line in world.invoke("operations", {"task": "watch", "now": True})["differences"]
    assert says in deployed.lines()[line]["detail"]


def test_given_the_permission_to_change_the_ledger_and_the_logs_when_a_day_ends_then_an_email_has_the_audits_hash(
    world: World,
) -> None:
    """The permission does not reach the e-mails that recipients already have."""
    world.become("workflow")
    record = audit.append("contained", "ir-router", {"principal": "backdoor"})
    assert record

    sent = [world.invoke("workflow", {"task": "witness_audit"})["sent"] for _ in range(2)]
    world.advance(86_400)
    unchanged = world.invoke("workflow", {"task": "witness_audit"})["sent"]
    world.become("workflow")
    newer = audit.append("restored", "ir-router", {"principal": "backdoor"})
    assert newer
    world.advance(86_400)
    next_day = world.invoke("workflow", {"task": "witness_audit"})["sent"]

    assert (sent, unchanged, next_day) == ([record.hash, None], None, newer.hash)
    assert [
        hash_ in alert["Message"] for alert, hash_ in zip(alerts(world), (record.hash, newer.hash), strict=True)
    ] == [
        True,
        True,
    ]


@pytest.mark.parametrize(("service", "operation"), [("sns", "Publish"), ("dynamodb", "PutItem")])
def test_given_a_function_that_dies_when_it_sends_the_hash_then_the_next_run_sends_it(
    world: World, service: str, operation: str
) -> None:
    world.become("workflow")
    record = audit.append("contained", "ir-router", {"principal": "backdoor"})
    assert record
    world.wire.kill_on(service, operation, "before")
    world.try_invoke("workflow", {"task": "witness_audit"})
    assert world.wire.died_at is not None
    world.wire.spare()

    world.try_invoke("workflow", {"task": "witness_audit"})

    assert {record.hash in alert["Message"] for alert in alerts(world)} == {True}


def test_given_kms_disable_key_when_the_key_is_gone_then_the_report_and_the_essential_alarms_do_not_need_it(
    enforcing: Plan,
) -> None:
    topics = {values["name"]: values for values in enforcing.resources("aws_sns_topic").values()}
    alarms = {values["alarm_name"] for values in enforcing.resources("aws_cloudwatch_metric_alarm", "this").values()}
    pattern = json.loads(
        enforcing.resources("aws_cloudwatch_event_rule", "key_changes")["aws_cloudwatch_event_rule.key_changes"][
            "event_pattern"
        ]
    )

    machine = enforcing.resources("aws_sfn_state_machine")["aws_sfn_state_machine.response"]
    (encryption,) = machine["encryption_configuration"]
    key = topics["security-incident-alerts"]["kms_master_key_id"]

    assert key != encryption["kms_key_id"], "the history has a key of its own, so that containments start"
    assert set(pattern["detail"]["resources"]["ARN"]) == {key, encryption["kms_key_id"]}
    assert not topics["security-incident-alarms"].get("kms_master_key_id")
    assert set(names.essential_alarms()) <= alarms
    assert pattern["detail"]["$or"][0]["eventName"][:3] == ["DisableKey", "ScheduleKeyDeletion", "PutKeyPolicy"]
    assert "CreateGrant" in pattern["detail"]["$or"][1]["eventName"]


def test_given_the_permission_to_write_metrics_when_the_heartbeat_is_faked_then_awss_own_metric_shows_the_silence(
    enforcing: Plan,
) -> None:
    """Only AWS writes into the namespace AWS/Lambda. No alarm ends because ir-router's own metric has a value."""
    for own in enforcing.resources("aws_cloudwatch_metric_alarm", "this").values():
        assert own["namespace"].startswith("AWS/") or own["treat_missing_data"] == "notBreaching"
    alarms = enforcing.resources("aws_cloudwatch_metric_alarm", "this")

    for function in ("sync", "workflow", "operations"):
        alarm: dict[str, Any] = alarms[f'aws_cloudwatch_metric_alarm.this["{function}-silent"]']
        assert (alarm["namespace"], alarm["metric_name"]) == ("AWS/Lambda", "Invocations")
        assert alarm["treat_missing_data"] == "breaching"


def test_given_the_essential_alarms_when_terraform_is_read_then_the_verification_expects_the_same() -> None:
    text = (PROJECT_ROOT / "terraform" / "alarms.tf").read_text("utf-8")
    listed = text.partition("essential_alarms = [")[2].partition("]")[0].replace('"', "").replace(",", " ").split()

    assert [f"security-incident-{name}" for name in sorted(listed)] == sorted(names.essential_alarms())
