"""The whole system in one process, for scenario tests: real code behind its entry point, AWS by moto, the Security IR
service and the Slack workspace as HTTP servers. Nothing here decides anything: it only carries events as AWS would.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
from moto import mock_aws

from ir_local.security_ir import SecurityIrService
from ir_local.security_ir import serve as serve_security_ir
from ir_local.slack import SlackWorkspace
from ir_local.slack import serve as serve_slack
from ir_local.slack.model import App
from ir_router import aws, clock, handler, webhook
from ir_router.settings import settings
from ir_router.slack import credentials, gateway, signature
from ir_router.sync import members

ACCOUNT = "123456789012"  # moto's own
REGION = "us-east-1"
MAX_RECEIVE_COUNT = 5
_ARN = f"arn:aws:{{}}:{REGION}:{ACCOUNT}:{{}}"

# Deployment -> its routes and its time-out, as terraform/functions.tf has them.
DEPLOYMENTS: Mapping[str, tuple[str, int]] = {
    "webhook": ("webhook", 30),
    "slack": ("slack_event,slash_command,interaction", 60),
    "sync": ("poll,sync_case,file_transfer,approval_notice,operations", 900),
    "workflow": ("workflow", 60),
    "approval-handler": ("approval", 30),
}


@dataclass
class Context:
    """What Lambda gives a handler."""

    timeout: float
    function_name: str
    aws_request_id: str
    began: float = field(default_factory=lambda: clock.now())
    memory_limit_in_mb: int = 512

    @property
    def invoked_function_arn(self) -> str:
        return _ARN.format("lambda", f"function:{self.function_name}")

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self.began + self.timeout - clock.now()) * 1000))


@dataclass
class Answer:
    """What an invocation returned or raised."""

    deployment: str
    event: Any
    value: Any = None
    error: Exception | None = None


class World:
    """One account, one workspace. `offset` moves everybody's clock; `invocations` has every call of the entry point."""

    app: App

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.offset = 0.0
        self.environment = dict(environment)
        self.invocations: list[Answer] = []
        self.hints: list[dict[str, Any]] = []
        self.bus: list[dict[str, Any]] = []
        self.asynchronous: list[tuple[str, Any, int]] = []
        self.dead: list[tuple[str, Any]] = []
        self.drop_native_events = False
        self.slept = 0.0
        self._real_now = clock.now
        self.workspace = SlackWorkspace(clock=self.now, delivery_workers=0, acknowledge_seconds=10)
        self.security_ir = SecurityIrService(
            publish=self._native,
            clock=lambda: datetime.fromtimestamp(self.now(), UTC),
            principals={"operator": f"arn:aws:iam::{ACCOUNT}:user/alice"},
            account_id=ACCOUNT,
            default_principal=f"arn:aws:sts::{ACCOUNT}:assumed-role/security-incident-sync/security-incident-sync",
        )

    # Time

    def now(self) -> float:
        return self._real_now() + self.offset

    def advance(self, seconds: float) -> None:
        """Move everybody's clock forward."""
        self.offset += seconds

    def _sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.offset += seconds

    # Set-up

    def build(self) -> None:
        """Make the resources that Terraform makes, as far as moto has them."""
        dynamodb = boto3.client("dynamodb")
        dynamodb.create_table(
            TableName="ledger",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}, {"AttributeName": "SK", "KeyType": "RANGE"}],
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": "S"} for name in ("PK", "SK", "index_pk", "index_sk")
            ],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "index",
                    "KeySchema": [
                        {"AttributeName": "index_pk", "KeyType": "HASH"},
                        {"AttributeName": "index_sk", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": list(INDEX_PROJECTION)},
                }
            ],
        )
        sqs = boto3.client("sqs")
        for name in ("slack-events", "files"):
            dead = sqs.create_queue(QueueName=f"{name}-dlq.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
            redrive = {"deadLetterTargetArn": _ARN.format("sqs", f"{name}-dlq.fifo"), "maxReceiveCount": 5}
            queue = sqs.create_queue(
                QueueName=f"{name}.fifo",
                Attributes={"FifoQueue": "true", "RedrivePolicy": json.dumps(redrive), "VisibilityTimeout": "1"},
            )["QueueUrl"]
            self.environment[f"IR_{name.replace('-', '_').upper()}_QUEUE_URL"] = queue
            self.environment[f"DEAD_{name}"] = dead
        approvals = sqs.create_queue(QueueName="security-incident-approval")["QueueUrl"]
        self.environment["IR_APPROVAL_QUEUE_URL"] = approvals
        alerts = boto3.client("sns").create_topic(Name="security-incident-alerts")["TopicArn"]
        self.environment["IR_ALERT_TOPIC_ARN"] = alerts
        alert_queue = sqs.create_queue(QueueName="alerts-seen")["QueueUrl"]
        self.environment["ALERTS_SEEN"] = alert_queue
        boto3.client("sns").subscribe(TopicArn=alerts, Protocol="sqs", Endpoint=_ARN.format("sqs", "alerts-seen"))
        events = boto3.client("events")
        events.create_event_bus(Name="bus")
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
        created = boto3.client("iam").create_policy(PolicyName="deny", PolicyDocument=json.dumps(policy))
        self.environment["IR_DENY_POLICY_ARN"] = created["Policy"]["Arn"]
        self.configure_slack()

    def configure_slack(self) -> None:
        """Put the app's credentials where the functions read them."""
        ssm = boto3.client("ssm")
        root = "/SecurityIncidentResponse/"
        for name, value, kind in (
            ("slackBotToken", self.app.token, "SecureString"),
            ("slackSigningSecret", self.app.signing_secret, "SecureString"),
            ("slackWorkspaceId", self.workspace.team_id, "String"),
            ("slackChannelPrefix", "aws-security-incident-response-case-", "String"),
        ):
            ssm.put_parameter(Name=root + name, Value=value, Type=kind, Overwrite=True)  # type: ignore[arg-type]
        forget_everything()

    # Invoking

    def invoke(self, deployment: str, event: Any) -> Any:
        """Call the entry point as one deployment; raises what it raises."""
        routes, timeout = DEPLOYMENTS[deployment]
        os.environ.update(self.environment | {"IR_ROUTES": routes})
        settings.cache_clear()
        context = Context(timeout, f"security-incident-{deployment}", f"request-{len(self.invocations)}")
        answer = Answer(deployment, event)
        self.invocations.append(answer)
        try:
            answer.value = handler.lambda_handler(json.loads(json.dumps(event)), context)
        except Exception as error:
            answer.error = error
            raise
        return answer.value

    def try_invoke(self, deployment: str, event: Any) -> Answer:
        """Call the entry point; what it raises is in the answer."""
        try:
            self.invoke(deployment, event)
        except Exception:  # noqa: BLE001 - the answer holds it
            return self.invocations[-1]
        return self.invocations[-1]

    def poll(self) -> Any:
        """One tick of the schedule."""
        return self.try_invoke("sync", {"task": "poll"}).value

    def request(self, headers: Mapping[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        """A request at the API Gateway."""
        event = {
            "httpMethod": "POST",
            "path": "/slack/events",
            "headers": dict(headers),
            "body": body.decode("utf-8", "surrogateescape"),
            "isBase64Encoded": False,
            "requestContext": {"stage": "prod"},
        }
        answer = self.invoke("webhook", event)
        return answer["statusCode"], answer["headers"], answer["body"].encode()

    # Carrying events

    def _native(self, event: Any) -> None:
        if not self.drop_native_events:
            self.hints.append(dict(event))

    def _put_events(self, params: Mapping[str, Any], **_: Any) -> None:
        """Note what was put on the bus (called before botocore sends)."""
        for entry in params["Entries"]:
            event = {
                "source": entry["Source"],
                "detail-type": entry["DetailType"],
                "detail": json.loads(entry["Detail"]),
            }
            self.bus.append(event)
            if entry["Source"] == "security-ir":
                self.hints.append(event)

    def _invoke_asynchronously(self, params: Mapping[str, Any], **_: Any) -> Any:
        """Stand in for Lambda's Invoke."""
        name = str(params["url_path"]).split("/")[3].removeprefix("security-incident-")
        event = json.loads(params["body"])
        if params["headers"].get("X-Amz-Invocation-Type") == "Event":
            self.asynchronous.append((name, event, 0))
            return _HttpAnswer(202), {"StatusCode": 202, "ResponseMetadata": {"HTTPStatusCode": 202}}
        answer = self.try_invoke(name, event)
        self._become("slack")
        body: dict[str, Any] = {"StatusCode": 200, "ResponseMetadata": {"HTTPStatusCode": 200}}
        if answer.error is not None:
            body["FunctionError"] = "Unhandled"
            failure = {"errorType": type(answer.error).__name__, "errorMessage": str(answer.error)}
            body["Payload"] = _Payload(json.dumps(failure).encode())
        else:
            body["Payload"] = _Payload(json.dumps(answer.value).encode())
        return _HttpAnswer(200), body

    def _become(self, deployment: str) -> None:
        os.environ.update(self.environment | {"IR_ROUTES": DEPLOYMENTS[deployment][0]})
        settings.cache_clear()

    def settle(self, rounds: int = 60) -> None:
        """Carry everything that is under way until nothing is: events, deliveries, queues, asynchronous invocations."""
        for _ in range(rounds):
            self.security_ir.events.wait_until_idle()
            if not (self._deliver() | self._run_asynchronous() | self._run_hints() | self._run_queues()):
                return
        raise AssertionError("the system does not come to rest")

    def _deliver(self) -> bool:
        return self.workspace.deliveries.deliver_due() > 0

    def _run_hints(self) -> bool:
        pending, self.hints = self.hints, []
        for event in pending:
            answer = self.try_invoke("sync", event)
            if answer.error is not None:
                self.dead.append(("sync", event))
        return bool(pending)

    def _run_asynchronous(self) -> bool:
        pending, self.asynchronous = self.asynchronous, []
        for name, event, tries in pending:
            answer = self.try_invoke(name, event)
            if answer.error is None:
                continue
            if tries < 2:
                self.asynchronous.append((name, event, tries + 1))
            else:
                self.dead.append((name, event))
        return bool(pending)

    def _run_queues(self) -> bool:
        busy = self._run_queue("slack-events", "slack")
        return self._run_queue("files", "sync") or busy

    def _run_queue(self, name: str, deployment: str) -> bool:
        sqs = boto3.client("sqs")
        url = self.environment[f"IR_{name.replace('-', '_').upper()}_QUEUE_URL"]
        messages = sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"], VisibilityTimeout=900
        ).get("Messages", [])
        if not messages:
            return False
        records = [
            {
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "attributes": message["Attributes"],
                "messageAttributes": {},
                "md5OfBody": message["MD5OfBody"],
                "eventSource": "aws:sqs",
                "eventSourceARN": _ARN.format("sqs", f"security-incident-{name}.fifo"),
                "awsRegion": REGION,
            }
            for message in messages
        ]
        answer = self.try_invoke(deployment, {"Records": records})
        every = {record["messageId"] for record in records}
        failed = every
        if answer.error is None:
            failed = {item["itemIdentifier"] for item in (answer.value or {}).get("batchItemFailures", [])}
        for message in messages:
            if message["MessageId"] in failed:
                sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
            else:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return True

    def dead_letters(self, name: str) -> list[dict[str, Any]]:
        """What is in a FIFO queue's dead-letter queue."""
        messages = boto3.client("sqs").receive_message(
            QueueUrl=self.environment[f"DEAD_{name}"], MaxNumberOfMessages=10, VisibilityTimeout=0
        )
        return [json.loads(message["Body"]) for message in messages.get("Messages", [])]

    # Looking at the other side

    def create_case(self, **changes: Any) -> str:
        """A self-managed case with sensible fields."""
        fields: dict[str, Any] = {
            "title": "Suspicious API Activity Detected",
            "description": "Unusual API calls detected from unknown IP addresses",
            "engagementType": "Security Incident",
            "reportedIncidentStartDate": datetime.fromtimestamp(self.now(), UTC),
            "resolverType": "Self",
            "impactedAccounts": [ACCOUNT],
            "watchers": [],
            "tags": {"severity": "High"},
        }
        return self.security_ir.create_case_as(fields | changes, f"arn:aws:iam::{ACCOUNT}:user/alice")

    def channel_of(self, case_id: str) -> str:
        """The id of the case's channel, by its name in the workspace."""
        return self.workspace.channel(f"aws-security-incident-response-case-{case_id}").id

    def said(self, case_id: str) -> list[dict[str, Any]]:
        """The app's messages in the case's channel, oldest first."""
        messages = self.workspace.channel_messages(self.channel_of(case_id))
        return [message for message in messages if message.get("bot_id") and not message.get("subtype")]

    def comments(self, case_id: str) -> list[str]:
        """The case's comments, oldest first."""
        answer = self.security_ir.call("ListComments", {"caseId": case_id, "maxResults": 25})
        items = list(answer.get("items", []))
        while answer.get("nextToken"):
            answer = self.security_ir.call(
                "ListComments", {"caseId": case_id, "maxResults": 25, "nextToken": answer["nextToken"]}
            )
            items += answer.get("items", [])
        return [str(item["body"]) for item in sorted(items, key=lambda item: (item["createdDate"], item["commentId"]))]


INDEX_PROJECTION = (
    "row_digest",
    "hints",
    "synced_hints",
    "lease_until",
    "next_try",
    "due_at",
    "fingerprint",
    "closed",
    "channel_id",
    "severity",
    "state",
    "settle_after",
    "kind",
    "principal",
    "created_at",
    "reminders_sent",
)


class _HttpAnswer:
    def __init__(self, status: int) -> None:
        self.status_code = status
        self.headers: dict[str, str] = {}


class _Payload:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def read(self) -> bytes:
        return self._content


def forget_everything() -> None:
    """Drop what a warm function keeps."""
    settings.cache_clear()
    aws.forget_clients()
    credentials.forget()
    signature.forget()
    webhook.forget()
    gateway.forget_clients()
    gateway.Names.forget()
    members.forget_team()


@contextmanager
def running_world(set_clock: Callable[[Callable[[], float], Callable[[float], None]], None]) -> Iterator[World]:
    """A world for the length of a `with` block. `set_clock` replaces `clock.now` and `clock.sleep`."""
    environment = {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "IR_TABLE_NAME": "ledger",
        "IR_EVENT_BUS_NAME": "bus",
        "IR_SLACK_FUNCTION": "security-incident-slack",
        "IR_APPROVAL_FUNCTION": "security-incident-approval-handler",
        "IR_STATE_MACHINE_ARN": _ARN.format("states", "stateMachine:security-incident"),
        "IR_CONTAINMENT_MODE": "enforce",
        "IR_SETTLE_SECONDS": "5",
        "LOG_LEVEL": "info",
    }
    before = dict(os.environ)
    world = World(environment)
    try:
        with serve_security_ir(world.security_ir) as security_ir, serve_slack(world.workspace) as slack:
            world.environment["AWS_ENDPOINT_URL_SECURITY_IR"] = security_ir.url
            world.environment["SLACK_API_BASE_URL"] = f"{slack.url}/api/"
            os.environ.update(world.environment)
            with mock_aws():
                boto3.setup_default_session()
                hooks = boto3.DEFAULT_SESSION.events  # type: ignore[union-attr]
                hooks.register("before-parameter-build.events.PutEvents", world._put_events)
                hooks.register("before-call.lambda.Invoke", world._invoke_asynchronously)
                world.app = world.workspace.create_app(deliver=world.request)
                forget_everything()
                set_clock(world.now, world._sleep)
                world.build()
                yield world
    finally:
        world.workspace.close()
        world.security_ir.close()
        os.environ.clear()
        os.environ.update(before)
        forget_everything()


def later(seconds: float) -> timedelta:
    """A step of time."""
    return timedelta(seconds=seconds)
