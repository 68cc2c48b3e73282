"""Run one function as Lambda does: a process that imports an entry point, then handles one event per JSON line.

It runs by its path in an isolated interpreter (`python -I function.py FOLDER MODULE.FUNCTION`), so that it can import
only the standard library and FOLDER. `processes.py` is the other end. The function's own output goes to standard error.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Mapping
from typing import Any


class Context:
    """The context that Lambda passes to a handler."""

    aws_request_id = "request"
    memory_limit_in_mb = 512

    def __init__(self, function_name: str, timeout: float) -> None:
        """Start the timeout (in seconds) now."""
        self.function_name = function_name
        self.invoked_function_arn = f"arn:aws:lambda:us-east-1:000000000000:function:{function_name}"
        self._end = time.monotonic() + timeout

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until Lambda would end the invocation."""
        return max(0, int((self._end - time.monotonic()) * 1000))


def main() -> None:
    """Import the entry point, then handle events until standard input ends."""
    folder, entry_point = sys.argv[1:]
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)
        sys.path.insert(0, folder)
        module, _, name = entry_point.rpartition(".")
        began, worked = time.perf_counter(), time.process_time()
        handler = getattr(importlib.import_module(module), name)
        _tell(answers, {"ms": _milliseconds(began), "own_ms": 1000 * (time.process_time() - worked)})
        for line in sys.stdin:
            request = json.loads(line)
            if request["forget_peak"]:
                _forget_peak()
            context = Context(request["function_name"], request["timeout"])
            began, worked = time.perf_counter(), time.process_time()
            answer = handler(request["event"], context)
            told = {"ms": _milliseconds(began), "own_ms": 1000 * (time.process_time() - worked), "answer": answer}
            _tell(answers, told | memory())


def memory() -> dict[str, int]:
    """Return the process's memory in bytes, now (`resident`) and at most (`peak`); empty without /proc."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123 - pathlib is not needed otherwise
            lines = dict(line.split(":", 1) for line in status)
    except FileNotFoundError:
        return {}
    return {name: 1024 * int(lines[key].split()[0]) for name, key in (("resident", "VmRSS"), ("peak", "VmHWM"))}


def _forget_peak() -> None:
    """Reset the peak to the resident memory (proc(5), clear_refs)."""
    with open("/proc/self/clear_refs", "w", encoding="ascii") as control:  # noqa: PTH123
        control.write("5")


def _milliseconds(began: float) -> float:
    return 1000 * (time.perf_counter() - began)


def _tell(answers: Any, told: Mapping[str, Any]) -> None:
    answers.write(json.dumps(told) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
