"""A log of the calls as HTTP saw them."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True)
class Call:
    """One HTTP request: its operation, when it was answered (seconds, monotonic), with what."""

    operation: str
    status: int | None
    """The HTTP status; None when the connection was reset."""

    at: float
    request_id: str


class CallLog:
    """Every call since the start or the last reset, retries included."""

    def __init__(self) -> None:
        """Begin with no calls."""
        self._lock = threading.Lock()
        self._calls: list[Call] = []

    def add(self, call: Call) -> None:
        """Note a call."""
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
        """Forget all calls."""
        with self._lock:
            self._calls.clear()
