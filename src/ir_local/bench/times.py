"""How long people wait: medians on this machine, for comparison within one run only."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping

from ir_local.bench.calls import a_world, case_with_channel

_RUNS = 15


def commands() -> Mapping[str, Mapping[str, float]]:
    """Milliseconds from a slash command to its acknowledgement, and to its answer at the response_url, warm."""
    found: dict[str, dict[str, float]] = {}
    with a_world() as world:
        jane, channel, _ = case_with_channel(world)
        for text in ("status", "incident-details", "help"):
            acknowledged, answered = [], []
            for _ in range(_RUNS):
                started = time.perf_counter()
                jane.command(channel, "/security-ir", text)
                acknowledged.append(time.perf_counter() - started)
                world.settle()
                answered.append(time.perf_counter() - started)
            found[text] = {
                "acknowledged": round(1000 * statistics.median(acknowledged), 1),
                "answered": round(1000 * statistics.median(answered), 1),
            }
    return found
