"""Let a program clean up when it receives SIGTERM or SIGHUP: its `with` and `finally` blocks run."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn


class StopRequested(BaseException):
    """The program received SIGTERM or SIGHUP. It is no `Exception`, so no error handler catches it."""


@contextmanager
def graceful_stop() -> Iterator[None]:
    """Raise StopRequested in the main thread on the first SIGTERM or SIGHUP in the block. Ignore later signals."""

    def stop(_number: int, _frame: FrameType | None) -> NoReturn:
        for number in before:
            signal.signal(number, signal.SIG_IGN)
        raise StopRequested

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
