"""Calls that a function makes at the same time, one after the other in an order that is drawn.

The wire counts calls and ends functions in one thread. The calls do not affect each other, so each order of two of them
is one of the two things that can happen.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import NoReturn, TypeVar
from unittest import mock

from ir_router import together

_First = TypeVar("_First")
_Second = TypeVar("_Second")


@contextmanager
def in_order(seed: int = 1) -> Iterator[None]:
    """Draw the order of each pair. The same seed gives the same orders."""
    orders = random.Random(seed)

    def both(first: Callable[[], _First], second: Callable[[], _Second]) -> tuple[_First, _Second]:
        if orders.random() < 0.5:
            result = first()
            return result, second()
        later = second()
        return first(), later

    def started(work: Callable[[], _Second]) -> Callable[[], _Second]:
        if orders.random() < 0.5:
            return lambda: work()
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - the thread of the caller gets it
            return partial(_raise, error)
        return lambda: result

    with mock.patch.multiple(together, both=both, started=started):
        yield


def _raise(error: Exception) -> NoReturn:
    raise error
