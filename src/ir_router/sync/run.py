"""One run of a case: what was read, and what every step needs."""

from __future__ import annotations

from dataclasses import dataclass, field

from ir_router.cases.models import Case, Comment
from ir_router.deadline import Deadline
from ir_router.errors import IrRouterError
from ir_router.ledger import claims, keys, table
from ir_router.ledger.keys import Key
from ir_router.ledger.leases import Lease
from ir_router.ledger.table import Row
from ir_router.security_ir import gateway as security_ir
from ir_router.slack.gateway import Slack

# A slice: a crash delays a case by at most this and the settling time. A call begun in time ends before it.
SLICE_SECONDS = 60


class ClaimHeldError(IrRouterError):
    """A claim of an earlier run may not be settled before `until` (seconds since the epoch)."""

    def __init__(self, until: float) -> None:
        """Keep when to come again."""
        super().__init__("an earlier run's claim cannot be settled yet")
        self.until = until


@dataclass
class Run:
    """The truth as read from the case, the ledger's rows for it, and the means to act.

    `rows` were read strongly consistent and after the comments, so that an open claim for a comment of ours is
    always seen (docs/architecture.md, "No echo").
    """

    case: Case
    severity: str
    comments: list[Comment]
    rows: dict[str, Row]
    lease: Lease
    deadline: Deadline
    slack: Slack
    channel_id: str = ""
    revisit_at: list[float] = field(default_factory=list)

    @property
    def case_id(self) -> str:
        """The case's id."""
        return self.case.case_id

    def rows_of(self, prefix: str) -> list[Row]:
        """The rows whose sort key begins so, as they were at the beginning of the run."""
        return [row for sk, row in self.rows.items() if sk.startswith(prefix)]

    def row(self, key: Key) -> Row | None:
        """The ledger's row of this case, as it was at the beginning of the run."""
        return self.rows.get(key.sk)

    def is_done(self, key: Key) -> bool:
        """Whether the effect was made and confirmed by an earlier run."""
        return (self.rows.get(key.sk) or {}).get("state") == "done"

    def claim(self, key: Key, **frozen: object) -> claims.Claim | None:
        """The claim for an effect, or None when it was made already. Raises ClaimHeldError and OutOfTimeError."""
        if self.is_done(key):
            return None
        self.deadline.check()
        taken = claims.take(key, settle_after=self.deadline.settle_after, **frozen)
        if isinstance(taken, claims.Held):
            raise ClaimHeldError(taken.until)
        if isinstance(taken, claims.Done):
            self.rows[key.sk] = taken.row
            return None
        return taken

    def revisit(self, at: float) -> None:
        """Ask the poller to come again at `at` (seconds since the epoch) even if nothing changes."""
        self.revisit_at.append(at)


def begin(lease: Lease, deadline: Deadline) -> Run:
    """Read the case, its tags, its comments, then the ledger's rows, in this order."""
    case = security_ir.get_case(lease.case_id)
    comments = security_ir.comments(lease.case_id)
    severity = security_ir.severity(case)
    rows = {row["SK"]: row for row in table.query(keys.case(lease.case_id).pk)}
    return Run(
        case=case,
        severity=severity,
        comments=comments,
        rows=rows,
        lease=lease,
        deadline=deadline,
        slack=Slack(deadline),
        channel_id=str(lease.row.get("slackChannelId") or ""),
    )
