"""What the workflow reads and changes in IAM. The only policy it attaches or detaches is the deny policy.

IAM is eventually consistent: a change may take seconds to show (https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html).
Functions raise botocore's errors, except where they say so.
"""

from __future__ import annotations

from botocore.exceptions import ClientError

from ir_router import aws
from ir_router.settings import settings
from ir_router.workflow.incident import Principal

ACTIVE, INACTIVE = "Active", "Inactive"

_MISSING = "NoSuchEntity"


def find(principal: Principal) -> Principal | None:
    """The user or role as IAM has it, ARN with path, name in its own letter case, id; None when there is none."""
    client = aws.client("iam")
    try:
        if principal["kind"] == "user":
            user = client.get_user(UserName=principal["name"])["User"]
            return {**principal, "name": user["UserName"], "arn": user["Arn"], "id": user["UserId"]}
        role = client.get_role(RoleName=principal["name"])["Role"]
        return {**principal, "name": role["RoleName"], "arn": role["Arn"], "id": role["RoleId"]}
    except ClientError as error:
        if _is_missing(error):
            return None
        raise


def owner_of(access_key_id: str) -> str | None:
    """The name of the IAM user that owns a key (GetAccessKeyLastUsed), or None when IAM does not know the key."""
    try:
        answer = aws.client("iam").get_access_key_last_used(AccessKeyId=access_key_id)
    except ClientError as error:
        # IAM refuses to tell of keys of other accounts and of keys that are gone.
        if _is_missing(error) or error.response["Error"]["Code"] == "AccessDenied":
            return None
        raise
    return answer.get("UserName") or None


def tags(principal: Principal) -> dict[str, str]:
    """The tags of the user or role; none when it is gone."""
    client = aws.client("iam")
    try:
        if principal["kind"] == "user":
            pages = client.get_paginator("list_user_tags").paginate(UserName=principal["name"])
            return {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}
        role_pages = client.get_paginator("list_role_tags").paginate(RoleName=principal["name"])
        return {tag["Key"]: tag["Value"] for page in role_pages for tag in page["Tags"]}
    except ClientError as error:
        if _is_missing(error):
            return {}
        raise


def access_keys(principal: Principal) -> dict[str, str]:
    """The user's access keys and their status (Active, Inactive); none for a role or when the user is gone."""
    if principal["kind"] != "user":
        return {}
    pages = aws.client("iam").get_paginator("list_access_keys").paginate(UserName=principal["name"])
    try:
        return {key["AccessKeyId"]: key["Status"] for page in pages for key in page["AccessKeyMetadata"]}
    except ClientError as error:
        if _is_missing(error):
            return {}
        raise


def is_denied(principal: Principal) -> bool:
    """Whether the deny policy is attached; False when the principal is gone."""
    client = aws.client("iam")
    arn = settings().require("deny_policy_arn")
    try:
        if principal["kind"] == "user":
            user_pages = client.get_paginator("list_attached_user_policies").paginate(UserName=principal["name"])
            return any(policy.get("PolicyArn") == arn for page in user_pages for policy in page["AttachedPolicies"])
        role_pages = client.get_paginator("list_attached_role_policies").paginate(RoleName=principal["name"])
        return any(policy.get("PolicyArn") == arn for page in role_pages for policy in page["AttachedPolicies"])
    except ClientError as error:
        if _is_missing(error):
            return False
        raise


def deny(principal: Principal) -> None:
    """Attach the deny policy; harmless when it is attached."""
    arn = settings().require("deny_policy_arn")
    if principal["kind"] == "user":
        aws.client("iam").attach_user_policy(UserName=principal["name"], PolicyArn=arn)
    else:
        aws.client("iam").attach_role_policy(RoleName=principal["name"], PolicyArn=arn)


def lift_deny(principal: Principal) -> None:
    """Detach the deny policy; harmless when it is not attached or the principal is gone."""
    arn = settings().require("deny_policy_arn")
    try:
        if principal["kind"] == "user":
            aws.client("iam").detach_user_policy(UserName=principal["name"], PolicyArn=arn)
        else:
            aws.client("iam").detach_role_policy(RoleName=principal["name"], PolicyArn=arn)
    except ClientError as error:
        if not _is_missing(error):
            raise


def set_key_status(principal: Principal, access_key_id: str, status: str) -> None:
    """Enable or disable a key; harmless when the key is gone."""
    try:
        aws.client("iam").update_access_key(
            UserName=principal["name"],
            AccessKeyId=access_key_id,
            Status=status,  # type: ignore[arg-type]
        )
    except ClientError as error:
        if not _is_missing(error):
            raise


def delete_key(principal: Principal, access_key_id: str) -> None:
    """Delete a key for good; harmless when it is gone."""
    try:
        aws.client("iam").delete_access_key(UserName=principal["name"], AccessKeyId=access_key_id)
    except ClientError as error:
        if not _is_missing(error):
            raise


def _is_missing(error: ClientError) -> bool:
    return error.response["Error"]["Code"] == _MISSING
