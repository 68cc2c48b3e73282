"""The part of IAM's policy evaluation that this project's policies use, to check permissions in a plan.

Explicit deny first, then any allow (IAM User Guide, "Policy evaluation logic"). Conditions: the operators below, with
`ForAllValues`; a key that the request does not have fails every operator but `Null`, `ForAllValues` and negated ones.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Statement = Mapping[str, Any]


def allows(statements: Iterable[Statement], action: str, resource: str, **context: str | Sequence[str]) -> bool:
    """Return whether a request is allowed. `context` holds condition keys with `_` for `:`
    (`iam_PolicyARN="arn:..."`).
    """
    keys = {name.replace("_", ":", 1): [value] if isinstance(value, str) else value for name, value in context.items()}
    effects = {
        statement["Effect"]
        for statement in statements
        if _matches(statement["Action"], action)
        and _matches(statement["Resource"], resource)
        and _conditions_hold(statement.get("Condition", {}), keys)
    }
    return "Allow" in effects and "Deny" not in effects


def strings(value: str | Sequence[str]) -> list[str]:
    """Return a policy's element as a list, also if it is a single value."""
    return [value] if isinstance(value, str) else list(value)


def _matches(patterns: str | Sequence[str], value: str) -> bool:
    return any(fnmatch.fnmatchcase(value, pattern) for pattern in strings(patterns))


def _conditions_hold(condition: Mapping[str, Mapping[str, Any]], keys: Mapping[str, Sequence[str]]) -> bool:
    return all(
        _operator_holds(operator, strings(expected), keys.get(key))
        for operator, tests in condition.items()
        for key, expected in tests.items()
    )


def _operator_holds(operator: str, expected: list[str], values: Sequence[str] | None) -> bool:
    if operator == "Null":
        return (values is None) == (expected == ["true"])
    if operator == "ForAllValues:StringLike":
        return all(_matches(expected, value) for value in values or ())
    if operator == "ArnNotEquals":  # holds for a request without the key
        return not any(value in expected for value in values or ())
    if operator == "ArnNotLike":
        return not any(_matches(expected, value) for value in values or ())
    if operator == "StringNotEquals":
        return not any(value in expected for value in values or ())
    if values is None:
        return False
    if operator in ("StringEquals", "ArnEquals", "Bool"):
        return all(value in expected for value in values)
    if operator in ("StringLike", "ArnLike"):
        return all(_matches(expected, value) for value in values)
    raise AssertionError(f"the policies use an operator that this evaluation does not know: {operator}")
