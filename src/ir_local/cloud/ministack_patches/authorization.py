"""IAM: condition keys that our policies use and the emulator does not know, and what EventBridge's rules, alarms and
log groups are called, for when it enforces policies (`AUTH`).

Sources: docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html (`dynamodb:LeadingKeys`:
the partition keys of the items, on an index those of the index; of a transaction each item is checked by itself) and
docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html
(`iam:PolicyARN`), and docs.aws.amazon.com/service-authorization/latest/reference/list_amazoneventbridge.html (a rule of
the default bus has no bus in its ARN), and
github.com/mattclay/aws-terminator/pull/63 (DescribeAlarms is asked of all alarms, whichever it names), and
docs.aws.amazon.com/AmazonCloudWatch/latest/logs/iam-access-control-overview-cwl.html (a log group's ARN ends with `:*`
for everything but tags).
"""
# ruff: noqa: SLF001 - a patch reaches into what it patches

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from ir_local.cloud.ministack_patches.originals import checked, module, replace

ACTIONS = module("core.iam_actions")
EVALUATOR = module("core.iam_evaluator")
TABLES = module("services.dynamodb")

AWS_SERVICE_KEYS = frozenset({"security-ir"})
"""Access keys by which a service that we play puts its events: AWS's own services need no policy of ours."""

RULE_OPERATIONS = re.compile(r"AWSEvents\.(\w+Rule|\w+TargetsByRule|PutTargets|RemoveTargets)")
LOG_GROUP = re.compile(r"arn:aws:logs:[^:]*:[^:]*:log-group:[^:]+")
TAGGING = ("TagResource", "ListTagsForResource")
POLICY_ACTIONS = re.compile(r"iam:(Attach|Detach)(User|Role|Group)Policy")
KEY_CONDITION = re.compile(r"(#?\w+)\s*=\s*(:\w+)")

Json = dict[str, Any]

_originals: dict[str, Callable[..., Any]] = {}


class ItemAction(str):
    """The action that an item of a transaction is checked as, with the partition key of that item."""

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
    ):
        _originals[name] = replace(owner, name, fingerprint, replacement)
    # It holds where a request comes from (address, and whether over TLS), for `enforce`.
    checked(EVALUATOR, "pin_request_origin", "de819c1bd9ac")


def dynamodb_context(body: bytes) -> Json:
    """The condition keys of a DynamoDB request, the partition keys among them."""
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
    """The partition keys that a request for one table names: in its key or item, or in its key condition."""
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
    """What the items of a transaction are checked as, each with its own partition key."""
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
    """The condition keys of a request that do not depend on its resource."""
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
    """What a request is about: rules, alarms and log groups as AWS names them, else as the emulator does."""
    if service == "events" and RULE_OPERATIONS.fullmatch(headers.get("x-amz-target", "")):
        return rule_arn(json.loads(body or b"{}"), region, account_id)
    if service == "monitoring" and headers.get("x-amz-target", "").endswith(".DescribeAlarms"):
        return f"arn:aws:cloudwatch:{region}:{account_id}:alarm:*"
    original = _originals["extract_resource_arn"]
    found = str(original(service, method, path, headers, body, parameters, region, account_id))
    return f"{found}:*" if LOG_GROUP.fullmatch(found) and not headers["x-amz-target"].endswith(TAGGING) else found


def rule_arn(request: Json, region: str, account_id: str) -> str:
    """The ARN of the rule that a request names: on the default bus without the bus."""
    bus = str(request.get("EventBusName") or "default").rpartition("/")[2]
    name = request.get("Rule") or request.get("Name")
    return f"arn:aws:events:{region}:{account_id}:rule/{name if bus == 'default' else f'{bus}/{name}'}"


def enforce(access_key: str, action: str, *others: Any, service_context: Json | None = None, **named: Any) -> Any:
    """What refuses a call, or None if it is allowed."""
    if access_key in AWS_SERVICE_KEYS:
        return None
    # AWS's endpoints are spoken to over TLS; here nothing leaves the machine, and there is none.
    address, _ = EVALUATOR._request_origin.get()
    EVALUATOR._request_origin.set((address, True))
    context = dict(service_context or {})
    if isinstance(action, ItemAction):
        context["dynamodb:LeadingKeys"] = action.leading_keys
    return _originals["enforce"](access_key, str(action), *others, service_context=context, **named)
