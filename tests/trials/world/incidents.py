"""Security events in AWS's format, the principals that they name, and the state of these principals."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
from moto.iam.models import iam_backends

from ir_sandbox import cloud_trail
from ir_sandbox.slack.people import Person
from tests.trials.world import ACCOUNT, REGION, World, organisation
from tests.trials.world.deployment import DENY_POLICY
from tests.trials.world.state_machine import Execution, StateMachine

ATTACKER = {"name": "mallory", "key": "AKIAMALLORY000000001"}


@dataclass(frozen=True)
class IamState:
    """The state of an IAM user."""

    keys: dict[str, str]
    denied: bool


def event(detail: dict[str, Any], *, source: str = "aws.iam", detail_type: str = "AWS API Call via CloudTrail") -> Any:
    """Wrap a detail in an EventBridge event."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": detail_type,
        "source": source,
        "account": ACCOUNT,
        "time": detail.get("eventTime", "2026-01-15T18:05:00Z"),
        "region": REGION,
        "resources": [],
        "detail": detail,
    }


def security_channel(world: World, person: Person) -> str:
    """Create the security channel, with this user and the app in it; return its id."""
    channel = person.create_channel("security")
    person.invite(channel, world.app.bot_user_id)
    world.environment["IR_SECURITY_CHANNEL_ID"] = channel
    return channel


def jane_and_her_channel(world: World) -> tuple[Person, str]:
    """Create the response team (Jane and Ann) and the security channel."""
    team = [{"name": name, "jobTitle": "Analyst", "email": f"{name}@example.com"} for name in ("jane.smith", "ann")]
    world.security_ir.set_response_team(team)
    jane = world.workspace.create_user("jane.smith", email="jane.smith@example.com", real_name="Jane Smith")
    return jane, security_channel(world, jane)


def call(world: World, name: str, *, service: str = "iam", **changes: Any) -> dict[str, Any]:
    """Return a CloudTrail record of a call with a long-term key."""
    return cloud_trail.record(name, _moment(world), _attacker(), service=service, **changes)


def root_call(world: World, name: str, **changes: Any) -> Any:
    """Return the event of a call by the root user."""
    identity = {"type": "Root", "arn": f"arn:aws:iam::{ACCOUNT}:root", "accountId": ACCOUNT}
    return event(call(world, name, userIdentity=identity, **changes))


def _moment(world: World) -> datetime:
    return datetime.fromtimestamp(world.now(), UTC)


def _attacker() -> dict[str, Any]:
    return user_identity(ATTACKER["name"], ATTACKER["key"])


def user_identity(name: str, key: str) -> dict[str, Any]:
    """Return the `userIdentity` of a caller with a long-term key."""
    return cloud_trail.user_identity(ACCOUNT, name, key)


def role_identity(role: str, session: str = "session") -> dict[str, Any]:
    """Return the `userIdentity` of a role session. Roles of IAM Identity Center have a path of their own."""
    path = "aws-reserved/sso.amazonaws.com/" if role.startswith("AWSReservedSSO_") else ""
    arn = f"arn:aws:iam::{ACCOUNT}:role/{path}{role}"
    issuer = {"type": "Role", "arn": arn, "accountId": ACCOUNT, "userName": role}
    return {
        "type": "AssumedRole",
        "principalId": f"AROAEXAMPLE:{session}",
        "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{session}",
        "accountId": ACCOUNT,
        "accessKeyId": "ASIAEXAMPLE000000001",
        "sessionContext": {"sessionIssuer": issuer, "attributes": {"mfaAuthenticated": "false"}},
    }


def user(name: str, keys: int = 1, account: str = ACCOUNT) -> list[str]:
    """Create an IAM user with this number of active keys, a day ago; return the keys' ids."""
    iam = organisation.iam_of(account)
    iam.create_user(UserName=name)
    created = [iam.create_access_key(UserName=name)["AccessKey"]["AccessKeyId"] for _ in range(keys)]
    stored: Any = iam_backends[account]["aws"].users[name]
    for dated in (stored, *stored.access_keys):
        dated.create_date -= timedelta(days=1)
    return created


def key_created(world: World, name: str, key: str | None = None, **changes: Any) -> Any:
    """Return the event for an access key that mallory created for the user. Create a key unless one is given."""
    key = key or boto3.client("iam").create_access_key(UserName=name)["AccessKey"]["AccessKeyId"]
    return event({**cloud_trail.key_created(_moment(world), name, key, by=_attacker()), **changes})


def named_key(created: Any) -> str:
    """Return the key that an event names."""
    return str(created["detail"]["responseElements"]["accessKey"]["accessKeyId"])


def finding(name: str, severity: float, *, user_type: str = "IAMUser", **changes: Any) -> Any:
    """Return a GuardDuty finding about a key."""
    details = {"accessKeyId": "AKIAGUARDDUTY0000001", "principalId": "AIDA", "userName": name, "userType": user_type}
    detail = {
        "schemaVersion": "2.0",
        "accountId": ACCOUNT,
        "region": REGION,
        "id": uuid.uuid4().hex,
        "type": "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS",
        "severity": severity,
        "resource": {"resourceType": "AccessKey", "accessKeyDetails": details},
        "service": {"action": {"awsApiCallAction": {"remoteIpDetails": {"ipAddressV4": "203.0.113.9"}}}},
        **changes,
    }
    return event(detail, source="aws.guardduty", detail_type="GuardDuty Finding")


def exposed(*keys: str) -> Any:
    """Return the AWS Health event for publicly exposed keys."""
    detail = {
        "eventArn": f"arn:aws:health:us-east-1::event/RISK/AWS_RISK_CREDENTIALS_EXPOSED/{uuid.uuid4()}",
        "service": "RISK",
        "eventTypeCode": "AWS_RISK_CREDENTIALS_EXPOSED",
        "eventTypeCategory": "issue",
        "affectedAccount": ACCOUNT,
        "affectedEntities": [{"entityValue": key} for key in keys],
    }
    return event(detail, source="aws.health", detail_type="AWS Health Abuse Event")


def iam_state(world: World, name: str, account: str = ACCOUNT) -> IamState:
    """Return the current state of the user in IAM."""
    iam = organisation.iam_of(account)
    keys = iam.list_access_keys(UserName=name)["AccessKeyMetadata"]
    policies = iam.list_attached_user_policies(UserName=name)["AttachedPolicies"]
    denied = any(policy["PolicyArn"] == DENY_POLICY for policy in policies)
    return IamState({key["AccessKeyId"]: key["Status"] for key in keys}, denied)


def role_is_denied(world: World, name: str) -> bool:
    """Return whether the deny policy is attached to the role."""
    policies = boto3.client("iam").list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    return any(policy["PolicyArn"] == DENY_POLICY for policy in policies)


def role(name: str, path: str = "/", services: Sequence[str] = ()) -> str:
    """Create an IAM role that these AWS services can assume; return its ARN."""
    statement = {"Effect": "Allow", "Principal": {"Service": [*services]}, "Action": "sts:AssumeRole"}
    trust = {"Version": "2012-10-17", "Statement": [statement] if services else []}
    created = boto3.client("iam").create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=json.dumps(trust))
    return created["Role"]["Arn"]


def alerts(world: World) -> list[dict[str, Any]]:
    """Remove and return the alert topic's messages, oldest first."""
    return _published(world.environment["ALERTS_SEEN"])


def pages(world: World) -> list[dict[str, Any]]:
    """Remove and return the page topic's messages, oldest first."""
    return _published(world.environment["PAGES_SEEN"])


def _published(queue: str) -> list[dict[str, Any]]:
    sqs = boto3.client("sqs")
    told = []
    while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
        for message in messages:
            told.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return sorted(told, key=lambda alert: str(alert.get("Timestamp")))


def asked(world: World) -> list[dict[str, Any]]:
    """Remove and return the message bodies of the queue security-incident-approval."""
    sqs = boto3.client("sqs")
    bodies = []
    while messages := sqs.receive_message(
        QueueUrl=world.environment["IR_APPROVAL_QUEUE_URL"], MaxNumberOfMessages=10
    ).get("Messages", []):
        for message in messages:
            bodies.append(json.loads(message["Body"]))
            sqs.delete_message(
                QueueUrl=world.environment["IR_APPROVAL_QUEUE_URL"], ReceiptHandle=message["ReceiptHandle"]
            )
    return bodies


def waiting(world: World) -> list[dict[str, Any]]:
    """Return the message bodies of the queue security-incident-approval, and leave the messages visible."""
    found: dict[str, dict[str, Any]] = {}
    while True:
        answer = boto3.client("sqs").receive_message(
            QueueUrl=world.environment["IR_APPROVAL_QUEUE_URL"], MaxNumberOfMessages=10, VisibilityTimeout=0
        )
        new = {message["MessageId"]: json.loads(message["Body"]) for message in answer.get("Messages", [])}
        if new.keys() <= found.keys():
            return list(found.values())
        found |= new


def decide(world: World, token: str, decision: str, analyst: Any = "jane", **more: Any) -> dict[str, Any]:
    """Invoke the approval handler as the documented `aws lambda invoke` does."""
    payload = {"task_token": token, "decision": decision, "analyst": analyst, **more}
    answer: dict[str, Any] = world.invoke("approval-handler", payload)
    return answer


def audit_actions() -> list[str]:
    """Return the actions of the audit records, oldest first."""
    return [row["action"] for row in audit_rows()]


def audit_rows() -> list[dict[str, Any]]:
    """Return the audit records, oldest first, read directly from the table."""
    items: list[dict[str, Any]] = list(boto3.resource("dynamodb").Table("ledger").scan()["Items"])
    rows = [row for row in items if row["PK"].startswith("AUDIT#2")]
    return sorted(rows, key=lambda row: (row["PK"], row["SK"]))


def contain(world: World, machine: StateMachine, name: str = "backdoor", keys: int = 1) -> tuple[Execution, str]:
    """Report a new key of a new user; return the waiting execution and the key's id.

    Further users have creators of their own, because events by one caller are one incident.
    """
    created = user(name, keys)
    by = {} if name == "backdoor" else {"userIdentity": user_identity(f"creator-of-{name}", "AKIACREATOR000000001")}
    execution = machine.start(key_created(world, name, created[-1], **by))
    return execution, created[-1]
