"""The task "release": a person lifts a containment that was approved or that nobody decided about.

{"task": "release", "principal": "arn:aws:iam::123456789012:user/name", "released_by": "Jane Smith", "reason": "..."}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ir_router.errors import InvalidInputError, IrRouterError
from ir_router.ledger import audit, containments
from ir_router.ledger.table import Row
from ir_router.observability import logger
from ir_router.workflow import changes, inputs, invocation, notices, remediation, standing, wording
from ir_router.workflow.incident import ActionTaken


def handle(task: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Restore what was recorded (deleted keys stay deleted), verify, record, tell; only then forget the containment.

    Raises InvalidInputError, ContainmentBusyError, or ChangeFailedError when something is not verified.
    """
    arn = inputs.text(task, "principal")
    released_by = inputs.text(task, "released_by")
    reason = inputs.text(task, "reason")
    if containments.get(arn) is None:
        raise InvalidInputError(f"{arn} is not contained. Give the full ARN, with its path.")
    with containments.locked(arn, invocation.lock_until(context)) as lock:
        row = lock.row
        if "incident" not in row:
            raise InvalidInputError(f"{arn} is not contained.")
        _refuse_while_asked(row)
        incident = str(row["incident"])
        request = {"principal": arn, "incident": incident, "reason": reason}
        audit.append("release_requested", released_by, request, once=f"{incident}/release_requested/{released_by}")
        # What somebody approved is released as well: that is what this task is for.
        lock.save(sealed_keys=None)
        actions = remediation.restore(lock, row["principal"])
        answer = {"status": "released", "principal": arn, "actions": [changes.told(taken) for taken in actions]}
        details = request | {"actions": wording.record_actions(actions)}
        audit.append("released", released_by, details, once=f"{incident}/released")
        logger.info("released", extra={"incident": incident})
        if not _tell(row, released_by, reason, actions):
            answer["case_comment"] = "failed"
        lock.clear()
    return answer


def _tell(row: Row, released_by: str, reason: str, actions: list[ActionTaken]) -> bool:
    """Tell people and the case. False when the case could not be told: the release itself is done and on record."""
    incident, case_id = str(row["incident"]), row.get("case_id")
    told = " · ".join(wording.action(taken) for taken in actions) or "nothing was left to restore"
    headline = f"Released by {released_by}: {wording.name_of(row['principal'])} - {told}"
    text = wording.lines(headline, f"Reason given: {wording.cut(reason)}", f"Case: {case_id}" if case_id else "")
    notices.alert(f"{incident.rpartition(':')[2]}/released", "HIGH", headline, text)
    if case_id:
        try:
            notices.comment(str(case_id), f"released-{incident}", text)
        except IrRouterError as error:
            logger.error("the case was not told of the release", extra={"error": type(error).__name__})
            return False
    return True


def _refuse_while_asked(row: Row) -> None:
    if standing.of(row) is not standing.Standing.ENDED:
        raise InvalidInputError(
            "A decision about this principal is still awaited: deny it to restore the principal, or approve it first."
        )
