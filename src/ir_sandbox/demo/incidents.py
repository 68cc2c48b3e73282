"""The acts of an attacker and of AWS in the demo, and the reading of IAM, the executions and the ledger."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from ir_sandbox import cloud_trail
from ir_sandbox.cloud.launcher import LocalCloud
from ir_sandbox.demo.report import Report
from ir_sandbox.slack.model import Json

ACCOUNT = "000000000000"


@dataclass(frozen=True)
class Key:
    """An IAM user and one of its access keys."""

    user: str
    id: str


class Incidents:
    """Causes incidents, and reads what happened."""

    def __init__(self, cloud: LocalCloud, report: Report) -> None:
        """Use the running cloud `cloud`; add the checks to `report`."""
        self._cloud = cloud
        self._report = report
        self._iam = cloud.client("iam")
        self._states = cloud.client("stepfunctions")

    # Actions

    def _new_key(self, name: str) -> Key:
        user = f"{name}-{uuid.uuid4().hex[:4]}"
        self._iam.create_user(UserName=user)
        return Key(user, self._iam.create_access_key(UserName=user)["AccessKey"]["AccessKeyId"])

    def _created(self, key: Key, actor: str = "bert-jan", actor_key: str = "AKIAEXAMPLEEXAMPLE00") -> Json:
        by = cloud_trail.user_identity(ACCOUNT, actor, actor_key)
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

    def _audited(self, user: str) -> bool:
        return self._in_ledger("AUDIT#2", user)

    def _in_ledger(self, prefix: str, user: str) -> bool:
        pages = (
            self._cloud.client("dynamodb").get_paginator("scan").paginate(TableName=self._cloud.outputs["table_name"])
        )
        rows = [row for page in pages for row in page["Items"] if row["PK"]["S"].startswith(prefix)]
        return any(user in json.dumps(row) for row in rows)

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
