"""Run the bench: print tables, write `build/bench.json`, and exit with 1 when a bound is broken."""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ir_operator.build.dependencies import Target
from ir_operator.build.package import REPORT_NAME, build_package
from ir_operator.project import BUILD
from ir_sandbox.cloud.launcher import ERRORS, LocalCloud
from ir_sandbox.cloud.progress import Progress
from tests.trials.bench import bounds, cloud, cold_start, cost, memory, share, table, times, unpacked, warm
from tests.trials.bench.cost import Fixed
from tests.trials.bench.counting import Counted, count

RESULT = BUILD / "bench.json"
LOCAL_ZIP = BUILD / "ir_router-local.zip"
MIB = 1024 * 1024

Figures = dict[str, Any]


@dataclass(frozen=True)
class Effort:
    """The extent: numbers of open cases and of comments to poll, runs per time, and bytes of the file."""

    polled: tuple[int, ...] = (1, 10, 50, 500)
    commented: tuple[int, ...] = (1, 200, 1_000, 5_000)
    runs: int = 7
    file_bytes: int = 100 * MIB


def main() -> int:
    """Measure, write and print. Return 0 when every bound holds, else 1."""
    os.environ.setdefault("LOG_LEVEL", "error")
    effort, progress = Effort(), Progress()
    try:
        with progress.step("Counting calls (five minutes)"):
            counted = count(effort.polled, effort.commented)
        with progress.step("Timing commands"):
            commands = times.commands(effort.runs)
        on_cloud, fixed = measured_on_cloud(effort, progress)
    except ERRORS as error:
        print(f"\nThe bench could not run: {error}", file=sys.stderr)
        return 1
    result = assembled(counted, {"command_ms": commands, **on_cloud, **sizes()}, fixed)
    return verdict(result)


def measured_on_cloud(effort: Effort, progress: Progress) -> tuple[Figures, Fixed]:
    """Measure times and memory of the functions that Terraform deploys to the local cloud, and count its resources."""
    with tempfile.TemporaryDirectory(prefix="ir-router-bench-") as scratch, LocalCloud(progress=progress) as running:
        with progress.step("Containing keys"):
            seconds = [cloud.seconds_to_contain(running) for _ in range(effort.runs)]
        fixed = cloud.fixed(running)
        folder = unpacked.unpack(LOCAL_ZIP, Path(scratch, "zip"))
        there = cloud.quiet(running, folder)
        with progress.step("Transferring files"):
            peaks, transfers = memory.measure(there, effort.file_bytes)
        with progress.step("Starting functions cold"):
            starts, ratios = cold_start.measure(there, Path(scratch), effort.runs)
        with progress.step("Calling functions warm"):
            routes = warm.measure(there, effort.runs)
        with progress.step("Running functions at Lambda's share of a processor"):
            limited = share.measure(there, Path(scratch), effort.runs)
    contained = {
        "seconds": round(statistics.median(seconds), 2),
        "seconds_cold": round(seconds[0], 2),
        **limited["containment"],
    }
    peaks["file_100mb_above_idle"] = max(peaks["to_case_above_idle"], peaks["to_slack_above_idle"])
    return {
        "containment": contained,
        "peak_memory_mib": peaks,
        "cold_start_ms": starts,
        "ratios": ratios,
        "at_lambda_share": limited["functions"],
        "limited_by": limited["method"],
        "intake": limited["intake"],
        "warm_ms": {**routes, **transfers},
    }, fixed


def sizes() -> Figures:
    """Return the size of the larger of the two zips, and its parts. Compiled modules give both the same size."""
    release = build_package(Target("arm64"), BUILD / "ir_router.zip")
    local = build_package(Target(None), LOCAL_ZIP)
    report = json.loads((BUILD / REPORT_NAME).read_text("utf-8"))[LOCAL_ZIP.name]["distributions"]
    by_size = sorted(report.items(), key=lambda item: -item[1]["compressed_bytes"])
    return {
        "zip_mib": round(max(release.size, local.size) / MIB, 1),
        "zip_mib_by_distribution": {name: round(part["compressed_bytes"] / MIB, 2) for name, part in by_size},
    }


def assembled(counted: Counted, figures: Mapping[str, Any], fixed: Fixed) -> Figures:
    """Return the content of `build/bench.json`."""
    steps = counted.steps
    contained = {
        "sequential_steps": steps.states + steps.calls,
        "states": steps.states,
        "calls": steps.calls,
        **figures["containment"],
    }
    monthly = {str(cases): cost.monthly(cases, counted.operations, fixed) for cases in cost.OPEN_CASES}
    return {
        "calls": counted.by_service(),
        "work": {name: asdict(work) for name, work in counted.operations.items()},
        **figures,
        "containment": contained,
        "failing_file_transfers_per_day": counted.failing_file,
        "slack_events": counted.slack_load,
        "audit": counted.audit,
        "intake": {**counted.intake, **figures["intake"]},
        "monthly_cost_usd": {cases: items["total"] for cases, items in monthly.items()},
        "monthly_cost_items_usd": monthly,
        "deployed": asdict(fixed),
    }


def verdict(result: Figures) -> int:
    """Write and print the result; return 1 when a bound is broken."""
    result["broken"] = broken = list(bounds.broken(result))
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    for line in (*table.lines(result), "", *(f"FAILED  {line}" for line in broken)):
        print(line)
    print("FAILED: a bound is broken." if broken else f"ok: every bound holds; details in {RESULT}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
