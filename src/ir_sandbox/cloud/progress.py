"""Show the running step and its duration on a terminal or in a log, with one aligned line for each step."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

SILENT_SECONDS = 2
"""A shorter step shows only its end."""

LOG_SECONDS = 15
"""The interval for lines of a waiting step where lines cannot be overwritten."""

NAME_WIDTH = 44
ERASE_LINE = "\r\x1b[2K"


class Step:
    """One running step."""

    def __init__(self, name: str) -> None:
        """Start the step now."""
        self.name = name
        self.detail = ""
        self.start = time.monotonic()

    def show(self, detail: str) -> None:
        """Set the step's progress."""
        self.detail = detail

    def line(self, mark: str) -> str:
        """Return the mark, name, duration and detail in columns."""
        seconds = time.monotonic() - self.start
        return f"{mark:<8} {self.name:<{NAME_WIDTH}} {seconds:6.1f} s  {self.detail}".rstrip()


class Progress:
    """Writes steps to `stream` (default: standard output); on a terminal a waiting line counts its seconds."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """Prepare the output."""
        self._stream = stream or sys.stdout
        self._writing = threading.Lock()

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Show a step during a `with` block: `waiting`, then `ok`, or `failed` if the block raises."""
        step = Step(name)
        ended = threading.Event()
        watcher = threading.Thread(target=self._show_waiting, args=(step, ended), daemon=True)
        watcher.start()
        mark = "failed"
        try:
            yield step
            mark = "ok"
        finally:
            ended.set()
            watcher.join()
            self._write(step.line(mark) + "\n")

    def write_line(self, text: str) -> None:
        """Write a line."""
        self._write(text + "\n")

    def _show_waiting(self, step: Step, ended: threading.Event) -> None:
        terminal = self._stream.isatty()
        wait = float(SILENT_SECONDS)
        while not ended.wait(wait):
            self._write(step.line("waiting") + ("" if terminal else "\n"))
            wait = 1 if terminal else LOG_SECONDS

    def _write(self, text: str) -> None:
        """Overwrite the waiting line of a terminal."""
        with self._writing:
            self._stream.write(ERASE_LINE + text if self._stream.isatty() else text)
            self._stream.flush()
