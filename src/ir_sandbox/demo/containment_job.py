"""The second job: a compromised key is contained within seconds, then an analyst decides."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ir_sandbox import cloud_trail
from ir_sandbox.cloud.launcher import LocalCloud
from ir_sandbox.demo.command_line import CommandLine
from ir_sandbox.demo.report import Report
from ir_sandbox.demo.scenes import Scenes
from ir_sandbox.slack.model import Json
from ir_sandbox.slack.people import Person

ACCOUNT = "000000000000"


@dataclass(frozen=True)
class Key:
    """An IAM user and one of its access keys."""

    user: str
    id: str


class Alerts:
    """The messages of the alert topic, received through a subscribed queue."""

    def __init__(self, cloud: LocalCloud) -> None:
        """Create the queue and subscribe it."""
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
        self.mails: list[Json] = []

    def seen(self, *parts: str) -> bool:
        """Return whether an alert so far contains all parts."""
        messages = self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10).get("Messages", [])
        for message in messages:
            self._texts.append(message["Body"])
            self.mails.append(json.loads(message["Body"]))
            self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])
        return any(all(part in text for part in parts) for text in self._texts)


class ContainmentJob:
    """Acts as the attacker and as the analyst; checks IAM, SNS, SQS, the ledger, Slack and the execution history."""

    def __init__(self, cloud: LocalCloud, report: Report) -> None:
        """Use the running cloud `cloud`; add the checks to `report`."""
        self._cloud = cloud
        self._report = report
        self._iam = cloud.client("iam")
        self._states = cloud.client("stepfunctions")
        self._alerts = Alerts(cloud)
        self._command_line = CommandLine(cloud)
        self._scenes = Scenes(cloud)
        self.executions: list[Json] = []
        self.snapshots: list[tuple[str, str, list[Json]]] = []

    def run(self) -> None:
        """Run the job: approved on the command line, denied in Slack, allowlisted, alert only."""
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
        request = check("the approval request is in the channel of the case", lambda: self._request(key))
        if request is not None:
            self._scenes.request(*request)
        message = check("aws sqs receive-message shows the approval request and its task token", self._approval_message)
        if message is None:
            return
        decision = {"task_token": message["taskToken"], "decision": "approve", "analyst": "your-name"}
        answer = self._decide(decision)
        check("aws lambda invoke with the documented payload approves", lambda: answer["status"] == "approved")
        check("the key is deleted", lambda: not self._keys(key.user))
        check("the execution succeeded", lambda: self._status(execution) == "SUCCEEDED")
        check("the final alert reports it", lambda: self._alerts.seen("deleted"))
        self._scenes.decision(decision, answer)
        self._scenes.mails([mail for mail in self._alerts.mails if key.user in str(mail)])
        again = self._decide(decision | {"decision": "deny"})
        check("the response to a second decision names the first analyst", lambda: "your-name" in json.dumps(again))
        self._remember("approved on the command line", execution)
        self._scenes.path(self.executions[-1])

    def _denied_in_slack(self) -> None:
        self._report.title("A false positive, denied in Slack")
        jane = self._cloud.slack.person("jane.smith")
        key = self._new_key("deploy-user")
        execution = self._happens(self._created(key))
        self._contained(key, execution)
        check = self._report.check
        asked = check("the approval request is in the incident's case channel", lambda: self._buttons(key, jane))
        if asked is None:
            return
        channel, ts, action_id = asked
        request = next(one for one in self._cloud.slack.channel_messages(channel) if one["ts"] == ts)
        self.snapshots.append(("the approval request before the decision", "Approve or deny", [request]))
        jane.press(channel, ts, action_id)
        view = check("Deny opens a form for the reason", lambda: next(iter(jane.views()), None))
        if view is None:
            return
        self._scenes.form(view)
        block = next(block for block in view.body["blocks"] if block["type"] == "input")
        jane.submit(view.id, {block["block_id"]: "False positive - CI/CD key rotation"})
        check("the key is active again", lambda: self._keys(key.user) == {key.id: "Active"})
        check("the deny policy is detached", lambda: not self._policies(key.user))
        check("the execution succeeded", lambda: self._status(execution) == "SUCCEEDED")
        check("the message shows who denied", lambda: self._decided(channel, ts, "Jane Smith"))
        self._scenes.message("denied", channel, ts)
        self._remember("denied in Slack", execution)

    def _allowlisted(self) -> None:
        self._report.title("An allowlisted pipeline, and reconnaissance only")
        key = self._new_key("pipeline-user")
        pipeline = f"arn:aws:iam::{ACCOUNT}:user/trusted-pipeline"
        self._invoke(
            "workflow",
            {"task": "allowlist_add", "kind": "principal", "value": pipeline, "reason": "demo", "added_by": "demo"},
        )
        execution = self._happens(self._created(key, actor="trusted-pipeline"))
        check = self._report.check
        check("allowlisted: the execution ends", lambda: self._status(execution) == "SUCCEEDED")
        check("the key and policies are unchanged", lambda: self._untouched(key))
        self._remember("allowlisted", execution)

    def _alert_only(self) -> None:
        key = self._new_key("curious-user")
        curious = cloud_trail.user_identity(ACCOUNT, key.user, key.id)
        execution = self._happens(
            cloud_trail.record("GetCallerIdentity", datetime.now(UTC), curious, service="sts", readOnly=True)
        )
        check = self._report.check
        check("MEDIUM (reconnaissance): an alert is sent", lambda: self._alerts.seen("curious-user"))
        check("nothing is contained", lambda: self._untouched(key))
        self._remember("alert only", execution)
        before = set(self._executions())
        self._put(cloud_trail.record("GetCallerIdentity", datetime.now(UTC), curious, service="sts", readOnly=True))
        check("a repeated call is counted", lambda: self._counted(key.user))
        check("the repeated call starts no execution", lambda: set(self._executions()) == before)

    def _contained(self, key: Key, execution: str) -> None:
        check = self._report.check
        check("CreateAccessKey: the key is inactive", lambda: self._keys(key.user) == {key.id: "Inactive"})
        check("the deny policy is attached", lambda: self._policies(key.user))
        check("the workflow waits for an analyst", lambda: self._status(execution) == "RUNNING")
        check("the alert is sent", lambda: self._alerts.seen(key.user))
        check("the audit log contains the containment", lambda: self._audited(key.user))

    # Actions

    def _new_key(self, name: str) -> Key:
        user = f"{name}-{uuid.uuid4().hex[:4]}"
        self._iam.create_user(UserName=user)
        return Key(user, self._iam.create_access_key(UserName=user)["AccessKey"]["AccessKeyId"])

    def _created(self, key: Key, actor: str = "bert-jan") -> Json:
        by = cloud_trail.user_identity(ACCOUNT, actor, "AKIAEXAMPLEEXAMPLE00")
        return cloud_trail.key_created(datetime.now(UTC), key.user, key.id, by=by)

    def _happens(self, detail: Json) -> str:
        """Put an event on the default bus as CloudTrail does; return the ARN of the execution that it starts."""
        before = set(self._executions())
        self._put(detail)
        name = f"{detail['eventName']} on the default bus starts the state machine"
        started = self._report.check(name, lambda: next(iter(set(self._executions()) - before), None))
        return started or ""

    def _put(self, detail: Json) -> None:
        self._cloud.client("events").put_events(
            Entries=[
                {
                    "Source": f"aws.{detail['eventSource'].split('.')[0]}",
                    "DetailType": "AWS API Call via CloudTrail",
                    "Detail": json.dumps(detail),
                }
            ]
        )

    def _invoke(self, function: str, payload: Json) -> Any:
        answer = self._cloud.client("lambda").invoke(
            FunctionName=f"security-incident-{function}", Payload=json.dumps(payload).encode()
        )
        return json.loads(answer["Payload"].read())

    # Reading AWS and Slack

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
        """Keep an execution's path through the diagram for the page."""
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
        return self._in_ledger("AUDIT#2", user)

    def _counted(self, user: str) -> bool:
        """Return whether the ledger has counted a repeated event of the user."""
        return self._in_ledger("DEDUP#COUNT#", user)

    def _in_ledger(self, prefix: str, user: str) -> bool:
        pages = (
            self._cloud.client("dynamodb").get_paginator("scan").paginate(TableName=self._cloud.outputs["table_name"])
        )
        rows = [row for page in pages for row in page["Items"] if row["PK"]["S"].startswith(prefix)]
        return any(user in json.dumps(row) for row in rows)

    def _buttons(self, key: Key, jane: Person) -> tuple[str, str, str] | None:
        """Return the channel, message and Deny button of the key's approval request, if Jane can see it."""
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

    def _request(self, key: Key) -> tuple[str, str] | None:
        """Return channel id and `ts` of the approval request of a key in the channel of its case."""
        for channel in list(self._cloud.slack.store.channels.values()):
            if not channel.name.startswith("aws-security-incident"):
                continue
            for message in self._cloud.slack.channel_messages(channel.id):
                has_buttons = any(block.get("type") == "actions" for block in message.get("blocks") or [])
                if has_buttons and key.user in str(message):
                    return channel.id, message["ts"]
        return None

    def _decided(self, channel: str, ts: str, name: str) -> bool:
        message = next(one for one in self._cloud.slack.channel_messages(channel) if one["ts"] == ts)
        return name in str(message) and "button" not in str(message.get("blocks"))
