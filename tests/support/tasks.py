"""Tasks of the workflow's function: run as people do, with `aws lambda invoke`, and made to fail."""

from __future__ import annotations

from typing import Any

from ir_local.world import FunctionDiedError
from ir_local.world.state_machine import StateMachine
from ir_router.errors import UncertainError
from tests.support.world import World


def run(world: World, task: str, **fields: Any) -> dict[str, Any]:
    """The answer of a task of the workflow's function."""
    answer: dict[str, Any] = world.invoke("workflow", {"task": task, **fields})
    return answer


def fail_task(machine: StateMachine, name: str) -> None:
    """Let every attempt of a task fail before it begins."""

    def fault(task: str, _after: bool) -> None:
        if task == name:
            raise UncertainError("AWS", task, "ReadTimeout")

    machine.fault = fault


def die_once_after(machine: StateMachine, *names: str) -> list[str]:
    """Let the function of one of these tasks end after its last call, once; the tasks at which one did, as it goes."""
    deaths: list[str] = []

    def fault(task: str, after: bool) -> None:
        if task in names and after and not deaths:
            deaths.append(task)
            raise FunctionDiedError("after its last call")

    machine.fault = fault
    return deaths
