"""Other changes in IAM and other services, sign-ins and denied calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.support.detection_events.makers import (
    ACCOUNT,
    ADMIN_DOCUMENT,
    AWS,
    CONTAINMENT_ROLES,
    IMPOSTORS,
    MEMBER,
    OWN,
    OWN_KEY,
    ROOT,
    SAMPLE_DOCUMENT,
    TRUST,
    USER,
    by,
    call,
    granted,
    role,
    sign_in,
)

EVENTS: Mapping[str, tuple[list[Any], list[Any]]] = {
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
        [
            call("DisableKey", "kms", keyId=OWN_KEY),
            call("ScheduleKeyDeletion", "kms", keyId=OWN_KEY[-36:]),
            call("DisableKey", "kms", USER | {"invokedBy": "cloudformation.amazonaws.com"}, keyId=OWN_KEY),
            call("RevokeGrant", "kms", keyId=OWN_KEY, grantId="g"),
        ],
        [
            call("DisableKey", "kms", keyId="00000000-0000-4000-8000-000000000000"),
            # DynamoDB and other services retire their own grants.
            call(
                "RevokeGrant",
                "kms",
                {"type": "AWSService", "invokedBy": "dynamodb.amazonaws.com"},
                keyId=OWN_KEY,
                grantId="g",
            ),
            call(
                "RevokeGrant",
                "kms",
                role("deploy") | {"invokedBy": "dynamodb.amazonaws.com"},
                keyId=OWN_KEY,
                grantId="g",
            ),
        ],
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
