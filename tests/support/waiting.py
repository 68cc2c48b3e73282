"""Waits for a condition, on machines of any speed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE_SECONDS = 900.0
"""How long a condition may take before the test fails. Only a defect takes so long, even on a busy machine."""

T = TypeVar("T")


def wait_for(look: Callable[[], T | None], pause: float = 0.1) -> T:
    """Return the first true result of `look`.

    Args:
        look: Called until its result is true.
        pause: Seconds between two calls.

    Raises:
        AssertionError: `look` returned nothing for `PATIENCE_SECONDS`.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := look()):
        assert time.monotonic() < deadline, f"nothing found in {PATIENCE_SECONDS:.0f} s"
        time.sleep(pause)
    return found
