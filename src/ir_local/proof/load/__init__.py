"""The load: nothing is lost, doubled or out of order within a channel, however much comes, and the door stays quick.

Three jobs: messages with repetitions (`messages`), many cases at once (`cases`), and requests faster than one sandbox
can take them (`door`). The first two run next to each other; the door is measured in real time, by itself.

    PARTS=load ONLY=door python -m ir_local.proof
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ir_local.proof.load import cases, door, messages
from ir_local.proof.load.order import Arrived
from ir_local.proof.part import Row, Run, Size

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
DOOR: dict[Size, door.Amount] = {
    "short": door.Amount(requests=90, a_second=45, channels=5, sandboxes=24),
    "full": door.Amount(requests=2_000, a_second=200, channels=100, sandboxes=120),
}


@dataclass(frozen=True)
class Job:
    """One of the three, by name."""

    name: str
    size: Size

    def __str__(self) -> str:
        """As people choose it with ONLY."""
        return self.name


_TRIES: dict[str, Callable[[Size], Any]] = {
    "messages": lambda size: messages.carry(MESSAGES[size]),
    "cases": lambda size: cases.carry(CASES[size]),
    "door": lambda size: door.carry(DOOR[size]),
}


def work(job: Job) -> Any:
    """Do one job, in this process."""
    return _TRIES[job.name](job.size)


def measure(run: Run) -> dict[str, Any]:
    """The figures of all three, and the sums that `build/proof.json` promises."""
    found: dict[str, Any] = {}
    for together in (("cases", "messages"), ("door",)):
        jobs = [Job(name, run.size) for name in together if run.wants(name)]
        found |= {job.name: result for job, result in run.each(SECTION, work, jobs)} if jobs else {}
    total = sum((result.arrived for result in found.values()), Arrived())
    figures: dict[str, Any] = {
        "lost": total.lost,
        "doubled": total.doubled,
        "out_of_order": total.out_of_order,
        "leaks": [leak for result in found.values() for leak in result.leaks],
    }
    if "messages" in found:
        carried: messages.Figures = found["messages"]
        figures |= {"events": carried.arrived.said, "delivered": carried.delivered, "redeliveries": carried.again}
    if "cases" in found:
        brought: cases.Figures = found["cases"]
        figures |= {"cases": brought.channels, "comments": brought.arrived.said}
    if "door" in found:
        rush: door.Figures = found["door"]
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
    """A sentence for each bound that is broken."""
    again = "try again: PARTS=load make proof"
    lines = [
        f"load: {what}: {figures[name]}; {again}"
        for name, what in (
            ("lost", "lost messages, comments or commands"),
            ("doubled", "messages, comments or commands that arrived twice"),
            ("out_of_order", "messages or comments out of order within a channel"),
            ("forged_let_in", "forged requests with another answer than 401"),
            ("failed", "requests at the door without a good answer"),
        )
        if figures.get(name)
    ]
    if figures.get("ack_ms", {}).get("p99", 0) > MOST_ACKNOWLEDGEMENT_MS:
        lines.append(f"load: the door's p99 was {figures['ack_ms']['p99']} ms; {again} ONLY=door on a quiet machine")
    return lines + [f"load: {leak}; {again}" for leak in figures["leaks"]]


def rows(figures: dict[str, Any]) -> list[Row]:
    """The table for people."""
    shown: list[Row] = []
    if "events" in figures:
        delivered = f"{figures['events']:,} + {figures['redeliveries']:,} repeated"
        shown.append(("load: messages in Slack", delivered, ""))
    if "comments" in figures:
        shown.append(("load: comments on cases", f"{figures['comments']:,} on {figures['cases']:,}", ""))
    if "requests" in figures:
        forged = f"{figures['forged_refused']:,} of {figures['forged']:,}"
        shown += [
            ("load: requests at the door", f"{figures['requests']:,}", ""),
            ("load: forged requests refused with 401", forged, "all"),
            ("load: acknowledgement p50", f"{figures['ack_ms']['p50']:,.0f} ms", ""),
            ("load: acknowledgement p99", f"{figures['ack_ms']['p99']:,.0f} ms", f"{MOST_ACKNOWLEDGEMENT_MS:,} ms"),
        ]
    shown += [(f"load: {what}", str(figures[name]), "0") for name, what in _SUMS]
    return [*shown, ("load: leaks", str(len(figures["leaks"])), "0")]


_SUMS = (("lost", "lost"), ("doubled", "doubled"), ("out_of_order", "out of order within a channel"))
