"""Slack's own rate limits: calls per method and minute, messages per channel and second."""

from __future__ import annotations

import math
import threading
from collections import defaultdict, deque
from collections.abc import Callable

REQUESTS_PER_MINUTE = {1: 1, 2: 20, 3: 50, 4: 100}
"""Calls per minute of tiers 1 to 4, for each method, workspace and app (docs.slack.dev/apis/web-api/rate-limits)."""

WINDOW_SECONDS = 60.0


class RateLimited(Exception):  # noqa: N818 - what Slack calls it
    """The call exceeds a rate limit; the response is 429 with `Retry-After`."""

    def __init__(self, retry_after: int) -> None:
        """Ask the client to wait for `retry_after` seconds."""
        super().__init__(f"ratelimited, retry after {retry_after} s")
        self.retry_after = retry_after


class RateLimits:
    """Counts calls by app and method in a sliding minute, and messages by channel (about one per second)."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Start without calls; `clock` is the workspace's clock."""
        self._clock = clock
        self._calls: dict[tuple[str, str], deque[float]] = defaultdict(deque)
        self._lock = threading.Lock()

    def retry_after(self, app_id: str, method: str, tier: int | None) -> int | None:
        """Count a call and return None, or return the seconds to wait if it exceeds the limit.

        Without a `tier`, the method is not limited.
        """
        if tier is None:
            return None
        return self._count((app_id, method), REQUESTS_PER_MINUTE[tier], WINDOW_SECONDS)

    def retry_after_post(self, app_id: str, channel_id: str) -> int | None:
        """Count a message to a channel as `retry_after` does: one per second, with bursts of 5 messages in 5 s."""
        return self._count((app_id, f"post {channel_id}"), 5, 5.0)

    def _count(self, key: tuple[str, str], most: int, window: float) -> int | None:
        with self._lock:
            now = self._clock()
            calls = self._calls[key]
            while calls and calls[0] <= now - window:
                calls.popleft()
            if len(calls) >= most:
                return max(1, math.ceil(calls[0] + window - now))
            calls.append(now)
            return None
