"""Runs the bench: a table for people, `build/bench.json` for machines, and 1 when a bound is broken."""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from ir_local.bench import calls, times
from ir_local.build.project import BUILD

T = TypeVar("T")

RESULT = BUILD / "bench.json"


def main() -> int:
    """Measure, write, print; 0 when every bound holds."""
    os.environ.setdefault("LOG_LEVEL", "error")
    polls = {
        str(count): _quietly(f"idle poll, {count} open cases", calls.idle_poll, count) for count in calls.POLLED_CASES
    }
    webhook = _quietly("the door", calls.webhook_before_ack)
    operations = _quietly("operations", calls.operations)
    answers = _quietly("answers to commands", times.commands)
    result: dict[str, Any] = {
        "calls": {
            "idle_poll": polls,
            "webhook_before_ack": webhook,
            **operations,
            "file_each_way": _sum(operations["file_from_slack"], operations["file_to_slack"]),
        },
        "command_ms": answers,
    }
    broken = _broken(polls, webhook)
    result["broken"] = broken
    BUILD.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    _print(result)
    for line in broken:
        print(f"FAILED  {line}")
    print("FAILED: a bound is broken." if broken else f"ok: every bound holds; details in {RESULT}")
    return 1 if broken else 0


def bound_of_idle_poll(cases: int) -> Mapping[str, int]:
    """The most that an idle poll may call."""
    return {"security_ir": math.ceil(cases / 25) + 2 * min(cases, 10), "dynamodb": 3, "events": 0}


def _broken(polls: Mapping[str, Mapping[str, int]], webhook: Mapping[str, int]) -> list[str]:
    broken = [
        f"an idle poll of {count} cases calls {service} {counts[service]} times, at most {most} are meant"
        for count, counts in polls.items()
        for service, most in bound_of_idle_poll(int(count)).items()
        if counts[service] > most
    ]
    if webhook != {"sqs": 1}:
        broken.append(f"the door calls {webhook} before it acknowledges, not SQS once")
    return broken


def _quietly(name: str, measure: Callable[..., T], *arguments: object) -> T:
    """Measure while the functions' own log lines are kept from the table."""
    print(f"waiting  {name}", file=sys.stderr, flush=True)
    with contextlib.redirect_stdout(io.StringIO()):
        return measure(*arguments)


def _sum(first: Mapping[str, int], second: Mapping[str, int]) -> dict[str, int]:
    return {name: first.get(name, 0) + second.get(name, 0) for name in sorted({*first, *second})}


def _print(result: Mapping[str, Any]) -> None:
    rows = {f"idle_poll {count}": counts for count, counts in result["calls"]["idle_poll"].items()}
    rows |= {name: counts for name, counts in result["calls"].items() if name != "idle_poll"}
    services = sorted({service for counts in rows.values() for service in counts})
    print("calls".ljust(24) + "".join(service.rjust(max(12, len(service) + 2)) for service in services))
    for name, counts in rows.items():
        print(name.ljust(24) + "".join(str(counts.get(s, 0)).rjust(max(12, len(s) + 2)) for s in services))
    print("\nmilliseconds".ljust(25) + "acknowledged    answered")
    for name, found in result["command_ms"].items():
        print(f"/security-ir {name}".ljust(24) + f"{found['acknowledged']:12.1f}{found['answered']:12.1f}")


if __name__ == "__main__":
    sys.exit(main())
