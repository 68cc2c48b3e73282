"""Hints and the lease of a case: at most one run works on a case, and no hint that it changed is ever lost.

The order on arrival is fixed: count the hint, take the lease, remember the counter, read the case. A run releases
its lease as synchronised only if the counter has not moved since (docs/architecture.md, "Hints and lease").
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from ir_router import clock
from ir_router.errors import LeaseLostError
from ir_router.ledger import keys, table
from ir_router.ledger.table import ConditionFailedError, Row

# What a case that is in step has not.
_ENDED_WITH_SUCCESS = ("lease_until", "lease_holder", "hinted_at", "next_try", "failures")


@dataclass
class Lease:
    """The right to work on a case until `until` (seconds since the epoch).

    `hints` is the counter as remembered, `row` the case's META row as it was when they were read together.
    """

    case_id: str
    fence: int
    until: float
    hints: int
    row: Row


def add_hint(case_id: str) -> Row:
    """Count one more hint that the case may have changed; the row is made when it is the first.

    `hinted_at` is the time of the oldest hint that no run has finished.
    """
    return table.update(
        keys.case(case_id),
        "ADD hints :one SET index_pk = :index, index_sk = :case_id, case_id = :case_id, "
        "hinted_at = if_not_exists(hinted_at, :now)",
        one=1,
        index=keys.CASES_INDEX,
        case_id=case_id,
        now=clock.now(),
    )


def take(case_id: str, until: float) -> Lease | None:
    """Take the lease until `until` (the end of the holder plus the settling time), or None when it is held."""
    holder = uuid.uuid4().hex
    try:
        row = table.update(
            keys.case(case_id),
            "SET lease_until = :until, lease_holder = :holder ADD fence :one",
            "attribute_not_exists(lease_until) OR lease_until < :now",
            until=until,
            holder=holder,
            one=1,
            now=clock.now(),
        )
    except ConditionFailedError as conflict:
        if conflict.row.get("lease_holder") != holder:
            return None
        row = conflict.row  # botocore repeated our own update after its answer was lost
    return Lease(case_id, row["fence"], until, row.get("hints", 0), row)


def look_again(lease: Lease) -> None:
    """Remember the hint counter anew, before the next round. Raises LeaseLostError when the lease is another's."""
    row = table.get(keys.case(lease.case_id)) or {}
    if row.get("fence") != lease.fence:
        raise LeaseLostError(f"the lease of case {lease.case_id} was taken over")
    lease.hints = row.get("hints", 0)
    lease.row = row


def save(lease: Lease, **values: Any) -> None:
    """Write attributes of the case's row while holding the lease. None removes an attribute. Raises LeaseLostError."""
    lease.row = _write(lease, "", values, "")


def release_synced(lease: Lease, **values: Any) -> bool:
    """End the lease with everything up to the remembered hints synchronised, and store `values`, in one write.

    False when hints moved: the lease is still held and the caller goes round again. Raises LeaseLostError.
    """
    try:
        _write(
            lease,
            "synced_hints = :remembered",
            {**values, **dict.fromkeys(_ENDED_WITH_SUCCESS)},
            " AND hints = :remembered",
            remembered=lease.hints,
        )
    except LeaseLostError:
        row = table.get(keys.case(lease.case_id)) or {}
        if row.get("fence") == lease.fence and row.get("lease_until") is not None:
            return False
        if row.get("fence") == lease.fence and row.get("synced_hints") == lease.hints:
            return True  # botocore repeated our own update after its answer was lost
        raise
    return True


def release_unfinished(lease: Lease, *, next_try: float, **values: Any) -> None:
    """End the lease with work left: a hint is left behind, and nobody tries before `next_try`.

    Raises LeaseLostError when the lease is another's.
    """
    _write(
        lease,
        "hints = hints + :one",
        {**values, "next_try": next_try, "lease_until": None, "lease_holder": None},
        "",
        one=1,
    )


def _write(lease: Lease, first: str, values: dict[str, Any], condition: str, **more: Any) -> Row:
    assignments = [first] if first else []
    assignments += [f"#{name} = :{name}" for name, value in values.items() if value is not None]
    removals = [f"#{name}" for name, value in values.items() if value is None]
    expression = (f"SET {', '.join(assignments)}" if assignments else "") + (
        f" REMOVE {', '.join(removals)}" if removals else ""
    )
    try:
        return table.update(
            keys.case(lease.case_id),
            expression.strip(),
            "fence = :fence" + condition,
            fence=lease.fence,
            **{name: value for name, value in values.items() if value is not None},
            **more,
        )
    except ConditionFailedError as conflict:
        raise LeaseLostError(f"the lease of case {lease.case_id} was taken over") from conflict
