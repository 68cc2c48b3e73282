"""The load: nothing is lost, duplicated or out of order within a channel, and the webhook stays fast.

There are four jobs: messages with repeated deliveries (`messages`), many cases at once (`cases`), a flood of denied and
allowlisted calls (`flood`), and requests that arrive faster than one sandbox can take them (`webhook`). The first three
run in parallel. The job `webhook` is measured in real time and runs alone.

    PARTS=load ONLY=webhook python -m tests.trials.proof
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.trials.proof.load import cases, flood, messages, webhook
from tests.trials.proof.load.order import Deliveries
from tests.trials.proof.part import Row, Run, Size

SECTION = "load"

MOST_ACKNOWLEDGEMENT_MS = 1_000

MESSAGES: dict[Size, messages.Amount] = {
    "short": messages.Amount(channels=5, each=10),
    "full": messages.Amount(channels=100, each=50),
}
CASES: dict[Size, cases.Amount] = {
    "short": cases.Amount(cases=6, each=10),
    "full": cases.Amount(cases=500, each=40),
}
FLOOD: dict[Size, flood.Amount] = {
    "short": flood.Amount(seconds=4, a_second=50, callers=5),
    "full": flood.Amount(seconds=100, a_second=100, callers=40),
}
WEBHOOK: dict[Size, webhook.Amount] = {
    "short": webhook.Amount(requests=90, a_second=45, channels=5, sandboxes=24),
    "full": webhook.Amount(requests=2_000, a_second=200, channels=100, sandboxes=120),
}


@dataclass(frozen=True)
class Job:
    """One of the four jobs, by name."""

    name: str
    size: Size

    def __str__(self) -> str:
        """Return the name for ONLY."""
        return self.name


_TRIES: dict[str, Callable[[Size], Any]] = {
    "messages": lambda size: messages.measure_load(MESSAGES[size]),
    "cases": lambda size: cases.measure_load(CASES[size]),
    "flood": lambda size: flood.measure_load(FLOOD[size]),
    "webhook": lambda size: webhook.measure_load(WEBHOOK[size]),
}


def work(job: Job) -> Any:
    """Run one job in this process."""
    return _TRIES[job.name](job.size)


def measure(run: Run) -> dict[str, Any]:
    """Return the figures of all four jobs, and the sums for `build/proof.json`."""
    found: dict[str, Any] = {}
    for together in (("cases", "messages", "flood"), ("webhook",)):
        jobs = [Job(name, run.size) for name in together if run.wants(name)]
        found |= {job.name: result for job, result in run.each(SECTION, work, jobs)} if jobs else {}
    total = sum((result.arrived for result in found.values()), Deliveries())
    figures: dict[str, Any] = {
        "lost": total.lost,
        "doubled": total.doubled,
        "out_of_order": total.out_of_order,
        "leaks": [leak for result in found.values() for leak in result.leaks],
    }
    if "messages" in found:
        carried: messages.Figures = found["messages"]
        figures |= {"events": carried.arrived.sent, "delivered": carried.delivered, "redeliveries": carried.redelivered}
    if "cases" in found:
        brought: cases.Figures = found["cases"]
        figures |= {"cases": brought.channels, "comments": brought.arrived.sent}
    if "flood" in found:
        flooded: flood.Figures = found["flood"]
        figures |= {
            "flood_events": flooded.arrived.sent,
            "flood_twice": flooded.twice,
            "flood_batches_died": flooded.died,
            "flood_executions": flooded.executions,
            "flood_not_contained": int(not flooded.contained),
        }
    if "webhook" in found:
        rush: webhook.Figures = found["webhook"]
        figures |= {
            "requests": rush.requests,
            "forged": rush.forged,
            "forged_refused": rush.refused,
            "forged_let_in": rush.let_in,
            "failed": rush.failed,
            "ack_ms": rush.ack_ms,
            "forged_ms": rush.forged_ms,
        }
    return figures


def broken(figures: dict[str, Any]) -> list[str]:
    """Return a sentence for each broken bound."""
    again = "repeat it with: PARTS=load make proof"
    lines = [
        f"load: {what}: {figures[name]}; {again}"
        for name, what in (
            ("lost", "lost messages, comments, commands or events"),
            ("doubled", "messages, comments, commands or events that arrived twice"),
            ("out_of_order", "messages or comments out of order within a channel"),
            ("flood_not_contained", "containments that the flood prevented"),
            ("forged_let_in", "forged requests with a status other than 401"),
            ("failed", "requests to the webhook without a valid response"),
        )
        if figures.get(name)
    ]
    if figures.get("ack_ms", {}).get("p99", 0) > MOST_ACKNOWLEDGEMENT_MS:
        lines.append(
            f"load: the webhook's p99 was {figures['ack_ms']['p99']} ms; {again} ONLY=webhook on a quiet machine"
        )
    return lines + [f"load: {leak}; {again}" for leak in figures["leaks"]]


def rows(figures: dict[str, Any]) -> list[Row]:
    """Return the rows of the printed table."""
    shown: list[Row] = []
    if "events" in figures:
        delivered = f"{figures['events']:,} + {figures['redeliveries']:,} repeated"
        shown.append(("load: messages in Slack", delivered, ""))
    if "comments" in figures:
        shown.append(("load: comments on cases", f"{figures['comments']:,} on {figures['cases']:,}", ""))
    if "flood_events" in figures:
        flooded = f"{figures['flood_events']:,} + {figures['flood_twice']:,} repeated"
        shown += [
            ("load: denied and allowlisted calls in a flood", flooded, ""),
            ("load: batches of the flood that died", f"{figures['flood_batches_died']:,}", ""),
            ("load: executions for the flood", f"{figures['flood_executions']:,}", ""),
        ]
    if "requests" in figures:
        forged = f"{figures['forged_refused']:,} of {figures['forged']:,}"
        shown += [
            ("load: requests to the webhook", f"{figures['requests']:,}", ""),
            ("load: forged requests refused with 401", forged, "all"),
            ("load: acknowledgement p50", f"{figures['ack_ms']['p50']:,.0f} ms", ""),
            ("load: acknowledgement p99", f"{figures['ack_ms']['p99']:,.0f} ms", f"{MOST_ACKNOWLEDGEMENT_MS:,} ms"),
        ]
    shown += [(f"load: {what}", str(figures[name]), "0") for name, what in _SUMS]
    return [*shown, ("load: leaks", str(len(figures["leaks"])), "0")]


_SUMS = (("lost", "lost"), ("doubled", "doubled"), ("out_of_order", "out of order within a channel"))
