"""Try many continuations of one simulator, each in a copy of the process.

Most of a trial's time goes into the preparation, which is the same for all points of a scenario. A copy is a fork: it
has the complete state of the simulator, continues alone, sends its result back and ends.
"""

from __future__ import annotations

import gc
import os
import pickle
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar, cast
from unittest import mock

from tests.trials.world.world import World

Result = TypeVar("Result")


class BranchFailedError(Exception):
    """A branch ended without a result. The message has its traceback."""


class Branches:
    """The branches of one simulator. Each runs to its end before the simulator goes on, so their order is fixed.

    For the simulator no time passes meanwhile: neither on its clock, nor for the limits of its functions and of Slack,
    which are in real time.
    """

    def __init__(self, world: World) -> None:
        """Start without branches. Use it in a `with` block."""
        self._world = world
        self._waited = 0.0
        self._results: int | None = None
        """In a branch, the file descriptor to which its result is written."""

    def __enter__(self) -> Branches:
        """Take the time of the branches from the clock that measures durations."""
        real = time.monotonic

        def monotonic() -> float:
            return real() - self._waited

        self._clock = mock.patch.object(time, "monotonic", monotonic)
        self._clock.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Put the clock back."""
        self._clock.stop()

    @property
    def in_branch(self) -> bool:
        """Whether this process is a branch."""
        return self._results is not None

    def enter(self) -> tuple[bool, Any]:
        """Fork. Returns twice: (True, None) in the branch, and later (False, its result) in the simulator.

        Raises BranchFailedError if the branch had no result.
        """
        with self._no_time_passes():
            reader, writer = os.pipe()
            child = self._fork()
            if child == 0:
                os.close(reader)
                self._results = writer
                gc.disable()
                return True, None
            os.close(writer)
            with os.fdopen(reader, "rb") as results:
                sent = results.read()
            _, status = os.waitpid(child, 0)
        if not sent:
            raise BranchFailedError(f"the branch ended with status {os.waitstatus_to_exitcode(status)} and no result")
        failure, result = pickle.loads(sent)
        if failure is not None:
            raise BranchFailedError(failure)
        return False, result

    @contextmanager
    def _no_time_passes(self) -> Iterator[None]:
        began = time.monotonic()
        left, _ = signal.setitimer(signal.ITIMER_REAL, 0)  # the deadline of a function; a fork does not inherit it
        yield
        passed = time.monotonic() - began
        self._waited += passed
        self._world.advance(-passed)
        signal.setitimer(signal.ITIMER_REAL, left)

    def run(self, work: Callable[[], Result]) -> Result:
        """Do some work in a branch and return its result, which must be picklable. Raises BranchFailedError."""
        in_branch, result = self.enter()
        if not in_branch:
            return cast("Result", result)
        try:
            self.end(work())
        except BaseException as error:  # noqa: BLE001 - it is raised in the simulator
            self.fail(error)

    def end(self, result: object) -> NoReturn:
        """End this branch with a result that can be pickled."""
        self._end(None, result)

    def fail(self, error: BaseException) -> NoReturn:
        """End this branch with an error."""
        self._end("".join(traceback.format_exception(error)), None)

    def _end(self, failure: str | None, result: object) -> NoReturn:
        assert self._results is not None
        try:
            with os.fdopen(self._results, "wb") as results:
                pickle.dump((failure, result), results)
            _flush()
        finally:
            os._exit(0)  # no `finally` of the simulator and no handler of the test runner may run twice

    def _fork(self) -> int:
        _flush()
        events = self._world.security_ir.events
        events.wait_until_idle()
        # A fork copies only this thread. With the condition held, the other one waits at a place without effects.
        with events._changed, warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of forks beside other threads
            child = os.fork()
            if child == 0 and events._thread is not None:
                events._thread = threading.Thread(target=events._run, name=events._thread.name, daemon=True)
                events._thread.start()
        return child


def _flush() -> None:
    """Write buffered text now. A branch would have a copy of the buffer and write it again."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
