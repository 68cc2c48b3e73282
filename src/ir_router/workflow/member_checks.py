"""Verify one member of the organisation: its role, and its rules and queue in each of its regions."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from ir_router import cloudtrail
from ir_router.settings import settings
from ir_router.workflow import detections, rejections, sessions

_REGIONS_TAG = "ir-router-regions"
_ACCOUNT_MODULE = "Apply terraform/modules/account of this version of ir-router in the account, or update its stack"
_REGION_MODULE = "Apply terraform/modules/region of this version of ir-router in the account, or update its stack"
_READ_QUEUE = "Read the attribute ERROR_CODE of the messages, fix the cause, and look for these events in CloudTrail"
_SHOWN = 5


class Problem(NamedTuple):
    """A reason why the member is not ready, and the fix."""

    detail: str
    fix: str


def problems(account: str) -> list[Problem]:
    """Return the problems of a member.

    Raises:
        NoRoleError: The hub cannot assume the role of the account.
        ClientError: A call failed for another reason than a missing permission.
    """
    client = sessions.inspector(account)
    iam = client("iam", settings().region)
    found = [*_permitted(_of_role(iam, account)), *_permitted(_of_regions(client, iam, account))]
    return list(dict.fromkeys(found))


def _permitted(check: Iterator[Problem]) -> Iterator[Problem]:
    """Yield the problems of a check, and the denied permission as a problem, so that it hides none of other checks."""
    try:
        yield from check
    except ClientError as error:
        if error.response["Error"]["Code"] not in rejections.DENIED:
            raise
        detail = f"its role has no permission for {error.operation_name}: it is older than this version of ir-router"
        yield Problem(f"{detail}, or a policy of the organisation forbids the call", _ACCOUNT_MODULE)


def _of_role(iam: Any, account: str) -> Iterator[Problem]:
    name = sessions.role_arn(account).rpartition("/")[2]
    permissions = iam.get_role_policy(RoleName=name, PolicyName="containment")["PolicyDocument"]
    if sessions.deny_policy_arn() not in json.dumps(permissions):
        yield Problem("its role cannot attach the deny policy AWSDenyAll, so nothing can be contained", _ACCOUNT_MODULE)


def _of_regions(client: Callable[[str, str], Any], iam: Any, account: str) -> Iterator[Problem]:
    for region in _regions(iam, account):
        yield from _permitted(_of_rules(client("events", region), region))
        yield from _permitted(_of_queue(client("sqs", region), region))


def _regions(iam: Any, account: str) -> list[str]:
    """Return the regions in which the member forwards events, by the tag of its role."""
    tags = iam.list_role_tags(RoleName=sessions.role_arn(account).rpartition("/")[2])["Tags"]
    tagged = next((tag["Value"] for tag in tags if tag["Key"] == _REGIONS_TAG), "")
    return tagged.split() or [cloudtrail.GLOBAL_EVENTS_REGION]


def _of_rules(events: Any, region: str) -> Iterator[Problem]:
    """Compare the rules of the region with those that terraform/modules/region creates by default."""
    rules = _all(events, "list_rules", "Rules", NamePrefix=f"{settings().name_prefix}-")
    by_name: dict[str, Mapping[str, Any]] = {rule["Name"]: rule for rule in rules}
    forwarding = set(_all(events, "list_rule_names_by_target", "RuleNames", TargetArn=_bus_arn()))
    wanted = {detections.rule_name(entry["id"]): entry for entry in detections.entries() if _is_forwarded(entry)}
    if not forwarding.intersection(by_name):
        yield Problem(f"no rule in {region} forwards events to the hub", _REGION_MODULE)
        return
    wrong = {
        "missing": sorted(wanted.keys() - by_name.keys()),
        "without the hub as target": sorted(wanted.keys() & by_name.keys() - forwarding),
        "changed or of another version": sorted(
            name for name in wanted.keys() & by_name.keys() if _differs(by_name[name], wanted[name])
        ),
    }
    for kind, found in wrong.items():
        if found:
            more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
            yield Problem(f"rules in {region} are {kind}: {', '.join(found[:_SHOWN])}{more}", _REGION_MODULE)


def _is_forwarded(entry: Mapping[str, Any]) -> bool:
    return detections.is_direct(entry["severity"], tampering=entry.get("tampering", False))


def _differs(rule: Mapping[str, Any], entry: Mapping[str, Any]) -> bool:
    expected = (detections.rule_state(entry), entry["pattern"])
    return (rule.get("State"), json.loads(rule.get("EventPattern") or "{}")) != expected


def _of_queue(sqs: Any, region: str) -> Iterator[Problem]:
    name = f"{settings().name_prefix}-forwarding-failures"
    try:
        url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    except ClientError as error:
        if "NonExistent" not in error.response["Error"]["Code"]:
            raise
        yield Problem(f"the queue {name} in {region} is missing, so undelivered events would be lost", _REGION_MODULE)
        return
    depth = "ApproximateNumberOfMessages"
    if int(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[depth])["Attributes"][depth]):
        yield Problem(f"events that did not reach the hub wait in the queue {name} in {region}", _READ_QUEUE)


def _bus_arn() -> str:
    """Return the ARN of the hub's bus for events of members (terraform/members.tf)."""
    partition = sessions.role_arn("").split(":")[1]
    bus = f"event-bus/{settings().name_prefix}-detections"
    return f"arn:{partition}:events:{settings().region}:{sessions.own_account()}:{bus}"


def _all(client: Any, operation: str, part: str, **parameters: str) -> list[Any]:
    pages: Callable[..., Any] = client.get_paginator(operation).paginate
    return [one for page in pages(**parameters) for one in page[part]]
