"""Reads that a function makes at the same time, one after the other in either order.

The wire counts calls and ends functions in one thread. Reads do not affect each other, so each order of two of them is
one of the two things that can happen.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar
from unittest import mock

from ir_router import together

_First = TypeVar("_First")
_Second = TypeVar("_Second")


@contextmanager
def in_order(seed: int = 1) -> Iterator[None]:
    """Draw the order of each pair of reads. The same seed gives the same orders."""
    orders = random.Random(seed)

    def both(first: Callable[[], _First], second: Callable[[], _Second]) -> tuple[_First, _Second]:
        if orders.random() < 0.5:
            result = first()
            return result, second()
        later = second()
        return first(), later

    with mock.patch.object(together, "both", both):
        yield
