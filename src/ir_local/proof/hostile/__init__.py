"""The hostile input: everything that people, other workspaces and attackers can send, judged by its effect.

Each kind is a module with a trial (`trial.Trial`); its inputs are made by Hypothesis from a fixed seed, so that the
same ones come each time. A line about an input that failed names the job (`commands 2`) and holds the input itself:

    PARTS=hostile ONLY="commands 2" python -m ir_local.proof
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from ir_local.proof.hostile.addresses import Addresses
from ir_local.proof.hostile.approvals import Approvals
from ir_local.proof.hostile.commands import Commands
from ir_local.proof.hostile.detections import Detections
from ir_local.proof.hostile.files import Files
from ir_local.proof.hostile.forms import Forms
from ir_local.proof.hostile.mrkdwn import Mrkdwn
from ir_local.proof.hostile.trial import Job, Outcome, Trial, try_inputs
from ir_local.proof.hostile.webhook import Webhook
from ir_local.proof.part import Row, Run, Size, progress
from ir_local.world import World

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
# Inputs of each kind, and how many of them one world takes: what collects in it makes it slower.
INPUTS: Mapping[Size, tuple[int, int]] = {"short": (20, 20), "full": (2_000, 250)}


def jobs(size: Size) -> list[Job]:
    """All jobs of a size. Jobs of one kind differ in their seed."""
    inputs, each = INPUTS[size]
    return [Job(kind, number, each) for number in range(1, inputs // each + 1) for kind in KINDS]


def work(job: Job) -> Outcome:
    """Do one job, in this process."""
    return try_inputs(job, KINDS[job.kind])


def measure(run: Run) -> dict[str, Any]:
    """The figures, and a line for each thing that was wrong."""
    tried: Counter[str] = Counter()
    whole = Outcome()
    for job, outcome in run.each(SECTION, work, [job for job in jobs(run.size) if run.wants(str(job))]):
        tried[job.kind] += outcome.tried
        whole.server_errors += outcome.server_errors
        whole.escapes += outcome.escapes
        whole.leaks += [f"{job}: {leak}" for leak in outcome.leaks]
        if wrong := len(outcome.server_errors) + len(outcome.escapes) + len(outcome.leaks):
            progress(f"{SECTION:8}wrong: {wrong} in {job}")
    return {
        "tried": tried.total(),
        "server_errors": len(whole.server_errors),
        "escapes": len(whole.escapes),
        "leaks": len(whole.leaks),
        "kinds": dict(tried),
        "found": [*whole.server_errors, *whole.escapes, *whole.leaks],
    }


def broken(figures: dict[str, Any]) -> list[str]:
    """A sentence for each thing that was wrong."""
    return [f'hostile: {line} (try again: PARTS=hostile ONLY="<kind> <seed>" make proof)' for line in figures["found"]]


def rows(figures: dict[str, Any]) -> list[Row]:
    """The table for people."""
    kinds = [(f"hostile: {kind}", f"{count:,}", "") for kind, count in figures["kinds"].items()]
    sums = [
        ("hostile: inputs", f"{figures['tried']:,}", ""),
        ("hostile: server errors", str(figures["server_errors"]), "0"),
        ("hostile: effects that must not be", str(figures["escapes"]), "0"),
        ("hostile: leaks", str(figures["leaks"]), "0"),
    ]
    return [*kinds, *sums]
