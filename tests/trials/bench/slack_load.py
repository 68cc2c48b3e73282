"""How many functions `slack-events.fifo` needs for many busy channels: a simulation with the counted calls."""

from __future__ import annotations

import heapq
import random
import re
from typing import Any

from ir_operator.project import PROJECT_ROOT
from tests.trials.bench import cost
from tests.trials.bench.calls import case_with_channel, quietly
from tests.trials.world.running import running_world

CHANNELS = 1_000
_MESSAGES_A_SECOND = CHANNELS / 60
_WAIT_SECONDS = 1.0
# AWS and Slack may be slower than the assumptions of the cost model.
_SLOWER = 3
_SIMULATED_SECONDS = 1_200


def seconds_per_message() -> float:
    """Return the time in which a warm -slack copies one message, at the latencies of the cost model."""
    with running_world() as world, quietly():
        jane, channel, _ = case_with_channel(world)
        for text in ("warm", "counted"):
            world.wire.calls.clear()
            jane.post(channel, text)
            world.settle()
        made = [call.service.replace("-", "_") for call in world.wire.calls if call.deployment == "slack"]
    return sum(cost.LATENCY_SECONDS[service] for service in made) + cost.OWN_SECONDS


def functions_needed(seconds: float) -> int:
    """Return the smallest number of functions with which 99 of 100 messages wait for at most a second.

    Args:
        seconds: The time in which a function copies one message.
    """
    functions = max(1, int(_MESSAGES_A_SECOND * seconds))
    while _wait(seconds, functions) > _WAIT_SECONDS:
        functions += 1
    return functions


def functions_allowed() -> int:
    """Return the largest number of functions that the queue feeds (terraform/functions.tf)."""
    text = (PROJECT_ROOT / "terraform" / "functions.tf").read_text("utf-8")
    mapping = text.partition('"aws_lambda_event_source_mapping" "slack_events"')[2]
    found = re.search(r"maximum_concurrency = (\d+)", mapping)
    if found is None:
        raise ValueError("terraform/functions.tf sets no maximum_concurrency for slack_events")
    return int(found[1])


def measure() -> dict[str, Any]:
    """Return the part `slack_events` of `build/bench.json`."""
    seconds = seconds_per_message()
    return {
        "channels": CHANNELS,
        "seconds_per_message": round(seconds, 2),
        "functions_needed": functions_needed(seconds),
        "functions_needed_if_slower": functions_needed(_SLOWER * seconds),
        "functions_allowed": functions_allowed(),
    }


def _wait(seconds: float, functions: int) -> float:
    """Return the wait of the 99th of 100 messages, in seconds. The messages of a channel keep their order."""
    chance = random.Random(1)  # the same messages for every number of functions
    free = [0.0] * functions
    channel_free: dict[int, float] = {}
    waits, now = [], 0.0
    while now < _SIMULATED_SECONDS:
        now += chance.expovariate(_MESSAGES_A_SECOND)
        channel = chance.randrange(CHANNELS)
        start = max(now, channel_free.get(channel, 0.0), heapq.heappop(free))
        heapq.heappush(free, start + seconds)
        channel_free[channel] = start + seconds
        waits.append(start - now)
    return sorted(waits)[int(0.99 * len(waits))]
