"""Tests of an event that no EventBridge pattern can express.

The pattern of such a detection matches more events than the detection means. The workflow then records those events
without an alert.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ir_router.ledger import configuration, unavailable
from ir_router.workflow.details import parsed_document
from ir_router.workflow.principals import items, mapping, string

# An action pattern that matches each of them counts as all actions of IAM: `*`, `*:*`, `iam:*`, `IAM:?*`.
_OF_IAM = ("iam:attachuserpolicy", "iam:createaccesskey", "iam:passrole", "iam:updateassumerolepolicy")
# Every resource, or every resource of a partition: `*`, `*:*`, `arn:*`, `arn:aws:*:*:*`.
_EVERYWHERE = re.compile(r"(?:arn(?::aws[a-z-]*)?)?[:?*]*\*[:?*]*")


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
    return _covers(statement, "Resource", _is_everywhere) and _covers(statement, "Action", _is_everything)


def _covers(statement: Mapping[str, object], element: str, is_all: Callable[[str], bool]) -> bool:
    """Return whether `Action` or `Resource` covers all, or its negation excludes only some."""
    negated = f"Not{element}"
    listed = any(
        isinstance(value, str) and is_all(value) for value in _list(statement.get(element, statement.get(negated)))
    )
    return not listed if negated in statement and element not in statement else listed


def _is_everywhere(resource: str) -> bool:
    return _EVERYWHERE.fullmatch(resource) is not None


def _is_everything(action: str) -> bool:
    parts = ("." if part == "?" else ".*" if part == "*" else re.escape(part) for part in action.lower())
    pattern = re.compile(re.sub(r"(?:\.\*)+", ".*", "".join(parts)))
    return all(pattern.fullmatch(one) for one in _OF_IAM)


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


BY_NAME: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
    "administrator_document": grants_everything,
    "own_key": concerns_own_key,
}
