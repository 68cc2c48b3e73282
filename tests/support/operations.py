"""A world with all that `verify` looks at: what Terraform makes beside the world's own, and AWS's log deliveries."""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import boto3

from ir_router.ops import names
from ir_router.settings import settings
from tests.support.world import ACCOUNT, REGION, World

ROLE = f"arn:aws:iam::{ACCOUNT}:role/any"
ACCESS_LOG = "/aws/apigateway/SlackWebhookApi"
SYNC_LOG = "/aws/lambda/security-incident-sync"
TEAM = ("on.call", "deputy")


class Deployed:
    """The rest of the deployment, in moto. `break_...` and `mend_...` are what a person may do to it."""

    def __init__(self, world: World) -> None:
        self.world = world
        world.environment["IR_SECURITY_CHANNEL_ID"] = self._security_channel()
        for name in TEAM:
            world.workspace.create_user(name)
        world.security_ir.set_response_team(
            [{"name": name, "jobTitle": "Analyst", "email": f"{name}@example.com"} for name in TEAM]
        )
        self._functions()
        self._workflow()
        self._rules()
        self.failures = boto3.client("sqs").create_queue(QueueName="security-incident-failures")["QueueUrl"]
        self._trail()
        logs = boto3.client("logs")
        for group in (ACCESS_LOG, SYNC_LOG):
            logs.create_log_group(logGroupName=group)
            logs.create_log_stream(logGroupName=group, logStreamName="stream")
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

    def _security_channel(self) -> str:
        boss = self.world.workspace.create_user("boss")
        channel = self.world.workspace.create_channel("security", [boss], is_private=False)
        boss.invite(channel.id, self.world.app.bot_user_id)
        return str(channel.id)

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
        package = io.BytesIO()
        with zipfile.ZipFile(package, "w") as archive:
            archive.writestr("handler.py", "")
        client = boto3.client("lambda")
        for part in names.FUNCTIONS:
            client.create_function(
                FunctionName=f"security-incident-{part}",
                Runtime="python3.13",
                Role=ROLE,
                Handler="ir_router.handler.lambda_handler",
                Code={"ZipFile": package.getvalue()},
                Environment={"Variables": self._environment_of(part)},
            )
        for queue, part in (("slack-events", "slack"), ("files", "sync")):
            arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}.fifo"
            client.create_event_source_mapping(FunctionName=f"security-incident-{part}", EventSourceArn=arn)

    def _environment_of(self, part: str) -> dict[str, str]:
        """What a person finds in a function's configuration."""
        root = "/SecurityIncidentResponse/"
        return {
            "IR_NAME_PREFIX": "security-incident",
            "IR_BOT_TOKEN_PARAMETER": f"{root}slackBotToken",
            "IR_SIGNING_SECRET_PARAMETER": f"{root}slackSigningSecret",
            "IR_WORKSPACE_ID_PARAMETER": f"{root}slackWorkspaceId",
        }

    def _workflow(self) -> None:
        definition = {"StartAt": "Any", "States": {"Any": {"Type": "Pass", "End": True}}}
        boto3.client("stepfunctions").create_state_machine(
            name="security-incident", definition=json.dumps(definition), roleArn=ROLE
        )

    def _rules(self) -> None:
        self.world._become("sync")
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

    def _trail(self) -> None:
        boto3.client("s3").create_bucket(Bucket="trail-of-the-account")
        client = boto3.client("cloudtrail")
        client.create_trail(Name="everything", S3BucketName="trail-of-the-account", IsMultiRegionTrail=True)
        client.start_logging(Name="everything")

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
