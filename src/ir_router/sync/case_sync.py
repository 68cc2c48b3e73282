"""One synchronisation of a case: the data that was read, and the means for every step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from botocore.exceptions import BotoCoreError, ClientError

from ir_router.cases.followed_fields import SEVERITY, Tags
from ir_router.cases.models import Case, Comment, Investigation
from ir_router.deadline import Deadline
from ir_router.errors import IrRouterError, LeaseLostError
from ir_router.ledger import claims, keys, table
from ir_router.ledger.claims import ClaimLostError
from ir_router.ledger.keys import Key
from ir_router.ledger.leases import Lease
from ir_router.ledger.table import Row
from ir_router.security_ir import gateway as security_ir
from ir_router.slack.gateway import Slack
from ir_router.sync import comment_reading
from ir_router.sync.comment_reading import CommentReading

# A crash delays a case by at most this slice and the settling time. A call that starts in time ends before it.
SLICE_SECONDS = 60
# A new case may wait for its turn to create a channel (`channel_pace`).
NEW_CASE_SLICE_SECONDS = 120
# A case whose comments take longer to read gets longer slices, up to this one. Lambda ends the function after 900 s.
LONGEST_SLICE_SECONDS = 780


class ClaimHeldError(IrRouterError):
    """A claim of an earlier run cannot be settled before `until` (seconds since the epoch)."""

    def __init__(self, until: float) -> None:
        """Store the time of the next retry."""
        super().__init__("an earlier run's claim cannot be settled yet")
        self.until = until


@dataclass
class CaseSync:
    """The case as read from AWS, its ledger rows, and the means to act.

    `rows` were read strongly consistently and after the comments. The run therefore sees the open claim of each comment
    that ir-router wrote (docs/architecture.md, "No echo").
    """

    case: Case
    tags: Tags
    reading: CommentReading
    rows: dict[str, Row]
    lease: Lease
    deadline: Deadline
    slack: Slack
    channel_id: str = ""
    revisit_at: list[float] = field(default_factory=list)
    are_comments_copied: bool = False
    findings: list[Investigation] | None = None
    _claimed: tuple[Key, int | None] | None = None
    """The key of the newest claim, and its attempt if it is known."""

    @property
    def case_id(self) -> str:
        """Return the case's id."""
        return self.case.case_id

    @property
    def comments(self) -> list[Comment]:
        """Return the comments that may have changed since the last synchronisation, oldest first."""
        return self.reading.comments

    @property
    def severity(self) -> str:
        """The severity, `Not set` without one."""
        return SEVERITY.read(self.case, self.tags)

    def rows_of(self, prefix: str) -> list[Row]:
        """Return the rows whose sort key starts with `prefix`, as read at the start of the run."""
        return [row for sk, row in self.rows.items() if sk.startswith(prefix)]

    def row(self, key: Key) -> Row | None:
        """Return a row of this case as read at the start of the run, or None."""
        return self.rows.get(key.sk)

    def is_done(self, key: Key) -> bool:
        """Whether an earlier run confirmed the effect."""
        return (self.rows.get(key.sk) or {}).get("state") == "done"

    def claim(self, key: Key, **frozen: object) -> claims.Claim | None:
        """Claim an effect.

        Args:
            key: The ledger key of the effect.
            frozen: Values that every later run must use for the same effect.

        Returns:
            The claim, or None if the effect was already made.

        Raises:
            ClaimHeldError: An earlier run's claim cannot be settled yet.
            OutOfTimeError: The run's time is used up.
        """
        if self.is_done(key):
            return None
        self.deadline.check()
        self._claimed = key, None
        taken = claims.take(key, settle_after=self.deadline.settle_after, **frozen)
        if isinstance(taken, claims.Claim):
            self._claimed = key, taken.attempt
            return taken
        self._claimed = None
        if isinstance(taken, claims.Held):
            raise ClaimHeldError(taken.until)
        self.rows[key.sk] = taken.row
        return None

    @contextmanager
    def ends_open_claim(self) -> Iterator[None]:
        """On an error, let the next run settle the open claim soon instead of after the end of this run's slice.

        The block takes its claims one after the other, so that only the last one can be open. After the error, this run
        sends no other request for it.
        """
        self._claimed = None
        try:
            yield
        except LeaseLostError:
            raise
        except Exception:
            if self._claimed is not None:
                # Without this write, the claim is settled after the end of the slice.
                with suppress(ClaimLostError, BotoCoreError, ClientError):
                    until = self.deadline.settled_from_now
                    claims.ended(*self._claimed, taken=self.deadline.settle_after, settle_after=until)
            raise

    def revisit(self, at: float) -> None:
        """Schedule another synchronisation at `at` (seconds since the epoch), even if nothing changes."""
        self.revisit_at.append(at)


def begin(lease: Lease, deadline: Deadline) -> CaseSync:
    """Read the case, its tags, its comments and then its ledger rows, in this order."""
    case = security_ir.get_case(lease.case_id)
    reading = comment_reading.read(lease.case_id, lease.row, deadline)
    tags = security_ir.tags(case.case_arn)
    rows = {row["SK"]: row for row in table.query(keys.case(lease.case_id).pk)}
    return CaseSync(
        case=case,
        tags=tags,
        reading=reading,
        rows=rows,
        lease=lease,
        deadline=deadline,
        slack=Slack(deadline),
        channel_id=str(lease.row.get("slackChannelId") or ""),
    )
