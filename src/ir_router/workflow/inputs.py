"""Fields of the tasks that people run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ir_router.errors import InvalidInputError

_LONGEST = 1_000


def text(task: Mapping[str, Any], name: str) -> str:
    """A field that must hold text. Raises InvalidInputError with the field's name."""
    value = task.get(name)
    if not isinstance(value, str) or not value.strip():
        raise InvalidInputError(f"The task {task.get('task')} needs the field {name}: text.")
    if len(value) > _LONGEST:
        raise InvalidInputError(f"The field {name} has more than {_LONGEST} characters.")
    return value.strip()
