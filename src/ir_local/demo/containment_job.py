"""The second job: a compromised key contained within seconds, and a person who decides."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ir_local import cloud_trail
from ir_local.cloud.launcher import LocalCloud
from ir_local.demo.command_line import CommandLine
from ir_local.demo.report import Report
from ir_local.slack.model import Json
from ir_local.slack.people import Person

ACCOUNT = "000000000000"


@dataclass(frozen=True)
class Key:
    """A user and an access key of theirs."""

    user: str
    id: str


class Alerts:
    """What subscribers of the alert topic got, seen through a queue of our own."""

    def __init__(self, cloud: LocalCloud) -> None:
        """Subscribe."""
        self._sqs = cloud.client("sqs")
        topic = cloud.outputs["alert_topic_arn"]
        allowed = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": "*",
            "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        self._queue = self._sqs.create_queue(QueueName="demo-alerts", Attributes={"Policy": policy})["QueueUrl"]
        cloud.client("sns").subscribe(
            TopicArn=topic,
            Protocol="sqs",
            Endpoint=f"arn:aws:sqs:us-east-1:{ACCOUNT}:demo-alerts",
        )
        self._texts: list[str] = []

    def seen(self, *parts: str) -> bool:
        """Whether one alert so far holds all the parts."""
        messages = self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10).get("Messages", [])
        for message in messages:
            self._texts.append(message["Body"])
            self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])
        return any(all(part in text for part in parts) for text in self._texts)


class ContainmentJob:
    """Acts as the attacker and as the analyst; looks at IAM, SNS, SQS, the ledger, Slack and the execution history."""

    def __init__(self, cloud: LocalCloud, report: Report) -> None:
        """`cloud` runs."""
        self._cloud = cloud
        self._report = report
        self._iam = cloud.client("iam")
        self._states = cloud.client("stepfunctions")
        self._alerts = Alerts(cloud)
        self._command_line = CommandLine(cloud)
        self.executions: list[Json] = []
        self.snapshots: list[tuple[str, str, list[Json]]] = []

    def run(self) -> None:
        """Carry out the job: approve on the command line, deny in Slack, allowlisted, alert only."""
        self._approved_by_cli()
        self._denied_in_slack()
        self._allowlisted()
        self._alert_only()

    def _approved_by_cli(self) -> None:
        self._report.title("A compromised access key, approved on the command line")
        key = self._new_key("backdoor-user")
        execution = self._happens(self._created(key))
        self._contained(key, execution)
        check = self._report.check
        message = check("aws sqs receive-message shows the question and its task token", self._approval_message)
        if message is None:
            return
        decision = {"task_token": message["taskToken"], "decision": "approve", "analyst": "your-name"}
        answer = self._decide(decision)
        check("aws lambda invoke with the documented payload: approved", lambda: answer["status"] == "approved")
        check("the key is gone", lambda: not self._keys(key.user))
        check("the execution succeeded", lambda: self._status(execution) == "SUCCEEDED")
        check("the final alert says so", lambda: self._alerts.seen("deleted"))
        again = self._decide(decision | {"decision": "deny"})
        check("a second decision is told who decided", lambda: "your-name" in json.dumps(again))
        self._remember("approved on the command line", execution)

    def _denied_in_slack(self) -> None:
        self._report.title("A false positive, denied in Slack")
        jane = self._cloud.slack.person("jane.smith")
        key = self._new_key("deploy-user")
        execution = self._happens(self._created(key))
        self._contained(key, execution)
        check = self._report.check
        asked = check("the approval is asked in the incident's case channel", lambda: self._buttons(key, jane))
        if asked is None:
            return
        channel, ts, action_id = asked
        question = next(one for one in self._cloud.slack.channel_messages(channel) if one["ts"] == ts)
        self.snapshots.append(("the question, before anybody decided", "Approve or deny", [question]))
        jane.press(channel, ts, action_id)
        view = check("Deny asks for the reason in a form", lambda: next(iter(jane.views()), None))
        if view is None:
            return
        block = next(block for block in view.body["blocks"] if block["type"] == "input")
        jane.submit(view.id, {block["block_id"]: "False positive - CI/CD key rotation"})
        check("the key is active again", lambda: self._keys(key.user) == {key.id: "Active"})
        check("the deny policy is gone", lambda: not self._policies(key.user))
        check("the execution succeeded", lambda: self._status(execution) == "SUCCEEDED")
        check("the message shows who denied", lambda: self._decided(channel, ts, "Jane Smith"))
        self._remember("denied in Slack", execution)

    def _allowlisted(self) -> None:
        self._report.title("An allowlisted pipeline, and mere reconnaissance")
        key = self._new_key("pipeline-user")
        pipeline = f"arn:aws:iam::{ACCOUNT}:user/trusted-pipeline"
        self._invoke(
            "workflow",
            {"task": "allowlist_add", "kind": "principal", "value": pipeline, "reason": "demo", "added_by": "demo"},
        )
        execution = self._happens(self._created(key, actor="trusted-pipeline"))
        check = self._report.check
        check("allowlisted: the execution ends", lambda: self._status(execution) == "SUCCEEDED")
        check("its key and policies are untouched", lambda: self._untouched(key))
        self._remember("allowlisted", execution)

    def _alert_only(self) -> None:
        key = self._new_key("curious-user")
        curious = cloud_trail.user_identity(ACCOUNT, key.user, key.id)
        execution = self._happens(
            cloud_trail.record("GetCallerIdentity", datetime.now(UTC), curious, service="sts", readOnly=True)
        )
        check = self._report.check
        check("MEDIUM (reconnaissance): an alert", lambda: self._alerts.seen("curious-user"))
        check("and nothing is contained", lambda: self._untouched(key))
        self._remember("alert only", execution)

    def _contained(self, key: Key, execution: str) -> None:
        check = self._report.check
        check("CreateAccessKey: the key is inactive", lambda: self._keys(key.user) == {key.id: "Inactive"})
        check("the deny policy is attached", lambda: self._policies(key.user))
        check("the workflow waits for an analyst", lambda: self._status(execution) == "RUNNING")
        check("the alert is sent", lambda: self._alerts.seen(key.user))
        check("the audit log has the containment", lambda: self._audited(key.user))

    # Acting

    def _new_key(self, name: str) -> Key:
        user = f"{name}-{uuid.uuid4().hex[:4]}"
        self._iam.create_user(UserName=user)
        return Key(user, self._iam.create_access_key(UserName=user)["AccessKey"]["AccessKeyId"])

    def _created(self, key: Key, actor: str = "bert-jan") -> Json:
        by = cloud_trail.user_identity(ACCOUNT, actor, "AKIAEXAMPLEEXAMPLE00")
        return cloud_trail.key_created(datetime.now(UTC), key.user, key.id, by=by)

    def _happens(self, detail: Json) -> str:
        """Put the event on the default bus as CloudTrail does; the ARN of the execution that it starts."""
        before = set(self._executions())
        self._cloud.client("events").put_events(
            Entries=[
                {
                    "Source": f"aws.{detail['eventSource'].split('.')[0]}",
                    "DetailType": "AWS API Call via CloudTrail",
                    "Detail": json.dumps(detail),
                }
            ]
        )
        name = f"{detail['eventName']} on the default bus starts the state machine"
        started = self._report.check(name, lambda: next(iter(set(self._executions()) - before), None))
        return started or ""

    def _invoke(self, function: str, payload: Json) -> Any:
        answer = self._cloud.client("lambda").invoke(
            FunctionName=f"security-incident-{function}", Payload=json.dumps(payload).encode()
        )
        return json.loads(answer["Payload"].read())

    # Looking

    def _keys(self, user: str) -> dict[str, str]:
        keys = self._iam.list_access_keys(UserName=user)["AccessKeyMetadata"]
        return {key["AccessKeyId"]: key["Status"] for key in keys}

    def _policies(self, user: str) -> list[str]:
        attached = self._iam.list_attached_user_policies(UserName=user)["AttachedPolicies"]
        return [policy["PolicyArn"] for policy in attached]

    def _untouched(self, key: Key) -> bool:
        return self._keys(key.user) == {key.id: "Active"} and not self._policies(key.user)

    def _executions(self) -> list[str]:
        arn = self._cloud.outputs["state_machine_arn"]
        return [
            execution["executionArn"] for execution in self._states.list_executions(stateMachineArn=arn)["executions"]
        ]

    def _status(self, execution: str) -> str:
        return str(self._states.describe_execution(executionArn=execution)["status"])

    def _remember(self, name: str, execution: str) -> None:
        """Keep the path through the diagram for the page."""
        history = self._states.get_execution_history(executionArn=execution, maxResults=1000)["events"]
        entered = [
            event["stateEnteredEventDetails"]["name"] for event in history if "stateEnteredEventDetails" in event
        ]
        self.executions.append({"name": name, "status": self._status(execution), "states": entered})

    def _approval_message(self) -> Json | None:
        bodies = self._command_line.received(self._cloud.outputs["queue_urls"]["approval"])
        return next((body for body in bodies if body.get("taskToken")), None)

    def _decide(self, payload: Json) -> Json:
        return self._command_line.invoked("security-incident-approval-handler", json.dumps(payload))

    def _audited(self, user: str) -> bool:
        rows = self._cloud.client("dynamodb").query(
            TableName=self._cloud.outputs["table_name"],
            KeyConditionExpression="PK = :pk",
            ExpressionAttributeValues={":pk": {"S": f"AUDIT#{datetime.now(UTC):%Y-%m}"}},
        )["Items"]
        return any(user in json.dumps(row) for row in rows)

    def _buttons(self, key: Key, jane: Person) -> tuple[str, str, str] | None:
        """The channel, the message and the Deny button of the key's approval, where Jane can see it."""
        for channel in list(self._cloud.slack.store.channels.values()):
            if jane.id not in channel.members:
                continue
            for message in self._cloud.slack.channel_messages(channel.id):
                if key.user not in str(message):
                    continue
                for block in message.get("blocks") or []:
                    for element in block.get("elements") or []:
                        if element.get("type") == "button" and "deny" in str(element.get("action_id", "")):
                            return channel.id, message["ts"], element["action_id"]
        return None

    def _decided(self, channel: str, ts: str, name: str) -> bool:
        message = next(one for one in self._cloud.slack.channel_messages(channel) if one["ts"] == ts)
        return name in str(message) and "button" not in str(message.get("blocks"))
