"""The local cloud as the bench uses it: what is deployed there, and events for it as AWS and Slack send them."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode

from ir_local import cloud_trail
from ir_local.bench.cost import Fixed
from ir_local.bench.processes import ENTRY_POINT, Deployed
from ir_local.cloud.launcher import LocalCloud
from ir_local.slack.delivery import Delivery
from ir_local.slack.errors import SlackError
from ir_local.slack.people import Person
from ir_local.slack.signing import signature
from ir_local.world import queues

T = TypeVar("T")

_PREFIX = "security-incident"
_CHANNEL_PREFIX = "aws-security-incident-response-case-"
_PATIENCE_SECONDS = 120.0


class NeverHappenedError(Exception):
    """Something that the local cloud should do by itself did not happen in time."""


@dataclass(frozen=True)
class Quiet:
    """A cloud with one case that is in step with its channel, where nothing runs by itself any more."""

    cloud: LocalCloud
    folder: Path
    jane: Person
    case_id: str
    channel: str

    def deployed(self, name: str) -> Deployed:
        """The function as Terraform deployed it, to run in a process of its own."""
        found = self.cloud.client("lambda").get_function_configuration(FunctionName=f"{_PREFIX}-{name}")
        told = found["Environment"]["Variables"]
        environment = {**self.cloud.environment, **told}
        return Deployed(self.folder, ENTRY_POINT, found["FunctionName"], environment, float(found["Timeout"]))

    def message_request(self) -> dict[str, Any]:
        """API Gateway's event for a message of Jane's, with an id of its own."""
        body = json.loads(self._delivered("event", b'"text": "measured"').body)
        body["event_id"] = f"Ev{uuid.uuid4().hex[:10].upper()}"
        return self._signed(json.dumps(body).encode(), "application/json")

    def command_request(self) -> dict[str, Any]:
        """API Gateway's event for `/security-ir help`."""
        return self._signed(urlencode(self._command()).encode(), "application/x-www-form-urlencoded")

    def command_event(self) -> dict[str, Any]:
        """What the door hands over of a command, of one that nobody has carried out."""
        return {"task": "slash_command", "command": self._command()}

    def message_event(self) -> dict[str, Any]:
        """The next message of Jane's as Lambda takes it from slack-events.fifo."""
        self.jane.post(self.channel, f"measured {uuid.uuid4().hex[:6]}")
        return self.next_record("slack-events")

    def next_record(self, queue: str, ask: Callable[[], object] = lambda: None) -> dict[str, Any]:
        """The event with the next message of one of our FIFO queues, which is taken out of it.

        `ask` is called each time before looking, for what has to be asked for.
        """
        sqs = self.cloud.client("sqs")
        url = self.cloud.outputs["queue_urls"][queue.replace("-", "_")]

        def look() -> list[Any]:
            ask()
            answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=1, AttributeNames=["All"])
            return list(answer.get("Messages", []))

        (message,) = _until(f"a message in {queue}.fifo", look)
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        record = queues.record(
            queue, message["Body"], message["MessageId"], message["ReceiptHandle"], message["Attributes"]
        )
        return {"Records": [record]}

    def sizes_at_the_case(self) -> list[int]:
        """The sizes of the case's attachments, in bytes."""
        case = self.cloud.security_ir.snapshot()["cases"][self.case_id]
        return sorted(attachment["size"] for attachment in case["attachments"].values())

    def sizes_in_slack(self) -> list[int]:
        """The sizes of the files that the app has uploaded, in bytes."""
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
    """A case with its channel on a running cloud; then no schedule fires and no queue is served any more.

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
    """What Terraform made that costs something while nothing happens."""
    alarms = cloud.client("cloudwatch").get_paginator("describe_alarms").paginate()
    return Fixed(
        alarms=sum(len(page["MetricAlarms"]) for page in alarms),
        dashboards=len(cloud.client("cloudwatch").list_dashboards()["DashboardEntries"]),
        keys=len(cloud.client("kms").list_keys()["Keys"]),
    )


def seconds_to_contain(cloud: LocalCloud) -> float:
    """Seconds from a detection on the default bus to the key that it names being inactive in IAM."""
    iam = cloud.client("iam")
    user = f"backdoor-{uuid.uuid4().hex[:6]}"
    iam.create_user(UserName=user)
    key = iam.create_access_key(UserName=user)["AccessKey"]["AccessKeyId"]
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


def _key_created(user: str, key: str) -> dict[str, Any]:
    mallory = cloud_trail.user_identity("000000000000", "mallory", "AKIAMALLORY000000001")
    return cloud_trail.key_created(datetime.now(UTC), user, key, by=mallory)


def detection_task(event_id: str) -> dict[str, Any]:
    """The first state's task for a detection, as Step Functions gives it to the workflow's function."""
    detail = {**_key_created("somebody", "AKIASOMEBODY00000001"), "eventID": event_id}
    event = {"source": "aws.iam", "detail-type": "AWS API Call via CloudTrail", "detail": detail, "id": event_id}
    arn = f"arn:aws:states:us-east-1:000000000000:execution:{_PREFIX}:{event_id}"
    execution = {"id": arn, "name": event_id, "started_at": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}
    return {"task": "extract_event_context", "event": event, "execution": {**execution, "state_machine": "machine"}}


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
