"""Hostile input: everything that users, other workspaces and attackers can send, judged by its effect.

Each kind of input is a module with a trial (`trial.Trial`). Hypothesis makes the inputs from a fixed seed, so they are
the same each time. The report of a failed input names the job (`commands 2`) and contains the input:

    PARTS=hostile ONLY="commands 2" python -m tests.trials.proof
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from tests.trials.proof.hostile.addresses import Addresses
from tests.trials.proof.hostile.approvals import Approvals
from tests.trials.proof.hostile.commands import Commands
from tests.trials.proof.hostile.detections import Detections
from tests.trials.proof.hostile.files import Files
from tests.trials.proof.hostile.forms import Forms
from tests.trials.proof.hostile.mrkdwn import Mrkdwn
from tests.trials.proof.hostile.trial import Job, Outcome, Trial, try_inputs
from tests.trials.proof.hostile.webhook import Webhook
from tests.trials.proof.part import Row, Run, Size, progress
from tests.trials.world import World

SECTION = "hostile"

KINDS: Mapping[str, Callable[[World], Trial]] = {
    "webhook": Webhook,
    "commands": Commands,
    "forms": Forms,
    "mrkdwn": Mrkdwn,
    "files": Files,
    "detections": Detections,
    "approvals": Approvals,
    "addresses": Addresses,
}
# The number of inputs of each kind, and how many of them one simulator takes. It slows down as its data grows.
INPUTS: Mapping[Size, tuple[int, int]] = {"short": (20, 20), "full": (2_000, 250)}


def jobs(size: Size) -> list[Job]:
    """Return all jobs of a size. Jobs of one kind differ in their seed."""
    inputs, each = INPUTS[size]
    return [Job(kind, number, each) for number in range(1, inputs // each + 1) for kind in KINDS]


def work(job: Job) -> Outcome:
    """Run one job in this process."""
    return try_inputs(job, KINDS[job.kind])


def measure(run: Run) -> dict[str, Any]:
    """Return the figures, and a line for each failure."""
    tried: Counter[str] = Counter()
    total = Outcome()
    for job, outcome in run.each(SECTION, work, [job for job in jobs(run.size) if run.wants(str(job))]):
        tried[job.kind] += outcome.tried
        total.server_errors += outcome.server_errors
        total.escapes += outcome.escapes
        total.leaks += [f"{job}: {leak}" for leak in outcome.leaks]
        if wrong := len(outcome.server_errors) + len(outcome.escapes) + len(outcome.leaks):
            progress(f"{SECTION:8}wrong: {wrong} in {job}")
    return {
        "tried": tried.total(),
        "server_errors": len(total.server_errors),
        "escapes": len(total.escapes),
        "leaks": len(total.leaks),
        "kinds": dict(tried),
        "found": [*total.server_errors, *total.escapes, *total.leaks],
    }


def broken(figures: dict[str, Any]) -> list[str]:
    """Return a sentence for each failure."""
    return [
        f'hostile: {line} (repeat it with: PARTS=hostile ONLY="<kind> <seed>" make proof)' for line in figures["found"]
    ]


def rows(figures: dict[str, Any]) -> list[Row]:
    """Return the rows of the printed table."""
    kinds = [(f"hostile: {kind}", f"{count:,}", "") for kind, count in figures["kinds"].items()]
    sums = [
        ("hostile: inputs", f"{figures['tried']:,}", ""),
        ("hostile: server errors", str(figures["server_errors"]), "0"),
        ("hostile: forbidden effects", str(figures["escapes"]), "0"),
        ("hostile: leaks", str(figures["leaks"]), "0"),
    ]
    return [*kinds, *sums]
