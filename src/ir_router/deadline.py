"""How long this run may work, and from when its effects may be settled by others."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Protocol

from ir_router import clock
from ir_router.errors import IrRouterError, OutOfTimeError
from ir_router.settings import settings


class LambdaContext(Protocol):
    """What we use of Lambda's context object."""

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends the invocation."""
        ...


@dataclass(frozen=True)
class Deadline:
    """`soft`: begin nothing new after it. `hard`: nothing of this run goes on after it. Seconds since the epoch."""

    soft: float
    hard: float

    @property
    def settle_after(self) -> float:
        """When a request sent at the last moment has landed and can be seen: the hard end plus the settling time."""
        return self.hard + settings().settle_seconds

    @property
    def settled_from_now(self) -> float:
        """When a request that has just ended without an answer has landed, if it ever does."""
        return min(self.settle_after, clock.now() + settings().settle_seconds)

    def remaining(self) -> float:
        """Seconds until nothing new may begin; negative when that time has passed."""
        return self.soft - clock.now()

    def check(self, needed: float = 0.0) -> None:
        """Raises OutOfTimeError unless `needed` seconds are left."""
        if self.remaining() < needed:
            raise OutOfTimeError("the time of this run is used up; the next run goes on")

    def wait(self, seconds: float) -> None:
        """Sleep, if it fits. Raises OutOfTimeError when it does not."""
        self.check(seconds)
        clock.sleep(seconds)


def of_invocation(context: LambdaContext, *, reserve: float, at_most: float | None = None) -> Deadline:
    """The deadline of an invocation: `reserve` seconds before Lambda ends it nothing new begins.

    `at_most` (seconds) makes the run a slice that ends well before the function's own time-out.
    """
    hard = clock.now() + context.get_remaining_time_in_millis() / 1000
    if at_most is not None:
        hard = min(hard, clock.now() + at_most)
    return Deadline(soft=hard - reserve, hard=hard)


class RunEndedError(IrRouterError):
    """The hard end of a run came while it was at work; what it claimed is settled by a later one."""


class _HardEndError(BaseException):
    """Not an Exception: inside the run no handler of ordinary errors may carry it on."""


@contextmanager
def enforced(deadline: Deadline) -> Iterator[None]:
    """End the run at its hard deadline, wherever it is. Raises RunEndedError then.

    Others may settle what this run claimed as soon as the deadline and the settling time have passed, so nothing of
    it may go on after them. Lambda itself ends an invocation at the function's time-out, which comes later.
    """
    if threading.current_thread() is not threading.main_thread():
        # A signal reaches the main thread alone; Lambda runs handlers there. Local tests may use others.
        yield
        return

    def end(_number: int, _frame: FrameType | None) -> None:
        raise _HardEndError

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, max(0.001, deadline.hard - clock.now()))
    try:
        yield
    except _HardEndError:
        raise RunEndedError("the run's hard deadline came while it was at work") from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
