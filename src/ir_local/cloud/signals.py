"""Lets a program that is told to end do so in order: `with` blocks and `finally` run."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn


class ToldToEnd(BaseException):
    """SIGTERM or SIGHUP came; not an Exception, so that nothing takes it for a failure."""


@contextmanager
def end_in_order() -> Iterator[None]:
    """Raise ToldToEnd in the main thread on SIGTERM or SIGHUP while the block runs; further ones change nothing."""

    def end(_number: int, _frame: FrameType | None) -> NoReturn:
        for number in before:
            signal.signal(number, signal.SIG_IGN)
        raise ToldToEnd

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
