"""Functions in separate processes, so that time, processor time and memory are theirs alone."""

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

from ir_operator.project import local_interpreter
from tests.trials.bench import function

ENTRY_POINT = "ir_router.handler.lambda_handler"
_END_SECONDS = 120


class FunctionEndedError(Exception):
    """The process has ended; the message contains the end of its output."""


@dataclass(frozen=True)
class Deployed:
    """A deployed function: its unpacked zip, entry point, name, environment, timeout in seconds and memory in MB."""

    folder: Path
    entry_point: str
    name: str
    environment: Mapping[str, str] = field(repr=False)
    timeout: float
    megabytes: int


@dataclass(frozen=True)
class Reply:
    """The result of one event: milliseconds, milliseconds of processor time, bytes of memory."""

    ms: float
    own_ms: float
    answer: Any
    resident: int | None
    peak: int | None


class FunctionProcess:
    """A function that has just been imported, so that its first event is a cold start. A context manager ends it."""

    def __init__(self, deployed: Deployed) -> None:
        """Start the process and wait for the import; raises FunctionEndedError."""
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

    @property
    def id(self) -> int:
        """The id of the process."""
        return self._process.pid

    def call(self, event: Any, *, forget_peak: bool = False) -> Reply:
        """Send one event; raises FunctionEndedError if the function raised or ended."""
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
            self._process.wait(_END_SECONDS)  # its last output follows its last response
            self._printed.seek(0)
            printed = self._printed.read().decode("utf-8", "replace").splitlines()[-20:]
            raise FunctionEndedError(f"{self._deployed.name} has ended:\n" + "\n".join(printed))
        told: dict[str, Any] = json.loads(line)
        return told

    def close(self) -> None:
        """End the process."""
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
        """Return the running process."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process."""
        self.close()
