"""Verify the audit's chains from the oldest stored record to their heads, and find the first broken link.

The main chain comes first, because its ties name records of the other chains.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice, takewhile

from ir_router import clock
from ir_router.ledger import audit, keys, table
from ir_router.ledger.audit import Position
from ir_router.ledger.table import Row
from ir_router.settings import settings

_DAY = 86_400
_TIED_IS_MISSING = "the main chain names this record, but it is missing"


@dataclass(frozen=True)
class BrokenLink:
    """The position where a chain breaks, and the reason. `month` is `yyyy-mm`; chain 0 is the main chain."""

    month: str
    sequence: int
    why: str
    chain: int = audit.MAIN


@dataclass(frozen=True)
class Verification:
    """The number of records read, the times (ISO 8601) of the first and last, and the broken links that were found."""

    records: int
    first_at: str | None
    last_at: str | None
    links: tuple[BrokenLink, ...]

    @property
    def broken(self) -> BrokenLink | None:
        """The first broken link."""
        return self.links[0] if self.links else None


@dataclass(frozen=True)
class _Tied:
    """A record of another chain that a record of the main chain names."""

    place: Position
    by: Position


def verify(on_record: Callable[[Row], None] | None = None) -> Verification:
    """Read the complete audit, page by page. Only expired records may be missing.

    Args:
        on_record: Receives each record once. With it, each chain is read to its end, also after a broken link.
    """
    now = clock.now()
    main = _Walk(audit.MAIN, now, on_record=on_record)
    found = main.broken_links()
    walks = [main]
    for chain in range(1, audit.CHAINS):
        walks.append(_Walk(chain, now, main.ties.get(chain, ()), on_record))
        found += walks[-1].broken_links()
    times = [time for walk in walks for time in (walk.first_at, walk.last_at) if time]
    records = sum(walk.records for walk in walks)
    return Verification(records, min(times, default=None), max(times, default=None), tuple(found))


class _Walk:
    """A walk along one chain.

    Args:
        chain: The chain's number.
        now: The time, in seconds since the epoch.
        tied: The records of this chain that the main chain names, in the order of the main chain.
        on_record: Receives each record once.
    """

    def __init__(
        self,
        chain: int,
        now: float,
        tied: Iterable[_Tied] = (),
        on_record: Callable[[Row], None] | None = None,
    ) -> None:
        self._chain = chain
        self._now = now
        self._on_record = on_record
        self._tied = deque(tied)
        self.records = 0
        self.first_at: str | None = None
        self.last_at: str | None = None
        self.ties: dict[int, list[_Tied]] = {}
        # Records missing at a month's end. Only the next record's hash proves when they expired. The head and the
        # closings are not hashed, so an attacker who can delete records can also forge them.
        self._gap: BrokenLink | None = None
        self._checked: str | None = None

    def broken_links(self) -> list[BrokenLink]:
        """Return the first broken link, or all if the records are wanted."""
        return list(islice(self._breaks(), 1 if self._on_record is None else None))

    def _breaks(self) -> Iterator[BrokenLink]:
        """Yield the broken links in order."""
        head = table.get(keys.audit_head(self._chain))
        closings = list(table.query(keys.audit_closing("", self._chain).pk))
        if head is None:
            yield from self._headless(closings)
            return
        before: str | None = None
        for end in [*closings, head]:
            yield from self._month(end, before, is_past=end is not head)
            before = end["chain_hash"]
        if self._gap is not None and not self._month_expired(head["month"]):
            yield self._gap
        end_of_chain = _order(audit.position_of(head))
        for tied in self._tied:
            if _order(tied.place) > end_of_chain:
                yield self._link(*_order(tied.place), _TIED_IS_MISSING)

    def _headless(self, closings: list[Row]) -> Iterator[BrokenLink]:
        """Yield the break if the chain has records but no head."""
        month = f"{datetime.fromtimestamp(self._now, UTC):%Y-%m}"
        rows = table.query(keys.audit_record(month, 0, self._chain).pk, limit=1)
        left = [*closings[-1:], *({"month": row["month"], "sequence": row["sequence"]} for row in rows)]
        left += [{"month": tied.place.month, "sequence": tied.place.sequence} for tied in list(self._tied)[-1:]]
        if left:
            yield self._link(left[0]["month"], left[0]["sequence"], "the head is missing")

    def _month(self, end: Row, before: str | None, *, is_past: bool) -> Iterator[BrokenLink]:
        """Check the records of a month. `before` is the last hash of the previous month. A past month has a closing."""
        month, sequence, chain_hash = end["month"], 0, before
        for row in table.query(keys.audit_record(month, 0, self._chain).pk):
            if row["sequence"] > end["sequence"]:
                if is_past or not self._written_since(row):
                    yield self._link(month, row["sequence"], "the record comes after the chain's end")
                break
            self._count(row)
            why = self._fault(row, sequence, chain_hash)
            if self._gap is not None and (why or not self._expired(row["previous_expires_at"])):
                yield self._gap
            self._gap = None
            if self._chain != audit.MAIN:
                yield from self._passed(row)
                why = why or self._misplaced(row)
                while self._tied and _order(self._tied[0].place) == (month, row["sequence"]):
                    self._tied.popleft()
            elif not why:
                self._keep_ties(row)
            if why:
                yield self._link(month, row["sequence"], why)
            sequence, chain_hash = row["sequence"], row.get("hash")
        if sequence < end["sequence"]:
            why = f"records {sequence + 1} to {end['sequence']} are missing"
            self._gap = self._gap or self._link(month, sequence + 1, why)
        elif chain_hash != end["chain_hash"]:
            yield self._link(month, sequence, "the chain's end and its last record have different hashes")

    def _fault(self, row: Row, sequence: int, chain_hash: str | None) -> str | None:
        if audit.digest(row) != row.get("hash"):
            return "the record was changed after it was written"
        if row.get("chain", audit.MAIN) != self._chain:
            return f"the record belongs to chain {row.get('chain', audit.MAIN)}"
        if row["sequence"] != sequence + 1:
            if self._expired(row["previous_expires_at"]):
                return None
            return f"records {sequence + 1} to {row['sequence'] - 1} are missing"
        if row["previous"] != chain_hash:
            return "the record does not follow the one before it"
        return None

    def _keep_ties(self, row: Row) -> None:
        """Keep the records of other chains that a record of the main chain names."""
        if row["action"] == audit.TIED:
            by = Position(row["month"], row["sequence"], row["hash"])
            for chain, place in audit.heads_of(row).items():
                self.ties.setdefault(chain, []).append(_Tied(place, by))

    def _passed(self, row: Row) -> Iterator[BrokenLink]:
        """Yield a break for each record before this one that the main chain names and that is not there.

        It may have expired only if the record before this one has.
        """
        is_excused = self._expired(row["previous_expires_at"])
        while self._tied and _order(self._tied[0].place) < (row["month"], row["sequence"]):
            place = self._tied.popleft().place
            if not is_excused:
                yield self._link(*_order(place), _TIED_IS_MISSING)

    def _misplaced(self, row: Row) -> str | None:
        """Return why the record contradicts the main chain, or None."""
        here = (row["month"], row["sequence"])
        for named in takewhile(lambda named: _order(named.place) == here, self._tied):
            if named.place.hash != row["hash"]:
                return f"record {named.by.sequence} of the main chain in {named.by.month} names another record here"
        tied = self._tied[0] if self._tied else None
        after = Position.read(row["after"]) if row["after"] else None
        if after and tied and _order(after) >= _order(tied.by):
            return "the record claims to follow a record of the main chain that already names it"
        return self._check_after(after)

    def _check_after(self, after: Position | None) -> str | None:
        """Compare a position with the main chain. The walk along the main chain reports its gaps."""
        if after is None or self._checked == after.hash:
            return None
        row = table.get(keys.audit_record(after.month, after.sequence))
        if row and row.get("hash") != after.hash:
            return "the record follows another record of the main chain"
        head = None if row else table.get(keys.audit_head())
        if head and _order(after) > _order(audit.position_of(head)):
            return "the record follows a record of the main chain that does not exist"
        self._checked = after.hash
        return None

    def _link(self, month: str, sequence: int, why: str) -> BrokenLink:
        return BrokenLink(month, sequence, why, self._chain)

    def _expired(self, moment: float | None) -> bool:
        return moment is not None and moment <= self._now

    def _month_expired(self, month: str) -> bool:
        """Return whether the retention of the month's first records has passed. `month` is `yyyy-mm`."""
        begins = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC).timestamp()
        return begins + settings().audit_retention_days * _DAY <= self._now

    def _count(self, row: Row) -> None:
        self.records += 1
        if self._on_record is not None:
            self._on_record(row)
        self.first_at = self.first_at or row.get("at")
        self.last_at = row.get("at")

    def _written_since(self, row: Row) -> bool:
        """Return whether the record was written during this verification: the end of its month has reached it.

        The end is the head, or the closing if the month has ended during this verification.
        """
        head = table.get(keys.audit_head(self._chain)) or {"month": "", "sequence": 0}
        end = head if head["month"] == row["month"] else table.get(keys.audit_closing(row["month"], self._chain))
        return end is not None and bool(end["sequence"] >= row["sequence"])


def _order(position: Position) -> tuple[str, int]:
    return position.month, position.sequence
