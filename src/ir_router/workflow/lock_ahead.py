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
from ir_router.ledger import containments
from ir_router.ledger.containments import ContainmentBusyError, Lock
from ir_router.observability import logger
from ir_router.workflow import changes, identity, principals
from ir_router.workflow.changes import State
from ir_router.workflow.incident import ActionTaken, Principal

Reading = tuple[State, ActionTaken | None]
"""The result of `changes.read_as_permitted`."""


class _Taken(NamedTuple):
    lock: Lock
    reading: Callable[[], Reading]


@dataclass
class Ahead:
    """A lock that is being taken by the name in the event. `_wait` returns None if it is not free."""

    target: identity.Target
    _wait: Callable[[], _Taken | None]
    _used: _Taken | None = field(default=None, init=False)
    _releasing: Callable[[], None] | None = field(default=None, init=False)

    def take_over(self, name: str) -> Lock | None:
        """Return the lock if it is the one of this ARN in the ledger, else release it. Call it once.

        Raises the error of the ledger, as taking the lock now would.
        """
        wait, self._wait = self._wait, lambda: None
        taken = wait()
        if taken is not None and taken.lock.principal != name:
            self._releasing = together.started(partial(_release, taken.lock))
            return None
        self._used = taken
        return taken.lock if taken else None

    def reading_under(self, lock: Lock, found: Principal) -> Callable[[], Reading]:
        """Return a function that returns the state of a principal, read under this lock.

        Args:
            lock: The lock that is held.
            found: The principal as IAM shows it. In the ledger it can have an earlier name.
        """
        read = partial(changes.read_as_permitted, found)
        is_read = (
            self._used is not None and self._used.lock is lock and principals.same_name(found, self.target.principal)
        )
        if self._used is None or not is_read:
            return together.started(read)
        ahead, key = self._used.reading, self.target.named_key

        def reading() -> Reading:
            state, unlisted = ahead()
            # IAM shows a new user late. Its keys count as missing until then.
            is_late = key is not None and unlisted is None and key not in state.keys
            return read() if is_late else (state, unlisted)

        return reading

    def end(self) -> None:
        """Wait until a lock that was not taken over is released."""
        if self._releasing:
            self._releasing()
        try:
            taken = self._wait()
        except (BotoCoreError, ClientError):
            return  # nothing needs the lock
        if taken:
            _release(taken.lock)


@contextmanager
def started(target: identity.Target, until: float, *, wanted: bool) -> Iterator[Ahead]:
    """Take the lock and read in threads. At the end, a lock that was not taken over is released.

    Args:
        target: The principal as the event names it.
        until: Hard end of the invocation plus the settling time, in seconds since the epoch.
        wanted: False if ir-router will probably change nothing. Then no lock is taken.
    """
    ahead = Ahead(target, together.started(partial(_take, target.principal, until)) if wanted else lambda: None)
    try:
        yield ahead
    finally:
        ahead.end()


def _take(principal: Principal, until: float) -> _Taken | None:
    try:
        lock = containments.take(principal["arn"], until)
    except ContainmentBusyError:
        return None  # it may be free when it is needed
    return _Taken(lock, together.started(partial(changes.read_as_permitted, principal)))


def _release(lock: Lock) -> None:
    """Release a lock under which nothing was changed. If that fails, the lock ends by itself."""
    try:
        containments.release(lock)
    except (BotoCoreError, ClientError) as error:
        logger.warning("containment.lock_not_released: it ends by itself", extra={"error": str(error)[:200]})
