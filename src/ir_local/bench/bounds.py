"""The bounds, and which of them a result breaks. Pure: a result is what `build/bench.json` holds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

UNKNOWN_WATCHERS = 30
UNKNOWN_WATCHERS_SLACK_CALLS = 40
COLD_START_RATIO = 0.7
FILE_MIB = 32
ZIP_MIB = 12

# The door calls as much before it answers, and nothing else.
BEFORE_ACKNOWLEDGEMENT: Mapping[str, Mapping[str, int]] = {
    "webhook_before_ack": {"sqs": 1},
    "webhook_before_ack_command": {"lambda": 1},
    "webhook_before_ack_button": {"lambda": 1},
    "webhook_before_ack_forged": {},
}


def idle_poll_at_most(cases: int) -> dict[str, int]:
    """The most that an idle poll of so many open cases may call: pages of 25, ten at most, and ten deep checks."""
    cursor = 1 if cases > 250 else 0
    pages = min(math.ceil(cases / 25), 10)
    return {"security_ir": pages + 2 * min(cases, 10), "dynamodb": 3 + cursor, "events": 0}


def broken(result: Mapping[str, Any]) -> Iterator[str]:
    """A line for each bound that does not hold."""
    calls = result["calls"]
    for cases, counts in calls["idle_poll"].items():
        for service, most in idle_poll_at_most(int(cases)).items():
            if counts.get(service, 0) > most:
                yield f"an idle poll of {cases} cases calls {service} {counts[service]} times; at most {most} are meant"
    for name, meant in BEFORE_ACKNOWLEDGEMENT.items():
        if calls[name] != meant:
            yield f"{name}: {calls[name] or 'no call'} before the answer; {dict(meant) or 'none'} is meant"
    figures: tuple[tuple[str, float, float], ...] = (
        (f"{UNKNOWN_WATCHERS} unknown watchers, Slack calls", _slack(calls), UNKNOWN_WATCHERS_SLACK_CALLS),
        ("the door's cold start, of slack_bolt's", result["ratios"]["webhook_cold_start"], COLD_START_RATIO),
        ("a 100 MB file, MiB above idle", result["peak_memory_mib"]["file_100mb_above_idle"], FILE_MIB),
        ("the zip, MiB", result["zip_mib"], ZIP_MIB),
    )
    for name, found, limit in figures:
        if found > limit:
            yield f"{name}: {found}; at most {limit} is meant"


def _slack(calls: Mapping[str, Any]) -> int:
    """Of a new case with them, and of a case to which they are added, the more."""
    return max(int(calls[name]["slack"]) for name in ("unknown_watchers", "new_case_unknown_watchers"))
