"""Read the newest records of every chain of the audit, and check the links between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ir_router.ledger import audit, keys, table
from ir_router.ledger.table import Row

# Of one chain. A month of a busy deployment has fewer.
_MOST_RECORDS = 20_000
# The clocks of two writers may differ by this much.
_SKEW_SECONDS = 300


@dataclass(frozen=True)
class Span:
    """Consecutive records of a chain up to its end, oldest first.

    Attributes:
        chain: The chain's number; 0 is the main chain.
        records: The records, without the attributes of the table.
        broken: Why the span is not an unchanged part of the chain, or None.
        is_cut: Whether older records of the wanted time were left out.
    """

    chain: int
    records: Sequence[Row] = field(repr=False)
    broken: str | None
    is_cut: bool


def spans(since: float) -> list[Span]:
    """Return the records of each chain since a time (seconds since the epoch). Chains without records are left out."""
    found = (_span(chain, since - _SKEW_SECONDS) for chain in range(audit.CHAINS))
    return [span for span in found if span is not None]


def _span(chain: int, since: float) -> Span | None:
    head = table.get(keys.audit_head(chain))
    if head is None:
        return None
    oldest = datetime.fromtimestamp(since, UTC)
    earliest = f"{oldest.isoformat(timespec='milliseconds').removesuffix('+00:00')}Z"
    records: list[Row] = []
    month, is_cut, is_old = str(head["month"]), False, False
    while month >= f"{oldest:%Y-%m}" and not is_old and not is_cut:
        for row in table.query(keys.audit_record(month, 0, chain).pk, descending=True):
            if (row["month"], row["sequence"]) > (head["month"], head["sequence"]):
                continue  # written since the head was read
            is_old, is_cut = str(row["at"]) < earliest, len(records) >= _MOST_RECORDS
            if is_old or is_cut:
                break
            records.append({name: value for name, value in row.items() if name not in ("PK", "SK")})
        month = _month_before(month)
    records.reverse()
    return Span(chain, records, _fault(records, head), is_cut) if records else None


def _month_before(month: str) -> str:
    year, number = map(int, month.split("-"))
    return f"{year - 1}-12" if number == 1 else f"{year}-{number - 1:02d}"


def _fault(records: Sequence[Row], head: Row) -> str | None:
    before: Row | None = None
    for row in records:
        place = f"record {row['sequence']} of {row['month']}"
        if audit.digest(row) != row.get("hash"):
            return f"{place} was changed after it was written"
        if before is not None and row["previous"] != before["hash"]:
            return f"{place} does not follow the one before it"
        before = row
    if before is not None and before["hash"] != head["chain_hash"]:
        return "the newest record is missing"
    return None
