"""The changes that CloudTrail's events report, made in IAM before the product reads the event."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import boto3
from botocore.exceptions import ClientError, ParamValidationError
from moto.iam.models import iam_backends

from tests.trials.shapes.aws_side import attach, put_key
from tests.trials.world import ACCOUNT

Change = Callable[[Mapping[str, Any], Mapping[str, Any]], object]


def happen(event: Mapping[str, Any]) -> None:
    """Make the change of an API call that succeeded; a call about a user or policy that does not exist has none."""
    detail = event.get("detail")
    if not isinstance(detail, Mapping) or detail.get("errorCode") or detail.get("eventSource") != "iam.amazonaws.com":
        return
    change = _CHANGES.get(str(detail.get("eventName")))
    if change is None:
        return
    asked, answered = (detail.get(name) or {} for name in ("requestParameters", "responseElements"))
    try:
        change({"userName": (detail.get("userIdentity") or {}).get("userName"), **asked}, answered)
    except (ClientError, ParamValidationError, KeyError):
        return


def _user(asked: Mapping[str, Any]) -> str:
    name = str(asked["userName"])
    return iam_backends[ACCOUNT]["aws"].users[name].name


def _key_created(asked: Mapping[str, Any], answered: Mapping[str, Any]) -> None:
    made = answered["accessKey"]
    name = _user({"userName": made.get("userName") or asked["userName"]})
    keys = [key.access_key_id for key in iam_backends[ACCOUNT]["aws"].users[name].access_keys]
    if made["accessKeyId"] not in keys:
        put_key(name, made["accessKeyId"], str(made.get("status", "Active")))


def _key_changed(asked: Mapping[str, Any], _: Mapping[str, Any]) -> None:
    boto3.client("iam").update_access_key(
        UserName=_user(asked), AccessKeyId=asked["accessKeyId"], Status=asked["status"]
    )


def _key_deleted(asked: Mapping[str, Any], _: Mapping[str, Any]) -> None:
    boto3.client("iam").delete_access_key(UserName=_user(asked), AccessKeyId=asked["accessKeyId"])


def _attached(asked: Mapping[str, Any], _: Mapping[str, Any]) -> None:
    arn = str(asked["policyArn"])
    attach(_user(asked), arn, arn.rpartition("/")[2])


def _detached(asked: Mapping[str, Any], _: Mapping[str, Any]) -> None:
    boto3.client("iam").detach_user_policy(UserName=_user(asked), PolicyArn=asked["policyArn"])


def _inline_put(asked: Mapping[str, Any], _: Mapping[str, Any]) -> None:
    document = asked.get("policyDocument") or json.dumps({"Version": "2012-10-17", "Statement": []})
    boto3.client("iam").put_user_policy(
        UserName=_user(asked), PolicyName=asked["policyName"], PolicyDocument=str(document)
    )


def _inline_deleted(asked: Mapping[str, Any], _: Mapping[str, Any]) -> None:
    boto3.client("iam").delete_user_policy(UserName=_user(asked), PolicyName=asked["policyName"])


def _role_detached(asked: Mapping[str, Any], _: Mapping[str, Any]) -> None:
    boto3.client("iam").detach_role_policy(RoleName=asked["roleName"], PolicyArn=asked["policyArn"])


def _role_attached(asked: Mapping[str, Any], _: Mapping[str, Any]) -> None:
    arn = str(asked["policyArn"])
    attach(str(asked["roleName"]), arn, arn.rpartition("/")[2], is_role=True)


def _version_made(asked: Mapping[str, Any], _: Mapping[str, Any]) -> None:
    boto3.client("iam").create_policy_version(
        PolicyArn=asked["policyArn"],
        PolicyDocument=str(asked["policyDocument"]),
        SetAsDefault=bool(asked.get("setAsDefault")),
    )


_CHANGES: Mapping[str, Change] = {
    "CreateAccessKey": _key_created,
    "UpdateAccessKey": _key_changed,
    "DeleteAccessKey": _key_deleted,
    "AttachUserPolicy": _attached,
    "DetachUserPolicy": _detached,
    "PutUserPolicy": _inline_put,
    "DeleteUserPolicy": _inline_deleted,
    "AttachRolePolicy": _role_attached,
    "DetachRolePolicy": _role_detached,
    "CreatePolicyVersion": _version_made,
}
