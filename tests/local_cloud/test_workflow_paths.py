"""Every path of the deployed state machine on the local cloud, checked in IAM, SNS, SQS, the case and the history.

The failure paths run on a copy of the deployed definition with short pauses, so that no test waits for a day.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest
import urllib3

from ir_router.ledger import approvals
from ir_sandbox import cloud_trail
from ir_sandbox.cloud.launcher import LocalCloud
from tests.support.waiting import wait_for

pytestmark = pytest.mark.local_cloud

ACCOUNT = "000000000000"
Found = TypeVar("Found")
Json = dict[str, Any]


class Account:
    """The account from the view of attackers, analysts and auditors."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.cloud = cloud
        self.iam, self.states = cloud.client("iam"), cloud.client("stepfunctions")
        self.sqs, self.table = cloud.client("sqs"), cloud.client("dynamodb")
        self.queue = self.sqs.create_queue(QueueName="alerts-of-the-test")["QueueUrl"]
        cloud.client("sns").subscribe(
            TopicArn=cloud.outputs["alert_topic_arn"],
            Protocol="sqs",
            Endpoint=f"arn:aws:sqs:us-east-1:{ACCOUNT}:alerts-of-the-test",
        )
        self.alert_texts: list[str] = []
        self.questions: dict[str, Json] = {}
        self.machine = cloud.outputs["state_machine_arn"]
        self.quick = self._copy("quick", heartbeat=86_400)
        self.impatient = self._copy("impatient", heartbeat=3)

    def _copy(self, name: str, heartbeat: int) -> str:
        """Create a copy of the deployed state machine with short pauses."""
        deployed = self.states.describe_state_machine(stateMachineArn=self.machine)

        def shorten(value: Any) -> Any:
            if isinstance(value, list):
                return [shorten(item) for item in value]
            if not isinstance(value, dict):
                return value
            changed = {key: shorten(item) for key, item in value.items()}
            if "MaxAttempts" in changed:
                changed |= {"MaxAttempts": min(changed["MaxAttempts"], 1), "IntervalSeconds": 1}
            if changed.get("Type") == "Wait":
                changed["Seconds"] = 2
            if "HeartbeatSeconds" in changed:
                changed |= {"HeartbeatSeconds": heartbeat, "TimeoutSeconds": heartbeat + 60}
            return changed

        definition = json.dumps(shorten(json.loads(deployed["definition"])))
        created = self.states.create_state_machine(name=name, definition=definition, roleArn=deployed["roleArn"])
        return str(created["stateMachineArn"])

    # Actions

    def user(self, keys: int = 1) -> tuple[str, list[str]]:
        name = f"user-{uuid.uuid4().hex[:8]}"
        self.iam.create_user(UserName=name)
        return name, [self.iam.create_access_key(UserName=name)["AccessKey"]["AccessKeyId"] for _ in range(keys)]

    def start(self, event: Json, machine: str | None = None) -> str:
        answer = self.states.start_execution(stateMachineArn=machine or self.quick, input=json.dumps(event))
        return str(answer["executionArn"])

    def invoke(self, function: str, payload: Json) -> Json:
        answer = self.cloud.client("lambda").invoke(
            FunctionName=f"security-incident-{function}", Payload=json.dumps(payload).encode()
        )
        body: Json = json.loads(answer["Payload"].read())
        return body

    def decide(self, user: str, decision: str) -> Json:
        """Decide with the documented payload and the token from the queue."""
        token = wait_for(lambda: self.question(user))["taskToken"]
        return self.invoke("approval-handler", {"task_token": token, "decision": decision, "analyst": "your-name"})

    def hold(self, user: str, seconds: float) -> None:
        """Take the principal's lock like a process that then ends without releasing it."""
        row = {"PK": {"S": f"CONTAINMENT#arn:aws:iam::{ACCOUNT}:user/{user}"}, "SK": {"S": "META"}}
        self.table.update_item(
            TableName=self.cloud.outputs["table_name"],
            Key=row,
            UpdateExpression="SET lock_until = :until, lock_holder = :holder",
            ExpressionAttributeValues={":until": {"N": str(int(time.time() + seconds))}, ":holder": {"S": "test"}},
        )

    # Reads

    def keys(self, user: str) -> dict[str, str]:
        found = self.iam.list_access_keys(UserName=user)["AccessKeyMetadata"]
        return {key["AccessKeyId"]: key["Status"] for key in found}

    def denied(self, user: str) -> bool:
        return bool(self.iam.list_attached_user_policies(UserName=user)["AttachedPolicies"])

    def question(self, user: str) -> Json | None:
        queue = self.cloud.outputs["queue_urls"]["approval"]
        for message in self.sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
            body = json.loads(message["Body"])
            self.questions[body["incident"]["subject"].rpartition("/")[2]] = body
            self.sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return self.questions.get(user)

    def alert(self, *parts: str) -> str | None:
        for message in self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages", []):
            self.alert_texts.append(json.loads(message["Body"])["Message"])
            self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return next((text for text in self.alert_texts if all(part in text for part in parts)), None)

    def status(self, execution: str) -> str:
        return str(self.states.describe_execution(executionArn=execution)["status"])

    def ended(self, execution: str) -> tuple[str, str]:
        """Return the status and the last state."""
        status = wait_for(lambda: (found := self.status(execution)) != "RUNNING" and found)
        return str(status), self.path(execution)[-1]

    def path(self, execution: str) -> list[str]:
        history = self.states.get_execution_history(executionArn=execution, maxResults=1000)["events"]
        return [event["stateEnteredEventDetails"]["name"] for event in history if "stateEnteredEventDetails" in event]

    def audited(self, execution: str) -> list[str]:
        pages = self.table.get_paginator("scan").paginate(TableName=self.cloud.outputs["table_name"])
        rows = [row for page in pages for row in page["Items"] if row["PK"]["S"].startswith("AUDIT#2")]
        return [row["action"]["S"] for row in rows if execution in row["details"]["S"]]


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    with LocalCloud() as cloud:
        yield Account(cloud)


def call(name: str, **changes: Any) -> Json:
    """Return EventBridge's event for a CloudTrail record."""
    by = changes.pop("userIdentity", identity("mallory"))
    detail = cloud_trail.record(name, datetime.now(UTC), by, **changes)
    return {"source": "aws.iam", "detail-type": "AWS API Call via CloudTrail", "account": ACCOUNT, "detail": detail}


def identity(name: str) -> Json:
    return cloud_trail.user_identity(ACCOUNT, name, "AKIAEXAMPLE000000001")


def created(user: str, key: str, **changes: Any) -> Json:
    # Events by one caller would be one incident.
    changes.setdefault("userIdentity", identity(f"creator-of-{user}"))
    answer = {"accessKey": {"accessKeyId": key, "status": "Active", "userName": user}}
    return call("CreateAccessKey", requestParameters={"userName": user}, responseElements=answer, **changes)


def test_given_an_event_on_the_default_bus_when_approved_by_cli_then_the_key_is_gone(account: Account) -> None:
    user, keys = account.user(2)
    event = created(user, keys[0])
    account.cloud.client("events").put_events(
        Entries=[{"Source": event["source"], "DetailType": event["detail-type"], "Detail": json.dumps(event["detail"])}]
    )
    wait_for(lambda: account.denied(user) and set(account.keys(user).values()) == {"Inactive"})
    execution = wait_for(
        lambda: next(
            (
                found["executionArn"]
                for found in account.states.list_executions(stateMachineArn=account.machine)["executions"]
                if "Wait for Analyst" in account.path(found["executionArn"])
            ),
            None,
        )
    )

    assert account.decide(user, "approve")["status"] == "approved"

    assert account.ended(execution) == ("SUCCEEDED", "Done")
    assert account.keys(user) == {keys[1]: "Inactive"}
    assert account.denied(user)
    assert "Delete Key Permanently" in account.path(execution)
    assert wait_for(lambda: account.alert("Approved by your-name", user))
    assert set(account.audited(execution)) >= {"contained", "decision_recorded", "decision_received", "ended"}
    assert account.invoke("workflow", {"task": "verify_audit"})["verified"]


def test_given_a_contained_user_when_denied_then_all_is_as_before(account: Account) -> None:
    user, (key,) = account.user()
    execution = account.start(created(user, key))

    assert account.decide(user, "deny")["status"] == "denied"

    assert account.ended(execution) == ("SUCCEEDED", "Done")
    assert (account.keys(user), account.denied(user)) == ({key: "Active"}, False)
    again = account.invoke(
        "approval-handler",
        {"task_token": account.questions[user]["taskToken"], "decision": "approve", "analyst": "another"},
    )
    assert again["status"] == "already_decided"
    assert again["decided_by"] == "your-name"


def test_given_a_full_case_quota_when_contained_then_the_request_is_in_the_security_channel_and_the_case_comes_later(
    account: Account,
) -> None:
    cloud, (user, (key,)) = account.cloud, account.user()
    settings = f"{cloud.security_ir_url}/_local/settings"
    assert urllib3.request("PUT", settings, json={"active_self_managed_cases": 0}).status == 200
    try:
        execution = account.start(created(user, key))
        assert wait_for(lambda: account.alert(user, "There is no case yet, because a quota for cases"))
        asked = wait_for(lambda: [said for said in messages(cloud) if user in said and "There is no case yet" in said])
        assert len(asked) == 1
    finally:
        assert urllib3.request("PUT", settings, json={}).status == 200

    assert account.invoke("workflow", {"task": "open_missing_cases"})["opened"] == 1
    assert account.decide(user, "approve")["status"] == "approved"

    assert account.ended(execution) == ("SUCCEEDED", "Done")
    (case,) = [case for case in cloud.security_ir.snapshot()["cases"].values() if user in str(case)]
    assert "Approved by your-name" in str(case)


def messages(cloud: LocalCloud) -> list[str]:
    return [str(message) for message in cloud.slack.channel_messages(cloud.security_channel.id)]


def test_given_an_allowlisted_caller_when_it_makes_a_key_then_nothing_is_touched(account: Account) -> None:
    user, (key,) = account.user()
    pipeline = f"arn:aws:iam::{ACCOUNT}:user/pipeline"
    entry = {"kind": "principal", "value": pipeline, "reason": "deploys", "added_by": "test"}
    assert account.invoke("workflow", {"task": "allowlist_add", **entry})["status"] == "added"

    execution = account.start(created(user, key, userIdentity=identity("pipeline")))

    assert account.ended(execution) == ("SUCCEEDED", "Logged")
    assert (account.keys(user), account.denied(user)) == ({key: "Active"}, False)
    assert account.audited(execution) == ["event_allowlisted"]


def test_given_a_low_finding_when_started_then_it_is_logged(account: Account) -> None:
    details = {"accessKeyId": "AKIAEXAMPLE000000001", "userName": "bob", "userType": "IAMUser"}
    detail = {
        "id": uuid.uuid4().hex,
        "type": "Policy:IAMUser/Anything",
        "severity": 2,
        "accountId": ACCOUNT,
        "resource": {"resourceType": "AccessKey", "accessKeyDetails": details},
    }
    finding = {"source": "aws.guardduty", "detail-type": "GuardDuty Finding", "account": ACCOUNT, "detail": detail}

    assert account.ended(account.start(finding)) == ("SUCCEEDED", "Logged")


def test_given_reconnaissance_when_repeated_then_one_alert_and_the_count_at_the_end(account: Account) -> None:
    curious = identity(f"curious-{uuid.uuid4().hex[:6]}")
    first = account.start(call("ListUsers", userIdentity=curious))
    wait_for(lambda: "Collect for an Hour" in account.path(first))

    second = account.start(call("ListRoles", userIdentity=curious))

    assert account.ended(second) == ("SUCCEEDED", "Alerted")
    assert account.ended(first) == ("SUCCEEDED", "Alerted")
    assert wait_for(lambda: account.alert(curious["userName"], "2 events within the hour"))


def test_given_root_when_it_changes_something_then_people_are_alerted_at_once(account: Account) -> None:
    root = {"type": "Root", "arn": f"arn:aws:iam::{ACCOUNT}:root", "accountId": ACCOUNT}

    execution = account.start(call("CreateUser", userIdentity=root))

    assert account.ended(execution) == ("SUCCEEDED", "Alerted")
    assert wait_for(lambda: account.alert("CRITICAL", "Root cannot be contained"))


def test_given_no_decision_when_the_deadline_passes_then_the_containment_stays(account: Account) -> None:
    user, (key,) = account.user()
    execution = account.start(created(user, key), account.impatient)

    assert account.ended(execution) == ("SUCCEEDED", "Done")
    assert "Record Time-out" in account.path(execution)
    assert (account.keys(user), account.denied(user)) == ({key: "Inactive"}, True)
    assert wait_for(lambda: account.alert("No decision within 24 hours", user))
    assert "approval_timed_out" in account.audited(execution)
    late = {"approval_id": approvals.id_of(execution, "remediate"), "decision": "approve", "analyst": "your-name"}
    assert account.invoke("approval-handler", late)["status"] == "too_late"
    arn = f"arn:aws:iam::{ACCOUNT}:user/{user}"
    released = account.invoke("workflow", {"task": "release", "principal": arn, "released_by": "J", "reason": "test"})
    assert released["status"] == "released"
    assert (account.keys(user), account.denied(user)) == ({key: "Active"}, False)


def test_given_a_principal_that_stays_locked_when_contained_then_it_fails_visibly(account: Account) -> None:
    user, (key,) = account.user()
    account.hold(user, 3600)

    execution = account.start(created(user, key))

    assert account.ended(execution) == ("FAILED", "Containment Failed")
    assert account.states.describe_execution(executionArn=execution)["error"] == "ContainmentFailed"
    assert wait_for(lambda: account.alert("Immediate Containment failed", "ContainmentBusyError", user))
    assert account.audited(execution) == ["step_failed"]


def test_given_a_lock_that_is_freed_when_contained_then_the_retry_contains(account: Account) -> None:
    user, (key,) = account.user()
    account.hold(user, 4)

    account.start(created(user, key), account.machine)

    # The policy is attached before the key is disabled.
    assert wait_for(lambda: account.denied(user) and account.keys(user) == {key: "Inactive"})


def test_given_a_remediation_that_fails_when_decided_then_it_ends_red_and_subscribers_are_notified(
    account: Account,
) -> None:
    user, (key,) = account.user()
    execution = account.start(created(user, key))
    wait_for(lambda: account.question(user))
    account.hold(user, 3600)

    account.decide(user, "approve")

    assert account.ended(execution) == ("FAILED", "Remediation Failed")
    assert account.keys(user) == {key: "Inactive"}
    assert wait_for(lambda: account.alert("Remediation failed", user))


def test_given_a_topic_that_is_gone_when_contained_then_the_wait_goes_on_and_the_end_is_red(account: Account) -> None:
    sns, topic = account.cloud.client("sns"), account.cloud.outputs["alert_topic_arn"]
    user, (key,) = account.user()
    subscriptions = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    sns.delete_topic(TopicArn=topic)
    try:
        execution = account.start(created(user, key))
        wait_for(lambda: "step_failed" in account.audited(execution))
        wait_for(lambda: account.question(user))
        assert account.status(execution) == "RUNNING"
    finally:
        sns.create_topic(Name=topic.rpartition(":")[2])
        for subscription in subscriptions:
            sns.subscribe(TopicArn=topic, Protocol=subscription["Protocol"], Endpoint=subscription["Endpoint"])

    account.decide(user, "approve")

    assert account.ended(execution) == ("FAILED", "Finished With Something Undone")
    assert account.keys(user) == {}
    assert wait_for(lambda: account.alert("Missing: Send Alert", user))


def test_given_an_audit_that_cannot_be_written_when_contained_then_subscribers_are_notified_and_the_end_is_red(
    account: Account,
) -> None:
    table, name = account.table, account.cloud.outputs["table_name"]
    key_of_head = {"PK": {"S": "AUDIT#head"}, "SK": {"S": "META"}}
    user, (key,) = account.user()
    head = table.get_item(TableName=name, Key=key_of_head)["Item"]
    table.put_item(TableName=name, Item=key_of_head)
    try:
        execution = account.start(created(user, key))
        assert wait_for(lambda: account.alert("Write Audit Log failed", user))
        wait_for(lambda: account.question(user))
    finally:
        table.put_item(TableName=name, Item=head)

    account.decide(user, "deny")

    assert account.ended(execution) == ("FAILED", "Finished With Something Undone")
    assert account.keys(user) == {key: "Active"}


def test_given_the_same_event_twice_when_started_then_one_of_the_two_is_a_duplicate(account: Account) -> None:
    event = call("ListUsers", userIdentity=identity(f"twice-{uuid.uuid4().hex[:6]}"))
    both = [account.start(event), account.start(event)]  # They run in parallel, so either can read first.

    assert sorted(account.ended(one) for one in both) == [("SUCCEEDED", "Alerted"), ("SUCCEEDED", "Duplicate")]


def test_given_a_malformed_event_when_started_then_it_fails_visibly(account: Account) -> None:
    execution = account.start({"source": "aws.iam", "detail": {"eventName": "CreateAccessKey"}})

    assert account.ended(execution) == ("FAILED", "Event Not Readable")
    assert wait_for(lambda: account.alert("Extract Event Context failed", execution))
    assert account.audited(execution) == ["step_failed"]
