"""Tests of an event that no EventBridge pattern can express.

The pattern of such a detection matches more events than the detection means. The workflow then records those events
without an alert.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ir_router.ledger import configuration, unavailable
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
