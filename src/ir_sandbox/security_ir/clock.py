"""The service's clock."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]


class AdjustableClock:
    """The real time plus an offset that tests and the control API can increase."""

    def __init__(self) -> None:
        """Start at the real time."""
        self._lock = threading.Lock()
        self._offset = timedelta()

    def __call__(self) -> datetime:
        """Return the current time, aware, in UTC."""
        with self._lock:
            return datetime.now(UTC) + self._offset

    def advance(self, step: timedelta) -> None:
        """Move the time forward; raises ValueError if `step` is negative."""
        if step < timedelta():
            raise ValueError("the clock cannot move backwards")
        with self._lock:
            self._offset += step
