"""How long a run may work, and when other runs may settle its effects."""

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
    """The part of Lambda's context object that this package uses."""

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until Lambda ends the invocation."""
        ...


@dataclass(frozen=True)
class Deadline:
    """The two ends of a run, in seconds since the epoch.

    After `soft` the run starts no new work. After `hard` no work of the run continues.
    """

    soft: float
    hard: float

    @property
    def settle_after(self) -> float:
        """When even a request sent at the last moment has taken effect: `hard` plus the settling time."""
        return self.hard + settings().settle_seconds

    @property
    def settled_from_now(self) -> float:
        """When a request that has just ended without an answer has taken effect, if it ever does."""
        return min(self.settle_after, clock.now() + settings().settle_seconds)

    def remaining(self) -> float:
        """Return the seconds until `soft`; negative after it."""
        return self.soft - clock.now()

    def check(self, needed: float = 0.0) -> None:
        """Raise OutOfTimeError unless `needed` seconds are left."""
        if self.remaining() < needed:
            raise OutOfTimeError("this run has no time left; the next run continues")

    def wait(self, seconds: float) -> None:
        """Sleep, or raise OutOfTimeError when less than `seconds` are left."""
        self.check(seconds)
        clock.sleep(seconds)


def of_invocation(context: LambdaContext, *, reserve: float, at_most: float | None = None) -> Deadline:
    """Return the deadline of an invocation.

    Args:
        context: Lambda's context object.
        reserve: Seconds before the hard end in which no new work starts.
        at_most: Longest duration of the run in seconds. Default: until Lambda's timeout.
    """
    hard = clock.now() + context.get_remaining_time_in_millis() / 1000
    if at_most is not None:
        hard = min(hard, clock.now() + at_most)
    return Deadline(soft=hard - reserve, hard=hard)


class RunEndedError(IrRouterError):
    """The run reached its hard deadline while it was working. A later run settles its claims."""


class _HardEndError(BaseException):
    """A BaseException, so that no `except Exception` inside the run lets the run continue."""


@contextmanager
def enforced(deadline: Deadline) -> Iterator[None]:
    """End the run at its hard deadline, at any point of the code, with RunEndedError.

    Other runs may settle this run's claims once the deadline and the settling time have passed, so no work of this
    run may continue after them. Lambda ends the invocation only at the function's timeout, which comes later.
    """
    if threading.current_thread() is not threading.main_thread():
        # Only the main thread receives signals. Lambda runs handlers there; local tests may use other threads.
        yield
        return

    def end(_number: int, _frame: FrameType | None) -> None:
        raise _HardEndError

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, max(0.001, deadline.hard - clock.now()))
    try:
        yield
    except _HardEndError:
        raise RunEndedError("the run reached its hard deadline while it was working") from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
