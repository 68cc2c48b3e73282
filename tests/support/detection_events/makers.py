"""Makers of events as CloudTrail, GuardDuty and AWS Health send them to EventBridge, and their parts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

ACCOUNT = "123456789012"
AWS = "arn:aws:iam::aws:policy"
OWN = f"arn:aws:iam::{ACCOUNT}:policy"
EARLIER = f"{OWN}/security-incident-containment-deny"
USER = {"type": "IAMUser", "userName": "mallory", "accountId": ACCOUNT, "accessKeyId": "AKIAMALLORY000000001"}
OWN_KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/11111111-2222-4333-8444-555555555555"
ROOT = {"type": "Root", "arn": f"arn:aws:iam::{ACCOUNT}:root", "accountId": ACCOUNT}
QUEUES = "https://sqs.us-east-1.amazonaws.com/1"
NOBODY = {"type": "AWSAccount", "accountId": "210987654321"}
SAMPLE_DOCUMENT = '{"Statement": [{"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "*"}]}'
ADMIN_DOCUMENT = '{\n "Statement": {"Effect": "Allow", "Action": [\n "*"], "Resource": "*"}}'


def role(name: str, path: str = "/", account: str = ACCOUNT, partition: str = "aws") -> dict[str, Any]:
    arn = f"arn:{partition}:iam::{account}:role{path}{name}"
    issuer = {"type": "Role", "userName": name, "arn": arn, "accountId": account}
    return {"type": "AssumedRole", "accountId": account, "sessionContext": {"sessionIssuer": issuer}}


def federated(name: str, path: str = "/") -> dict[str, Any]:
    """Return the caller of GetFederationToken's session, which a user of this name created."""
    issuer = {"type": "IAMUser", "userName": name, "arn": f"arn:aws:iam::{ACCOUNT}:user{path}{name}"}
    arn = f"arn:aws:sts::{ACCOUNT}:federated-user/x"
    return {"type": "FederatedUser", "arn": arn, "accountId": ACCOUNT, "sessionContext": {"sessionIssuer": issuer}}


CONTAINMENT = "security-incident-containment"
MEMBER = "444455556666"
CONTAINMENT_ROLES = (
    role(CONTAINMENT),
    role(CONTAINMENT, account=MEMBER),
    role(CONTAINMENT, account=MEMBER, partition="aws-us-gov"),
    role(CONTAINMENT, account=MEMBER, partition="aws-cn"),
)
"""The callers of ir-router's own changes in IAM: Terraform makes this role in the hub and in each member."""

IMPOSTORS = (
    role("security-incident-workflow"),
    role("security-incident-workflow", account=MEMBER),
    role("my-security-incident-containment"),
    role("security-incident-containment-2"),
    role(CONTAINMENT, path="/team/"),
    federated("security-incident-workflow"),
    federated(CONTAINMENT),
    federated(CONTAINMENT, path="/x:role/"),
    USER | {"userName": CONTAINMENT},
    # A field alone proves nothing.
    {"type": "AssumedRole", "accountId": ACCOUNT, "sessionContext": {"sessionIssuer": {"userName": CONTAINMENT}}},
    {"type": "AssumedRole", "accountId": ACCOUNT, "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{CONTAINMENT}/x"},
    {"sessionContext": {"sessionIssuer": {"userName": CONTAINMENT}}},
)
"""Callers that resemble ir-router."""


def by(callers: tuple[Any, ...], event: str, **request: Any) -> list[dict[str, Any]]:
    """Return the event of a call by each caller."""
    return [call(event, who=caller, **request) for caller in callers]


def call(
    event: str, /, service: str = "iam", who: Any = USER, error: str | None = None, **request: Any
) -> dict[str, Any]:
    """Return the event of an API call."""
    detail: dict[str, Any] = {
        "eventVersion": "1.11",
        "eventID": f"event-{event}",
        "eventName": event,
        "eventSource": f"{service}.amazonaws.com",
        "eventType": "AwsApiCall",
        "userIdentity": who,
        "recipientAccountId": ACCOUNT,
        "requestParameters": request or None,
        "responseElements": None,
    }
    if error:
        detail["errorCode"] = error
    return _event(f"aws.{service}", "AWS API Call via CloudTrail", detail)


def mapping_changed(event: str, function: str) -> dict[str, Any]:
    """Return the event of a changed event source mapping. Its request names only the mapping's id."""
    changed = call(event, "lambda", uUID="14e0db71-5d35-4eb5-b481-8945cf9d10c2", enabled=False)
    changed["detail"]["responseElements"] = {"functionArn": f"arn:aws:lambda:r:1:function:{function}"}
    return changed


def granted(**statement: Any) -> dict[str, Any]:
    """Return the event of an inline policy with one statement."""
    document = json.dumps({"Statement": [{"Effect": "Allow", **statement}]})
    return call("PutUserPolicy", userName="bob", policyDocument=document)


def without(event: dict[str, Any], name: str) -> dict[str, Any]:
    detail = {field: value for field, value in event["detail"].items() if field != name}
    return event | {"detail": detail}


def sign_in(result: str, who: Any = USER, mfa: str = "Yes", name: str = "ConsoleLogin") -> dict[str, Any]:
    """Return the event of a console sign-in."""
    detail = call(name, "signin", who)["detail"]
    more = {
        "responseElements": {name: result},
        "additionalEventData": {"MFAUsed": mfa},
        "eventType": "AwsConsoleSignIn",
    }
    if result == "Failure":
        more["errorMessage"] = "Failed authentication"
    return _event("aws.signin", "AWS Console Sign In via CloudTrail", detail | more)


def guardduty(
    number: float, kind: str = "UnauthorizedAccess:IAMUser/X", resource: Any = "AccessKey", **more: Any
) -> Any:
    """Return a GuardDuty finding about a user's key."""
    details = {"accessKeyId": "AKIAX", "principalId": "AIDAX", "userName": "bob", "userType": "IAMUser"}
    detail = {
        "id": "f-1",
        "type": kind,
        "severity": number,
        "accountId": ACCOUNT,
        "resource": {"resourceType": resource, "accessKeyDetails": details} if isinstance(resource, str) else resource,
        **more,
    }
    return _event("aws.guardduty", "GuardDuty Finding", detail)


def sequence(kind: str, *actors: Mapping[str, Any], **more: Any) -> Any:
    """Return an attack sequence."""
    service = {"detection": {"sequence": {"actors": list(actors), **more}}}
    return guardduty(9, kind, service=service, resource={"resourceType": "AttackSequence"})


def health(code: str, *entities: str, **more: Any) -> Any:
    """Return an event of AWS Health about risks."""
    detail = {
        "eventArn": "arn:aws:health:global::event/1",
        "service": "RISK",
        "eventTypeCode": code,
        "affectedAccount": ACCOUNT,
        "affectedEntities": [{"entityValue": entity} for entity in entities],
        **more,
    }
    return _event("aws.health", "AWS Health Event", detail)


def _event(source: str, detail_type: str, detail: Mapping[str, Any]) -> dict[str, Any]:
    return {"source": source, "detail-type": detail_type, "account": ACCOUNT, "region": "us-east-1", "detail": detail}


ACTOR = {"id": "a-1", "user": {"name": "bob", "type": "IAMUser", "uid": "AIDAX", "credentialUid": "AKIAX"}}
ACCESS_KEY = {"uid": "AKIAX", "resourceType": "ACCESS_KEY", "data": {"accessKey": {"userName": "bob"}}}
PROCESS = {"id": "p-1", "process": {"name": "sh"}}
TRUST = '{"Statement": [{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::999988887777:root"}}]}'

# Resources of findings with and without credentials. Each field of accessKeyDetails is optional.
USED = [
    {"resourceType": "S3Bucket", "accessKeyDetails": {"accessKeyId": "AKIAX"}},
    {"resourceType": "S3Bucket", "accessKeyDetails": {"accessKeyId": "AKIAX", "userName": "", "principalId": ""}},
    {"resourceType": "S3Bucket", "accessKeyDetails": {"principalId": "AIDAX"}},
    {"accessKeyDetails": {"userName": "bob"}},
    {"accessKeyDetails": {"principalId": "AROAX:i-1"}},
]
UNUSED = [
    {"resourceType": "Instance", "instanceDetails": {"instanceId": "i-1"}},
    {"resourceType": "Instance", "accessKeyDetails": {}},
    {"resourceType": "Instance", "accessKeyDetails": None},
    {"resourceType": "Instance", "accessKeyDetails": {"accessKeyId": "", "userName": "", "principalId": ""}},
    {"instanceDetails": {"instanceId": "i-1"}},
    {"resourceType": "AccessKey", "accessKeyDetails": {"accessKeyId": "AKIAX"}},
]
