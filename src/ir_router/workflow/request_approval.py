"""State "Wait for Analyst" (and "Wait for Permission"): a decision is asked; and what the workflow records after it.

The token goes to the queue security-incident-approval and to the ledger's token rows, nowhere else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ir_router import aws
from ir_router.errors import IrRouterError
from ir_router.ledger import approvals, audit, containments
from ir_router.ledger.table import Row
from ir_router.observability import logger
from ir_router.settings import settings
from ir_router.workflow import iam, notices, wording, wording_decisions
from ir_router.workflow.incident import Analyst, ContainmentResult, Decision, Incident

_DECISIONS = frozenset({"approve", "deny"})
_NAME_LENGTH = 200
_NOTES_LENGTH = 1_000


def handle(task: Mapping[str, Any], _context: Any) -> dict[str, Any]:
    """Ask. The state machine waits for the token's answer; what is returned here is not used by it."""
    incident: Incident = task["incident"]
    containment: ContainmentResult = task["containment"]
    case_id = task["case"]["case_id"]
    if task["kind"] == "remediate" and case_id:
        _remember_case(incident, containment, case_id)
    facts = wording_decisions.approval_facts(incident, containment, case_id, task["kind"])
    row = approvals.request(incident["execution"]["id"], task["kind"], task["task_token"], facts)
    row = refresh(row["approval_id"]) or row
    _record(row, containment)
    aws.client("sqs").send_message(
        QueueUrl=settings().require("approval_queue_url"),
        MessageBody=json.dumps(_message(task["task_token"], row, incident, containment), ensure_ascii=False),
    )
    notices.publish("ApprovalRequested", {"approval_id": row["approval_id"], "case_id": row.get("case_id")})
    if task["kind"] == "remediate":  # where it was asked before whether to contain, that question is answered now
        permission = approvals.id_of(incident["execution"]["id"], "contain")
        notices.tell_result(permission, "approve", wording.containment_headline(containment))
    logger.info("approval requested", extra={"approval_id": row["approval_id"], "kind": task["kind"]})
    return {"approval_id": row["approval_id"]}


def _record(row: Row, containment: ContainmentResult) -> None:
    """On record before anybody is asked, if the audit takes it: about whom, whom it bars, and what the answers do."""
    about = [part for part in containment["principals"] if part["outcome"] == containment["outcome"]]
    details = {
        "approval_id": row["approval_id"],
        "execution": row["execution"],
        "kind": row["kind"],
        "principals": [part["principal"]["arn"] for part in about],
        "barred": row["owners"],
        "decide_by": wording_decisions.iso(row["decide_by"]),
        "approve": row["approve_does"],
        "deny": row["deny_does"],
        "case_id": row.get("case_id"),
    }
    try:
        audit.append("decision_asked", wording.AUDIT_ACTOR, details, once=f"{row['approval_id']}/asked")
    except (IrRouterError, ClientError, BotoCoreError) as error:
        # People are asked all the same. Where the audit takes nothing, "Write Audit Log" fails beside this, and alerts.
        logger.error("the question is not on record", extra={"error": type(error).__name__})


def _remember_case(incident: Incident, containment: ContainmentResult, case_id: str) -> None:
    """Who was contained with permission was so after the case was opened; events that join and releases look here."""
    for part in wording_decisions.contained_parts(containment):
        containments.annotate(part["principal"]["arn"], incident["execution"]["id"], case_id=case_id)


def refresh(approval_id: str) -> Row | None:
    """Let the approval say what each answer does for all the events that have joined; the row, or None.

    Called after the approval is written and after each event that joins, so that none is missed between the two.
    """
    row = approvals.get(approval_id)
    if row is None or row["state"] != approvals.PENDING or not row.get("principals"):
        return row
    parts = [containments.get(arn) or {} for arn in row["principals"]]
    if any(part.get("incident") != row["execution"] for part in parts):
        return row
    owners = sorted({*row["owners"], *(owner for part in parts for owner in part.get("joined_owners", []))})
    denied = all(iam.is_denied(part["principal"]) for part in parts)
    approve, deny = wording_decisions.approve_does(parts, denied=denied), wording_decisions.deny_does(parts)
    if (approve, deny, owners) == (row["approve_does"], row["deny_does"], row["owners"]):
        return row
    approvals.amend(approval_id, approve, deny, owners)
    return approvals.get(approval_id)


def record_decision(task: Mapping[str, Any], _context: Any) -> Decision:
    """State "Record Decision": the workflow's receipt. An answer that is neither approve nor deny decides nothing."""
    incident: Incident = task["incident"]
    answer = task["decision"] if isinstance(task["decision"], Mapping) else {}
    decision = str(answer.get("decision", "")).lower()
    execution = incident["execution"]["id"]
    approval_id = approvals.id_of(execution, task["kind"])
    if decision not in _DECISIONS:
        # Whoever holds the token may send anything to Step Functions itself; the containment stays.
        approvals.record_expired(approval_id, "the answer sent to Step Functions was neither approve nor deny")
        notices.publish("ApprovalTimedOut", {"approval_id": approval_id})
        return {"decision": "not_asked", "notes": "the answer was neither approve nor deny"}
    notes = str(answer.get("notes") or "")[:_NOTES_LENGTH]
    row = approvals.record_receipt(approval_id, decision, _stated_name(answer.get("analyst")), notes)
    analyst = _analyst(row)
    details = {"execution": execution, "approval_id": approval_id, "kind": task["kind"], "decision": decision}
    details |= {"via": analyst["via"], "slack_user_id": analyst.get("slack_user_id")}
    audit.append("decision_received", analyst["name"], details, once=f"{execution}/{task['kind']}/received")
    notices.publish("ApprovalDecided", {"approval_id": approval_id, "decision": decision})
    return {
        "decision": decision,
        "analyst": analyst,
        "notes": str(row.get("notes") or ""),
        "decided_at": wording_decisions.iso(row["decided_at"]),
    }


def record_timeout(task: Mapping[str, Any], _context: Any) -> Decision:
    """State "Record Time-out": from now on a decision is too late."""
    execution = task["incident"]["execution"]["id"]
    approval_id = approvals.id_of(execution, task["kind"])
    row = approvals.get(approval_id)
    why = "nobody decided within 24 hours"
    if row is not None and row["state"] == approvals.DECIDED:
        by = wording_decisions.decider(row.get("analyst"))
        why = f"{wording_decisions.PAST[str(row['decision'])]} by {by}, too late: the workflow waits 24 hours"
    approvals.record_expired(approval_id, why)
    details = {"execution": execution, "approval_id": approval_id, "kind": task["kind"]}
    audit.append("approval_timed_out", wording.AUDIT_ACTOR, details, once=f"{execution}/{task['kind']}/timed_out")
    notices.publish("ApprovalTimedOut", {"approval_id": approval_id})
    return {"decision": "timed_out"}


def _message(token: str, row: Row, incident: Incident, containment: ContainmentResult) -> dict[str, Any]:
    """The queue's message: what an analyst at the command line needs."""
    return {
        "taskToken": token,
        "approvalId": row["approval_id"],
        "kind": row["kind"],
        "summary": row["headline"],
        "approve": row["approve_does"],
        "deny": row["deny_does"],
        "joinedEvents": int(row.get("joined_events", 0)),
        "decideBy": wording_decisions.at(row["decide_by"]),
        "caseId": row.get("case_id"),
        "incident": wording.record(incident),
        "containment": wording.record_containment(containment, row.get("case_id")),
    }


def _analyst(row: Row) -> Analyst:
    """Who decided, without the e-mail address: that is nothing for the execution's history and the audit."""
    told: Mapping[str, Any] = row["analyst"]
    analyst: Analyst = {"name": str(told["name"]), "via": str(told["via"])}
    if told.get("slack_user_id"):
        analyst["slack_user_id"] = str(told["slack_user_id"])
    return analyst


def _stated_name(value: object) -> str:
    """The name in an answer. Whoever holds the token may write any."""
    name = value.get("name") if isinstance(value, Mapping) else value
    return name.strip()[:_NAME_LENGTH] if isinstance(name, str) and name.strip() else "somebody"
