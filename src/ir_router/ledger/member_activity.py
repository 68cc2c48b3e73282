"""The reading of the calls of contained principals in member accounts: requested by -sync, and done by -workflow.

One row for each case, in one partition, so that -workflow finds the cases to read. -sync writes `credentials` and
`wanted_at`; -workflow writes the other attributes. A reading is finished when `done_at` is not before `wanted_at`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ir_router import clock
from ir_router.ledger import keys, table
from ir_router.ledger.table import Row

_KEPT_SECONDS = 30 * 86_400


def want(case_id: str, credentials: Sequence[Mapping[str, Any]], at: float) -> None:
    """Request a reading. `credentials` are as in `ledger.activity.watch`, those of member accounts alone."""
    save(
        case_id,
        credentials=[dict(one) for one in credentials],
        wanted_at=at,
        expires_at=int(clock.now()) + _KEPT_SECONDS,
    )


def get(case_id: str) -> Row:
    """Return the row of a case, or an empty one."""
    row: Row = table.get(keys.member_activity(case_id)) or {}
    return row


def is_done(row: Row, since: float) -> bool:
    """Return whether a reading that was requested at `since` or later is finished."""
    return float(row.get("done_at") or 0) >= since


def wanted() -> list[Row]:
    """Return the rows whose reading is not finished, the longest waiting first. `SK` is the case id."""
    rows = [row for row in table.query(keys.member_activity("").pk) if not is_done(row, float(row["wanted_at"]))]
    return sorted(rows, key=lambda row: float(row["wanted_at"]))


def save(case_id: str, **values: Any) -> None:
    """Set attributes of the row; None removes one."""
    table.assign(keys.member_activity(case_id), **values)
