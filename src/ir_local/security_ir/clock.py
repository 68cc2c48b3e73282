"""The time as the service sees it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]


class AdjustableClock:
    """The real time, moved forward on demand: a clock for tests and for the control door."""

    def __init__(self) -> None:
        """Begin at the real time."""
        self._lock = threading.Lock()
        self._offset = timedelta()

    def __call__(self) -> datetime:
        """Return the present time, aware, in UTC."""
        with self._lock:
            return datetime.now(UTC) + self._offset

    def advance(self, step: timedelta) -> None:
        """Move the time forward; raises ValueError if `step` is negative."""
        if step < timedelta():
            raise ValueError("time does not go back")
        with self._lock:
            self._offset += step
