"""Make an event fit into the input of the workflow. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ir_router import json_text

# Step Functions' limit is 256 KB. The state machine adds its own values to the event, and passes both to a function.
LARGEST_INPUT = 200_000
_LONGEST_VALUES = (4_096, 1_024, 256, 64)
_MOST_ITEMS = 200


def fitting(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return the event, with long strings and lists cut if it is larger than the workflow's input may be."""
    fitted: dict[str, Any] = dict(event)
    for longest in _LONGEST_VALUES:
        if len(json_text.written(fitted).encode()) <= LARGEST_INPUT:
            break
        fitted = _cut(event, longest)
    return fitted


def _cut(value: Any, longest: int) -> Any:
    if isinstance(value, str) and len(value) > longest:
        return f"{value[:longest]}... ({len(value) - longest} characters more)"
    if isinstance(value, Mapping):
        return {name: _cut(inner, longest) for name, inner in value.items()}
    if isinstance(value, list):
        return [_cut(inner, longest) for inner in value[:_MOST_ITEMS]]
    return value
