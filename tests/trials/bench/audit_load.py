"""How fast the audit takes 200 records a second: the real code, with DynamoDB's latency, in virtual time.

Each function is a thread. Only one thread runs at a time, until it waits for DynamoDB or pauses, so the result does not
depend on the machine. Moto evaluates the conditions. As in DynamoDB, a transaction fails if another one on the same
rows is in progress.
"""

from __future__ import annotations

import heapq
import itertools
import random
import statistics
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from ir_router import clock
from ir_router.ledger import audit, audit_verification, table
from ir_router.ledger.keys import Key
from ir_router.ledger.table import Row, TransactionFailedError
from tests.trials.bench.calls import quietly
from tests.trials.world.running import running_world

RECORDS_A_SECOND = 200
_FUNCTIONS = 40
# The latencies of the profile; a transaction takes two rounds.
_READ_SECONDS = (0.004, 0.015)
_TRANSACTION_SECONDS = (0.008, 0.03)


def measure(seconds: int = 5) -> dict[str, Any]:
    """Return the part `audit` of `build/bench.json`: the result with all chains, and with the main chain alone."""
    results = (_run(audit.CHAINS, seconds), _run(1, seconds))
    return {"records_a_second": RECORDS_A_SECOND, **results[0], "one_chain": results[1]}


class _Baton:
    """Virtual time. The thread that holds the baton runs, and the others wait for their moment."""

    def __init__(self, began: float) -> None:
        self.now = began
        self._waiting: list[tuple[float, int, threading.Event]] = []
        self._numbers = itertools.count()
        self.ended = threading.Event()

    def expect(self, at: float) -> threading.Event:
        """Return an event that is set at this time."""
        mine = threading.Event()
        heapq.heappush(self._waiting, (max(at, self.now), next(self._numbers), mine))
        return mine

    def pass_on(self) -> None:
        """Let the next thread run."""
        if not self._waiting:
            self.ended.set()
            return
        self.now, _, following = heapq.heappop(self._waiting)
        following.set()

    def sleep(self, seconds: float) -> None:
        """Wait for this long."""
        mine = self.expect(self.now + seconds)
        self.pass_on()
        mine.wait()


class _Writer(threading.local):
    """The state of `audit` in one function."""

    chain = audit.MAIN
    main: audit.Position | None = None
    main_read_at = 0.0


def _run(chains: int, seconds: int) -> dict[str, Any]:
    with running_world() as world, quietly():
        world.become("workflow")
        dice = random.Random(1)
        baton = _Baton(world.now())
        arrivals = sorted(baton.now + dice.uniform(0, seconds) for _ in range(RECORDS_A_SECOND * seconds))
        left, took, lost = iter(arrivals), list[float](), list[float]()
        threads = []
        with _slow_table(baton, dice), mock.patch.multiple(audit, CHAINS=chains, _writer=_Writer()):
            for number in range(_FUNCTIONS):
                began = baton.expect(baton.now)
                work = threading.Thread(target=_function, args=(number, began, baton, left, took, lost))
                work.start()
                threads.append(work)
            baton.pass_on()
            baton.ended.wait()
            for work in threads:
                work.join()
        verified = audit_verification.verify()
    if verified.broken or verified.records != len(took):
        raise AssertionError(f"the audit is damaged: {verified}")
    return {"p99_ms": round(statistics.quantiles(took, n=100)[98] * 1000), "lost": len(lost)}


def _function(
    number: int, began: threading.Event, baton: _Baton, left: Iterator[float], took: list[float], lost: list[float]
) -> None:
    began.wait()
    for arrival in left:
        if arrival > baton.now:
            baton.sleep(arrival - baton.now)
        try:
            audit.append("measured", f"function {number}", {"at": arrival})
            took.append(baton.now - arrival)
        except audit.AuditContendedError:
            lost.append(arrival)
    baton.pass_on()


@contextmanager
def _slow_table(baton: _Baton, dice: random.Random) -> Iterator[None]:
    get: Callable[[Key], Row | None] = table.get
    transact: Callable[[Any], None] = table.transact
    held: set[tuple[str, str]] = set()

    def slow_get(key: Key) -> Row | None:
        baton.sleep(dice.uniform(*_READ_SECONDS))
        return get(key)

    def slow_transact(items: list[Any]) -> None:
        rows = [(item["Put"]["Item"]["PK"]["S"], item["Put"]["Item"]["SK"]["S"]) for item in items]
        seconds = dice.uniform(*_TRANSACTION_SECONDS)
        baton.sleep(seconds / 2)
        if held & set(rows):
            raise TransactionFailedError(["TransactionConflict" if row in held else "None" for row in rows])
        held.update(rows)
        try:
            baton.sleep(seconds / 2)
            transact(items)
        finally:
            held.difference_update(rows)

    with (
        mock.patch.object(table, "get", slow_get),
        mock.patch.object(table, "transact", slow_transact),
        mock.patch.multiple(clock, sleep=baton.sleep, now=lambda: baton.now),
    ):
        yield
