"""The decision `release` of an approver: let the workflow lift a containment that is still in place."""

from __future__ import annotations

from ir_router import aws
from ir_router.ledger import approvals, audit, releases, two_people
from ir_router.ledger.approvals import AnswerStatus
from ir_router.ledger.table import Row
from ir_router.observability import logger
from ir_router.settings import settings
from ir_router.workflow import wording_decisions, wording_two_people
from ir_router.workflow.incident import Analyst

RELEASE = "release"
_STARTED = "ir-router now restores access. The approval request shows the result within a minute."
_NOT_RECORDED = (
    "Nothing was released: this approval request has expired, or others changed it at the same time. Release again."
)


def carry_out(row: Row, principal: str, analyst: Analyst, reason: str, request_id: str) -> tuple[AnswerStatus, str]:
    """Record the release in the audit, and start the task `release` for each principal.

    Args:
        row: The approval request.
        principal: The ARN of one principal. Empty: all that are still contained.
        analyst: The analyst.
        reason: The reason.
        request_id: The id of this request, which is the same when it is repeated.

    Returns:
        The response's status and message.
    """
    if not reason:
        return "not_releasable", "Nothing was released: enter a reason."
    contained = releases.releasable(row)
    wanted = [arn for arn in contained if principal in ("", arn)]
    once = f"{row['approval_id']}/release/{request_id}"
    if not wanted and audit.recorded(once) is not None:
        return "release_started", _STARTED  # a retry, whose first attempt released them
    if not wanted and (earlier := releases.earlier(row, principal)):
        return "already_released", earlier
    if not wanted:
        why = (
            "is still open. Decide about it instead" if row["state"] == approvals.PENDING else "left nothing contained"
        )
        return "not_releasable", f"Nothing was released: this approval request {why}."
    if two_people.required(row, RELEASE) > 1:
        released = two_people.release(row, wanted, analyst, reason, request_id)
        if released is None:
            return "not_releasable", _NOT_RECORDED
        wanted = released
        if not wanted:
            return "first_recorded", wording_two_people.first_recorded(row, RELEASE)
    details = {
        "approval_id": row["approval_id"],
        "execution": row["execution"],
        "principals": wanted,
        "reason": reason,
        "via": analyst["via"],
        "slack_user_id": analyst.get("slack_user_id"),
    }
    audit.append("release_decided", approvals.actor(analyst), details, once=once)
    current = approvals.get(str(row["approval_id"])) or row
    for arn in wanted:
        task = {
            "task": "release",
            "principal": arn,
            "released_by": wording_decisions.decider(two_people.with_first_release(current, arn, analyst)),
            "reason": reason,
            "approval_id": row["approval_id"],
        }
        aws.invoke_later(f"{settings().name_prefix}-workflow", task)
    logger.info("release.started", extra={"approval_id": row["approval_id"], "principals": len(wanted)})
    return "release_started", _STARTED
