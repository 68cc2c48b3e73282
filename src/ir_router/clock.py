"""The clock of the package. Tests replace it."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now() -> float:
    """Return the current time in seconds since the epoch."""
    return time.time()


def sleep(seconds: float) -> None:
    """Sleep. Use it only for a wait that fits well into the invocation."""
    time.sleep(seconds)


def utc_now() -> datetime:
    """Return the current time as an aware datetime in UTC."""
    return datetime.fromtimestamp(now(), UTC)
