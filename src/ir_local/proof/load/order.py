"""What was said on one side against what arrived on the other: lost, doubled, out of order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Arrived:
    """Counts of one channel or case, or the sum over several."""

    said: int = 0
    lost: int = 0
    doubled: int = 0
    out_of_order: int = 0

    def __add__(self, other: Arrived) -> Arrived:
        """The sum of both."""
        return Arrived(
            self.said + other.said,
            self.lost + other.lost,
            self.doubled + other.doubled,
            self.out_of_order + other.out_of_order,
        )


def compare(said: Sequence[str], arrived: Iterable[str]) -> Arrived:
    """Each thing said has a name of its own. What nobody said counts as doubled: something made it twice."""
    found = list(arrived)
    times = Counter(found)
    lost = sum(name not in times for name in said)
    places = {name: place for place, name in enumerate(said)}
    latest, early = -1, 0
    for name in dict.fromkeys(found):
        place = places.get(name, -1)
        early += 0 <= place < latest
        latest = max(latest, place)
    return Arrived(len(said), lost, len(found) - (len(said) - lost), early)
