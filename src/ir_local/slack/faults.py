"""What may go wrong on demand, method by method; and Slack's own rate limits."""

from __future__ import annotations

import math
import threading
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Literal

from ir_local.slack.model import Json
from ir_local.slack.web_api import METHODS

FaultKind = Literal["ratelimited", "status", "error", "reset", "malformed", "answer_lost", "latency"]

REQUESTS_PER_MINUTE = {1: 1, 2: 20, 3: 50, 4: 100}
"""Slack's page on rate limits: tiers 1 to 4, a method, workspace and app."""

WINDOW_SECONDS = 60.0
ADDRESSES = frozenset({"files.upload", "files.download", "response_url"})


@dataclass
class Fault:
    """A fault of the next `times` calls of `method` (`*`: any), after the first `skip` of them.

    - `ratelimited`: 429 with `Retry-After: <retry_after>`; nothing is done
    - `status`: that HTTP status (503 unless given) with a body that is no JSON
    - `error`: `ok: false` with that `error` (`internal_error`, `token_revoked`...)
    - `reset`: the connection closes without an answer; nothing is done
    - `answer_lost`: the effect is made, then the connection closes
    - `malformed`: the effect is made, the answer is 200 with half a JSON object
    - `latency`: `seconds` longer, then as usual; goes together with another fault

    `after_effect` lets `status` and `error` strike when the effect is made: Slack says of `fatal_error` and
    `internal_error` that some of the operation may have succeeded. `until` (by the workspace's clock) ends a fault
    whatever `times` says; `times` None: until removed. Methods are those of the Web API, and `files.upload`,
    `files.download` and `response_url` for those addresses; ValueError for any other.
    """

    method: str
    kind: FaultKind
    times: int | None = 1
    skip: int = 0
    status: int = 503
    error: str = "internal_error"
    retry_after: int = 1
    seconds: float = 0.0
    until: float | None = None
    after_effect: bool = False

    def __post_init__(self) -> None:
        """Refuse what would never strike."""
        if self.method != "*" and self.method not in METHODS and self.method not in ADDRESSES:
            raise ValueError(f"no method {self.method}")

    @property
    def has_effect(self) -> bool:
        """Whether the call does what it should before the fault strikes."""
        return self.kind in {"answer_lost", "malformed"} or (self.kind in {"status", "error"} and self.after_effect)

    def to_json(self) -> Json:
        """For the control door."""
        return asdict(self)


class Faults:
    """The faults to come, taken in the order in which they were added; latency goes together with one other."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """No faults; `clock` is the workspace's."""
        self._clock = clock
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> Fault:
        """Make it happen from now on."""
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Everything works again."""
        with self._lock:
            self._faults.clear()

    def all(self) -> list[Fault]:
        """Those that are still to come."""
        with self._lock:
            return list(self._faults)

    def take(self, method: str) -> tuple[float, Fault | None]:
        """Seconds of latency and the fault that this call of `method` meets."""
        seconds = 0.0
        met: Fault | None = None
        with self._lock:
            for fault in list(self._faults):
                if fault.until is not None and self._clock() >= fault.until:
                    self._faults.remove(fault)
                    continue
                if fault.method not in {method, "*"} or (met is not None and fault.kind != "latency"):
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                self._spend(fault)
                if fault.kind == "latency":
                    seconds += fault.seconds
                else:
                    met = fault
        return seconds, met

    def _spend(self, fault: Fault) -> None:
        if fault.times is not None:
            fault.times -= 1
            if fault.times <= 0:
                self._faults.remove(fault)


class RateLimits:
    """Counts calls in a sliding minute by app and method, and posts by channel (about one a second)."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """No calls yet; `clock` is the workspace's."""
        self._clock = clock
        self._calls: dict[tuple[str, str], deque[float]] = defaultdict(deque)
        self._lock = threading.Lock()

    def retry_after(self, app_id: str, method: str, tier: int | None) -> int | None:
        """Count the call, or say how many seconds to wait when it is one too many; `tier` None: unlimited."""
        if tier is None:
            return None
        return self._count((app_id, method), REQUESTS_PER_MINUTE[tier], WINDOW_SECONDS)

    def retry_after_post(self, app_id: str, channel_id: str) -> int | None:
        """The same for a message to that channel: one a second, short bursts allowed (here: 5 in 5 s)."""
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
