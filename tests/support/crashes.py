"""The crash scenarios of the synchronisation; `tests.trials.world.crashes` runs them."""

from __future__ import annotations

from tests.trials.world.crashes import (
    Outcome,
    Point,
    Scenario,
    crash,
    each_crash,
    points,
    recover,
    undisturbed,
)
from tests.trials.world.running import running_world as worlds

__all__ = [
    "Outcome",
    "Point",
    "Scenario",
    "crash",
    "each_crash",
    "points",
    "recover",
    "undisturbed",
    "worlds",
]
