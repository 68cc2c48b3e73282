"""The names of many principals in one line. Pure."""

from __future__ import annotations

from collections.abc import Sequence

MOST_NAMED = 3
"""A text names at most so many principals. If there are more, it names the first ones and counts the others."""

_NAMED = 2


def names(shown: Sequence[str]) -> str:
    """Return the names of principals. Of many only the first are given."""
    if len(shown) <= MOST_NAMED:
        return " and ".join(shown)
    return f"{', '.join(shown[:_NAMED])} and {len(shown) - _NAMED} more principals"
