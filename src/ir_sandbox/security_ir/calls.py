"""A log of the HTTP requests."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True)
class Call:
    """One HTTP request. `at` is the time of the response in monotonic seconds."""

    operation: str
    status: int | None
    """The HTTP status; None if the connection was reset."""

    at: float
    request_id: str


class CallLog:
    """All calls since the start or the last reset, including retries."""

    def __init__(self) -> None:
        """Start without calls."""
        self._lock = threading.Lock()
        self._calls: list[Call] = []

    def add(self, call: Call) -> None:
        """Add a call."""
        with self._lock:
            self._calls.append(call)

    def all(self) -> list[Call]:
        """Return the calls in order."""
        with self._lock:
            return list(self._calls)

    def count(self) -> Counter[str]:
        """Count the calls for each operation."""
        return Counter(call.operation for call in self.all())

    def reset(self) -> None:
        """Remove all calls."""
        with self._lock:
            self._calls.clear()
