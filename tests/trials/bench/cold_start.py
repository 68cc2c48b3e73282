"""Measure the time from a fresh interpreter to the first response, for each deployment and for a slack_bolt handler.

The two handlers take turns, so that other load on the machine affects both alike. Ratios use the functions' processor
time, which does not depend on other load. The start of the interpreter does not count.
"""

from __future__ import annotations

import statistics
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.trials.bench import unpacked
from tests.trials.bench.cloud import Quiet, detection_task
from tests.trials.bench.processes import Deployed, FunctionProcess

BASELINE_ENTRY_POINT = "slack_bolt_handler.lambda_handler"


@dataclass(frozen=True)
class Start:
    """Milliseconds of the import and of the first event, and the processor time of both."""

    imported: float
    first_event: float
    own: float


class WrongAnswerError(Exception):
    """A function gave another response than the expected one."""


def measure(there: Quiet, scratch: Path, runs: int) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
    """Return medians in milliseconds by deployment (`import`, `first_event`, `total`, `own`), and the ratio to
    slack_bolt.

    The webhook and slack_bolt are also measured without compiled modules, which Lambda then compiles at each cold
    start.
    """
    ours, theirs = there.folder, unpacked.baseline(scratch / "slack_bolt")
    compiled = _pairs(there, ours, theirs, runs)
    uncompiled = _pairs(
        there,
        unpacked.without_compiled_modules(ours, scratch / "uncompiled"),
        unpacked.without_compiled_modules(theirs, scratch / "slack_bolt_uncompiled"),
        runs,
    )
    found = {
        "webhook": [door for door, _ in compiled],
        "slack_bolt": [bolt for _, bolt in compiled],
        "webhook_uncompiled": [door for door, _ in uncompiled],
        "slack_bolt_uncompiled": [bolt for _, bolt in uncompiled],
    }
    for name, event in _first_events(there).items():
        found[name] = [_start(there.deployed(name), event()) for _ in range(runs)]
    ratios = {
        "webhook_cold_start": _ratio(compiled),
        "webhook_cold_start_uncompiled": _ratio(uncompiled),
    }
    return {name: _medians(starts) for name, starts in found.items()}, ratios


def _pairs(there: Quiet, ours: Path, theirs: Path, runs: int) -> list[tuple[Start, Start]]:
    door = replace(there.deployed("webhook"), folder=ours)
    bolt = replace(door, folder=theirs, entry_point=BASELINE_ENTRY_POINT, name="slack_bolt")
    return [
        (_start(door, there.message_request(), acknowledged), _start(bolt, there.message_request(), acknowledged))
        for _ in range(runs)
    ]


def _first_events(there: Quiet) -> Mapping[str, Callable[[], Any]]:
    return {
        "slack": there.message_event,
        "sync": lambda: {"task": "poll"},
        "operations": lambda: {"task": "verify"},
        "workflow": lambda: detection_task(uuid.uuid4().hex),
        "approval-handler": lambda: {"task_token": uuid.uuid4().hex, "decision": "approve", "analyst": "nobody"},
    }


def _start(deployed: Deployed, event: Any, check: Callable[[Any], None] | None = None) -> Start:
    with FunctionProcess(deployed) as process:
        reply = process.call(event)
        if check:
            check(reply.answer)
        return Start(process.import_ms, reply.ms, process.import_own_ms + reply.own_ms)


def acknowledged(answer: Any) -> None:
    """Raise WrongAnswerError unless Slack got a 200."""
    if answer["statusCode"] != 200:
        raise WrongAnswerError(f"Slack was answered {answer['statusCode']}")


def _ratio(pairs: Sequence[tuple[Start, Start]]) -> float:
    return round(statistics.median(ours.own / theirs.own for ours, theirs in pairs), 3)


def _medians(starts: Sequence[Start]) -> dict[str, float]:
    return {
        "import": round(statistics.median(start.imported for start in starts), 1),
        "first_event": round(statistics.median(start.first_event for start in starts), 1),
        "total": round(statistics.median(start.imported + start.first_event for start in starts), 1),
        "own": round(statistics.median(start.own for start in starts), 1),
    }
