"""Measure the functions at the share of a processor that Lambda gives them, behind TLS and with realistic latencies.

Lambda allocates processor time in proportion to memory: 1,769 MB are one processor
(https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html). Initialisation runs at full speed.
"""

from __future__ import annotations

import os
import statistics
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.trials.bench import unpacked
from tests.trials.bench.cloud import Quiet, detection_task, extraction_task, key_created, repeated_calls
from tests.trials.bench.cold_start import BASELINE_ENTRY_POINT, acknowledged
from tests.trials.bench.front import Front, serve
from tests.trials.bench.processes import Deployed, FunctionProcess
from tests.trials.world.queues import INTAKE_BATCH

PROCESSOR_MB = 1_769
HANDWRITTEN_ENTRY_POINT = "handwritten_containment.lambda_handler"
_PERIOD_MICROSECONDS = 20_000
_CGROUPS = Path("/sys/fs/cgroup")
_WARMING = 1
_DENIES, _DISABLES = "AttachUserPolicy", "UpdateAccessKey"
_MOMENTS = ("cold", "warm", "after_idle")

Times = dict[str, float]


def method() -> str:
    """Return how a function is limited to its share here: `cgroup v1`, `cgroup v2`, or `scaled`."""
    for name in ("cgroup v1", "cgroup v2"):
        try:
            with _group(name, PROCESSOR_MB):
                return name
        except OSError:
            continue
    return "scaled"


@contextmanager
def _group(kind: str, megabytes: int) -> Iterator[Path]:
    """Make a group of processes with the processor share of `megabytes`; raises OSError where that is not allowed."""
    quota = str(_PERIOD_MICROSECONDS * megabytes // PROCESSOR_MB)
    folder = (_CGROUPS / "cpu" if kind == "cgroup v1" else _CGROUPS) / f"ir-router-bench-{os.getpid()}"
    folder.mkdir()
    try:
        if kind == "cgroup v1":
            (folder / "cpu.cfs_period_us").write_text(str(_PERIOD_MICROSECONDS), "ascii")
            (folder / "cpu.cfs_quota_us").write_text(quota, "ascii")
        else:
            (folder / "cpu.max").write_text(f"{quota} {_PERIOD_MICROSECONDS}", "ascii")
        yield folder
    finally:
        folder.rmdir()


@dataclass(frozen=True)
class Limited:
    """A function whose events run at its share."""

    process: FunctionProcess
    share: float
    scaled: bool

    def call(self, event: Any) -> tuple[float, Any]:
        """Return the milliseconds of one event, and its answer."""
        reply = self.process.call(event)
        waited = reply.ms - reply.own_ms
        return (waited + reply.own_ms / self.share if self.scaled else reply.ms), reply.answer


@contextmanager
def limited(deployed: Deployed, how: str) -> Iterator[Limited]:
    """Import a function at full speed; its events then run at the share of its memory."""
    share = min(1.0, deployed.megabytes / PROCESSOR_MB)
    if how == "scaled":
        with FunctionProcess(deployed) as process:
            yield Limited(process, share, scaled=True)
        return
    # The process ends before its group is removed.
    with _group(how, deployed.megabytes) as group, FunctionProcess(deployed) as process:
        (group / "cgroup.procs").write_text(str(process.id), "ascii")
        yield Limited(process, share, scaled=False)


def measure(there: Quiet, scratch: Path, runs: int) -> dict[str, Any]:
    """Return medians in milliseconds.

    Returns:
        `method`; `functions`, `{name: {"first_event_ms", "warm_ms", "after_idle_ms"}}` with slack_bolt as a peer of
        the webhook; `intake`, `{"batch_ms"}` for a full batch of repeated events; `containment`,
        `{"deny_ms" and "key_ms": {"cold", "warm", "after_idle"}}` from the start of the task "Immediate Containment",
        and the same as `handwritten` for a function without any safety.
    """
    how = method()
    behind = {
        "aws": there.cloud.emulator.url,
        "security-ir": there.cloud.security_ir_url,
        "slack": there.cloud.slack_api_base_url,
    }
    folder = scratch / "front"
    folder.mkdir()
    baseline = unpacked.baseline(scratch / "peers")
    with serve(behind, folder) as front:
        functions = {
            name: _function(front, _behind(there.deployed(name), front), event, how, runs)
            for name, event in _events(there).items()
        }
        bolt = replace(there.deployed("webhook"), folder=baseline, entry_point=BASELINE_ENTRY_POINT, name="slack_bolt")
        functions["slack_bolt"] = _function(front, _behind(bolt, front), there.message_request, how, runs)
        workflow = _behind(there.deployed("workflow"), front)
        peer = replace(workflow, folder=baseline, entry_point=HANDWRITTEN_ENTRY_POINT, name="handwritten")
        containment = _containment(front, workflow, how, runs, lambda: _contain_task(there, workflow))
        handwritten = _containment(front, peer, how, runs, lambda: key_created(there.cloud))
        batch_ms = _batch_ms(workflow, how, runs)
    return {
        "method": how,
        "functions": functions,
        "containment": {**containment, "handwritten": handwritten},
        "intake": {"batch_ms": batch_ms},
    }


def _behind(deployed: Deployed, front: Front) -> Deployed:
    """Return the function with the front's addresses in its environment."""
    addresses = {
        "AWS_ENDPOINT_URL": front.urls["aws"],
        "AWS_ENDPOINT_URL_SECURITY_IR": front.urls["security-ir"],
        "SLACK_API_BASE_URL": front.urls["slack"],
        "AWS_CA_BUNDLE": str(front.bundle),
        "SSL_CERT_FILE": str(front.bundle),
        # The runs contain more keys than a deployment does in an hour.
        "IR_MAX_CONTAINMENTS_PER_HOUR": "1000",
    }
    return replace(deployed, environment={**deployed.environment, **addresses})


def _events(there: Quiet) -> Mapping[str, Callable[[], Any]]:
    return {
        "webhook": there.message_request,
        "slack": there.message_event,
        "sync": lambda: {"task": "poll"},
        "operations": lambda: {"task": "verify"},
        "workflow": lambda: detection_task(uuid.uuid4().hex),
        "approval-handler": lambda: {"task_token": uuid.uuid4().hex, "decision": "approve", "analyst": "nobody"},
    }


def _function(front: Front, deployed: Deployed, event: Callable[[], Any], how: str, runs: int) -> Times:
    cold, warm, idle = [], [], []
    for _ in range(runs):
        with limited(deployed, how) as function:
            took, answer = function.call(event())
            if deployed.name == "slack_bolt" or deployed.name.endswith("-webhook"):
                acknowledged(answer)
            cold.append(took)
            warm += [function.call(event())[0] for _ in range(_WARMING + 1)][_WARMING:]
            front.end_connections()
            idle.append(function.call(event())[0])
    return {
        "first_event_ms": round(statistics.median(cold), 1),
        "warm_ms": round(statistics.median(warm), 1),
        "after_idle_ms": round(statistics.median(idle), 1),
    }


def _containment(front: Front, deployed: Deployed, how: str, runs: int, event: Callable[[], Any]) -> dict[str, Times]:
    """Return the milliseconds from the start of the task until IAM has answered the two changes."""
    found: dict[str, dict[str, list[float]]] = {
        figure: {moment: [] for moment in _MOMENTS} for figure in ("deny_ms", "key_ms")
    }
    for _ in range(runs):
        events = [event() for _ in _MOMENTS]
        with limited(deployed, how) as function:
            for moment, one in zip(_MOMENTS, events, strict=True):
                if moment == "after_idle":
                    front.end_connections()
                began = front.now()
                function.call(one)
                found["deny_ms"][moment].append(front.first(_DENIES, began))
                found["key_ms"][moment].append(front.first(_DISABLES, began))
    return {
        figure: {moment: round(statistics.median(values), 1) for moment, values in moments.items()}
        for figure, moments in found.items()
    }


def _batch_ms(workflow: Deployed, how: str, runs: int) -> float:
    """Return the milliseconds of a full batch of repeated events in a warm function."""
    with limited(workflow, how) as function:
        function.call(repeated_calls(1))  # opens the group
        took = [function.call(repeated_calls(INTAKE_BATCH)) for _ in range(_WARMING + runs)][_WARMING:]
    if any(answer["batchItemFailures"] for _, answer in took):
        raise RuntimeError("the intake did not process its batch")
    return round(statistics.median(milliseconds for milliseconds, _ in took), 1)


def _contain_task(there: Quiet, workflow: Deployed) -> dict[str, Any]:
    """Return the task of the state "Immediate Containment" for a new key, after the states before it."""
    task = extraction_task(key_created(there.cloud))
    with FunctionProcess(workflow) as process:
        incident = process.call(task).answer
        for state in ("check_allowlist", "evaluate_severity"):
            incident = process.call({"task": state, "event": task["event"], "incident": incident}).answer
    return {"task": "immediate_containment", "incident": incident}
