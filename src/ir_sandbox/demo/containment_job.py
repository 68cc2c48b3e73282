"""The second job: a compromised key is contained within seconds, then an analyst decides."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from ir_router.ledger import approvals
from ir_sandbox import cloud_trail
from ir_sandbox.cloud.launcher import LocalCloud
from ir_sandbox.demo.alerts import Alerts
from ir_sandbox.demo.command_line import CommandLine
from ir_sandbox.demo.incidents import ACCOUNT, Incidents, Key
from ir_sandbox.demo.report import Report
from ir_sandbox.demo.scenes import Scenes
from ir_sandbox.slack.model import Json
from ir_sandbox.slack.people import Person


class ContainmentJob(Incidents):
    """Acts as the attacker and as the analyst; checks IAM, SNS, SQS, the ledger, Slack and the execution history."""

    def __init__(self, cloud: LocalCloud, report: Report) -> None:
        """Use the running cloud `cloud`; add the checks to `report`."""
        super().__init__(cloud, report)
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
        name = "aws sqs receive-message shows the approval request and its task token"
        message = check(name, lambda: self._approval_message(key))
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
        self._released_alone(key, execution)
        self._remember("approved on the command line", execution)
        self._scenes.path(self.executions[-1])

    def _released_alone(self, key: Key, execution: str) -> None:
        """Release with the alias `break-glass`, where two people must release."""
        request = {
            "approval_id": approvals.id_of(execution, "remediate"),
            "decision": "release",
            "analyst": "your-name",
        }
        request |= {"notes": "new keys", "break_glass": "the second person is ill"}
        check = self._report.check
        refused = self._decide(request)
        check("break-glass needs the alias", lambda: refused["status"] == "break_glass_refused")
        check("the deny policy is still attached", lambda: self._policies(key.user))
        answer = self._decide(request, "break-glass")
        check("with the alias, one person releases alone", lambda: answer["status"] == "release_started")
        check("the deny policy is detached", lambda: not self._policies(key.user))
        check("a CRITICAL alert reports it", lambda: self._alerts.seen("BREAK-GLASS", key.user))

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

    def _invoke(self, function: str, payload: Json) -> Any:
        answer = self._cloud.client("lambda").invoke(
            FunctionName=f"security-incident-{function}", Payload=json.dumps(payload).encode()
        )
        return json.loads(answer["Payload"].read())

    def _remember(self, name: str, execution: str) -> None:
        """Keep an execution's path through the diagram for the page."""
        history = self._states.get_execution_history(executionArn=execution, maxResults=1000)["events"]
        entered = [
            event["stateEnteredEventDetails"]["name"] for event in history if "stateEnteredEventDetails" in event
        ]
        self.executions.append({"name": name, "status": self._status(execution), "states": entered})

    def _approval_message(self, key: Key) -> Json | None:
        bodies = self._command_line.received(self._cloud.outputs["queue_urls"]["approval"])
        return next((body for body in bodies if body.get("taskToken") and key.user in json.dumps(body)), None)

    def _decide(self, payload: Json, alias: str = "") -> Json:
        function = "security-incident-approval-handler" + (f":{alias}" if alias else "")
        return self._command_line.invoked(function, json.dumps(payload))

    def _counted(self, user: str) -> bool:
        """Return whether the ledger has counted a repeated event of the user."""
        return self._in_ledger("DEDUP#COUNT#", user)

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

    def _decided(self, channel: str, ts: str, name: str) -> bool:
        message = next(one for one in self._cloud.slack.channel_messages(channel) if one["ts"] == ts)
        return name in str(message) and "button" not in str(message.get("blocks"))
