"""The whole system in one process, for scenario tests: see `ir_local.world`."""

from __future__ import annotations

from ir_local.world import (
    ACCOUNT,
    INDEX_PROJECTION,
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
    "INDEX_PROJECTION",
    "REGION",
    "Answer",
    "Context",
    "HttpAnswer",
    "World",
    "forget_everything",
    "running_world",
]
