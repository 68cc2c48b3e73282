"""Keys, root, findings of GuardDuty and events of AWS Health."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.support.detection_events.makers import (
    ACCESS_KEY,
    ACCOUNT,
    ACTOR,
    AWS,
    PROCESS,
    ROOT,
    UNUSED,
    USED,
    call,
    guardduty,
    health,
    sequence,
    sign_in,
    without,
)

EVENTS: Mapping[str, tuple[list[Any], list[Any]]] = {
    "create_access_key": (
        [call("CreateAccessKey", userName="bob"), call("CreateAccessKey", who=ROOT)],
        [call("CreateAccessKey", error="LimitExceededException"), call("ListAccessKeys"), call("CreateKey", "kms")],
    ),
    "root_use": (
        [
            call("CreateUser", who=ROOT),
            without(call("RunInstances", "ec2", ROOT), "eventType"),
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
}
