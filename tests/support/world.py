"""The simulator for scenario tests; see `tests.trials.world`."""

from __future__ import annotations

from tests.trials.world import (
    ACCOUNT,
    REGION,
    Answer,
    Context,
    HttpAnswer,
    World,
    forget_everything,
    running_world,
)

__all__ = [
    "ACCOUNT",
    "REGION",
    "Answer",
    "Context",
    "HttpAnswer",
    "World",
    "forget_everything",
    "running_world",
]
