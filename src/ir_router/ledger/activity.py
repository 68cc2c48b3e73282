"""The reading of the calls of contained credentials: what to read, its progress, and the calls.

One row for each case has the credentials, the last request and the progress. The run that holds the case's lease
writes the progress; other functions write `credentials` and `requested_at`. The pages of calls are in a partition of
their own and expire after 30 days.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ir_router import clock
from ir_router.ledger import keys, table
from ir_router.ledger.table import ConditionFailedError, Row

_KEPT_SECONDS = 30 * 86_400


def get(case_id: str) -> Row | None:
    """Return the row of a case: `credentials` (see `watch`), `requested_at`, and the progress; or None."""
    return table.get(keys.activity(case_id))


def watch(case_id: str, credentials: Sequence[Mapping[str, Any]]) -> bool:
    """Store the contained credentials of a case. Return whether they differ from the stored ones.

    Args:
        case_id: The case.
        credentials: For each principal `arn`, `name`, `kind`, `account`, `keys`, `whole` (not only the keys are
            contained), `contained_at` and `since` (seconds since the epoch).
    """
    stored = get(case_id) or {}
    known = {str(one["arn"]): one for one in stored.get("credentials", ())}
    wanted = {**known, **{str(one["arn"]): dict(one) for one in credentials}}
    if wanted == known:
        return False
    save(case_id, credentials=list(wanted.values()))
    return True


def request(case_id: str, at: float) -> bool:
    """Request another reading. Return False if the case has no contained credentials."""
    try:
        table.update(keys.activity(case_id), "SET requested_at = :at", "attribute_exists(credentials)", at=at)
    except ConditionFailedError:
        return False
    return True


def save(case_id: str, **values: Any) -> None:
    """Set attributes of the row; None removes one."""
    table.assign(keys.activity(case_id), **values)


def save_page(case_id: str, name: str, calls: Sequence[Mapping[str, Any]]) -> None:
    """Store a page of calls. The same name replaces a page, so that a repeated reading stores it once."""
    expires_at = int(clock.now()) + _KEPT_SECONDS
    table.put(keys.activity_page(case_id, name), {"calls": [dict(call) for call in calls], "expires_at": expires_at})


def calls(case_id: str) -> list[Mapping[str, Any]]:
    """Return the calls of all pages. Several pages can have the same call."""
    return [call for page in table.query(keys.activity_page(case_id).pk) for call in page["calls"]]


def erase(case_id: str) -> None:
    """Delete the pages of a case."""
    for page in list(table.query(keys.activity_page(case_id).pk)):
        table.delete(keys.Key(page["PK"], page["SK"]))
