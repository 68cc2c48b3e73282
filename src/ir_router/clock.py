"""The time, in one place, so that tests can move it."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now() -> float:
    """Seconds since the epoch."""
    return time.time()


def sleep(seconds: float) -> None:
    """Wait; only for waits that fit well into the invocation."""
    time.sleep(seconds)


def utc_now() -> datetime:
    """The current time, aware, in UTC."""
    return datetime.fromtimestamp(now(), UTC)
