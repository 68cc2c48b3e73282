"""Tests of an event that no EventBridge pattern can express.

The pattern of such a detection matches more events than the detection means. The workflow then records those events
without an alert.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ir_router.ledger import configuration
from ir_router.workflow.details import parsed_document
from ir_router.workflow.principals import items, mapping, string

_EVERYTHING = frozenset({"*", "*:*", "iam:*"})


def grants_everything(event: Mapping[str, Any]) -> bool:
    """Whether the request's policy document allows all actions, or all actions of IAM, on all resources."""
    request = mapping(mapping(event.get("detail")).get("requestParameters"))
    statements = parsed_document(request.get("policyDocument")).get("Statement")
    return any(_is_grant(statement) for statement in items(_list(statements)))


def _is_grant(statement: Mapping[str, object]) -> bool:
    if statement.get("Effect") != "Allow" or "*" not in _list(statement.get("Resource")):
        return False
    if "NotAction" in statement:
        return True
    return any(isinstance(action, str) and action.lower() in _EVERYTHING for action in _list(statement.get("Action")))


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def concerns_own_key(event: Mapping[str, Any]) -> bool:
    """Whether the request names the KMS key of this deployment, by its id or ARN."""
    own = configuration.kms_key_arn()
    named = string(mapping(mapping(event.get("detail")).get("requestParameters")).get("keyId"))
    return bool(own and named) and named in (own, own.rpartition("/")[2])


BY_NAME: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
    "administrator_document": grants_everything,
    "own_key": concerns_own_key,
}
