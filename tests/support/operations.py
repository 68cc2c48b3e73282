"""A simulator with everything that `verify` checks: further Terraform resources and AWS's log deliveries."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import zipfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from unittest import mock

import boto3
from moto.logs import models as logs
from moto.sqs.models import sqs_backends

from ir_router.ledger import keys, table
from ir_router.ops import names, resources
from ir_router.settings import settings
from tests.support.world import ACCOUNT, REGION, World

ROLE = f"arn:aws:iam::{ACCOUNT}:role/any"
ACCESS_LOG = "/aws/apigateway/SlackWebhookApi"
SYNC_LOG = "/aws/lambda/security-incident-sync"
TEAM = ("on.call", "deputy")


@contextlib.contextmanager
def deployed_in(world: World) -> Iterator[Deployed]:
    """Run the deployment, with log times on the simulated clock."""

    def utc_now() -> datetime:
        return datetime.fromtimestamp(world.now(), UTC).replace(tzinfo=None)

    with mock.patch.object(logs, "utcnow", utc_now):
        yield Deployed(world)


class Resources:
    """The resources of Terraform that the simulator itself does not need, in moto."""

    def __init__(self, world: World) -> None:
        """Create the resources."""
        self.world = world
        world.environment["IR_KEY_ARN"] = boto3.client("kms").create_key()["KeyMetadata"]["Arn"]
        self.workflow_key: str = boto3.client("kms").create_key()["KeyMetadata"]["Arn"]
        world.become("operations")
        keys_row = {"arn": world.environment["IR_KEY_ARN"], "workflow_arn": self.workflow_key}
        table.put(keys.configuration("kms_key"), keys_row)
        self.alarm_topic = world.environment["IR_ALARM_TOPIC_ARN"]
        self._functions()
        self._workflow()
        self._rules()
        self.failures = boto3.client("sqs").create_queue(QueueName="security-incident-failures")["QueueUrl"]
        self._trail()
        logs = boto3.client("logs")
        for group in names.log_groups():
            self.put_log_group(group)
        for group in (ACCESS_LOG, SYNC_LOG):
            logs.create_log_stream(logGroupName=group, logStreamName="stream")
        for name in names.alarms():
            self.put_alarm(name)

    def upkeep(self) -> None:
        """Run the tasks of the rule `-upkeep` once (terraform/events.tf)."""
        for name, task in (
            ("workflow", "open_missing_cases"),
            ("workflow", "witness_audit"),
            ("workflow", "check_allowlist_entries"),
            ("operations", "start_oversized"),
            ("operations", "watch"),
        ):
            self.world.try_invoke(name, {"task": task})

    def undelivered(self, rule: str, event: Any) -> None:
        """Put an event into the failures queue, as EventBridge does after the workflow refused it.

        Raises botocore's ClientError for an event that is larger than the queue accepts.
        """
        origin = {
            "RULE_ARN": f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{rule}",
            "TARGET_ARN": self.world.environment["IR_STATE_MACHINE_ARN"],
            "ERROR_CODE": "SDK_CLIENT_ERROR",
        }
        boto3.client("sqs").send_message(
            QueueUrl=self.failures,
            MessageBody=json.dumps(event),
            MessageAttributes={name: {"DataType": "String", "StringValue": value} for name, value in origin.items()},
        )

    # Terraform's resources

    def _functions(self) -> None:
        boto3.client("iam").create_role(
            RoleName="any",
            AssumeRolePolicyDocument=json.dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Principal": {"Service": ["lambda.amazonaws.com", "states.amazonaws.com"]},
                            "Action": "sts:AssumeRole",
                        }
                    ],
                }
            ),
        )
        client = boto3.client("lambda")
        for part in names.FUNCTIONS:
            self.put_function(part)
        consumers = {"slack-events.fifo": "slack", "files.fifo": "sync", names.intake_queue(): "workflow"}
        for queue, part in consumers.items():
            arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}"
            client.create_event_source_mapping(FunctionName=f"security-incident-{part}", EventSourceArn=arn)
            # The simulator delivers messages to the functions; moto would try to run the functions in Docker.
            sqs_backends[ACCOUNT][REGION].queues[queue].lambda_event_source_mappings.clear()

    def put_function(self, part: str, content: str = "") -> None:
        """Create a function as Terraform does. `content` represents the version of the zip."""
        package = io.BytesIO()
        with zipfile.ZipFile(package, "w") as archive:
            archive.writestr(zipfile.ZipInfo("handler.py"), content)
        root = "/SecurityIncidentResponse/"
        boto3.client("lambda").create_function(
            FunctionName=f"security-incident-{part}",
            Runtime="python3.13",
            Role=ROLE,
            Handler="ir_router.handler.lambda_handler",
            Code={"ZipFile": package.getvalue()},
            Environment={
                "Variables": {
                    "IR_NAME_PREFIX": "security-incident",
                    "IR_BOT_TOKEN_PARAMETER": f"{root}slackBotToken",
                    "IR_SIGNING_SECRET_PARAMETER": f"{root}slackSigningSecret",
                    "IR_WORKSPACE_ID_PARAMETER": f"{root}slackWorkspaceId",
                }
            },
        )

    def expect_digests(self) -> None:
        """Give -operations the digests of the deployed parts, as Terraform does (terraform/functions.tf)."""
        client = boto3.client("lambda")
        digests: dict[str, str] = {}
        variables: dict[str, dict[str, str]] = {}
        for part in names.FUNCTIONS:
            found = client.get_function_configuration(FunctionName=f"security-incident-{part}")
            digests["code"] = found["CodeSha256"][:10]
            if part != "operations":
                variables[part] = found["Environment"]["Variables"]
        digests["variables"] = resources.variables_digest(variables)
        machine = self.world.environment["IR_STATE_MACHINE_ARN"]
        definition = boto3.client("stepfunctions").describe_state_machine(stateMachineArn=machine)["definition"]
        digests["definition"] = resources._digest(definition)
        iam, role = boto3.client("iam"), names.containment_role()
        digests["role_trust"] = resources._digest_of(iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"])
        policy = iam.get_role_policy(RoleName=role, PolicyName="containment")["PolicyDocument"]
        digests["role_policy"] = resources._digest_of(policy)
        digests["protection"] = resources._digest("")
        self.world.environment["IR_DIGESTS"] = json.dumps(digests)

    def set_environment(self, **environment: str) -> None:
        """Change the environment in the functions' configuration."""
        client = boto3.client("lambda")
        for part in names.FUNCTIONS:
            name = f"security-incident-{part}"
            variables = client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
            client.update_function_configuration(FunctionName=name, Environment={"Variables": variables | environment})

    def _workflow(self) -> None:
        definition = {"StartAt": "Any", "States": {"Any": {"Type": "Pass", "End": True}}}
        boto3.client("stepfunctions").create_state_machine(
            name="security-incident",
            definition=json.dumps(definition),
            roleArn=ROLE,
            encryptionConfiguration={"type": "CUSTOMER_MANAGED_KMS_KEY", "kmsKeyId": self.workflow_key},
        )

    def _rules(self) -> None:
        self.world.become("operations")
        self.failures_arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:security-incident-failures"
        for rule in list(names.rules()):
            self.put_rule(rule)

    def put_rule(self, rule: names.Rule) -> None:
        """Create a rule as Terraform does."""
        arns = {
            "sync": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:security-incident-sync",
            "operations": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:security-incident-operations",
            "members": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:security-incident-workflow",
            "workflow": settings().require("state_machine_arn"),
            "intake": names.intake_queue_arn(),
            "topic": self.alarm_topic,
            "logs": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/events/SlackNotificationsRule",
        }
        events = boto3.client("events")
        pattern = json.dumps(rule.pattern or {"source": ["any"]})
        events.put_rule(Name=rule.name, EventBusName=rule.bus, EventPattern=pattern, State=rule.state)  # type: ignore[arg-type]
        target: Any = {"Id": "1", "Arn": arns[rule.target], "DeadLetterConfig": {"Arn": self.failures_arn}}
        events.put_targets(Rule=rule.name, EventBusName=rule.bus, Targets=[target])

    def put_log_group(self, name: str) -> None:
        """Create a log group as Terraform does."""
        logs = boto3.client("logs")
        logs.create_log_group(logGroupName=name, kmsKeyId=self.world.environment["IR_KEY_ARN"])
        logs.put_retention_policy(logGroupName=name, retentionInDays=7 if name == ACCESS_LOG else 400)

    def put_alarm(self, name: str, **changed: Any) -> None:
        """Create an alarm as Terraform does, with changes."""
        given = {"EvaluationPeriods": 1, "Threshold": 1, "ComparisonOperator": "GreaterThanThreshold"}
        metric = {"Namespace": "ir-router", "MetricName": "any", "Period": 300, "Statistic": "Sum"}
        told = {"AlarmActions": [self.world.environment["IR_ALERT_TOPIC_ARN"], self.alarm_topic]}
        boto3.client("cloudwatch").put_metric_alarm(AlarmName=name, **given | metric | told | changed)  # type: ignore[arg-type]

    def _trail(self) -> None:
        boto3.client("s3").create_bucket(Bucket="trail-of-the-account")
        client = boto3.client("cloudtrail")
        client.create_trail(Name="everything", S3BucketName="trail-of-the-account", IsMultiRegionTrail=True)
        client.start_logging(Name="everything")

    def select(self, **selector: Any) -> None:
        """Set the trail's only event selector."""
        boto3.client("cloudtrail").put_event_selectors(TrailName="everything", EventSelectors=[selector])  # type: ignore[list-item]


class Deployed(Resources):
    """The rest of the deployment, with its people. A test can change its resources as an operator could."""

    def __init__(self, world: World) -> None:
        """Create people and resources. Use `deployed_in` instead."""
        self.boss = world.workspace.create_user("boss")
        channel = world.workspace.create_channel("security", [self.boss])
        self.security_channel = channel.id
        self.boss.invite(channel.id, world.app.bot_user_id)
        world.environment["IR_SECURITY_CHANNEL_ID"] = channel.id
        self.team = [world.workspace.create_user(name) for name in TEAM]
        self.boss.invite(channel.id, *(user.id for user in self.team))
        world.security_ir.set_response_team(
            [{"name": name, "jobTitle": "Analyst", "email": f"{name}@example.com"} for name in TEAM]
        )
        super().__init__(world)
        world.app.deliver = self._request
        self.poll()

    # Automatic work of AWS

    def poll(self) -> None:
        """Run the scheduled poll and send its output to the function's log."""
        printed = io.StringIO()
        witness, handler = logging.getLogger("ir-router-poll"), logging.StreamHandler(printed)
        handler.setFormatter(logging.Formatter('{"message":"%(message)s"}'))
        witness.addHandler(handler)
        try:
            with contextlib.redirect_stdout(printed):
                self.world.poll()
        finally:
            witness.removeHandler(handler)
        for line in printed.getvalue().splitlines():
            self._log(SYNC_LOG, line)

    def _request(self, headers: Mapping[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Send a request to the API and add it to the access log (the format is in terraform/api.tf)."""
        answer = self.world.request(headers, body)
        agent = {name.lower(): value for name, value in headers.items()}.get("user-agent", "")
        self._log(ACCESS_LOG, json.dumps({"status": str(answer[0]), "userAgent": agent, "path": "/slack/events"}))
        return answer

    def _log(self, group: str, line: str) -> None:
        event = {"timestamp": int(self.world.now() * 1000), "message": line}
        boto3.client("logs").put_log_events(logGroupName=group, logStreamName="stream", logEvents=[event])  # type: ignore[list-item]

    # Verification

    def verify(self) -> dict[str, Any]:
        """Return the answer of the verification."""
        answer: dict[str, Any] = self.world.invoke("operations", {"task": "verify"})
        return answer

    def lines(self) -> dict[str, dict[str, Any]]:
        """Return its lines by name."""
        return {line["name"]: line for line in self.verify()["checks"]}

    def red(self) -> dict[str, str]:
        """Return the details of the failed lines, by name."""
        return {name: line["detail"] for name, line in self.lines().items() if not line["ok"]}
