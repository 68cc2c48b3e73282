"""Operations: a table from the task to the module that carries it out."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from ir_router.errors import UnknownEventError

TASKS: Mapping[str, str] = {
    "verify": "ir_router.ops.verify",
    "replay": "ir_router.ops.replay",
    "resync": "ir_router.ops.resync",
}


def handle(event: Mapping[str, Any], context: Any) -> Any:
    """`{"task": "verify" | "replay" | "resync", ...}`. Raises UnknownEventError for another task."""
    task = str(event.get("task"))
    if task not in TASKS:
        raise UnknownEventError(f"No operation is called {task}; there are {', '.join(TASKS)}.")
    return importlib.import_module(TASKS[task]).handle(event, context)
