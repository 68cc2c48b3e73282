"""The bounds of the bench, checked against the content of `build/bench.json`. These functions are pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

UNKNOWN_WATCHERS = 30
UNKNOWN_WATCHERS_SLACK_CALLS = 41
COLD_START_RATIO = 0.7
FIRST_EVENT_RATIO = 0.9
CONTAINMENT_RATIO = 6.5
FILE_MIB = 32
ZIP_MIB = 12
FAILING_FILE_TRANSFERS = 12
# ListCases, GetCase, and one page of ListComments, the tags, or one page of ListInvestigations.
IDLE_CASE_CALLS = 3

# US dollars for a million events, and milliseconds for a batch of 100: two functions then take in 100 events a second.
INTAKE: Mapping[str, float] = {
    "usd_per_million_repeated": 5,
    "usd_per_million_allowlisted": 5,
    "batch_ms": 2000,
}

# With 200 records a second: milliseconds of 99 of 100 records, and records that were not written.
AUDIT: Mapping[str, float] = {"p99_ms": 1000, "lost": 0}

# US dollars a month with one open case.
MONTHLY_USD = 6

# All calls that the webhook makes before its response.
BEFORE_ACKNOWLEDGEMENT: Mapping[str, Mapping[str, int]] = {
    "webhook_before_ack": {"sqs": 1},
    "webhook_before_ack_command": {"lambda": 1},
    "webhook_before_ack_button": {"lambda": 1},
    "webhook_before_ack_forged": {},
}


def idle_poll_at_most(cases: int) -> dict[str, int]:
    """Return the bounds of an idle poll: at most ten pages of 25 cases, and at most ten deep checks."""
    cursor = 1 if cases > 250 else 0
    pages = min(math.ceil(cases / 25), 10)
    return {"security_ir": pages + 2 * min(cases, 10), "dynamodb": 3 + cursor, "events": 0}


def broken(result: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each broken bound."""
    calls = result["calls"]
    for cases, counts in calls["idle_poll"].items():
        for service, most in idle_poll_at_most(int(cases)).items():
            if counts.get(service, 0) > most:
                yield f"an idle poll of {cases} cases calls {service} {counts[service]} times; at most {most} allowed"
    for size, counts in calls["idle_poll_with_comments"].items():
        if counts["security_ir"] > IDLE_CASE_CALLS:
            yield (
                f"an idle poll of a case with {size} comments calls security_ir {counts['security_ir']} times; "
                f"at most {IDLE_CASE_CALLS} allowed"
            )
    for name, meant in BEFORE_ACKNOWLEDGEMENT.items():
        if calls[name] != meant:
            yield f"{name}: {calls[name] or 'no call'} before the response; {dict(meant) or 'none'} is allowed"
    load = result["slack_events"]
    figures: tuple[tuple[str, float, float], ...] = (
        (
            f"functions for {load['channels']} channels, if AWS and Slack are slow",
            load["functions_needed_if_slower"],
            load["functions_allowed"],
        ),
        (f"{UNKNOWN_WATCHERS} unknown watchers, Slack calls", _slack(calls), UNKNOWN_WATCHERS_SLACK_CALLS),
        (
            "cold start of the webhook, as a share of slack_bolt's",
            result["ratios"]["webhook_cold_start"],
            COLD_START_RATIO,
        ),
        (
            "the webhook's first event at Lambda's share, as a share of slack_bolt's",
            _first_event_ratio(result["at_lambda_share"]),
            FIRST_EVENT_RATIO,
        ),
        (
            "the deny policy by a cold function, as a multiple of the same by hand",
            _containment_ratio(result["containment"]),
            CONTAINMENT_RATIO,
        ),
        ("a 100 MB file, MiB above idle", result["peak_memory_mib"]["file_100mb_above_idle"], FILE_MIB),
        ("the zip, MiB", result["zip_mib"], ZIP_MIB),
        (
            "transfers a day of a file that always fails",
            max(result["failing_file_transfers_per_day"].values()),
            FAILING_FILE_TRANSFERS,
        ),
        *((f"intake, {name.replace('_', ' ')}", result["intake"][name], most) for name, most in INTAKE.items()),
        ("a month with one open case, US dollars", result["monthly_cost_usd"]["1"], MONTHLY_USD),
        *((f"audit, {name.replace('_', ' ')}", result["audit"][name], most) for name, most in AUDIT.items()),
    )
    for name, found, limit in figures:
        if found > limit:
            yield f"{name}: {found}; at most {limit} is allowed"


def _first_event_ratio(functions: Mapping[str, Mapping[str, float]]) -> float:
    return round(functions["webhook"]["first_event_ms"] / functions["slack_bolt"]["first_event_ms"], 2)


def _containment_ratio(contained: Mapping[str, Any]) -> float:
    return round(float(contained["deny_ms"]["cold"]) / float(contained["handwritten"]["deny_ms"]["cold"]), 2)


def _slack(calls: Mapping[str, Any]) -> int:
    """Return the larger figure of a new case with unknown watchers and of a case to which they are added."""
    return max(int(calls[name]["slack"]) for name in ("unknown_watchers", "new_case_unknown_watchers"))
