"""The local cloud for the bench: its deployed resources, and events for it in the formats of AWS and Slack."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode

from ir_sandbox import cloud_trail
from ir_sandbox.cloud.launcher import LocalCloud
from ir_sandbox.slack.delivery import Delivery
from ir_sandbox.slack.errors import SlackError
from ir_sandbox.slack.people import Person
from ir_sandbox.slack.signing import signature
from tests.trials.bench.cost import Fixed
from tests.trials.bench.processes import ENTRY_POINT, Deployed
from tests.trials.world import queues

T = TypeVar("T")

_PREFIX = "security-incident"
_CHANNEL_PREFIX = "aws-security-incident-response-case-"
_PATIENCE_SECONDS = 900.0


class NeverHappenedError(Exception):
    """The local cloud did not do something in time that it does automatically."""


@dataclass(frozen=True)
class Quiet:
    """A cloud with one synchronised case, in which no schedule and no queue runs any more."""

    cloud: LocalCloud
    folder: Path
    jane: Person
    case_id: str
    channel: str

    def deployed(self, name: str) -> Deployed:
        """Return the function as Terraform deployed it, to run in its own process."""
        found = self.cloud.client("lambda").get_function_configuration(FunctionName=f"{_PREFIX}-{name}")
        told = found["Environment"]["Variables"]
        environment = {**self.cloud.environment, **told}
        return Deployed(
            folder=self.folder,
            entry_point=ENTRY_POINT,
            name=found["FunctionName"],
            environment=environment,
            timeout=float(found["Timeout"]),
            megabytes=int(found["MemorySize"]),
        )

    def message_request(self) -> dict[str, Any]:
        """Return API Gateway's event for a message by Jane with a new id."""
        body = json.loads(self._delivered("event", b'"text": "measured"').body)
        body["event_id"] = f"Ev{uuid.uuid4().hex[:10].upper()}"
        return self._signed(json.dumps(body).encode(), "application/json")

    def command_request(self) -> dict[str, Any]:
        """Return API Gateway's event for `/security-ir help`."""
        return self._signed(urlencode(self._command()).encode(), "application/x-www-form-urlencoded")

    def command_event(self) -> dict[str, Any]:
        """Return the event that the webhook hands over for a command that has not run yet."""
        return {"task": "slash_command", "command": self._command()}

    def message_event(self) -> dict[str, Any]:
        """Return Jane's next message as Lambda receives it from slack-events.fifo."""
        self.jane.post(self.channel, f"measured {uuid.uuid4().hex[:6]}")
        return self.next_record("slack-events")

    def next_record(
        self, queue: str, ask: Callable[[], object] = lambda: None, *, keep: bool = False
    ) -> dict[str, Any]:
        """Remove the next message of one of ir-router's FIFO queues and return its event; `remove` removes a kept one.

        `ask` runs before each attempt, to cause the message.
        """
        sqs = self.cloud.client("sqs")
        url = self.cloud.outputs["queue_urls"][queue.replace("-", "_")]

        def look() -> list[Any]:
            ask()
            answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=1, AttributeNames=["All"])
            return list(answer.get("Messages", []))

        (message,) = _until(f"a message in {queue}.fifo", look)
        if not keep:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        record = queues.record(
            queue, message["Body"], message["MessageId"], message["ReceiptHandle"], message["Attributes"]
        )
        return {"Records": [record]}

    def remove(self, queue: str, event: dict[str, Any]) -> None:
        """Remove the message of an event from its queue."""
        url = self.cloud.outputs["queue_urls"][queue.replace("-", "_")]
        self.cloud.client("sqs").delete_message(QueueUrl=url, ReceiptHandle=event["Records"][0]["receiptHandle"])

    def sizes_at_the_case(self) -> list[int]:
        """Return the sizes of the case's attachments, in bytes."""
        case = self.cloud.security_ir.snapshot()["cases"][self.case_id]
        return sorted(attachment["size"] for attachment in case["attachments"].values())

    def sizes_in_slack(self) -> list[int]:
        """Return the sizes of the files that the app has uploaded, in bytes."""
        app_id = self.cloud.slack_app.app_id
        return sorted(file.uploaded or 0 for file in self.cloud.slack.store.files.values() if file.app_id == app_id)

    def _command(self) -> dict[str, str]:
        form = dict(parse_qsl(self._delivered("command", b"text=help").body.decode()))
        return form | {"trigger_id": f"{uuid.uuid4().int % 10**12}.1"}

    def _delivered(self, kind: str, part: bytes) -> Delivery:
        return next(one for one in self.cloud.slack.deliveries.log if one.kind == kind and part in one.body)

    def _signed(self, body: bytes, content_type: str) -> dict[str, Any]:
        now = str(int(time.time()))
        headers = {
            "Content-Type": content_type,
            "X-Slack-Request-Timestamp": now,
            "X-Slack-Signature": signature(self.cloud.slack_app.signing_secret, now, body),
        }
        return {
            "httpMethod": "POST",
            "path": "/slack/events",
            "headers": headers,
            "multiValueHeaders": {name: [value] for name, value in headers.items()},
            "queryStringParameters": None,
            "body": body.decode(),
            "isBase64Encoded": False,
            "requestContext": {"httpMethod": "POST", "path": "/prod/slack/events", "stage": "prod"},
        }


def quiet(cloud: LocalCloud, folder: Path) -> Quiet:
    """Create a case with its channel on a running cloud, then stop all schedules and queues.

    `folder` holds the unpacked zip. Raises NeverHappenedError.
    """
    jane = cloud.slack.person("jane.smith")
    answer = cloud.client("security-ir").create_case(
        resolverType="Self",
        title="Suspicious API activity detected",
        description="Unusual API calls from unknown IP addresses.",
        engagementType="Security Incident",
        reportedIncidentStartDate=datetime.now(UTC),
        impactedAccounts=["123456789012"],
        watchers=[{"email": "jane.smith@example.com", "name": "Jane Smith"}],
        tags={"severity": "High"},
    )
    case_id = answer["caseId"]
    channel = _until("the case's channel with Jane in it", lambda: _channel_with(cloud, jane, case_id))
    jane.command(channel, "/security-ir", "help")
    _stop_schedules_and_queues(cloud)
    there = Quiet(cloud, folder, jane, case_id, channel)
    jane.post(channel, "measured")
    there.next_record("slack-events")
    return there


def fixed(cloud: LocalCloud) -> Fixed:
    """Count the deployed resources with a fixed monthly cost."""
    alarms = cloud.client("cloudwatch").get_paginator("describe_alarms").paginate()
    return Fixed(
        alarms=sum(len(page["MetricAlarms"]) for page in alarms),
        dashboards=len(cloud.client("cloudwatch").list_dashboards()["DashboardEntries"]),
        keys=len(cloud.client("kms").list_keys()["Keys"]),
    )


def seconds_to_contain(cloud: LocalCloud) -> float:
    """Return the seconds from a detection on the default bus until its key is inactive in IAM."""
    iam = cloud.client("iam")
    user, key = _new_key(cloud)
    detail = _key_created(user, key)
    events = cloud.client("events")
    began = time.perf_counter()
    events.put_events(
        Entries=[{"Source": "aws.iam", "DetailType": "AWS API Call via CloudTrail", "Detail": json.dumps(detail)}]
    )
    _until(
        f"the key of {user} disabled",
        lambda: [
            one for one in iam.list_access_keys(UserName=user)["AccessKeyMetadata"] if one["Status"] == "Inactive"
        ],
    )
    return time.perf_counter() - began


def key_created(cloud: LocalCloud) -> dict[str, Any]:
    """Create a user with a key in IAM and return EventBridge's event of the key's creation."""
    event_id = str(uuid.uuid4())
    detail = {**_key_created(*_new_key(cloud)), "eventID": event_id}
    return {"source": "aws.iam", "detail-type": "AWS API Call via CloudTrail", "detail": detail, "id": event_id}


def _new_key(cloud: LocalCloud) -> tuple[str, str]:
    iam = cloud.client("iam")
    user = f"backdoor-{uuid.uuid4().hex[:6]}"
    iam.create_user(UserName=user)
    return user, iam.create_access_key(UserName=user)["AccessKey"]["AccessKeyId"]


def _key_created(user: str, key: str) -> dict[str, Any]:
    # Events by one caller would be one incident.
    creator = cloud_trail.user_identity("000000000000", f"creator-of-{user}", "AKIACREATOR000000001")
    return cloud_trail.key_created(datetime.now(UTC), user, key, by=creator)


def detection_task(event_id: str) -> dict[str, Any]:
    """Return the first state's task for a detection, as Step Functions passes it to the workflow's function."""
    detail = {**_key_created("somebody", "AKIASOMEBODY00000001"), "eventID": event_id}
    return extraction_task(
        {"source": "aws.iam", "detail-type": "AWS API Call via CloudTrail", "detail": detail, "id": event_id}
    )


def extraction_task(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return the task of the first state for an event."""
    event_id = event["id"]
    arn = f"arn:aws:states:us-east-1:000000000000:execution:{_PREFIX}:{event_id}"
    execution = {"id": arn, "name": event_id, "started_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}
    return {"task": "extract_event_context", "event": event, "execution": {**execution, "state_machine": "machine"}}


def repeated_calls(events: int) -> dict[str, Any]:
    """Return a batch of the intake with denied calls of one user, as Lambda receives it."""
    caller = cloud_trail.user_identity("000000000000", "refused", "AKIAREFUSED000000001")
    records = []
    for _ in range(events):
        event_id = str(uuid.uuid4())
        detail = cloud_trail.record("ListUsers", datetime.now(UTC), caller, errorCode="AccessDenied")
        event = {"source": "aws.iam", "detail-type": "AWS API Call via CloudTrail", "account": "000000000000"}
        body = json.dumps({**event, "id": event_id, "detail": {**detail, "eventID": event_id}})
        records.append(queues.record(queues.INTAKE, body, event_id, event_id, {"ApproximateReceiveCount": "1"}))
    return {"Records": records}


def _channel_with(cloud: LocalCloud, jane: Person, case_id: str) -> str | None:
    try:
        channel = cloud.slack.channel(f"{_CHANNEL_PREFIX}{case_id}")
    except SlackError:
        return None
    return channel.id if jane.id in channel.members else None


def _stop_schedules_and_queues(cloud: LocalCloud) -> None:
    events, functions = cloud.client("events"), cloud.client("lambda")
    for rule in events.list_rules()["Rules"]:
        if "ScheduleExpression" in rule:
            events.disable_rule(Name=rule["Name"])
    for mapping in functions.list_event_source_mappings()["EventSourceMappings"]:
        functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)


def _until(what: str, look: Callable[[], T | None]) -> T:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise NeverHappenedError(f"{what}: not seen within {_PATIENCE_SECONDS:.0f} s")
