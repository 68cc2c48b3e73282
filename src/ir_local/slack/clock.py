"""The time as the workspace sees it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

Clock = Callable[[], float]
"""Seconds since the epoch."""


class AdjustableClock:
    """The real time, moved forward on demand: a clock for tests and for the control door."""

    def __init__(self) -> None:
        """Begin at the real time."""
        self._lock = threading.Lock()
        self._offset = 0.0

    def __call__(self) -> float:
        """The present time."""
        with self._lock:
            return time.time() + self._offset

    def advance(self, seconds: float) -> None:
        """Move the time forward; ValueError if `seconds` is negative."""
        if seconds < 0:
            raise ValueError("time does not go back")
        with self._lock:
            self._offset += seconds
