"""Measure the time of each route in a warm function: medians on this machine, outside calls included.

`own` is the function's processor time, that is, the time if the other side answered at once.
"""

from __future__ import annotations

import statistics
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from tests.trials.bench.cloud import Quiet, detection_task
from tests.trials.bench.cold_start import acknowledged
from tests.trials.bench.processes import FunctionProcess, Reply

_WARMING = 2


def measure(there: Quiet, runs: int) -> dict[str, dict[str, float]]:
    """Return milliseconds by route: `ms`, and its part `own`."""
    found: dict[str, dict[str, float]] = {}
    for name, routes in _routes(there).items():
        with FunctionProcess(there.deployed(name)) as process:
            for route, event in routes.items():
                replies = [process.call(event()) for _ in range(_WARMING + runs)][_WARMING:]
                if name == "webhook":
                    for reply in replies:
                        acknowledged(reply.answer)
                found[f"{name}: {route}"] = _medians(replies)
            if name == "workflow":
                found |= _states_after(process, runs)
    return found


def _routes(there: Quiet) -> Mapping[str, Mapping[str, Callable[[], Any]]]:
    case_event = {"source": "aws.security-ir", "detail-type": "Case Updated", "detail": {"caseId": there.case_id}}
    notice = {"source": "security-ir", "detail-type": "ApprovalDecided", "detail": {"approval_id": "unknown"}}
    return {
        "webhook": {"message": there.message_request, "slash command": there.command_request},
        "slack": {"slack_event": there.message_event, "slash_command": there.command_event},
        "sync": {
            "poll": lambda: {"task": "poll"},
            "sync_case": lambda: case_event,
            "approval_notice": lambda: notice,
            "alert_notice": lambda: {
                "source": "security-ir",
                "detail-type": "AlertRaised",
                "detail": {"alert": "none"},
            },
        },
        "operations": {"verify": lambda: {"task": "verify"}},
        "workflow": {"extract_event_context": lambda: detection_task(uuid.uuid4().hex)},
        "approval-handler": {
            "approval": lambda: {"task_token": uuid.uuid4().hex, "decision": "approve", "analyst": "nobody"}
        },
    }


def _states_after(process: FunctionProcess, runs: int) -> dict[str, dict[str, float]]:
    """Run the two states that follow, each with the result of the state before it."""
    task = detection_task(uuid.uuid4().hex)
    incident = process.call(task).answer
    found = {}
    for state in ("check_allowlist", "evaluate_severity"):
        event = {"task": state, "event": task["event"], "incident": incident}
        replies = [process.call(event) for _ in range(_WARMING + runs)]
        found[f"workflow: {state}"] = _medians(replies[_WARMING:])
        incident = replies[0].answer
    return found


def _medians(replies: list[Reply]) -> dict[str, float]:
    return {
        "ms": round(statistics.median(reply.ms for reply in replies), 1),
        "own": round(statistics.median(reply.own_ms for reply in replies), 1),
    }
