"""Read the calls of contained principals in member accounts from CloudTrail: the task of every minute.

Only -workflow can assume the role of a member. -sync requests a reading (`ledger/member_activity.py`) and publishes
the result. The reading follows sessions into other accounts of the organisation, and into this one. The task is an
invocation of its own, so that no containment waits for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from ir_router import bus, clock, trail_search
from ir_router.cloudtrail import EventHistory
from ir_router.deadline import LambdaContext, of_invocation
from ir_router.errors import RefusedError, RetryLaterError, UncertainError
from ir_router.ledger import member_activity
from ir_router.ledger.table import Row
from ir_router.observability import logger
from ir_router.trail_search import Progress
from ir_router.workflow import accounts, sessions
from ir_router.workflow.sessions import NoRoleError

_RESERVE_SECONDS = 15
_SLICE_SECONDS = 30
_HINT_SOURCE, _HINT = "security-ir", "CaseUpdated"
_FIX = "apply terraform/modules/account in that account"


def run_task(_task: Mapping[str, Any], context: LambdaContext) -> dict[str, int]:
    """Read a slice of the requested calls (`{"task": "read_member_activity"}`). The next minute continues.

    Returns:
        `{"finished", "pending"}`: the number of cases.
    """
    deadline = of_invocation(context, reserve=_RESERVE_SECONDS, at_most=_SLICE_SECONDS)
    rows = member_activity.wanted()
    finished = 0
    for row in rows:
        if deadline.remaining() <= 0:
            break
        finished += _try(str(row["SK"]), row, clock.now() + deadline.remaining())
    return {"finished": finished, "pending": len(rows) - finished}


def _try(case_id: str, row: Row, until: float) -> bool:
    """Read a slice of one case. Return whether the reading is finished. A failed case waits behind the others."""
    try:
        # Before the attempt, because it can end the invocation.
        member_activity.save(case_id, tried_at=clock.now())
        return _read(case_id, row, until)
    except (RetryLaterError, UncertainError) as error:
        _note_retry(str(error))
    except ClientError as error:
        _note_retry(f"{error.operation_name} returned {error.response['Error']['Code']}")
    except Exception as error:  # noqa: BLE001 - one case must not stop the others
        kind = type(error).__name__  # a message could have names of users
        logger.error("activity.case_failed: a later minute tries it", extra={"case_id": case_id, "error": kind})
    return False


def _note_retry(reason: str) -> None:
    logger.warning("activity.retried: a later minute continues", extra={"reason": reason})


def _read(case_id: str, row: Row, until: float) -> bool:
    if "progress" in row:
        progress = Progress.from_row(row["progress"])
    else:
        handed_over = row.get("handed_over") or {}
        earlier = {
            "read_to": row.get("read_to"),
            "sessions": {key: owner for key, (owner, _) in handed_over.items()} | (row.get("sessions") or {}),
            "elsewhere": {key: account for key, (_, account) in handed_over.items()} | (row.get("elsewhere") or {}),
            "lost": row.get("lost"),
        }
        progress = trail_search.begin(row["credentials"], float(row["since"]), earlier)
        member_activity.save(case_id, reads_for=row["wanted_at"], progress=progress.to_row())
        row = {**row, "reads_for": row["wanted_at"]}
    histories: dict[str, EventHistory] = {}
    finished = False
    while not finished:
        try:
            finished = trail_search.read(
                case_id,
                progress,
                until,
                partial(_history, histories),
                lambda done: member_activity.save(case_id, progress=done.to_row()),
            )
        except (NoRoleError, RefusedError) as error:
            _skip(progress, error)
            continue
        if not finished:
            return False
    member_activity.save(
        case_id,
        done_at=row["reads_for"],
        read_to=progress.read_to,
        sessions=progress.sessions,
        elsewhere=progress.elsewhere,
        limited=progress.limited,
        lost=progress.lost,
        progress=None,
    )
    # The run of -sync publishes the result. Without the hint, it looks for the result by itself.
    bus.put([bus.Event(_HINT_SOURCE, _HINT, {"caseId": case_id})])
    logger.info("activity.members_read", extra={"case_id": case_id})
    return True


def _history(known: dict[str, EventHistory], account: str) -> EventHistory:
    if account not in known:
        known[account] = EventHistory(sessions.trails(account))
    return known[account]


def _skip(progress: Progress, error: NoRoleError | RefusedError) -> None:
    """Leave out the history of the account of the lookup that failed. The result names it."""
    account = progress.pending[0].account
    logger.warning("activity.account_skipped", extra={"account": account, "reason": str(error)})
    progress.pending = [one for one in progress.pending if one.account != account or one.is_in_lake]
    progress.token, progress.page = None, 0
    trail_search.limit(progress, f"the calls in account {account} were not read ({_why(account, error)})")


def _why(account: str, error: NoRoleError | RefusedError) -> str:
    # Organizations describes the accounts of the organisation alone.
    found = accounts.of(account, at_most_old=accounts.RECENT_SECONDS)
    if found.is_closed:
        return "the account is closed"
    if isinstance(error, RefusedError):
        return f"the permission cloudtrail:LookupEvents is missing: {_FIX}"
    if not found.state:
        return f"no access. If the account belongs to your organisation, {_FIX}"
    return f"no access: {_FIX}"
