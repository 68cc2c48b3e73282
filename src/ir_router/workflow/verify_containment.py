"""State "Verify Containment" and the scheduled task: read open containments from IAM and re-apply missing parts.

IAM needs seconds to apply a change everywhere, and published tools use these seconds to detach the deny policy
(https://github.com/OffensAI/notyet). The workflow therefore verifies every 15 seconds for two minutes. After that, the
schedule verifies each incident with a pending decision once a minute. After an approval or without a decision, it
verifies the containment once an hour, later less often (`workflow/later_verifications.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any, TypedDict

from botocore.exceptions import BotoCoreError, ClientError

from ir_router import clock
from ir_router.errors import IrRouterError
from ir_router.ledger import approvals, containments
from ir_router.ledger.containments import ContainmentBusyError
from ir_router.observability import logger, measure
from ir_router.settings import settings
from ir_router.workflow import attempts, invocation, later_verifications, left_behind, reapplication, wording_decisions
from ir_router.workflow.incident import ContainmentResult, Incident
from ir_router.workflow.phase import Phase, phase_of
from ir_router.workflow.sessions import AccountClosedError

_FIRST_SECONDS = 120
_RESERVE_SECONDS = 25.0
_STRIDE = 17


class VerificationAnswer(TypedDict):
    """The state's result. `again`: the state machine verifies once more after 15 seconds."""

    again: bool


def run_task(task: Mapping[str, Any], context: Any) -> VerificationAnswer:
    """Verify the principals of one execution whose decision is pending.

    Raises:
        ContainmentBusyError: Another invocation holds the lock of a principal.
        ChangeFailedError: A missing part could not be re-applied.
    """
    incident: Incident = task["incident"]
    containment: ContainmentResult = task["containment"]
    execution = incident["execution"]["id"]
    arns = [part["principal"]["arn"] for part in wording_decisions.contained_parts(containment)]
    try:
        awaited = [_verify(arn, execution, context) for arn in arns]
    except AccountClosedError as error:  # all principals of an execution belong to one account
        logger.info("containment.account_closed", extra={"reason": str(error)})
        return {"again": False}
    contained_at = datetime.fromisoformat(containment["contained_at"] or incident["execution"]["started_at"])
    return {"again": any(awaited) and clock.now() < contained_at.timestamp() + _FIRST_SECONDS}


def run_scheduled(_task: Mapping[str, Any], context: Any) -> dict[str, int]:
    """Verify the principals of all incidents whose decision is pending, and those that are due after a decision.

    A failure does not stop the others.
    """
    failed = verified = 0
    found = list(_open_containments())
    # One invocation may be too short for all. The next minute then begins with others.
    first = int(clock.now() // 60) * _STRIDE % len(found) if found else 0
    work: list[partial[Any]] = [
        partial(_verify, arn, execution, context) for execution, arn in [*found[first:], *found[:first]]
    ]
    work += [partial(_verify_ended, row, context) for row in _ended()]
    for verify in work:
        if verified and float(context.get_remaining_time_in_millis()) / 1000 < _RESERVE_SECONDS:
            logger.warning("containment.verification_continues: the next minute verifies the others")
            break
        try:
            verify()
            verified += 1
        except AccountClosedError as error:
            logger.info("containment.account_closed", extra={"principal": verify.args[0], "reason": str(error)})
        except ContainmentBusyError:
            logger.info("containment.busy: the next minute verifies it", extra={"principal": verify.args[0]})
        except (IrRouterError, ClientError, BotoCoreError) as error:
            failed += 1
            measure("ContainmentFailed")
            shown = {"principal": verify.args[0], "error": type(error).__name__}
            logger.error("containment.verification_failed", extra=shown)
    return {"verified": verified, "failed": failed}


def _open_containments() -> Iterator[tuple[str, str]]:
    for row in approvals.open_approvals():
        if row["kind"] == "remediate" and row["state"] == approvals.PENDING:
            for arn in approvals.principals_of(row):
                yield str(row["execution"]), arn


def _ended() -> list[str]:
    """Return the ARNs of the contained principals to verify now. Only in `enforce` can a missing part be re-applied."""
    return [str(row["SK"]) for row in later_verifications.due()] if settings().containment_mode == "enforce" else []


def _verify_ended(arn: str, context: Any) -> None:
    """Verify a containment whose incident has ended, and schedule its next verification."""
    with containments.locked(arn, invocation.lock_until(context)) as lock:
        if "incident" not in lock.row:
            later_verifications.end(arn)
            return
        before = lock.row.get("times_undone")
        if lock.row["phase"] in (containments.APPROVED, containments.KEPT):
            try:
                reapplication.reapply(lock)
            except AccountClosedError:  # AWS may open the account again within 90 days
                later_verifications.verified(arn, intact=True)
                raise
        later_verifications.verified(arn, intact=lock.row.get("times_undone") == before)


def _verify(arn: str, execution: str, context: Any) -> bool:
    """Verify one principal. Returns whether its decision is still pending."""
    if (containments.get(arn) or {}).get("incident") != execution:
        return False
    with containments.locked(arn, invocation.lock_until(context)) as lock:
        if lock.row.get("incident") != execution or phase_of(lock.row) is not Phase.AWAITED:
            return False
        reapplication.reapply(lock)
    attempts.report(arn)
    left_behind.report(arn, execution, context)
    return True
