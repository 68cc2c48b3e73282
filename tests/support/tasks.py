"""Tasks of the workflow's function: run them as `aws lambda invoke` does, and make them fail."""

from __future__ import annotations

from typing import Any

from ir_router.errors import UncertainError
from tests.support.world import World
from tests.trials.world import FunctionDiedError
from tests.trials.world.state_machine import StateMachine


def run(world: World, task: str, **fields: Any) -> dict[str, Any]:
    """Return the answer of a task of the workflow's function."""
    answer: dict[str, Any] = world.invoke("workflow", {"task": task, **fields})
    return answer


def fail_task(machine: StateMachine, name: str) -> None:
    """Let every attempt of a task fail before it starts."""

    def fault(task: str, _after: bool) -> None:
        if task == name:
            raise UncertainError("AWS", task, "ReadTimeout")

    machine.fault = fault


def die_once_after(machine: StateMachine, *names: str) -> list[str]:
    """End the function of one of these tasks once, after its last call. Return a list that receives the task's name."""
    deaths: list[str] = []

    def fault(task: str, after: bool) -> None:
        if task in names and after and not deaths:
            deaths.append(task)
            raise FunctionDiedError("after its last call")

    machine.fault = fault
    return deaths
