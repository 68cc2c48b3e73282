"""Record the functions' AWS calls in IAM's terms: an action, a resource and the condition keys.

Calls are recorded where boto3 takes their parameters, so those that a test answers itself are included. Names are
translated to Terraform's, so that a call can be compared with the policies of a plan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3

from tests.support.world import ACCOUNT, World
from tests.terraform.deployments import BROUGHT_KEY, LAKE_STORE
from tests.trials.world.organisation import MEMBERS, ORGANIZATION

# The simulator's short names for Terraform's names (`tests.trials.world.deployment`, terraform/locals.tf).
_TERRAFORM_NAMES = {
    "ledger": "security-incident-ledger",
    "bus": "security-incident-events",
    "security-incident": "security-incident-response",
    **{
        f"{queue}.fifo": f"security-incident-{queue}.fifo"
        for queue in ("slack-events", "slack-events-dlq", "files", "files-dlq")
    },
}

# Operations whose action in IAM has another name (AWS's service authorization reference).
_ACTIONS = {
    "lambda:Invoke": "lambda:InvokeFunction",
    "monitoring:DescribeAlarms": "cloudwatch:DescribeAlarms",
}

# -workflow calls these with the role of a member only.
_IN_MEMBERS = frozenset({"GetQueueAttributes", "GetQueueUrl", "ListRuleNamesByTarget", "ListRules", "LookupEvents"})

# The action that authorises each part of a transaction (DynamoDB developer guide, "IAM for transactions").
_PARTS = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem"}


@dataclass(frozen=True)
class AwsCall:
    """A permission that a call needs. `leading_key` is a row's partition key, `policy` the ARN of a managed policy.
    `only_new`: the request writes an object only if its key is new.

    `deployment` is the function whose role needs it, or `containment` for the role that `-workflow` assumes.
    """

    deployment: str
    action: str
    resource: str
    leading_key: str | None = None
    policy: str | None = None
    only_new: bool = False

    @property
    def context(self) -> dict[str, str]:
        """Return the condition keys of the request, for `tests.terraform.iam.allows`."""
        keys = {"dynamodb_LeadingKeys": self.leading_key, "iam_PolicyARN": self.policy}
        if self.action == "sts:AssumeRole":
            keys["aws_ResourceOrgID"] = ORGANIZATION
        if self.only_new:
            keys["s3_if-none-match"] = "*"
        return {name: value for name, value in keys.items() if value is not None}


def record(world: World, calls: set[AwsCall]) -> list[str]:
    """Add the simulator's calls to `calls` from now on. Clients that exist already are not recorded; a new simulator
    has none.

    Returns:
        The running deployments, the innermost last. The list changes as functions run.
    """
    running: list[str] = []
    invocation = world.wire.invocation

    @contextmanager
    def heard(deployment: str) -> Iterator[None]:
        running.append(deployment)
        try:
            with invocation(deployment):
                yield
        finally:
            running.pop()

    def handler(params: Mapping[str, Any], model: Any, context: Mapping[str, Any], **_: Any) -> None:
        if running:  # without a running deployment, the test itself makes the call
            service = model.service_model.signing_name
            calls.update(_rights(running[-1], service, model.name, context["client_region"], params))

    world.wire.invocation = heard  # type: ignore[method-assign]
    boto3.DEFAULT_SESSION.events.register_first("provide-client-params", handler)  # type: ignore[union-attr]
    return running


def _rights(deployment: str, service: str, operation: str, region: str, params: Mapping[str, Any]) -> list[AwsCall]:
    if service == "dynamodb":
        return [
            AwsCall(deployment, f"dynamodb:{action}", _arn("dynamodb", region, resource), key)
            for action, resource, key in _rows(operation, params)
        ]
    if f"{service}:{operation}" == "security-ir:CreateCase" and params.get("tags"):
        # Two actions authorise it (service authorization reference, "API operations defined by ...").
        tagging = AwsCall(deployment, "security-ir:TagResource", _arn("security-ir", region, "case/new"))
        return [AwsCall(deployment, "security-ir:CreateCase", "*"), tagging]
    if service == "s3" and operation == "PutObject":
        name = f"arn:aws:s3:::{params['Bucket']}/{params['Key']}"
        lock = [AwsCall(deployment, "s3:PutObjectRetention", name)] if "ObjectLockMode" in params else []
        return [AwsCall(deployment, "s3:PutObject", name, only_new=params.get("IfNoneMatch") == "*"), *lock]
    if deployment == "workflow" and (service == "iam" or operation in _IN_MEMBERS):
        deployment = "containment"
    action = _ACTIONS.get(f"{service}:{operation}", f"{service}:{operation}")
    resource = _RESOURCES[service](operation, params, region)
    return [AwsCall(deployment, action, resource, policy=_policy(service, operation, params))]


def _rows(operation: str, params: Mapping[str, Any]) -> list[tuple[str, str, str | None]]:
    if operation == "TransactWriteItems":
        return [
            (_PARTS[kind], _table(part), (part.get("Item") or part["Key"])["PK"]["S"])
            for item in params["TransactItems"]
            for kind, part in item.items()
        ]
    if operation == "BatchGetItem":
        return [
            (operation, _table({"TableName": table}), row["PK"]["S"])
            for table, asked in params["RequestItems"].items()
            for row in asked["Keys"]
        ]
    if operation == "Query":
        return [("Query", _table(params), params["ExpressionAttributeValues"][":pk"]["S"])]
    row = params.get("Item") or params.get("Key")
    return [(operation, _table(params), row["PK"]["S"] if row else None)]


def _table(params: Mapping[str, Any]) -> str:
    table = f"table/{_name(params['TableName'])}"
    return f"{table}/index/{params['IndexName']}" if "IndexName" in params else table


def _policy(service: str, operation: str, params: Mapping[str, Any]) -> str | None:
    """Return `iam:PolicyARN`, which is a key of the attaching and detaching actions only."""
    attaches = service == "iam" and operation.startswith(("Attach", "Detach"))
    return _renamed(params["PolicyArn"]) if attaches else None


def _security_ir(operation: str, params: Mapping[str, Any], region: str) -> str:
    if "resourceArn" in params:
        return str(params["resourceArn"])
    if "membershipId" in params:
        return _arn("security-ir", region, f"membership/{params['membershipId']}")
    return _arn("security-ir", region, f"case/{params['caseId']}") if "caseId" in params else "*"


def _iam(operation: str, params: Mapping[str, Any], region: str) -> str:
    for kind in ("User", "Role"):
        if f"{kind}Name" in params:
            return f"arn:aws:iam::{ACCOUNT}:{kind.lower()}/{params[f'{kind}Name']}"
    if operation == "GetAccessKeyLastUsed":  # called with the key alone; authorised on its user
        return f"arn:aws:iam::{ACCOUNT}:user/owner-of-{params['AccessKeyId']}"
    return _renamed(params["PolicyArn"]) if "PolicyArn" in params else "*"


def _events(operation: str, params: Mapping[str, Any], region: str) -> str:
    if operation == "PutEvents":
        (bus,) = {entry["EventBusName"] for entry in params["Entries"]}
        return _arn("events", region, f"event-bus/{_name(bus)}")
    if operation in _IN_MEMBERS:
        return "*"
    bus = params.get("EventBusName", "default")
    rule = params.get("Name") or params["Rule"]
    return _arn("events", region, f"rule/{rule}" if bus == "default" else f"rule/{_name(bus)}/{rule}")


def _sqs(operation: str, params: Mapping[str, Any], region: str) -> str:
    name = params.get("QueueName") or params["QueueUrl"].rpartition("/")[2]
    return _arn("sqs", region, _name(name))


def _states(operation: str, params: Mapping[str, Any], region: str) -> str:
    return _renamed(params.get("stateMachineArn") or params.get("executionArn") or "*")


def _function(params: Mapping[str, Any], region: str) -> str:
    if "FunctionName" not in params:
        return "*"
    # A name may have an alias, and an ARN has the name at the end.
    name = str(params["FunctionName"])
    return _arn("lambda", region, f"function:{name.partition(':function:')[2] or name}")


def _log_group(params: Mapping[str, Any], region: str) -> str:
    return _arn("logs", region, f"log-group:{params['logGroupName']}:*") if "logGroupName" in params else "*"


def _cloudtrail(operation: str, params: Mapping[str, Any], region: str) -> str:
    if operation in ("GetQueryResults", "StartQuery"):  # requests have a query's id, or the store's id in the statement
        assert params["EventDataStoreOwnerAccountId"] == LAKE_STORE.split(":")[4]
        assert LAKE_STORE.rpartition("/")[2] in params.get("QueryStatement", LAKE_STORE)
        return LAKE_STORE
    return str(params.get("Name") or params.get("TrailName") or "*")


_RESOURCES: Mapping[str, Callable[[str, Mapping[str, Any], str], str]] = {
    "cloudtrail": _cloudtrail,
    "events": _events,
    "iam": _iam,
    "kms": lambda *_: BROUGHT_KEY,
    "lambda": lambda _, params, region: _function(params, region),
    "logs": lambda _, params, region: _log_group(params, region),
    "organizations": lambda _, params, __: (
        f"arn:aws:organizations::{ACCOUNT}:account/{ORGANIZATION}/{params['AccountId']}"
        if "AccountId" in params
        else "*"
    ),
    "monitoring": lambda operation, _, region: (
        "*" if operation[:4] == "List" else _arn("cloudwatch", region, "alarm:*")
    ),
    "security-ir": _security_ir,
    "sns": lambda _, params, region: _arn("sns", region, params["TopicArn"].rpartition(":")[2]),
    "sqs": _sqs,
    "ssm": lambda _, params, region: _arn("ssm", region, f"parameter{params['Name']}"),
    "states": _states,
    "sts": lambda _operation, params, _region: str(params["RoleArn"]),
}


def _arn(service: str, region: str, resource: str) -> str:
    return f"arn:aws:{service}:{region}:{ACCOUNT}:{resource}"


def _name(name: str) -> str:
    return _TERRAFORM_NAMES.get(name, name)


def _renamed(arn: str) -> str:
    """Replace the simulator's names in an ARN by Terraform's.

    The role of each account has the same permissions for its own account, so that the plan of the hub's counts for all.
    """
    head, *parts = arn.split(":")
    parts = [ACCOUNT if part in MEMBERS else part for part in parts]
    kept = [part if part.startswith(("arn", "aws")) else _named_part(part) for part in parts]
    return ":".join([head, *kept])


def _named_part(part: str) -> str:
    path, slash, last = part.rpartition("/")
    return f"{path}{slash}{_name(last)}"
