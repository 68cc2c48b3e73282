"""The schedule of verifications after a decision: a permanent or undecided containment must stay in place.

A containment is verified once an hour for a day, and then less often: after a month once a day. If a part was missing,
the schedule begins again.
"""

from __future__ import annotations

from collections.abc import Iterator

from ir_router import clock
from ir_router.ledger import keys, table
from ir_router.ledger.table import Row

_SHORTEST_SECONDS = 3_600.0
_LONGEST_SECONDS = 86_400.0
# The pause grows with the time since the schedule began.
_SHARE = 24


def schedule(principal: str) -> None:
    """Begin the schedule of a principal (ARN)."""
    _put(principal, clock.now())


def due() -> Iterator[Row]:
    """Return the rows of the principals to verify now: `SK` is the ARN."""
    now = clock.now()
    return (row for row in table.query(keys.verification("").pk) if float(row["next_at"]) <= now)


def verified(principal: str, *, intact: bool) -> None:
    """Schedule the next verification. If a part was missing, the schedule begins again."""
    row = table.get(keys.verification(principal))
    _put(principal, float(row["since"]) if row and intact else clock.now())


def end(principal: str) -> None:
    """End the schedule of a principal that is no longer contained."""
    table.delete(keys.verification(principal))


def _put(principal: str, since: float) -> None:
    pause = min(max(_SHORTEST_SECONDS, (clock.now() - since) / _SHARE), _LONGEST_SECONDS)
    table.put(keys.verification(principal), {"since": since, "next_at": clock.now() + pause})
