"""The task "release": a person lifts a containment that was approved or that nobody decided about.

{"task": "release", "principal": "arn:aws:iam::123456789012:user/name", "released_by": "Jane Smith", "reason": "..."}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ir_router.errors import InvalidInputError, IrRouterError
from ir_router.ledger import approvals, audit, containments
from ir_router.ledger.table import Row
from ir_router.observability import logger
from ir_router.workflow import changes, inputs, invocation, notices, remediation, wording
from ir_router.workflow.incident import Principal


def handle(task: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Restore what was recorded (deleted keys stay deleted), verify, forget the containment.

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
        principal: Principal = row["principal"]
        incident, case_id = str(row["incident"]), row.get("case_id")
        # What somebody approved is released as well: that is what this task is for.
        lock.save(sealed_keys=None)
        actions = remediation.restore(lock, principal)
    told = " · ".join(wording.action(taken) for taken in actions) or "nothing was left to restore"
    logger.info("released", extra={"incident": incident})
    audit.append(
        "released",
        released_by,
        {"principal": arn, "incident": incident, "reason": reason, "actions": wording.record_actions(actions)},
    )
    headline = f"Released by {released_by}: {wording.name_of(principal)} - {told}"
    text = wording.lines(headline, f"Reason given: {wording.cut(reason)}", f"Case: {case_id}" if case_id else "")
    notices.alert(f"{incident.rpartition(':')[2]}/released", "HIGH", headline, text)
    answer = {"status": "released", "principal": arn, "actions": [changes.told(taken) for taken in actions]}
    if case_id:
        try:
            notices.comment(str(case_id), f"released-{incident}", text)
        except IrRouterError as error:
            # The release itself is done and on record; only the case does not know it.
            logger.error("the case was not told of the release", extra={"error": type(error).__name__})
            answer["case_comment"] = "failed"
    return answer


def _refuse_while_asked(row: Row) -> None:
    if row["phase"] != containments.OPEN:
        return
    approval = approvals.get(approvals.id_of(row["incident"], "remediate"))
    if approval is None or approval["state"] != approvals.EXPIRED:
        raise InvalidInputError(
            "A decision about this principal is still awaited: deny it to restore the principal, or approve it first."
        )
