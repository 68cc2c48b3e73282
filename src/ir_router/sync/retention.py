"""Erase the rows of a closed case when its retention ends, or when an operator asks for it.

AWS never deletes a case, and ListCases returns it for ever. The case's own row therefore stays, without content, so
that no run takes the case for a new one and copies it again. Slack and AWS keep their own copies.
"""

from __future__ import annotations

from ir_router import clock
from ir_router.cases.followed_fields import FOLLOWED
from ir_router.ledger import activity, deciders, keys, leases, reports, table
from ir_router.ledger.leases import Lease
from ir_router.observability import logger
from ir_router.settings import settings
from ir_router.sync.case_sync import CaseSync

_DAY_SECONDS = 86_400
# A time that never comes: the poller looks at closed cases without a time.
NEVER = 32_503_680_000.0
# The messages of the case's approvals (approval_places).
_APPROVALS = keys.note("", "approval-")
# The attributes of the case's row with content.
_CONTENT = (*(field.attribute for field in FOLLOWED), "fingerprint", "failing_since", "failing_reason", "failing_fix")


def ends_at(sync: CaseSync) -> float:
    """Return when the retention of a closed case ends, in seconds since the epoch."""
    closed = sync.case.closed_date or sync.case.last_updated_date
    since = closed.timestamp() if closed else clock.now()
    return since + settings().case_retention_days * _DAY_SECONDS


def is_erased(lease: Lease) -> bool:
    """Return whether the rows of the case were erased. The case is then no longer synchronised."""
    return "erased_at" in lease.row


def is_due(sync: CaseSync) -> bool:
    """Return whether the rows of the case must be erased now. Those of an open case are needed."""
    return sync.case.is_closed and ("forget_at" in sync.lease.row or ends_at(sync) <= clock.now())


def erase(sync: CaseSync, row_digest: str) -> bool:
    """Delete all rows of the case, the users in its approvals, and the content of its own row.

    A crash in between leaves the rest to the next run.

    Returns False when further hints came: the lease is still held.
    """
    own = keys.case(sync.case_id)
    for sk in sync.rows:
        if sk != own.sk:
            sync.deadline.check()
            if sk.startswith(_APPROVALS.sk):
                deciders.forget(sk.removeprefix(_APPROVALS.sk).partition("#")[0])
            table.delete(keys.Key(own.pk, sk))
    activity.erase(sync.case_id)
    reports.erase(sync.case_id)
    logger.info("case.erased: its rows are deleted", extra={"rows": len(sync.rows) - 1})
    gone = dict.fromkeys((*_CONTENT, "forget_at"))
    return leases.release_synced(
        sync.lease, **gone, row_digest=row_digest, closed=True, due_at=NEVER, erased_at=clock.now()
    )


def leave(lease: Lease, row_digest: str | None) -> bool:
    """End a run about an erased case. Returns False when further hints came."""
    return leases.release_synced(lease, row_digest=row_digest or lease.row.get("row_digest"), due_at=NEVER)
