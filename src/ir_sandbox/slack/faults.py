"""Faults on demand, by Web API method."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Literal

from ir_sandbox.slack.model import Json
from ir_sandbox.slack.web_api import METHODS

FaultKind = Literal["ratelimited", "status", "error", "reset", "malformed", "answer_lost", "latency"]

ADDRESSES = frozenset({"files.upload", "files.download", "response_url"})


@dataclass
class Fault:
    """A fault of the next calls of one Web API method.

    Kinds of faults:

    - `ratelimited`: 429 with `Retry-After: <retry_after>`; the call has no effect.
    - `status`: the HTTP status `status` with a body that is not JSON.
    - `error`: `ok: false` with the code `error` (`internal_error`, `token_revoked`...).
    - `reset`: the connection closes without a response; the call has no effect.
    - `answer_lost`: the call has its effect, then the connection closes.
    - `malformed`: the call has its effect; the response is 200 with an incomplete JSON object.
    - `latency`: the call takes `seconds` longer. It can be combined with one other fault.

    Attributes:
        method: A Web API method, `files.upload`, `files.download` or `response_url`; `*` means any of them.
        times: How many calls fail; None means all calls until the fault is removed.
        skip: How many calls succeed before the first fault.
        until: The end of the fault on the workspace's clock, regardless of `times`.
        after_effect: Make `status` and `error` fail after the effect. Slack documents for `fatal_error` and
            `internal_error` that part of the operation may have succeeded.
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
        """Raise ValueError if no call can match the fault."""
        if self.method != "*" and self.method not in METHODS and self.method not in ADDRESSES:
            raise ValueError(f"unknown Web API method: {self.method}")

    @property
    def has_effect(self) -> bool:
        """Whether the call has its effect before the fault."""
        return self.kind in {"answer_lost", "malformed"} or (self.kind in {"status", "error"} and self.after_effect)

    def to_json(self) -> Json:
        """Return the fault for the control API."""
        return asdict(self)


class Faults:
    """The pending faults, used in the order in which they were added. Latency can combine with one other fault."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Start without faults; `clock` is the workspace's clock."""
        self._clock = clock
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> Fault:
        """Add a fault for the next calls and return it."""
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            self._faults.clear()

    def all(self) -> list[Fault]:
        """Return the pending faults."""
        with self._lock:
            return list(self._faults)

    def take(self, method: str) -> tuple[float, Fault | None]:
        """Return the latency in seconds and the fault of the current call of `method`, and count them as used."""
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
