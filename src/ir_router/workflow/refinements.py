"""Tests of an event that no EventBridge pattern can express.

The pattern of such a detection matches more events than the detection means. The workflow then records those events
without an alert.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ir_router.ledger import configuration, unavailable
from ir_router.workflow.details import parsed_document
from ir_router.workflow.principals import items, mapping, string

# An action pattern that matches each of them counts as all actions of IAM: `*`, `*:*`, `iam:*`, `IAM:?*`.
_OF_IAM = ("iam:attachuserpolicy", "iam:createaccesskey", "iam:passrole", "iam:updateassumerolepolicy")
# A pattern that matches these too matches the actions of all services.
_OF_OTHERS = ("ec2:runinstances", "lambda:invokefunction", "s3:getobject", "sts:assumerole")
# Every resource of IAM: `arn:aws:iam::*:*`, `arn:aws:iam::123456789012:*`.
_EVERYTHING_IN_IAM = re.compile(r"arn:[a-z*-]+:iam:\*?:[\d*?]*:\*[*/]*")
# Every resource, or every resource of a partition: `*`, `*:*`, `arn:*`, `arn:aws:*:*:*`.
_EVERYWHERE = re.compile(r"(?:arn(?::aws[a-z-]*)?)?[:?*]*\*[:?*]*")
# `ir-router-mode` and `ir-router-regions` decide about containments in an account, and about its checks.
_OWN_TAGS = "ir-router-"


def grants_everything(event: Mapping[str, Any]) -> bool:
    """Whether the request's policy document allows all actions, or all actions of IAM, on all or nearly all resources.

    `NotAction` and `NotResource` allow everything but the listed exceptions.
    """
    request = mapping(mapping(event.get("detail")).get("requestParameters"))
    statements = parsed_document(request.get("policyDocument")).get("Statement")
    return any(_is_grant(statement) for statement in items(_list(statements)))


def _is_grant(statement: Mapping[str, object]) -> bool:
    if statement.get("Effect") != "Allow":
        return False
    return _covers(statement, "Resource", _is_all_of_iam, _is_everywhere) and _covers(
        statement, "Action", partial(_matches, _OF_IAM), partial(_matches, (*_OF_IAM, *_OF_OTHERS))
    )


def _covers(
    statement: Mapping[str, object],
    element: str,
    is_enough: Callable[[str], bool],
    is_everything: Callable[[str], bool],
) -> bool:
    """Return whether `Action` or `Resource` covers enough, or its negation excludes less than everything."""
    if element in statement:
        return any(isinstance(value, str) and is_enough(value) for value in _list(statement[element]))
    excluded = _list(statement.get(f"Not{element}"))
    return f"Not{element}" in statement and not any(isinstance(one, str) and is_everything(one) for one in excluded)


def _is_all_of_iam(resource: str) -> bool:
    return _is_everywhere(resource) or _EVERYTHING_IN_IAM.fullmatch(resource) is not None


def _is_everywhere(resource: str) -> bool:
    return _EVERYWHERE.fullmatch(resource) is not None


def _matches(actions: Sequence[str], action: str) -> bool:
    parts = ("." if part == "?" else ".*" if part == "*" else re.escape(part) for part in action.lower())
    pattern = re.compile(re.sub(r"(?:\.\*)+", ".*", "".join(parts)))
    return all(pattern.fullmatch(one) for one in actions)


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def concerns_own_key(event: Mapping[str, Any]) -> bool:
    """Return whether the request names a KMS key of this deployment, by its id or ARN.

    If the ledger cannot be read, the reason may be this very call, so every key counts.
    """
    named = string(mapping(mapping(event.get("detail")).get("requestParameters")).get("keyId"))
    try:
        own = configuration.kms_key_arns()
    except (BotoCoreError, ClientError) as error:
        if not unavailable.is_unavailable(error):
            raise
        return bool(named)
    return any(named in (arn, arn.rpartition("/")[2]) for arn in own if named)


def concerns_own_tag(event: Mapping[str, Any]) -> bool:
    """Return whether a call that sets or removes a role's tags names one of ir-router's; other calls count too.

    IAM ignores the case of tag keys: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html.
    """
    detail = mapping(event.get("detail"))
    request = mapping(detail.get("requestParameters"))
    if detail.get("eventName") == "TagRole":
        keys: list[object] = [tag.get("key") for tag in items(request.get("tags"))]
    elif detail.get("eventName") == "UntagRole":
        keys = _list(request.get("tagKeys"))
    else:
        return True
    return any(string(key).lower().startswith(_OWN_TAGS) for key in keys)


BY_NAME: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
    "administrator_document": grants_everything,
    "own_key": concerns_own_key,
    "own_tag": concerns_own_tag,
}
