"""The calls that a pass found, with the parts that are missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ir_router import clock, trail_search
from ir_router.cases import activity as numbers
from ir_router.cases import trail_calls
from ir_router.cases.activity import Activity, Scope
from ir_router.ledger import activity as stored
from ir_router.ledger import keys, member_activity
from ir_router.ledger.table import Row
from ir_router.settings import settings
from ir_router.sync.case_sync import CaseSync
from ir_router.trail_search import Progress


def stored_activity(sync: CaseSync) -> Activity | None:
    """Return the calls that were read so far and the missing parts, or None if there are neither."""
    row = sync.row(keys.activity(sync.case_id))
    if row is None or not row.get("credentials") or not ("published" in row or "readings_of" in row):
        return None
    account = sync.case.case_arn.split(":")[4]
    found = of_pass(sync.case_id, row, ended(row, account), account, complete="progress" not in row)
    return found if found.calls or found.scope.limited else None


def ended(row: Row, account: str) -> Progress:
    """Return the last pass as `_finish` stored it, with the missing parts that a later pass knows so far."""
    limited = [*(row.get("limited") or []), *((row.get("progress") or {}).get("limited") or [])]
    return Progress(
        end=float(row.get("read_at") or clock.now()),
        since=since(row["credentials"]) - trail_search.BEFORE_SECONDS,
        pending=[],
        sessions=row.get("sessions") or {},
        elsewhere=row.get("elsewhere") or {},
        only=account,
        limited=list(dict.fromkeys(limited)),
    )


def of_pass(case_id: str, row: Row, progress: Progress, account: str, *, complete: bool) -> Activity:
    """Return the calls of all passes, and the parts that `progress` and -workflow did not read.

    Args:
        case_id: The case.
        row: Its row of `ledger.activity`.
        progress: The last pass of this account's history.
        account: This account.
        complete: Whether the reading is finished, so that the result names the accounts that -workflow still reads.
    """
    calls = [trail_calls.from_row(one) for one in stored.calls(case_id)]
    credentials = row["credentials"]
    member = member_activity.get(case_id) if are_read_elsewhere(row, progress) else {}
    sessions = len({*progress.sessions, *(member.get("sessions") or {})})
    limited = [*progress.limited, *(member.get("limited") or [])]
    if complete:
        accounts = {*progress.elsewhere.values(), *(str(one["account"]) for one in elsewhere(credentials, account))}
        limited += _unread(member, accounts)
    looked_up = [*(f"{one['kind']} {one['name']}" for one in credentials if one["whole"]), *_keys(credentials)]
    looked_up += [f"{sessions} sessions that they opened"] if sessions else []
    scope = Scope(
        contained_at={str(one["arn"]): float(one["contained_at"]) for one in credentials},
        since=since(credentials) - trail_search.BEFORE_SECONDS,
        read_at=progress.end,
        regions=trail_search.regions(),
        keys=looked_up,
        complete=complete,
        limited=list(dict.fromkeys(limited)),
        lake=settings().cloudtrail_lake_event_data_store is not None,
    )
    return Activity(numbers.merged(calls), scope)


def _unread(member: Row, accounts: Iterable[str]) -> list[str]:
    """Name the accounts whose calls -workflow has not read yet, or not since the newest request."""
    if member_activity.is_finished(member):
        return []
    read = {lookup.partition("/")[0] for lookup in member.get("read_to") or {}}
    return [
        f"the {'newest ' if one in read else ''}calls in account {one} were not read yet" for one in sorted(accounts)
    ]


def are_read_elsewhere(row: Row, progress: Progress) -> bool:
    """Return whether -workflow reads a part of the pass."""
    if elsewhere(row["credentials"], progress.only):
        return True
    return bool(progress.elsewhere) and settings().organization_id is not None


def elsewhere(credentials: Iterable[Mapping[str, Any]], account: str) -> list[Mapping[str, Any]]:
    """Return the credentials of other accounts than this one."""
    return [one for one in credentials if one["account"] != account]


def since(credentials: Iterable[Mapping[str, Any]]) -> float:
    """Return the time of the first suspicious call."""
    return min(float(one["since"]) for one in credentials)


def _keys(credentials: list[Mapping[str, Any]]) -> list[str]:
    return [f"key {key}" for one in credentials for key in one["keys"]]
