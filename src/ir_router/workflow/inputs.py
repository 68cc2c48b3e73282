"""Fields of the operators' tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ir_router.errors import InvalidInputError

_LONGEST = 1_000


def text(task: Mapping[str, Any], name: str) -> str:
    """Return a required text field, stripped. Raises InvalidInputError with the field's name."""
    value = task.get(name)
    if not isinstance(value, str) or not value.strip():
        raise InvalidInputError(f"The task {task.get('task')} requires the field {name}. It must be text.")
    if len(value) > _LONGEST:
        raise InvalidInputError(f"The field {name} is longer than {_LONGEST} characters. Shorten it.")
    return value.strip()
