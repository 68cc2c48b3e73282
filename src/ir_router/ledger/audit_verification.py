"""Verify the audit's chain from the oldest stored record to the head, and find the first broken link."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from ir_router import clock
from ir_router.ledger import audit, keys, table
from ir_router.ledger.table import Row
from ir_router.settings import settings

_DAY = 86_400


@dataclass(frozen=True)
class BrokenLink:
    """The position where the chain breaks, and the reason. `month` is `yyyy-mm`."""

    month: str
    sequence: int
    why: str


@dataclass(frozen=True)
class Verification:
    """The number of records read, the times (ISO 8601) of the first and last, and the first broken link or None."""

    records: int
    first_at: str | None
    last_at: str | None
    broken: BrokenLink | None


def verify() -> Verification:
    """Read the complete audit, page by page. Only expired records may be missing."""
    walk = _Walk(clock.now())
    broken = next(walk.breaks(), None)
    return Verification(walk.records, walk.first_at, walk.last_at, broken)


class _Walk:
    def __init__(self, now: float) -> None:
        self._now = now
        self.records = 0
        self.first_at: str | None = None
        self.last_at: str | None = None
        # Records missing at a month's end. Only the next record's hash proves when they expired. The head and the
        # closings are not hashed, so an attacker who can delete records can also forge them.
        self._gap: BrokenLink | None = None

    def breaks(self) -> Iterator[BrokenLink]:
        """Yield the broken links in order."""
        head = table.get(keys.audit_head())
        closings = list(table.query(keys.audit_closing("").pk))
        if head is None:
            if closings:
                yield BrokenLink(closings[-1]["month"], closings[-1]["sequence"], "the head is missing")
            return
        before: str | None = None
        for end in [*closings, head]:
            yield from self._month(end, before)
            before = end["chain_hash"]
        if self._gap is not None and not self._month_expired(head["month"]):
            yield self._gap

    def _month(self, end: Row, before: str | None) -> Iterator[BrokenLink]:
        """Check the records of a month. `before` is the last hash of the previous month."""
        month, sequence, chain_hash = end["month"], 0, before
        for row in table.query(keys.audit_record(month, 0).pk):
            if row["sequence"] > end["sequence"]:
                if not _written_since(row):
                    yield BrokenLink(month, row["sequence"], "the record comes after the chain's end")
                break
            self._count(row)
            why = self._fault(row, sequence, chain_hash)
            if self._gap is not None and (why or not self._expired(row["previous_expires_at"])):
                yield self._gap
            self._gap = None
            if why:
                yield BrokenLink(month, row["sequence"], why)
            sequence, chain_hash = row["sequence"], row["hash"]
        if sequence < end["sequence"]:
            why = f"records {sequence + 1} to {end['sequence']} are missing"
            self._gap = self._gap or BrokenLink(month, sequence + 1, why)
        elif chain_hash != end["chain_hash"]:
            yield BrokenLink(month, sequence, "the chain's end and its last record have different hashes")

    def _fault(self, row: Row, sequence: int, chain_hash: str | None) -> str | None:
        if audit.digest(row) != row.get("hash"):
            return "the record was changed after it was written"
        if row["sequence"] != sequence + 1:
            if self._expired(row["previous_expires_at"]):
                return None
            return f"records {sequence + 1} to {row['sequence'] - 1} are missing"
        if row["previous"] != chain_hash:
            return "the record does not follow the one before it"
        return None

    def _expired(self, moment: float | None) -> bool:
        return moment is not None and moment <= self._now

    def _month_expired(self, month: str) -> bool:
        """Return whether the retention of the month's first records has passed. `month` is `yyyy-mm`."""
        begins = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC).timestamp()
        return begins + settings().audit_retention_days * _DAY <= self._now

    def _count(self, row: Row) -> None:
        self.records += 1
        self.first_at = self.first_at or row.get("at")
        self.last_at = row.get("at")


def _written_since(row: Row) -> bool:
    """Return whether the record was written during this verification: the head has reached it."""
    head = table.get(keys.audit_head()) or {"month": "", "sequence": 0}
    return (head["month"], head["sequence"]) >= (row["month"], row["sequence"])
