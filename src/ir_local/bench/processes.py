"""Functions in processes of their own, so that what is measured is theirs alone: time, work, memory."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ir_local.bench import function
from ir_local.build.project import local_interpreter

ENTRY_POINT = "ir_router.handler.lambda_handler"
_END_SECONDS = 10


class FunctionEndedError(Exception):
    """The process has ended; the message holds the end of what it printed."""


@dataclass(frozen=True)
class Deployed:
    """What a function is: the folder that Lambda unpacks, its entry point, name, environment and time-out (seconds)."""

    folder: Path
    entry_point: str
    name: str
    environment: Mapping[str, str] = field(repr=False)
    timeout: float


@dataclass(frozen=True)
class Reply:
    """What came of one event: milliseconds, those of the function's own work (processor time), bytes of memory."""

    ms: float
    own_ms: float
    answer: Any
    resident: int | None
    peak: int | None


class FunctionProcess:
    """A function that has just been imported: cold until its first event. A context manager that ends it."""

    def __init__(self, deployed: Deployed) -> None:
        """Start and wait for the import; raises FunctionEndedError."""
        self._deployed = deployed
        self._printed = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        command = [str(local_interpreter()), "-I", "-B", function.__file__, str(deployed.folder), deployed.entry_point]
        self._process = subprocess.Popen(
            command,
            env={"PATH": os.defpath, **deployed.environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._printed,
            text=True,
        )
        imported = self._read()
        self.import_ms, self.import_own_ms = float(imported["ms"]), float(imported["own_ms"])

    def call(self, event: Any, *, forget_peak: bool = False) -> Reply:
        """One event; raises FunctionEndedError if the function raised or ended."""
        request = {
            "event": event,
            "function_name": self._deployed.name,
            "timeout": self._deployed.timeout,
            "forget_peak": forget_peak,
        }
        if self._process.stdin is None:
            raise FunctionEndedError("the process has no standard input")
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        told = self._read()
        return Reply(told["ms"], told["own_ms"], told["answer"], told.get("resident"), told.get("peak"))

    def _read(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            self._process.wait(_END_SECONDS)  # its last words come after its last answer
            self._printed.seek(0)
            printed = self._printed.read().decode("utf-8", "replace").splitlines()[-20:]
            raise FunctionEndedError(f"{self._deployed.name} has ended:\n" + "\n".join(printed))
        told: dict[str, Any] = json.loads(line)
        return told

    def close(self) -> None:
        """End it."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream:
                stream.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._printed.close()

    def __enter__(self) -> Self:
        """It is started already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it, whatever happened."""
        self.close()
