"""Operations: select the module of a task."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from ir_router.errors import UnknownEventError

TASKS: Mapping[str, str] = {
    "verify": "ir_router.ops.verify",
    "watch": "ir_router.ops.watch",
    "start_oversized": "ir_router.ops.oversized",
    "replay": "ir_router.ops.replay",
    "resync": "ir_router.ops.resync",
    "forget": "ir_router.ops.forget",
}


def handle(event: Mapping[str, Any], context: Any) -> Any:
    """Run the operation `{"task": "verify", ...}`. Raises UnknownEventError for a task that is not in TASKS."""
    task = str(event.get("task"))
    if task not in TASKS:
        raise UnknownEventError(f"Unknown operation {task}. Known operations: {', '.join(TASKS)}.")
    return importlib.import_module(TASKS[task]).run_operation(event, context)
