"""The workspace's clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

Clock = Callable[[], float]
"""Seconds since the epoch."""


class AdjustableClock:
    """The real time plus an offset that tests and the control API can increase."""

    def __init__(self) -> None:
        """Start at the real time."""
        self._lock = threading.Lock()
        self._offset = 0.0

    def __call__(self) -> float:
        """Return the current time, in seconds since the epoch."""
        with self._lock:
            return time.time() + self._offset

    def advance(self, seconds: float) -> None:
        """Move the time forward; raises ValueError if `seconds` is negative."""
        if seconds < 0:
            raise ValueError("the clock cannot move backwards")
        with self._lock:
            self._offset += seconds
