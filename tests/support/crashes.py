"""Crash scenarios of the synchronisation, and how to run them: see `ir_local.world.crashes`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ir_local.world.crashes import Outcome, Point, Scenario, crash, matrix, points, recover, undisturbed
from ir_router import clock
from tests.support.world import World, running_world

__all__ = ["Outcome", "Point", "Scenario", "crash", "matrix", "points", "recover", "undisturbed", "worlds"]


@contextmanager
def worlds() -> Iterator[World]:
    """A world of its own, with the clock put back afterwards."""
    before = clock.now, clock.sleep

    def set_clock(now, sleep) -> None:
        clock.now, clock.sleep = now, sleep

    try:
        with running_world(set_clock) as world:
            yield world
    finally:
        clock.now, clock.sleep = before
