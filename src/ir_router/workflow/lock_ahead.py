"""Take the lock of a principal and read its state while IAM is asked who the principal is.

Each of these steps takes as long as a call of IAM, and containment waits for all of them. The event nearly always has
the current name. If IAM shows another principal, the lock is released, and nothing that was read is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from ir_router import together
from ir_router.errors import IrRouterError
from ir_router.ledger import containments
from ir_router.ledger.containments import Lock
from ir_router.observability import logger
from ir_router.workflow import changes
from ir_router.workflow.changes import State
from ir_router.workflow.incident import ActionTaken, Principal

Reading = Callable[[], tuple[State, ActionTaken | None]]
"""Waits for the result of `changes.read_as_permitted`. Call it once."""


class _Taken(NamedTuple):
    lock: Lock
    reading: Reading


@dataclass
class Ahead:
    """A lock that is being taken by the name in the event. `_wait` returns None if it cannot be taken."""

    _wait: Callable[[], _Taken | None]
    _used: _Taken | None = field(default=None, init=False)

    def take_over(self, name: str) -> Lock | None:
        """Return the lock if it is the one of this ARN in the ledger, else release it. Call it once."""
        taken, self._wait = self._wait(), lambda: None
        if taken is not None and taken.lock.principal != name:
            _release(taken.lock)
            return None
        self._used = taken
        return taken.lock if taken else None

    def reading_under(self, lock: Lock) -> Reading | None:
        """Return the reading that began under this lock, or None."""
        return self._used.reading if self._used is not None and self._used.lock is lock else None

    def end(self) -> None:
        """Release the lock if it was not taken over."""
        if taken := self._wait():
            _release(taken.lock)


@contextmanager
def started(principal: Principal, until: float, *, wanted: bool) -> Iterator[Ahead]:
    """Take the lock and read in threads. At the end, a lock that was not taken over is released.

    Args:
        principal: The principal as the event names it.
        until: Hard end of the invocation plus the settling time, in seconds since the epoch.
        wanted: False if ir-router will probably change nothing. Then no lock is taken.
    """
    ahead = Ahead(together.started(partial(_take, principal, until)) if wanted else lambda: None)
    try:
        yield ahead
    finally:
        ahead.end()


def _take(principal: Principal, until: float) -> _Taken | None:
    try:
        lock = containments.take(principal["arn"], until)
    except (IrRouterError, BotoCoreError, ClientError):
        return None  # the usual way reports it
    return _Taken(lock, together.started(partial(changes.read_as_permitted, principal)))


def _release(lock: Lock) -> None:
    """Release a lock under which nothing was changed. If that fails, the lock ends by itself."""
    try:
        containments.release(lock)
    except (BotoCoreError, ClientError) as error:
        logger.warning("containment.lock_not_released: it ends by itself", extra={"error": str(error)[:200]})
