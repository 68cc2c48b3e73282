"""Paths, templates and choice rules of the Amazon States Language, as far as the definition uses them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def chosen(rule: Mapping[str, Any], data: Any) -> bool:
    """Return whether the choice rule matches the state's input."""
    value = value_at(rule["Variable"], data, {})
    if "BooleanEquals" in rule:
        return bool(value is rule["BooleanEquals"])
    return bool(value == rule["StringEquals"])


def value_at(path: str, data: Any, context: Mapping[str, Any]) -> Any:
    """Return the value at the reference path: of the input, or with `$$` of the context object."""
    value: Any = data
    if path.startswith("$$"):
        value, path = context, path[1:]
    for step in path[1:].replace("[", ".[").split("."):
        if not step:
            continue
        value = value[int(step[1:-1])] if step.startswith("[") else value[step]
    return value


def filled(template: Any, data: Any, context: Mapping[str, Any]) -> Any:
    """Return the payload template with the values of its `.$` fields."""
    if not isinstance(template, Mapping):
        return template
    return {
        name.removesuffix(".$"): (
            value_at(value, data, context) if name.endswith(".$") else filled(value, data, context)
        )
        for name, value in template.items()
    }


def put(data: Any, path: str, value: Any) -> Any:
    """Return a copy of the data with the value at the path, as ResultPath does."""
    if path == "$":
        return value
    copy = json.loads(json.dumps(data))
    target = copy
    *steps, last = path[2:].split(".")
    for step in steps:
        target = target.setdefault(step, {})
    target[last] = value
    return copy
