"""Compare the names sent on one side with those that arrived on the other: lost, duplicated, out of order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Deliveries:
    """The counts of one channel or case, or the sum over several."""

    sent: int = 0
    lost: int = 0
    doubled: int = 0
    out_of_order: int = 0

    def __add__(self, other: Deliveries) -> Deliveries:
        """Return the sum of both."""
        return Deliveries(
            self.sent + other.sent,
            self.lost + other.lost,
            self.doubled + other.doubled,
            self.out_of_order + other.out_of_order,
        )


def compare(sent: Sequence[str], arrived: Iterable[str]) -> Deliveries:
    """Compare names that were sent, each unique, with those that arrived. An arrival that was never sent counts as a
    duplicate.
    """
    found = list(arrived)
    times = Counter(found)
    lost = sum(name not in times for name in sent)
    places = {name: place for place, name in enumerate(sent)}
    latest, early = -1, 0
    for name in dict.fromkeys(found):
        place = places.get(name, -1)
        early += 0 <= place < latest
        latest = max(latest, place)
    return Deliveries(len(sent), lost, len(found) - (len(sent) - lost), early)
