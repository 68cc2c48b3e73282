"""Cases that AWS did not open because a quota is reached. They are opened later, when there is room.

Each has a row until then, with the parameters of CreateCase. The schedule runs `open_missing_cases`. An execution that
continued without a case finds the case here.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from ir_router import clock
from ir_router.errors import IrRouterError, RefusedError, RetryLaterError, UncertainError
from ir_router.ledger import approvals, audit, containments, groups, keys, table
from ir_router.ledger.table import ConditionFailedError, Row
from ir_router.observability import logger
from ir_router.security_ir import gateway
from ir_router.workflow import approval_queue, case_start, notices, wording
from ir_router.workflow.incident import CaseResult

QUOTA = "ServiceQuotaExceededException"
# A case that could not be opened for this long would no longer help.
_KEPT_SECONDS = 14 * 86_400
_DATE = "reportedIncidentStartDate"


def remember(
    execution: str, fields: Mapping[str, Any], principals: list[str], group: str | None, event_time: str | None
) -> None:
    """Store a case that could not be opened.

    Args:
        execution: The execution's ARN.
        fields: The parameters of CreateCase.
        principals: ARNs of the affected principals.
        group: The group of events that the case is about, if it is one.
        event_time: The time of the event, if it is known.
    """
    row = {
        "execution": execution,
        "fields": {**fields, _DATE: fields[_DATE].isoformat()},
        "principals": principals,
        "group": group or "",
        "event_time": event_time or "",
        "expires_at": int(clock.now()) + _KEPT_SECONDS,
    }
    with suppress(ConditionFailedError):  # an earlier attempt of the state stored it
        table.put(keys.missing_case(execution), row, "attribute_not_exists(PK)")


def case_of(result: CaseResult, execution: str) -> str | None:
    """Return the id of the execution's case, also if it was opened after the state "Open Case"."""
    if not result.get("opened_later"):
        return result["case_id"]
    row = table.get(keys.missing_case(execution)) or {}
    return str(row["case_id"]) if row.get("case_id") else None


def comment_later(execution: str, text: str) -> str | None:
    """Store the final comment for a case that is not open yet. Returns the case id if it is open by now."""
    row = table.update(keys.missing_case(execution), "SET last_comment = :text", text=text)
    return str(row["case_id"]) if row.get("case_id") else None


def final_comment_name(execution: str) -> str:
    """Return the name of the comment about the outcome, which is written once."""
    return f"final-{execution}"


def open_all(_task: Mapping[str, Any], _context: Any) -> dict[str, Any]:
    """Task "open_missing_cases" of the schedule: open the cases that have room now, oldest first.

    The task also deletes messages of decided requests that an interrupted execution left in the approval queue.
    """
    approval_queue.tidy()
    waiting = [row for row in table.query(keys.missing_case("").pk, "") if not row.get("connected")]
    opened = 0
    for row in sorted(waiting, key=lambda row: int(row["expires_at"])):
        try:
            _open(row)
        except (RefusedError, RetryLaterError, UncertainError) as error:
            if isinstance(error, RefusedError) and error.code != QUOTA:
                # The next run retries it. The others may be accepted.
                logger.error("case.not_opened", extra={"execution": row["execution"], "code": error.code})
                continue
            break
        opened += 1
    if waiting:
        logger.info("case.missing_cases_tried", extra={"waiting": len(waiting), "opened": opened})
    return {"waiting": len(waiting) - opened, "opened": opened}


def _open(row: Row) -> None:
    """Open the case and connect it. Every step can be repeated, so the next run continues an incomplete one."""
    execution = str(row["execution"])
    fields = {**row["fields"], _DATE: datetime.fromisoformat(row["fields"][_DATE])}
    case_id = str(row.get("case_id") or gateway.create_case(**fields))
    current = table.update(keys.missing_case(execution), "SET case_id = :case_id", case_id=case_id)
    asked = approvals.get(approvals.id_of(execution, "remediate")) or {}
    for arn in dict.fromkeys([*row["principals"], *approvals.principals_of(asked)]):
        if arn:
            containments.annotate(arn, execution, case_id=case_id)
    case_start.set_on(case_id, row.get("event_time"))
    if row["group"]:
        with suppress(ConditionFailedError):  # the hour of the group is over
            groups.annotate(row["group"], execution, "SET case_id = :case_id", case_id=case_id)
    details = {"execution": execution, "case_id": case_id, "principals": row["principals"]}
    audit.append("case_opened", wording.AUDIT_ACTOR, details, once=f"{execution}/case_opened")
    for kind in approvals.KINDS:
        approval_id = approvals.id_of(execution, kind)
        if approvals.set_case(approval_id, case_id):
            notices.publish("ApprovalRequested", {"approval_id": approval_id, "case_id": case_id})
    if current.get("last_comment"):
        _comment(case_id, execution, str(current["last_comment"]))
    table.update(keys.missing_case(execution), "SET connected = :connected", connected=True)
    logger.info("case.opened: the quota allows it now", extra={"case_id": case_id})


def _comment(case_id: str, execution: str, text: str) -> None:
    try:
        notices.comment(case_id, final_comment_name(execution), text)
    except IrRouterError as error:
        logger.error("case.comment_failed: the case has no final comment", extra={"error": type(error).__name__})
