"""Crash scenarios of the synchronisation, and how to run them: see `ir_local.world.crashes`."""

from __future__ import annotations

from ir_local.world.crashes import Outcome, Point, Scenario, crash, matrix, points, recover, undisturbed
from ir_local.world.world import own_world as worlds

__all__ = ["Outcome", "Point", "Scenario", "crash", "matrix", "points", "recover", "undisturbed", "worlds"]
