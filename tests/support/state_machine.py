"""The states of the containment workflow's state machine, as the repository defines them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ir_operator.project import PROJECT_ROOT

DEFINITION = PROJECT_ROOT / "state-machine.asl.json"
MACHINE: Mapping[str, Any] = json.loads(DEFINITION.read_text("utf-8"))


def _states(machine: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, state in machine["States"].items():
        yield name, state
        for branch in state.get("Branches", []):
            yield from _states(branch)


# By name, with the states of the branches.
ALL = dict(_states(MACHINE))
