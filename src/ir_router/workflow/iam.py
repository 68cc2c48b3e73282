"""The IAM operations of the workflow. The only policies that it attaches or detaches are deny policies.

IAM is eventually consistent: a change may take seconds to show (https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html).
Functions raise botocore's errors unless their docstring names an exception from that. All raise `sessions.NoRoleError`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal

from botocore.exceptions import ClientError

from ir_router.observability import logger
from ir_router.workflow import sessions
from ir_router.workflow.incident import Principal, PrincipalKind

KeyStatus = Literal["Active", "Inactive"]
ACTIVE: Final = "Active"
INACTIVE: Final = "Inactive"
EXPIRED: Final = "Expired"

_MISSING = "NoSuchEntity"
_LARGEST_PAGE = 1_000
# No key has another form, and IAM rejects a request with one
# (https://docs.aws.amazon.com/IAM/latest/APIReference/API_AccessKey.html).
_KEY_ID = re.compile(r"\w{16,128}", re.ASCII)


def find(principal: Principal) -> Principal | None:
    """Return the user or role with IAM's own ARN (with path), name and id, or None if it does not exist."""
    client = sessions.reader(principal["account"])
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


def with_id(unique_id: str, account: str) -> Principal | None:
    """Return the user or role of an account with IAM's unique id, or None if IAM has none or denies the list.

    IAM has no operation that finds a principal by its id. An empty account is this one.
    """
    client = sessions.reader(account)
    try:
        if unique_id.startswith("AIDA"):
            users = client.get_paginator("list_users").paginate(PaginationConfig={"PageSize": _LARGEST_PAGE})
            user = next((one for page in users for one in page["Users"] if one["UserId"] == unique_id), None)
            return _principal("user", user["UserName"], user["Arn"], unique_id) if user else None
        roles = client.get_paginator("list_roles").paginate(PaginationConfig={"PageSize": _LARGEST_PAGE})
        role = next((one for page in roles for one in page["Roles"] if one["RoleId"] == unique_id), None)
    except ClientError as error:
        # The role of a member account can be of an earlier version, and a service control policy can deny the list.
        if error.response["Error"]["Code"] != "AccessDenied":
            raise
        logger.error("iam.list_denied: the principal must be found by hand", extra={"unique_id": unique_id})
        return None
    return _principal("role", role["RoleName"], role["Arn"], unique_id) if role else None


def _principal(kind: PrincipalKind, name: str, arn: str, unique_id: str) -> Principal:
    return {"kind": kind, "name": name, "arn": arn, "account": arn.split(":")[4], "id": unique_id}


def arns_of_all(kind: str) -> list[str]:
    """Return the ARNs of all users (`user`) or roles (`role`) of this account."""
    client = sessions.reader("")
    if kind == "user":
        pages = client.get_paginator("list_users").paginate(PaginationConfig={"PageSize": _LARGEST_PAGE})
        return [user["Arn"] for page in pages for user in page["Users"]]
    roles = client.get_paginator("list_roles").paginate(PaginationConfig={"PageSize": _LARGEST_PAGE})
    return [role["Arn"] for page in roles for role in page["Roles"]]


def created_at(principal: Principal) -> float | None:
    """Return when the user or role was created, in seconds since the epoch, or None if it does not exist."""
    client = sessions.reader(principal["account"])
    try:
        if principal["kind"] == "user":
            return client.get_user(UserName=principal["name"])["User"]["CreateDate"].timestamp()
        return client.get_role(RoleName=principal["name"])["Role"]["CreateDate"].timestamp()
    except ClientError as error:
        if _is_missing(error):
            return None
        raise


def trust_policy(role: Principal) -> Mapping[str, object]:
    """Return the role's trust policy; empty if the role does not exist."""
    try:
        found = sessions.reader(role["account"]).get_role(RoleName=role["name"])["Role"]
    except ClientError as error:
        if _is_missing(error):
            return {}
        raise
    document: object = found.get("AssumeRolePolicyDocument")
    return document if isinstance(document, Mapping) else {}


def instance_profiles(role: Principal) -> list[str]:
    """Return the ARNs of the instance profiles that contain the role; empty if it does not exist."""
    client = sessions.reader(role["account"])
    pages = client.get_paginator("list_instance_profiles_for_role").paginate(RoleName=role["name"])
    try:
        return [profile["Arn"] for page in pages for profile in page["InstanceProfiles"]]
    except ClientError as error:
        if _is_missing(error):
            return []
        raise


def owner_of(access_key_id: str, account: str) -> str | None:
    """Return the name of the user of an account that owns a key (GetAccessKeyLastUsed), or None if it has no such key.

    An empty account is this one.
    """
    if not _KEY_ID.fullmatch(access_key_id):
        return None
    try:
        answer = sessions.reader(account).get_access_key_last_used(AccessKeyId=access_key_id)
    except ClientError as error:
        # IAM denies access to keys of other accounts and to deleted keys.
        if _is_missing(error) or error.response["Error"]["Code"] == "AccessDenied":
            return None
        raise
    return answer.get("UserName") or None


def tags(principal: Principal) -> dict[str, str]:
    """Return the tags of the user or role; empty if it no longer exists."""
    client = sessions.reader(principal["account"])
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
    """Return the user's access key ids with their status (Active, Inactive, Expired); empty for a role.

    Empty if the user no longer exists, too.
    """
    if principal["kind"] != "user":
        return {}
    client = sessions.reader(principal["account"])
    pages = client.get_paginator("list_access_keys").paginate(UserName=principal["name"])
    try:
        return {key["AccessKeyId"]: key["Status"] for page in pages for key in page["AccessKeyMetadata"]}
    except ClientError as error:
        if _is_missing(error):
            return {}
        raise


def attached_policies(principal: Principal) -> list[str]:
    """Return the ARNs of the attached managed policies; empty if the principal no longer exists."""
    client = sessions.reader(principal["account"])
    try:
        if principal["kind"] == "user":
            user_pages = client.get_paginator("list_attached_user_policies").paginate(UserName=principal["name"])
            return [policy.get("PolicyArn", "") for page in user_pages for policy in page["AttachedPolicies"]]
        role_pages = client.get_paginator("list_attached_role_policies").paginate(RoleName=principal["name"])
        return [policy.get("PolicyArn", "") for page in role_pages for policy in page["AttachedPolicies"]]
    except ClientError as error:
        if _is_missing(error):
            return []
        raise


def deny(principal: Principal) -> None:
    """Attach the deny policy. No effect if it is already attached."""
    arn = sessions.deny_policy_arn()
    if principal["kind"] == "user":
        sessions.changer(principal).attach_user_policy(UserName=principal["name"], PolicyArn=arn)
    else:
        sessions.changer(principal).attach_role_policy(RoleName=principal["name"], PolicyArn=arn)


def lift_deny(principal: Principal) -> None:
    """Detach the deny policy. No effect if it is not attached or the principal no longer exists."""
    _detach(principal, sessions.deny_policy_arn())


def lift_earlier_deny(principal: Principal) -> None:
    """Detach the deny policy of versions before 0.2.0, like `lift_deny`."""
    _detach(principal, sessions.earlier_deny_policy_arn(principal["account"]))


def _detach(principal: Principal, arn: str) -> None:
    try:
        if principal["kind"] == "user":
            sessions.changer(principal).detach_user_policy(UserName=principal["name"], PolicyArn=arn)
        else:
            sessions.changer(principal).detach_role_policy(RoleName=principal["name"], PolicyArn=arn)
    except ClientError as error:
        if not _is_missing(error):
            raise


def set_key_status(principal: Principal, access_key_id: str, status: KeyStatus) -> None:
    """Enable or disable a key. No effect if the key no longer exists."""
    try:
        sessions.changer(principal).update_access_key(
            UserName=principal["name"], AccessKeyId=access_key_id, Status=status
        )
    except ClientError as error:
        if not _is_missing(error):
            raise


def delete_key(principal: Principal, access_key_id: str) -> None:
    """Delete a key permanently. No effect if it no longer exists."""
    if not _KEY_ID.fullmatch(access_key_id):
        return
    try:
        sessions.changer(principal).delete_access_key(UserName=principal["name"], AccessKeyId=access_key_id)
    except ClientError as error:
        if not _is_missing(error):
            raise


def _is_missing(error: ClientError) -> bool:
    return error.response["Error"]["Code"] == _MISSING
