"""A world with all that `verify` looks at: what Terraform makes beside the world's own, and AWS's log deliveries."""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from unittest import mock

import boto3
from moto.logs import models as logs
from moto.sqs.models import sqs_backends

from ir_router.ops import names
from ir_router.settings import settings
from tests.support.world import ACCOUNT, REGION, World

ROLE = f"arn:aws:iam::{ACCOUNT}:role/any"
ACCESS_LOG = "/aws/apigateway/SlackWebhookApi"
SYNC_LOG = "/aws/lambda/security-incident-sync"
TEAM = ("on.call", "deputy")


@contextlib.contextmanager
def deployed_in(world: World) -> Iterator[Deployed]:
    """The deployment, with logs on the world's clock."""

    def utc_now() -> datetime:
        return datetime.fromtimestamp(world.now(), UTC).replace(tzinfo=None)

    with mock.patch.object(logs, "utcnow", utc_now):
        yield Deployed(world)


class Deployed:
    """The rest of the deployment, in moto. `break_...` and `mend_...` are what a person may do to it."""

    def __init__(self, world: World) -> None:
        """Make it; `deployed_in` is the way to it."""
        self.world = world
        self.boss = world.workspace.create_user("boss")
        channel = world.workspace.create_channel("security", [self.boss])
        self.security_channel = channel.id
        self.boss.invite(channel.id, world.app.bot_user_id)
        world.environment["IR_SECURITY_CHANNEL_ID"] = channel.id
        self.team = [world.workspace.create_user(name) for name in TEAM]
        world.security_ir.set_response_team(
            [{"name": name, "jobTitle": "Analyst", "email": f"{name}@example.com"} for name in TEAM]
        )
        self._functions()
        self._workflow()
        self._rules()
        self.failures = boto3.client("sqs").create_queue(QueueName="security-incident-failures")["QueueUrl"]
        self._trail()
        logs = boto3.client("logs")
        for group in names.log_groups():
            logs.create_log_group(logGroupName=group)
        for group in (ACCESS_LOG, SYNC_LOG):
            logs.create_log_stream(logGroupName=group, logStreamName="stream")
        for name in names.alarms():
            self.put_alarm(name)
        self.put_dashboard()
        world.app.deliver = self._request
        self.poll()

    # What AWS does by itself

    def poll(self) -> None:
        """A tick of the schedule, whose output goes to the function's log."""
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            self.world.poll()
        for line in printed.getvalue().splitlines():
            self._log(SYNC_LOG, line)

    def _request(self, headers: Mapping[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        """A request at the API, which the access log gets to know (terraform/api.tf has the format)."""
        answer = self.world.request(headers, body)
        agent = {name.lower(): value for name, value in headers.items()}.get("user-agent", "")
        self._log(ACCESS_LOG, json.dumps({"status": str(answer[0]), "userAgent": agent, "path": "/slack/events"}))
        return answer

    def _log(self, group: str, line: str) -> None:
        event = {"timestamp": int(self.world.now() * 1000), "message": line}
        boto3.client("logs").put_log_events(logGroupName=group, logStreamName="stream", logEvents=[event])  # type: ignore[list-item]

    # What Terraform makes

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
        for queue, part in (("slack-events", "slack"), ("files", "sync")):
            arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}.fifo"
            client.create_event_source_mapping(FunctionName=f"security-incident-{part}", EventSourceArn=arn)
            # The world carries messages to the functions; moto would try to run them in Docker.
            sqs_backends[ACCOUNT][REGION].queues[f"{queue}.fifo"].lambda_event_source_mappings.clear()

    def put_function(self, part: str, content: str = "") -> None:
        """A function as Terraform makes it; `content` stands for the version of the zip."""
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

    def tell_functions(self, **environment: str) -> None:
        """Change what the functions' configuration shows."""
        client = boto3.client("lambda")
        for part in names.FUNCTIONS:
            name = f"security-incident-{part}"
            variables = client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
            client.update_function_configuration(FunctionName=name, Environment={"Variables": variables | environment})

    def _workflow(self) -> None:
        definition = {"StartAt": "Any", "States": {"Any": {"Type": "Pass", "End": True}}}
        boto3.client("stepfunctions").create_state_machine(
            name="security-incident", definition=json.dumps(definition), roleArn=ROLE
        )

    def _rules(self) -> None:
        self.world.become("sync")
        self.failures_arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:security-incident-failures"
        for rule in list(names.rules()):
            self.put_rule(rule)

    def put_rule(self, rule: names.Rule) -> None:
        """A rule as Terraform makes it."""
        arns = {
            "sync": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:security-incident-sync",
            "workflow": settings().require("state_machine_arn"),
            "logs": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/events/SlackNotificationsRule",
        }
        events = boto3.client("events")
        events.put_rule(Name=rule.name, EventBusName=rule.bus, EventPattern='{"source": ["any"]}', State=rule.state)  # type: ignore[arg-type]
        target: Any = {"Id": "1", "Arn": arns[rule.target], "DeadLetterConfig": {"Arn": self.failures_arn}}
        events.put_targets(Rule=rule.name, EventBusName=rule.bus, Targets=[target])

    def put_alarm(self, name: str, **changed: Any) -> None:
        """An alarm as Terraform makes it, but for what is changed."""
        given = {"EvaluationPeriods": 1, "Threshold": 1, "ComparisonOperator": "GreaterThanThreshold"}
        metric = {"Namespace": "ir-router", "MetricName": "any", "Period": 300, "Statistic": "Sum"}
        told = {"AlarmActions": [self.world.environment["IR_ALERT_TOPIC_ARN"]]}
        boto3.client("cloudwatch").put_metric_alarm(AlarmName=name, **given | metric | told | changed)  # type: ignore[arg-type]

    def put_dashboard(self) -> None:
        """The dashboard as Terraform makes it, without its widgets."""
        boto3.client("cloudwatch").put_dashboard(DashboardName=names.dashboard(), DashboardBody='{"widgets": []}')

    def _trail(self) -> None:
        boto3.client("s3").create_bucket(Bucket="trail-of-the-account")
        client = boto3.client("cloudtrail")
        client.create_trail(Name="everything", S3BucketName="trail-of-the-account", IsMultiRegionTrail=True)
        client.start_logging(Name="everything")

    def select(self, **selector: Any) -> None:
        """The one event selector of the trail."""
        boto3.client("cloudtrail").put_event_selectors(TrailName="everything", EventSelectors=[selector])  # type: ignore[list-item]

    # Asking

    def verify(self) -> dict[str, Any]:
        """The verification's answer."""
        answer: dict[str, Any] = self.world.invoke("sync", {"task": "verify"})
        return answer

    def lines(self) -> dict[str, dict[str, Any]]:
        """Its lines by name."""
        return {line["name"]: line for line in self.verify()["checks"]}

    def red(self) -> dict[str, str]:
        """The details of the lines that are not ok, by name."""
        return {name: line["detail"] for name, line in self.lines().items() if not line["ok"]}
