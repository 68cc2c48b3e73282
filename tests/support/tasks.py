"""The tasks that people run with `aws lambda invoke`."""

from __future__ import annotations

from typing import Any

from tests.support.world import World


def run(world: World, task: str, **fields: Any) -> dict[str, Any]:
    """The answer of a task of the workflow's function."""
    answer: dict[str, Any] = world.invoke("workflow", {"task": task, **fields})
    return answer
