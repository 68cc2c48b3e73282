"""Measure how long users wait for a command: medians on this machine, comparable within one run only."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping

from tests.trials.bench.calls import case_with_channel, quietly
from tests.trials.world.running import running_world

COMMANDS = ("status", "incident-details", "help")


def commands(runs: int) -> Mapping[str, Mapping[str, float]]:
    """Return the milliseconds from a slash command to its acknowledgement, and to its answer at the
    response_url, warm.
    """
    found: dict[str, dict[str, float]] = {}
    with running_world() as world, quietly():
        jane, channel, _ = case_with_channel(world)
        for text in COMMANDS:
            acknowledged, answered = [], []
            for _ in range(runs):
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
