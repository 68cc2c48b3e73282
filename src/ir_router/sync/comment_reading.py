"""Read the comments of a case: those since the last synchronisation, and all of them at long intervals.

A long case has hundreds of pages of comments, and reading all of them costs time and calls. AWS deletes no comments
and returns the newest first. A reading back to the last synchronisation therefore contains every new comment,
and the edits of recent ones. The comparison of all comments finds the edits of older ones. AWS's event for an edit
requests it, because the event does not name the comment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ir_router import clock
from ir_router.cases.models import Comment
from ir_router.deadline import Deadline
from ir_router.errors import OutOfTimeError
from ir_router.ledger.table import Row
from ir_router.security_ir import gateway as security_ir

# An edit whose event was lost appears after this time.
COMPARED_EVERY_SECONDS = 3_600
# A comment may become visible this much later than it was created.
_OVERLAP_SECONDS = 120
# Requested comparisons of one case make at most one call a second.
_SECONDS_A_CALL = 1.0
# A run that has less time left after the reading would make too little progress.
_LEAST_WORK_SECONDS = 15
# A shorter reading leaves the next run enough time.
_SLOW_SECONDS = 15


class ReadingTooSlowError(OutOfTimeError):
    """The run's time was used up by the reading. The next run needs a longer slice."""


@dataclass(frozen=True)
class CommentReading:
    """The comments that a run read.

    Attributes:
        comments: The comments, oldest first.
        is_complete: Whether they are all comments of the case.
        started_at: When the reading began, in seconds since the epoch.
        requests: The number of requests for a comparison of all comments that the reading covers.
    """

    comments: list[Comment]
    is_complete: bool
    started_at: float
    requests: int

    def to_store(self) -> dict[str, Any]:
        """Return the attributes of the case's row that the next reading needs, once the comments are copied."""
        if not self.is_complete:
            return {"comments_read_at": self.started_at}
        return {
            "comments_read_at": self.started_at,
            "compared_at": self.started_at,
            "compared_comments": len(self.comments),
            "compared_requests": self.requests,
        }


def read(case_id: str, row: Row, deadline: Deadline) -> CommentReading:
    """Read the comments that may have changed since the last synchronisation.

    Args:
        case_id: The case.
        row: The case's row, as the run remembered it.
        deadline: The end of the run.

    Raises:
        OutOfTimeError: The run's time is used up.
        ReadingTooSlowError: The reading left too little time for the run's work.
    """
    now = clock.now()
    next_comparison = _next_comparison(row)
    since = None if next_comparison <= now else float(row["comments_read_at"]) - _OVERLAP_SECONDS
    try:
        found = security_ir.list_comments(case_id, since, deadline)
        deadline.check(_LEAST_WORK_SECONDS)
    except OutOfTimeError as error:
        seconds = round(clock.now() - now)
        if seconds < _SLOW_SECONDS:
            raise  # the run's earlier work took the time
        raise ReadingTooSlowError(f"AWS took more than {seconds} s to list the comments") from error
    return CommentReading(found.comments, found.is_complete, now, int(row.get("comparison_requests") or 0))


def next_at(row: Row) -> float | None:
    """Return when all comments must be compared, or None if each reading of the case is complete.

    Args:
        row: The case's row with the values of `CommentReading.to_store`.
    """
    if int(row.get("compared_comments") or 0) <= security_ir.PAGE_SIZE and not _is_requested(row):
        return None
    return _next_comparison(row)


def _next_comparison(row: Row) -> float:
    """Return the time of the next comparison of all comments: 0 before the first one."""
    if "compared_at" not in row:
        return 0.0
    calls = -(-int(row["compared_comments"]) // security_ir.PAGE_SIZE)
    pause = calls * _SECONDS_A_CALL if _is_requested(row) else COMPARED_EVERY_SECONDS
    return float(row["compared_at"]) + pause


def _is_requested(row: Row) -> bool:
    return int(row.get("comparison_requests") or 0) > int(row.get("compared_requests") or 0)
