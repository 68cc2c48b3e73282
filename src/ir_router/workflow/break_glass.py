"""Break-glass: one person decides for the two that a decision needs. IAM permits it with an alias of the function."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ir_router import aws
from ir_router.ledger import approvals, audit, releases
from ir_router.ledger.alerts import Alert
from ir_router.ledger.table import Row
from ir_router.observability import logger
from ir_router.settings import settings
from ir_router.workflow import invocation, notices, wording, wording_decisions, wording_subjects
from ir_router.workflow.incident import Analyst

ALIAS = "break-glass"
_DECISIONS = frozenset({"approve", "deny", "release"})
_REASON_LENGTH = 1_000


def refusal(row: Row, decision: str, event: Mapping[str, Any], context: Any) -> str:
    """Return why the request is no valid break-glass decision; empty if it is one."""
    if invocation.alias(context) != ALIAS:
        function = f"{settings().name_prefix}-approval-handler:{ALIAS}"
        return (
            f"Decision not recorded: break_glass needs the permission to invoke {function}. Invoke that function name."
        )
    if not _reason(event):
        return "Decision not recorded: `break_glass` must contain the reason."
    if decision not in _DECISIONS:
        return "Decision not recorded: `decision` must be approve, deny or release with break_glass."
    if decision == "release" and not releases.releasable(row):
        return "Nothing was released: this approval request is open or left nothing contained."
    if decision != "release" and row["state"] != approvals.PENDING:
        return "Decision not recorded: this approval request is no longer pending."
    return ""


def record(row: Row, decision: str, analyst: Analyst, event: Mapping[str, Any], request_id: str) -> str:
    """Record the request in the audit and start its alert, before anything is decided. Return the reason."""
    reason = _reason(event)
    details = {
        "approval_id": row["approval_id"],
        "execution": row["execution"],
        "kind": row["kind"],
        "decision": decision,
        "reason": reason,
        "principals": approvals.principals_of(row),
    }
    audit.append(
        "break_glass", approvals.actor(analyst), details, once=f"{row['approval_id']}/break_glass/{request_id}"
    )
    task = {
        "task": "report_break_glass",
        "approval_id": row["approval_id"],
        "decision": decision,
        "analyst": dict(analyst),
        "reason": reason,
        "request_id": request_id,
    }
    aws.invoke_later(f"{settings().name_prefix}-workflow", task)
    logger.warning("approval.break_glass", extra={"approval_id": row["approval_id"], "decision": decision})
    return reason


def report(task: Mapping[str, Any], _context: Any) -> None:
    """Task "report_break_glass": alert everywhere that one person decided for two."""
    row = approvals.get(str(task["approval_id"])) or {}
    who = wording_decisions.decider(task["analyst"])
    headline = f"BREAK-GLASS: {who} decides alone: {task['decision']} - {row.get('who', 'an unknown request')}"
    text = wording.lines(
        f"{headline}.",
        f"Reason given: {wording.cut(str(task['reason']))}",
        "This decision usually needs two people. Check with this user at once that it is intended.",
        wording.case_line(row.get("case_id")),
    )
    notices.alert_everywhere(
        Alert(
            f"{row.get('execution_name', '')}/break-glass/{task['request_id']}",
            "CRITICAL",
            wording_subjects.alone(task["analyst"], str(task["decision"]), str(row.get("who", "an unknown request"))),
            text,
            case_id=row.get("case_id"),
            execution=str(row.get("execution") or ""),
            principals=approvals.principals_of(row),
            mention=True,
        )
    )


def _reason(event: Mapping[str, Any]) -> str:
    reason = event.get("break_glass")
    return reason.strip()[:_REASON_LENGTH] if isinstance(reason, str) else ""
