"""IAM with enforced policies (`AUTH`): condition keys and resource ARNs that the emulator does not know.

Sources:

- docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html: `dynamodb:LeadingKeys` holds the
  partition keys of the items, or of the index. IAM checks each item of a transaction separately.
- docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html:
  `iam:PolicyARN`; the resource of GetAccessKeyLastUsed is the user who owns the key.
- docs.aws.amazon.com/service-authorization/latest/reference/list_amazoneventbridge.html: the ARN of a rule on the
  default bus does not contain the bus.
- github.com/mattclay/aws-terminator/pull/63: DescribeAlarms needs permission for all alarms, even if it names one.
- docs.aws.amazon.com/AmazonCloudWatch/latest/logs/iam-access-control-overview-cwl.html: a log group's ARN ends with
  `:*`, except for tagging.
- docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html: for a session, `aws:PrincipalArn` is
  the ARN of its role; `aws:ResourceOrgID` is the organisation of the resource's account.
- docs.aws.amazon.com/service-authorization/latest/reference/list_awsorganizations.html: the ARN of an account.
- docs.aws.amazon.com/service-authorization/latest/reference/list_awssystemsmanager.html: a parameter's ARN contains its
  name alone, even if a request names a version.
"""
# ruff: noqa: SLF001 - a patch uses private members of the patched module

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from ir_sandbox.cloud.ministack_patches import organization
from ir_sandbox.cloud.ministack_patches.originals import checked, module, replace

ACTIONS = module("core.iam_actions")
EVALUATOR = module("core.iam_evaluator")
IDENTITIES = module("services.iam")
TABLES = module("services.dynamodb")

AWS_SERVICE_KEYS = frozenset({"security-ir"})
"""The access keys of emulated AWS services that put events; AWS's own services need no IAM policy."""

RULE_OPERATIONS = re.compile(r"AWSEvents\.(\w+Rule|\w+TargetsByRule|PutTargets|RemoveTargets)")
PARAMETER_VERSION = re.compile(r"(?<=:parameter)(/[^:]+):[^:]+")
LOG_GROUP = re.compile(r"arn:aws:logs:[^:]*:[^:]*:log-group:[^:]+")
TAGGING = ("TagResource", "ListTagsForResource")
DENY_ALL = "AWSDenyAll"
"""Missing in the emulator (docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSDenyAll.html)."""
POLICY_ACTIONS = re.compile(r"iam:(Attach|Detach)(User|Role|Group)Policy")
KEY_CONDITION = re.compile(r"(#?\w+)\s*=\s*(:\w+)")

Json = dict[str, Any]

_originals: dict[str, Callable[..., Any]] = {}


class ItemAction(str):
    """The action for the check of a transaction's item, with the item's partition key."""

    __slots__ = ("leading_keys",)
    leading_keys: list[str]


def apply() -> None:
    """Add the condition keys; raises EmulatorChangedError."""
    for owner, name, fingerprint, replacement in (
        (ACTIONS, "dynamodb_service_context", "0f0021bdc8a3", dynamodb_context),
        (ACTIONS, "dynamodb_transaction_checks", "684e748338e8", transaction_checks),
        (ACTIONS, "extract_resource_arn", "82f51700695c", resource_arn),
        (ACTIONS, "request_tag_context", "d46adb816e02", request_context),
        (EVALUATOR, "enforce", "cf64b1ee5b09", enforce),
        (EVALUATOR, "_resolve_condition_key", "15e26964cd38", condition_key),
    ):
        _originals[name] = replace(owner, name, fingerprint, replacement)
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": ["*"], "Resource": "*"}]}
    record = IDENTITIES._make_aws_managed_record(DENY_ALL, json.dumps(document), "Denies all access.")
    IDENTITIES._aws_managed_policies.setdefault(record["Arn"], record)
    # `enforce` uses the stored origin of a request: its address and whether it uses TLS.
    checked(EVALUATOR, "pin_request_origin", "de819c1bd9ac")


def dynamodb_context(body: bytes) -> Json:
    """Return the condition keys of a DynamoDB request, including the partition keys."""
    context: Json = _originals["dynamodb_service_context"](body)
    request = json.loads(body or b"{}")
    leading_keys = list(partition_keys(request))
    for table, part in request.get("RequestItems", {}).items():
        requests = part.get("Keys", []) if isinstance(part, dict) else part
        for item in requests:
            inner = next(iter(item.values())) if "PutRequest" in item or "DeleteRequest" in item else {"Key": item}
            leading_keys += partition_keys({"TableName": table, **inner})
    return {**context, "dynamodb:LeadingKeys": leading_keys} if leading_keys else context


def partition_keys(request: Json) -> Iterator[str]:
    """Yield the partition keys in a request for one table: in its key, its item or its key condition."""
    table = TABLES._tables.get(str(request.get("TableName", "")).rpartition("/")[2])
    if table is None:
        return
    indexes = {index["IndexName"]: index for index in table.get("GlobalSecondaryIndexes") or []}
    schema = indexes.get(request.get("IndexName"), table)["KeySchema"]
    name = next(key["AttributeName"] for key in schema if key["KeyType"] == "HASH")
    item = request.get("Key") or request.get("Item") or {}
    if name in item:
        yield str(next(iter(item[name].values())))
    names, values = request.get("ExpressionAttributeNames") or {}, request.get("ExpressionAttributeValues") or {}
    for left, right in KEY_CONDITION.findall(request.get("KeyConditionExpression") or ""):
        if names.get(left, left) == name:
            yield str(next(iter(values[right].values())))


def transaction_checks(iam_action: str, body: bytes, region: str, account_id: str) -> list[tuple[str, str]]:
    """Return the actions and ARNs for the checks of a transaction's items, each with the item's partition key."""
    checks: list[tuple[str, str]] = _originals["dynamodb_transaction_checks"](iam_action, body, region, account_id)
    if not checks:
        return checks
    details = [detail for item in json.loads(body)["TransactItems"] for detail in item.values()]
    found: list[tuple[str, str]] = []
    for (action, arn), detail in zip(checks, details, strict=True):
        item_action = ItemAction(action)
        item_action.leading_keys = list(partition_keys(detail))
        found.append((item_action, arn))
    return found


def request_context(service: str, iam_action: str, body: bytes, parameters: Json) -> Json:
    """Return a request's condition keys that do not depend on its resource."""
    context: Json = _originals["request_tag_context"](service, iam_action, body, parameters)
    if service == "iam" and POLICY_ACTIONS.fullmatch(iam_action):
        context = {**context, "iam:PolicyARN": ACTIONS._query_param(parameters, "PolicyArn")}
    return context


def resource_arn(
    service: str,
    method: str,
    path: str,
    headers: Json,
    body: bytes,
    parameters: Json,
    region: str,
    account_id: str,
) -> str:
    """Return the ARN of a request's resource: for the services above AWS's, for the others the emulator's."""
    if service == "events" and RULE_OPERATIONS.fullmatch(headers.get("x-amz-target", "")):
        return rule_arn(json.loads(body or b"{}"), region, account_id)
    if service == "iam" and ACTIONS._query_param(parameters, "Action") == "GetAccessKeyLastUsed":
        return key_owner_arn(ACTIONS._query_param(parameters, "AccessKeyId"))
    if service == "monitoring" and headers.get("x-amz-target", "").endswith(".DescribeAlarms"):
        return f"arn:aws:cloudwatch:{region}:{account_id}:alarm:*"
    if service == "organizations" and headers.get("x-amz-target", "").endswith(".DescribeAccount"):
        return str(organization.arn_of(json.loads(body).get("AccountId")))
    original = _originals["extract_resource_arn"]
    found = str(original(service, method, path, headers, body, parameters, region, account_id))
    if service == "ssm":
        return PARAMETER_VERSION.sub(r"\1", found)
    return f"{found}:*" if LOG_GROUP.fullmatch(found) and not headers["x-amz-target"].endswith(TAGGING) else found


def key_owner_arn(access_key_id: str) -> str:
    """Return the ARN of the user who owns a key; `*`, which a permission for users does not match, for other keys.

    IAM reads only keys of its own account and refuses others with AccessDenied.
    """
    key = IDENTITIES._access_keys.get(access_key_id)
    owner = IDENTITIES._users.get(key["UserName"]) if key else None
    return str(owner["Arn"]) if owner else "*"


def rule_arn(request: Json, region: str, account_id: str) -> str:
    """Return the ARN of a request's rule; on the default bus, the ARN does not contain the bus."""
    bus = str(request.get("EventBusName") or "default").rpartition("/")[2]
    name = request.get("Rule") or request.get("Name")
    return f"arn:aws:events:{region}:{account_id}:rule/{name if bus == 'default' else f'{bus}/{name}'}"


def condition_key(key: str, context: Any) -> Any:
    """Return the value of a condition key. For a session, `aws:PrincipalArn` is the ARN of its role."""
    if key.lower() == "aws:resourceorgid":
        return organization.organization_of(f"{context.resource_arn}:::::".split(":")[4])
    principal = str(context.principal_arn)
    if key.lower() == "aws:principalarn" and ":assumed-role/" in principal:
        account, name = principal.split(":")[4], principal.split("/")[1]
        role = IDENTITIES._roles.get_scoped(account, None, name)
        return role["Arn"] if role else f"arn:aws:iam::{account}:role/{name}"
    return _originals["_resolve_condition_key"](key, context)


def enforce(access_key: str, action: str, *others: Any, service_context: Json | None = None, **named: Any) -> Any:
    """Return the error of a forbidden call, or None if the call is allowed."""
    if access_key in AWS_SERVICE_KEYS:
        return None
    # Requests to AWS use TLS. Local requests do not, so declare them as TLS.
    address, _ = EVALUATOR._request_origin.get()
    EVALUATOR._request_origin.set((address, True))
    context = dict(service_context or {})
    if isinstance(action, ItemAction):
        context["dynamodb:LeadingKeys"] = action.leading_keys
    return _originals["enforce"](access_key, str(action), *others, service_context=context, **named)
