"""Events that each detection means, and events that resemble them."""

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


def _without(event: dict[str, Any], name: str) -> dict[str, Any]:
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

# Detection -> events that it means, and events that resemble them.
EVENTS: Mapping[str, tuple[list[Any], list[Any]]] = {
    "create_access_key": (
        [call("CreateAccessKey", userName="bob"), call("CreateAccessKey", who=ROOT)],
        [call("CreateAccessKey", error="LimitExceededException"), call("ListAccessKeys"), call("CreateKey", "kms")],
    ),
    "root_use": (
        [
            call("CreateUser", who=ROOT),
            _without(call("RunInstances", "ec2", ROOT), "eventType"),
            call("DeleteDetector", "guardduty", ROOT, detectorId="d"),
            sign_in("Success", ROOT),
            call("ListUsers", who=ROOT, error="AccessDenied"),
            *(
                sign_in("Success", ROOT, name=name)
                for name in ("CheckMfa", "PasswordRecoveryCompleted", "PasswordUpdated")
            ),
            # Only a root user who is signed in can try to change these.
            *(sign_in("Failure", ROOT, name=name) for name in ("PasswordUpdated", "EmailUpdated")),
        ],
        [
            *(
                sign_in("Failure", ROOT, name=name)
                for name in ("ConsoleLogin", "CheckMfa", "PasswordRecoveryCompleted")
            ),
            *(sign_in(result, ROOT, name="PasswordRecoveryRequested") for result in ("Success", "Failure")),
            call("PutObject", "s3", ROOT | {"invokedBy": "AWS Internal"}),
            call("CreateUser"),
        ],
    ),
    "root_sign_in_failed": (
        [sign_in("Failure", ROOT), sign_in("Failure", ROOT, name="CheckMfa")],
        [sign_in("Success", ROOT), sign_in("Failure"), sign_in("Failure", name="CheckMfa")],
    ),
    "root_recovery_attempted": (
        [
            *(sign_in(result, ROOT, name="PasswordRecoveryRequested") for result in ("Success", "Failure")),
            sign_in("Failure", ROOT, name="PasswordRecoveryCompleted"),
        ],
        [sign_in("Success", ROOT, name="PasswordRecoveryCompleted"), sign_in("Failure", ROOT)],
    ),
    "guardduty_attack_sequence": (
        [sequence("AttackSequence:IAM/CompromisedCredentials", ACTOR), sequence("AttackSequence:IAM/New")],
        [sequence("AttackSequence:EKS/CompromisedCluster", PROCESS), guardduty(9)],
    ),
    "guardduty_attack_sequence_identity": (
        [
            sequence("AttackSequence:S3/CompromisedData", ACTOR),
            sequence("AttackSequence:S3/CompromisedData", resources=[{"resourceType": "S3_BUCKET"}, ACCESS_KEY]),
        ],
        [
            sequence("AttackSequence:S3/CompromisedData", resources=[{"resourceType": "S3_BUCKET"}]),
            sequence("AttackSequence:EKS/CompromisedCluster", PROCESS),
            sequence("AttackSequence:S3/CompromisedData"),
        ],
    ),
    "guardduty_credentials_high": ([guardduty(7), guardduty(8.5)], [guardduty(6.9), guardduty(8, resource="Instance")]),
    "guardduty_resource_high": (
        [guardduty(8, "Exfiltration:S3/AnomalousBehavior", "S3Bucket"), *(guardduty(8, resource=one) for one in USED)],
        [guardduty(8), *(guardduty(8, resource=one) for one in UNUSED)],
    ),
    "guardduty_credentials_medium": ([guardduty(4), guardduty(5.0)], [guardduty(7), guardduty(2)]),
    "guardduty_resource_medium": (
        [guardduty(5, "Discovery:S3/X", "S3Bucket"), *(guardduty(5, resource=one) for one in USED)],
        [guardduty(5), guardduty(8), *(guardduty(5, resource=one) for one in UNUSED)],
    ),
    "guardduty_logging_disabled": (
        [guardduty(2, "Stealth:IAMUser/CloudTrailLoggingDisabled"), guardduty(2, "Stealth:S3/X", "S3Bucket")],
        [guardduty(2)],
    ),
    "guardduty_credentials_low": ([guardduty(2)], [guardduty(4)]),
    "health_exposed_key": (
        [
            health("AWS_RISK_CREDENTIALS_EXPOSED", "AKIAX"),
            health("AWS_RISK_IAM_QUARANTINE", "bob"),
            health("AWS_RISK_NEW"),
        ],
        [
            health("AWS_EC2_INSTANCE_RETIREMENT", "i-1", service="EC2"),
            call("DescribeEventAggregates", "health", error="AccessDenied"),
        ],
    ),
    "health_account_at_risk": (
        [health("AWS_RISK_ACCOUNT_CONSOLE_COMPROMISE", ACCOUNT)],
        [health("AWS_RISK_CREDENTIALS_EXPOSED", "AKIAX")],
    ),
    "quarantine_policy_attached": (
        [
            call("AttachUserPolicy", userName="bob", policyArn=f"{AWS}/AWSCompromisedKeyQuarantineV3"),
            call(
                "AttachUserPolicy", userName="bob", policyArn="arn:aws-cn:iam::aws:policy/AWSCompromisedKeyQuarantine"
            ),
        ],
        [
            call("DetachUserPolicy", userName="bob", policyArn=f"{AWS}/AWSCompromisedKeyQuarantineV3"),
            call("AttachUserPolicy", userName="bob", policyArn=f"{AWS}/ReadOnlyAccess"),
        ],
    ),
    "deny_policy_changed": (
        [call("CreatePolicyVersion", policyArn=EARLIER, setAsDefault=True), call("DeletePolicy", policyArn=EARLIER)],
        [call("CreatePolicyVersion", policyArn=f"{OWN}/other"), call("GetPolicy", policyArn=EARLIER)],
    ),
    "deny_policy_detached": (
        [
            call("DetachUserPolicy", userName="bob", policyArn=f"{AWS}/AWSDenyAll"),
            call("DetachUserPolicy", userName="bob", policyArn="arn:aws-cn:iam::aws:policy/AWSDenyAll"),
            call("DetachRolePolicy", who=role("admin"), roleName="app", policyArn=f"{AWS}/AWSDenyAll"),
            call("DetachUserPolicy", userName="bob", policyArn=EARLIER),
            *by(IMPOSTORS, "DetachUserPolicy", userName="bob", policyArn=f"{AWS}/AWSDenyAll"),
        ],
        [
            *by(CONTAINMENT_ROLES, "DetachUserPolicy", userName="bob", policyArn=f"{AWS}/AWSDenyAll"),
            call("DetachUserPolicy", userName="bob", policyArn=f"{OWN}/AWSDenyAll"),
        ],
    ),
    "rule_of_ir_router_changed": (
        [
            call("DisableRule", "events", name="security-incident-detect-root-use"),
            call("RemoveTargets", "events", rule="security-incident-poll", ids=["x"]),
        ],
        [call("DisableRule", "events", name="nightly"), call("DescribeRule", "events", name="security-incident-poll")],
    ),
    "part_of_ir_router_changed": (
        [
            call("UpdateFunctionCode20150331v2", "lambda", functionName="security-incident-workflow"),
            call("DeleteFunction20150331", "lambda", functionName="arn:aws:lambda:r:1:function:security-incident-sync"),
            call(
                "DeleteStateMachine",
                "states",
                stateMachineArn="arn:aws:states:r:1:stateMachine:security-incident-response",
            ),
            call("Unsubscribe", "sns", subscriptionArn="arn:aws:sns:r:1:security-incident-alerts:1"),
            call(
                "SetSubscriptionAttributes",
                "sns",
                subscriptionArn="arn:aws:sns:r:1:security-incident-alerts:1",
                attributeName="FilterPolicy",
            ),
            call("Unsubscribe", "sns", subscriptionArn="arn:aws:sns:r:1:security-incident-page:1"),
            call("DeleteTopic", "sns", topicArn="arn:aws:sns:r:1:security-incident-alarms"),
            call("UpdateAlias20150331", "lambda", functionName="security-incident-workflow", name="live"),
            call("StopExecution", "states", executionArn="arn:aws:states:r:1:execution:security-incident-response:e"),
            call("AddPermission20150331v2", "lambda", functionName="security-incident-approval-handler"),
            call("PutFunctionEventInvokeConfig", "lambda", functionName="security-incident-workflow"),
            call("AddPermission", "sns", topicArn="arn:aws:sns:r:1:security-incident-alerts"),
            call("DeleteStackInstances", "cloudformation", stackSetName="security-incident-members:1a2b"),
            mapping_changed("UpdateEventSourceMapping20150331", "security-incident-sync"),
            mapping_changed("DeleteEventSourceMapping20150331", "security-incident-workflow"),
            call("DisableRule", "events", name="security-incident-detect-rule-of-ir-router-changed"),
            call("StopLogging", "cloudtrail", name="arn:aws:cloudtrail:r:1:trail/security-incident-trail"),
            call("PutEventSelectors", "cloudtrail", trailName="security-incident-trail"),
        ],
        [
            call("UpdateFunctionCode20150331v2", "lambda", functionName="shop"),
            call("StopExecution", "states", executionArn="arn:aws:states:r:1:execution:orders:e"),
            call(
                "StartExecution", "states", stateMachineArn="arn:aws:states:r:1:stateMachine:security-incident-response"
            ),
            call("DeleteStackInstances", "cloudformation", stackSetName="baseline"),
            mapping_changed("UpdateEventSourceMapping20150331", "shop"),
            call("SetSubscriptionAttributes", "sns", subscriptionArn="arn:aws:sns:r:1:orders:1"),
        ],
    ),
    "data_of_ir_router_changed": (
        [
            call("DeleteTable", "dynamodb", tableName="security-incident-ledger"),
            call("UpdateTable", "dynamodb", tableName="arn:aws:dynamodb:r:1:table/security-incident-ledger"),
            call("PutResourcePolicy", "dynamodb", resourceArn="arn:aws:dynamodb:r:1:table/security-incident-ledger"),
            call("PurgeQueue", "sqs", queueUrl=f"{QUEUES}/security-incident-intake"),
            call("RemovePermission", "sqs", queueUrl=f"{QUEUES}/security-incident-intake"),
            call("SetQueueAttributes", "sqs", queueUrl=f"{QUEUES}/security-incident-failures"),
            *(
                call("SetQueueAttributes", "sqs", caller, queueUrl=f"{QUEUES}/security-incident-failures")
                for caller in (role("security-incident-workflow"), federated("security-incident-operations"))
            ),
            call(
                "DeleteQueue",
                "sqs",
                role("security-incident-operations"),
                queueUrl=f"{QUEUES}/security-incident-intake",
            ),
        ],
        [
            call("DeleteTable", "dynamodb", tableName="orders"),
            call("SetQueueAttributes", "sqs", queueUrl=f"{QUEUES}/orders"),
            # make deploy, and the next hourly task
            call(
                "SetQueueAttributes",
                "sqs",
                role("security-incident-operations"),
                queueUrl=f"{QUEUES}/security-incident-failures",
            ),
        ],
    ),
    "credential_of_ir_router_changed": (
        [
            call("PutParameter", "ssm", name="/SecurityIncidentResponse/slackBotToken", overwrite=True),
            call("PutParameter", "ssm", name="arn:aws:ssm:r:1:parameter/SecurityIncidentResponse/b/slackSigningSecret"),
            call("DeleteParameters", "ssm", names=["/shop/price", "/SecurityIncidentResponse/slackSigningSecret"]),
        ],
        [
            call("PutParameter", "ssm", name="/shop/price"),
            call("GetParameter", "ssm", name="/SecurityIncidentResponse/slackBotToken"),
        ],
    ),
    "monitoring_of_ir_router_changed": (
        [
            call("DeleteAlarms", "monitoring", alarmNames=["shop", "security-incident-failures-waiting"]),
            call("SetAlarmState", "monitoring", alarmName="security-incident-failures-waiting", stateValue="OK"),
            call("DeleteLogGroup", "logs", logGroupName="/aws/lambda/security-incident-workflow"),
            call("PutRetentionPolicy", "logs", logGroupName="/aws/vendedlogs/states/security-incident-response"),
        ],
        [
            call("DeleteAlarms", "monitoring", alarmNames=["shop"]),
            call("DeleteLogGroup", "logs", logGroupName="/aws/lambda/shop"),
            call("CreateLogStream", "logs", logGroupName="/aws/lambda/security-incident-workflow"),
        ],
    ),
    "role_of_ir_router_changed": (
        [
            call("PutRolePolicy", roleName="security-incident-workflow", policyName="x"),
            call("DeleteRolePermissionsBoundary", roleName="security-incident-operations"),
            call("DetachRolePolicy", roleName="security-incident-forwarding-eu-west-1", policyArn="x"),
            call("UntagRole", roleName="security-incident-containment", tagKeys=["ir-router-mode"]),
            call("CreatePolicyVersion", policyArn=f"{OWN}/security-incident-verify", setAsDefault=True),
            call("SetDefaultPolicyVersion", policyArn=f"{OWN}/security-incident-protected-2", versionId="v1"),
        ],
        [
            call("CreatePolicyVersion", policyArn=f"{OWN}/app-verify", setAsDefault=True),
            call("PutRolePolicy", roleName="app"),
            call("GetRole", roleName="security-incident-workflow"),
        ],
    ),
    "login_profile_changed": (
        [call("CreateLoginProfile", userName="bob"), call("UpdateLoginProfile", userName="bob")],
        [call("ChangePassword"), call("GetLoginProfile", userName="bob")],
    ),
    "access_key_reactivated": (
        [
            call("UpdateAccessKey", userName="bob", accessKeyId="AKIAX", status="Active"),
            *by(IMPOSTORS, "UpdateAccessKey", userName="bob", accessKeyId="AKIAX", status="Active"),
        ],
        [
            call("UpdateAccessKey", userName="bob", accessKeyId="AKIAX", status="Inactive"),
            *by(CONTAINMENT_ROLES, "UpdateAccessKey", userName="bob", accessKeyId="AKIAX", status="Active"),
        ],
    ),
    "access_key_disabled": (
        [
            call("UpdateAccessKey", userName="bob", accessKeyId="AKIAX", status="Inactive"),
            call("UpdateAccessKey", who=role("security"), userName="bob", accessKeyId="AKIAX", status="Inactive"),
            *by(IMPOSTORS, "UpdateAccessKey", userName="bob", accessKeyId="AKIAX", status="Inactive"),
        ],
        [
            call("UpdateAccessKey", userName="bob", accessKeyId="AKIAX", status="Active"),
            *by(CONTAINMENT_ROLES, "UpdateAccessKey", userName="bob", accessKeyId="AKIAX", status="Inactive"),
        ],
    ),
    "service_credential_created": (
        [call("CreateServiceSpecificCredential", userName="bob", serviceName="bedrock.amazonaws.com")],
        [call("ListServiceSpecificCredentials", userName="bob")],
    ),
    "administrator_policy_attached": (
        [
            call("AttachUserPolicy", userName="bob", policyArn=f"{AWS}/AdministratorAccess"),
            call("AttachRolePolicy", roleName="app", policyArn="arn:aws-us-gov:iam::aws:policy/IAMFullAccess"),
        ],
        [
            call("AttachUserPolicy", userName="bob", policyArn=f"{AWS}/ReadOnlyAccess"),
            call("DetachUserPolicy", userName="bob", policyArn=f"{AWS}/AdministratorAccess"),
        ],
    ),
    "administrator_policy_inlined": (
        [
            call("PutUserPolicy", userName="bob", policyDocument=ADMIN_DOCUMENT),
            call("PutRolePolicy", roleName="app", policyDocument=ADMIN_DOCUMENT.replace('"*"]', '"iam:*"]')),
            call("CreatePolicy", policyName="helper", policyDocument=ADMIN_DOCUMENT),
            granted(Action="*", NotResource="arn:aws:s3:::backup/*"),
            granted(Action="*", Resource="*:*"),
            granted(Action="IAM:*", Resource="arn:*"),
            granted(Action=["s3:GetObject", "iam:?*"], Resource=["arn:aws:*:*:*"]),
            granted(NotAction="aws-portal:*", Resource="*"),
            granted(NotAction=["s3:*"], NotResource=["arn:aws:s3:::backup"]),
            granted(NotAction=["s3:*"], Resource="*:*"),
            granted(NotAction=["iam:*", "organizations:*", "account:*"], Resource="*"),
            granted(Action="*", Resource="arn:aws:iam::*:*"),
            granted(Action="iam:*", Resource=["arn:aws:iam::111122223333:*"]),
        ],
        [
            call("PutUserPolicy", userName="bob", policyDocument=SAMPLE_DOCUMENT),
            call("PutUserPolicy", userName="bob", policyDocument=ADMIN_DOCUMENT.replace("Allow", "Deny")),
            call("PutUserPolicy", userName="bob", policyDocument='{"unreadable": "*"'),
            granted(Action="*", NotResource="*"),
            granted(NotAction="*", Resource="*"),
            granted(NotAction=["s3:*", "*:*"], Resource="*"),
            granted(Action="iam:*", Resource="arn:aws:iam::*:user/${aws:username}"),
            granted(Action="*", Resource="arn:aws:s3:::backup/*"),
            granted(Action="s3:*", NotResource="arn:aws:s3:::backup/*"),
            granted(Action=["iam:Get*", "iam:List*"], Resource="*"),
            granted(Action=7, Resource=None),
        ],
    ),
    "administrators_group_joined": (
        [
            call("AddUserToGroup", userName="bob", groupName="Administrators"),
            call("AddUserToGroup", groupName="team-admins"),
        ],
        [
            call("AddUserToGroup", userName="bob", groupName="developers"),
            call("RemoveUserFromGroup", groupName="Admins"),
        ],
    ),
    "policy_version_set": (
        [
            call("SetDefaultPolicyVersion", policyArn=f"{OWN}/app", versionId="v1"),
            call("CreatePolicyVersion", policyArn=f"{OWN}/app", setAsDefault=True),
        ],
        [call("CreatePolicyVersion", policyArn=f"{OWN}/app", setAsDefault=False)],
    ),
    "trust_policy_changed": (
        [call("UpdateAssumeRolePolicy", roleName="app", policyDocument=TRUST)],
        [call("UpdateRole", roleName="app"), call("UpdateAssumeRolePolicy", error="MalformedPolicyDocumentException")],
    ),
    "permissions_boundary_removed": (
        [call("DeleteUserPermissionsBoundary", userName="bob"), call("DeleteRolePermissionsBoundary", roleName="app")],
        [call("PutUserPermissionsBoundary", userName="bob")],
    ),
    "identity_created_with_key": (
        [call("CreateUser", userName="eve"), call("CreateRole", roleName="eve")],
        [call("CreateUser", who=role("deploy"), userName="eve")],
    ),
    "mfa_deactivated": (
        [call("DeactivateMFADevice", userName="bob"), call("DeleteVirtualMFADevice", serialNumber="arn:x")],
        [call("EnableMFADevice", userName="bob")],
    ),
    "console_sign_in_without_mfa": (
        [sign_in("Success", mfa="No")],
        [sign_in("Success"), sign_in("Failure", mfa="No"), sign_in("Success", role("sso"), mfa="No")],
    ),
    "console_sign_ins_failed": (
        [sign_in("Failure"), sign_in("Failure", name="CheckMfa")],
        [
            sign_in("Success"),
            sign_in("Success", name="CheckMfa"),
            sign_in("Failure", ROOT),
            sign_in("Failure", ROOT, name="CheckMfa"),
        ],
    ),
    "session_from_long_term_key": (
        [call("GetFederationToken", "sts", name="x"), sign_in("Success", name="GetSigninToken")],
        [
            call("GetFederationToken", "sts", role("x")),
            call("GetSessionToken", "sts"),
            sign_in("Failure", name="GetSigninToken"),
        ],
    ),
    "assume_root": (
        [call("AssumeRoot", "sts", role("OrgAdmin"), targetPrincipal=ACCOUNT)],
        [call("AssumeRole", "sts", roleArn="arn:aws:iam::1:role/x"), call("AssumeRoot", "sts", error="AccessDenied")],
    ),
    "logging_stopped": (
        [call("StopLogging", "cloudtrail", name="main"), call("DeleteDetector", "guardduty", detectorId="d")],
        [
            call("StartLogging", "cloudtrail", name="main"),
            call("DeleteTrail", "cloudtrail", error="TrailNotFoundException"),
        ],
    ),
    "findings_suppressed": (
        [
            call("CreateFilter", "guardduty", detectorId="d", name="quiet", action="ARCHIVE"),
            call("UpdateFilter", "guardduty", detectorId="d", filterName="quiet", action="ARCHIVE"),
            call("UpdateFilter", "guardduty", detectorId="d", filterName="quiet", findingCriteria={}),
            call("CreateIPSet", "guardduty", detectorId="d", name="mine", activate=True),
            call("UpdateIPSet", "guardduty", detectorId="d", ipSetId="i", location="s3://b/k"),
            call("StopMonitoringMembers", "guardduty", detectorId="d", accountIds=[MEMBER]),
            call("DeleteMembers", "guardduty", detectorId="d", accountIds=[MEMBER]),
            call("PutInsightSelectors", "cloudtrail", trailName="main", insightSelectors=[]),
        ],
        [
            call("CreateFilter", "guardduty", detectorId="d", name="view", action="NOOP"),
            call("UpdateFilter", "guardduty", detectorId="d", filterName="view", action="NOOP"),
            call("CreateThreatIntelSet", "guardduty", detectorId="d", name="bad"),
            call("DeleteMembers", "guardduty", error="BadRequestException", detectorId="d"),
            call(
                "PutInsightSelectors",
                "cloudtrail",
                trailName="main",
                insightSelectors=[{"insightType": "ApiCallRateInsight"}],
            ),
        ],
    ),
    "organization_left": (
        [
            call("LeaveOrganization", "organizations"),
            call("DetachPolicy", "organizations", role("OrgAdmin"), policyId="p-1", targetId=MEMBER),
        ],
        [
            call("LeaveOrganization", "organizations", error="AccessDeniedException"),
            call("AttachPolicy", "organizations", policyId="p-1", targetId=MEMBER),
        ],
    ),
    "quarantine_policy_detached": (
        [
            call("DetachUserPolicy", userName="bob", policyArn=f"{AWS}/AWSCompromisedKeyQuarantineV3"),
            call(
                "DetachUserPolicy", userName="bob", policyArn="arn:aws-cn:iam::aws:policy/AWSCompromisedKeyQuarantine"
            ),
        ],
        [
            call("DetachUserPolicy", userName="bob", policyArn=f"{AWS}/ReadOnlyAccess"),
            call("AttachUserPolicy", userName="bob", policyArn=f"{AWS}/AWSCompromisedKeyQuarantineV3"),
            call("DetachUserPolicy", error="NoSuchEntityException", policyArn=f"{AWS}/AWSCompromisedKeyQuarantineV3"),
        ],
    ),
    "identity_center_changed": (
        [call("CreateAccountAssignment", "sso", targetId=ACCOUNT)],
        [call("DeleteAccountAssignment", "sso", targetId=ACCOUNT)],
    ),
    "identity_provider_changed": (
        [call("CreateSAMLProvider", name="x"), call("CreateTrustAnchor", "rolesanywhere", name="x")],
        [call("DeleteSAMLProvider"), call("ListTrustAnchors", "rolesanywhere")],
    ),
    "kms_key_disabled": (
        [call("ScheduleKeyDeletion", "kms", keyId="k")],
        [call("CancelKeyDeletion", "kms", keyId="k")],
    ),
    "key_of_ir_router_disabled": (
        [call("DisableKey", "kms", keyId=OWN_KEY), call("ScheduleKeyDeletion", "kms", keyId=OWN_KEY[-36:])],
        [call("DisableKey", "kms", keyId="00000000-0000-4000-8000-000000000000")],
    ),
    "access_key_creation_failed": (
        [call("CreateAccessKey", error="LimitExceededException", userName="bob")],
        [call("CreateAccessKey", error="AccessDenied"), call("CreateAccessKey", userName="bob")],
    ),
    "reconnaissance": ([call("ListUsers"), call("GetCallerIdentity", "sts")], [call("ListUsers", who=role("app"))]),
    "denied_call": (
        [
            call("GetSecretValue", "secretsmanager", role("app"), "AccessDenied"),
            call("RunInstances", "ec2", error="Client.UnauthorizedOperation"),
            call("ListDetectors", "guardduty", error="AccessDeniedException"),
            call("CreateToken", "sso", None, "AccessDenied"),
            call("GetObject", "s3", error="VpceAccessDenied"),
            call("Decrypt", "kms", error="Client.AccessDeniedException"),
        ],
        [
            call("DescribeEventAggregates", "health", role("support"), "AccessDenied"),
            call("PutObject", "s3", USER | {"invokedBy": "cloudformation.amazonaws.com"}, "AccessDenied"),
            call("ListUsers", error="ThrottlingException"),
        ],
    ),
    "identity_changed": (
        [
            call("PutUserPolicy", userName="bob", policyDocument=SAMPLE_DOCUMENT),
            call("UploadSSHPublicKey", userName="bob"),
            call("PutRolePermissionsBoundary", roleName="app", permissionsBoundary=f"{OWN}/other"),
            call("DeleteRolePolicy", roleName="app", policyName="restrict"),
            call("DetachUserPolicy", userName="bob", policyArn=f"{AWS}/AWSCompromisedKeyQuarantineV3"),
            call("UpdateSSHPublicKey", userName="bob", status="Active"),
            call("RemoveUserFromGroup", userName="bob", groupName="restricted"),
            *by(IMPOSTORS, "AttachUserPolicy", userName="bob", policyArn=f"{AWS}/AWSDenyAll"),
        ],
        by(CONTAINMENT_ROLES, "AttachUserPolicy", userName="bob", policyArn=f"{AWS}/AWSDenyAll"),
    ),
}
