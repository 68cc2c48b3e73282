"""The reading of the calls of contained principals in member accounts: requested by -sync, and done by -workflow.

One row for each case, in one partition, so that -workflow finds the cases to read. -sync writes `credentials`, `since`,
`handed_over` and `wanted_at`; -workflow writes the other attributes, and `tried_at` before each attempt. A reading is
finished when `done_at` is not before `wanted_at`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ir_router import clock
from ir_router.ledger import keys, table
from ir_router.ledger.table import Row

_KEPT_SECONDS = 30 * 86_400


def want(
    case_id: str,
    credentials: Sequence[Mapping[str, Any]],
    since: float,
    at: float,
    handed_over: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Request a reading.

    Args:
        case_id: The case.
        credentials: As in `ledger.activity.watch`, those of member accounts alone.
        since: Time of the first suspicious call of the case, in seconds since the epoch.
        at: Time of the request.
        handed_over: The sessions of this account's principals in other accounts: for each access key the ARN of the
            principal and the account. None keeps those of earlier requests.
    """
    save(
        case_id,
        credentials=[dict(one) for one in credentials],
        since=since,
        wanted_at=at,
        expires_at=int(clock.now()) + _KEPT_SECONDS,
        **({} if handed_over is None else {"handed_over": {key: [*one] for key, one in handed_over.items()}}),
    )


def get(case_id: str) -> Row:
    """Return the row of a case, or an empty one."""
    row: Row = table.get(keys.member_activity(case_id)) or {}
    return row


def is_done(row: Row, since: float) -> bool:
    """Return whether a reading that was requested at `since` or later is finished."""
    return float(row.get("done_at") or 0) >= since


def is_finished(row: Row) -> bool:
    """Return whether the newest requested reading is finished. A row without a request needs none."""
    return is_done(row, float(row.get("wanted_at") or 0))


def wanted() -> list[Row]:
    """Return the rows whose reading is not finished. `SK` is the case id.

    The longest waiting is first: since its request or its last attempt, so that no case holds up the others.
    """
    rows = [row for row in table.query(keys.member_activity("").pk) if not is_finished(row)]
    return sorted(rows, key=lambda row: max(float(row["wanted_at"]), float(row.get("tried_at") or 0)))


def save(case_id: str, **values: Any) -> None:
    """Set attributes of the row; None removes one."""
    table.assign(keys.member_activity(case_id), **values)
