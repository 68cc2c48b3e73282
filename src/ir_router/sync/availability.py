"""Notice that the cases cannot be listed: the membership ended, a permission is missing, or the region has no service.

The poller goes on without the cases, because open hints and approvals do not depend on the list. It starts the
verification of the deployment at once, which reports the cause in the security channel and with an alarm
(`ops.watch`), once. When the list works again, the verification reports that too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError

from ir_router import aws, clock
from ir_router.errors import RefusedError, RetryLaterError, UncertainError
from ir_router.observability import logger
from ir_router.settings import settings

NO_MEMBERSHIP = "SecurityIncidentResponseNotActiveException"
# A connection can fail for a moment. After this time the region probably has no such service.
_UNREACHABLE_SECONDS = 150
_UNREACHABLE = EndpointConnectionError.__name__


@dataclass(frozen=True)
class Problem:
    """Why ListCases failed: the error's code, and whether an operator has to act."""

    cause: str
    is_persistent: bool

    @property
    def is_known_state(self) -> bool:
        """Whether a deployment can live with it: containments work without a membership."""
        return self.cause == NO_MEMBERSHIP


def problem_of(error: RefusedError | RetryLaterError | UncertainError) -> Problem:
    """Return the problem that an error of ListCases stands for."""
    if isinstance(error, RefusedError):
        return Problem(error.code, is_persistent=True)
    if isinstance(error, RetryLaterError):
        return Problem(error.code, is_persistent=False)
    return Problem(error.cause, is_persistent=error.cause == _UNREACHABLE)


def noticed(before: Mapping[str, Any] | None, problem: Problem | None) -> dict[str, Any] | None:
    """Start the verification if the problem is new or over, and return the state to store.

    Args:
        before: The stored state; None if the cases could be listed.
        problem: The problem of this poll, if there is one.
    """
    reported = str((before or {}).get("reported") or "")
    if problem is None:
        return None if not reported or _verify() else dict(before or {})
    logger.warning("poll.no_cases: the cases cannot be listed", extra={"cause": problem.cause})
    since = float((before or {}).get("since") or clock.now())
    is_due = problem.cause != _UNREACHABLE or clock.now() - since >= _UNREACHABLE_SECONDS
    if problem.is_persistent and is_due and problem.cause != reported and _verify():
        reported = problem.cause
    return {"since": since, "reported": reported}


def _verify() -> bool:
    """Invoke the verification. Returns False if Lambda did not accept it; the next poll retries."""
    try:
        aws.invoke_later(f"{settings().name_prefix}-operations", {"task": "watch", "now": True})
    except (ClientError, BotoCoreError) as error:
        logger.error("poll.not_verified: the next poll retries", extra={"error": type(error).__name__})
        return False
    return True
