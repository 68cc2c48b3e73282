"""Functions that run at the same time on the simulator's clock: while one sleeps, the others go on."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread, current_thread
from typing import Any
from unittest import mock

from ir_router import clock
from tests.support.world import World

# EventBridge's delivery and the start of a function.
_DELIVERY_SECONDS = 1.0


class AtOnce:
    """Runs hints and polls, each in a thread. One thread runs at a time, until it sleeps or ends."""

    def __init__(self, world: World) -> None:
        """Use the clock, the hints and the functions of this world."""
        self.world = world
        self.started = 0
        self._due: list[tuple[float, int, Event]] = []
        self._numbers = itertools.count()
        self._rests = Event()
        self._threads: set[Thread] = set()

    def start(self, work: Callable[[], Any], at: float) -> None:
        """Run `work` from this time."""
        turn = self._turn(at)

        def run() -> None:
            turn.wait()
            try:
                work()
            finally:
                self._rests.set()

        thread = Thread(target=run, daemon=True)
        self._threads.add(thread)
        thread.start()

    def sleep(self, seconds: float) -> None:
        """Replace a function's sleep: let the others run until then."""
        if current_thread() not in self._threads:
            self.world.sleep(seconds)
            return
        turn = self._turn(clock.now() + seconds)
        self._rests.set()
        turn.wait()

    def live(self, minutes: int) -> None:
        """Run the poll at the start of each minute, and all work that follows."""
        begin = clock.now()
        for minute in range(minutes):
            self.start(self.world.poll, begin + 60 * minute)
        end = begin + 60 * minutes
        self._collect()
        while self._due and self._due[0][0] < end:
            at, _, turn = heapq.heappop(self._due)
            self.world.advance(max(0.0, at - clock.now()))
            self._rests.clear()
            turn.set()
            assert self._rests.wait(60)
            self._collect()

    def _turn(self, at: float) -> Event:
        turn = Event()
        heapq.heappush(self._due, (at, next(self._numbers), turn))
        return turn

    def _collect(self) -> None:
        """Deliver Slack's events, and start a function for each hint."""
        while self.world.deliver() or self.world._run_queue("slack-events", "slack"):
            pass
        pending, self.world.hints = self.world.hints, []
        for event in pending:
            self.started += 1
            self.start(lambda event=event: self.world.try_invoke("sync", event), clock.now() + _DELIVERY_SECONDS)  # type: ignore[misc]


@contextmanager
def at_once(world: World) -> Iterator[AtOnce]:
    """Let functions run at the same time in a `with` block."""
    running = AtOnce(world)
    with mock.patch.object(clock, "sleep", running.sleep):
        yield running
