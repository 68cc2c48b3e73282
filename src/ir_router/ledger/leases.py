"""Hints and the lease of a case: only one run at a time works on a case, and no hint about a change is lost.

Every run keeps this order: count the hint, take the lease, remember the counter, read the case. It releases the lease
as synchronised only if the counter has not moved since (docs/architecture.md, "Hints and lease").
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ir_router import clock
from ir_router.errors import LeaseLostError
from ir_router.ledger import keys, table
from ir_router.ledger.table import ConditionFailedError, Row

# Attributes that are removed when a case is in sync.
_ENDED_WITH_SUCCESS = (
    "lease_until",
    "lease_holder",
    "hinted_at",
    "next_try",
    "failures",
    "failing_since",
    "failing_reason",
    "failing_fix",
    "channel_away_since",
)


@dataclass
class Lease:
    """The permission to work on a case until `until` (seconds since the epoch).

    `hints` is the remembered counter. `row` is the case's META row, read at the same moment.
    """

    case_id: str
    fence: int
    until: float
    hints: int
    row: Row


def add_hint(case_id: str, *, compares_comments: bool = False) -> Row:
    """Count a hint that the case may have changed, and return the case's row. The first hint creates the row.

    `hinted_at` is the time of the oldest hint that no run has completed. `comparison_requests` counts the hints for
    which all comments must be compared.
    """
    counted = "hints :one, comparison_requests :one" if compares_comments else "hints :one"
    return table.update(
        keys.case(case_id),
        f"ADD {counted} SET index_pk = :index, index_sk = :case_id, case_id = :case_id, "
        "hinted_at = if_not_exists(hinted_at, :now)",
        one=1,
        index=keys.CASES_INDEX,
        case_id=case_id,
        now=clock.now(),
    )


def take(case_id: str, until: float) -> Lease | None:
    """Take the lease, or return None when another run holds it.

    Args:
        case_id: The case.
        until: Hard end of the run plus the settling time, in seconds since the epoch.
    """
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


def refresh_hints(lease: Lease) -> None:
    """Read the hint counter and the row again, before the next round. Raises LeaseLostError."""
    row = table.get(keys.case(lease.case_id)) or {}
    if row.get("fence") != lease.fence:
        raise _lost(lease)
    lease.hints = row.get("hints", 0)
    lease.row = row


def save(lease: Lease, **values: Any) -> None:
    """Set attributes of the case's row; None removes one. Raises LeaseLostError."""
    lease.row = _write(lease, "", values, "")


def complete(case_id: str, missing: Mapping[str, str], fingerprint: str, *, instead_of: str) -> Row:
    """If no run holds the lease, add attributes that an older version did not write, and replace the fingerprint.

    Args:
        case_id: The case.
        missing: Values by attribute. If the row has another value for one of them, nothing is written.
        fingerprint: The new fingerprint.
        instead_of: The fingerprint that the row must still have.

    Returns:
        The current row, whether it was written or not.
    """
    absent = " AND ".join(f"(attribute_not_exists(#{name}) OR #{name} = :{name})" for name in missing)
    try:
        return table.update(
            keys.case(case_id),
            "SET fingerprint = :fingerprint, " + ", ".join(f"#{name} = :{name}" for name in missing),
            f"fingerprint = :before AND (attribute_not_exists(lease_until) OR lease_until < :now) AND {absent}",
            fingerprint=fingerprint,
            before=instead_of,
            now=clock.now(),
            **missing,
        )
    except ConditionFailedError as conflict:
        return conflict.row


def release_synced(lease: Lease, **values: Any) -> bool:
    """Store `values`, mark the remembered hints as synchronised and end the lease, in one write.

    Return False when further hints came: the lease is still held, and the caller starts another round.
    Raises LeaseLostError.
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
    """End the lease with work left. A new hint makes a later run continue, at `next_try` at the earliest.

    Args:
        lease: The lease to end.
        next_try: Seconds since the epoch.
        values: Attributes to set; None removes one.

    Raises:
        LeaseLostError: Another run has taken over the lease.
    """
    _write(
        lease,
        "hints = hints + :one",
        {**values, "next_try": next_try, "lease_until": None, "lease_holder": None},
        "",
        one=1,
    )


def delete(lease: Lease) -> None:
    """Delete the case's row and with it the lease. Raises LeaseLostError."""
    try:
        table.delete(keys.case(lease.case_id), "fence = :fence", fence=lease.fence)
    except ConditionFailedError as conflict:
        raise _lost(lease) from conflict


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
        raise _lost(lease) from conflict


def _lost(lease: Lease) -> LeaseLostError:
    return LeaseLostError(f"another run has taken over the lease of case {lease.case_id}")
