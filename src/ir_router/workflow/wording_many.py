"""The names of many principals in one line. Pure."""

from __future__ import annotations

from collections.abc import Sequence

MOST_NAMED = 3
"""A text names at most so many principals. If there are more, it names the first ones and counts the others."""

_NAMED = 2
_MOST_LISTED = 100


def names(shown: Sequence[str]) -> str:
    """Return the names of principals. Of many only the first are given."""
    if len(shown) <= MOST_NAMED:
        return " and ".join(shown)
    return f"{', '.join(shown[:_NAMED])} and {len(shown) - _NAMED} more principals"


def listed(shown: Sequence[str]) -> list[str]:
    """Return a line with the number and the names of many principals, or no line if `names` gives them all."""
    if len(shown) <= MOST_NAMED:
        return []
    rest = f" and {len(shown) - _MOST_LISTED} more" if len(shown) > _MOST_LISTED else ""
    return [f"Principals ({len(shown)}): {', '.join(shown[:_MOST_LISTED])}{rest}"]
