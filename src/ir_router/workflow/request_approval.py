"""The states "Wait for Analyst" and "Wait for Permission": send an approval request and record its outcome.

The task token is sent to the queue security-incident-approval and stored in the ledger's token rows, nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ir_router.errors import IrRouterError
from ir_router.ledger import approvals, audit, containments
from ir_router.ledger import creators as offers
from ir_router.ledger.alerts import Alert
from ir_router.ledger.table import Row
from ir_router.observability import logger
from ir_router.settings import settings
from ir_router.workflow import (
    approval_queue,
    contained_credentials,
    creators,
    left_behind,
    missing_cases,
    new_keys,
    not_contained,
    notices,
    owners,
    scopes,
    wording,
    wording_decisions,
)
from ir_router.workflow.incident import Analyst, ContainmentResult, Decision, Incident

_NAME_LENGTH = 200
_NOTES_LENGTH = 1_000


def run_task(task: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Send the approval request. The state machine waits for the token and ignores the value returned here."""
    incident: Incident = task["incident"]
    containment: ContainmentResult = owners.restored(task["containment"], incident["execution"]["id"])
    case_id = missing_cases.case_of(task["case"], incident["execution"]["id"])
    if task["kind"] == "remediate" and case_id:
        _remember_case(incident, containment, case_id)
    facts = wording_decisions.approval_facts(incident, containment, case_id, task["kind"])
    if case_id is None and task["case"].get("for_readers"):
        facts["no_case"] = task["case"]["for_readers"]
    if required := _required(task["kind"]):
        facts["required"] = required
    if task["kind"] == "remediate":
        facts |= offers.carried_over(incident["execution"]["id"])
        rows = [containments.get(arn) or {} for arn in facts["principals"]]
        facts["credentials"] = contained_credentials.of(rows)
    row = approvals.request(incident["execution"]["id"], task["kind"], task["task_token"], facts)
    row = refresh(row["approval_id"]) or row
    _record(row, containment)
    approval_queue.send(_message(task["task_token"], row, incident, containment))
    notices.publish("ApprovalRequested", {"approval_id": row["approval_id"], "case_id": row.get("case_id")})
    if task["kind"] == "remediate":  # an earlier request for permission to contain now shows its result
        permission = approvals.id_of(incident["execution"]["id"], "contain")
        if notices.report_result(permission, "approve", wording.containment_headline(containment)):
            approval_queue.tidy()
        for part in wording_decisions.contained_parts(containment):
            left_behind.report(part["principal"]["arn"], incident["execution"]["id"], context)
    creators.report(incident, task["kind"], wording_decisions.asked(containment, case_id))
    logger.info("approval.requested", extra={"approval_id": row["approval_id"], "kind": task["kind"]})
    return {"approval_id": row["approval_id"]}


def _required(kind: str) -> dict[str, int]:
    """Return how many people each decision needs; empty if one person is enough for all. The request keeps it."""
    numbers = settings().approvals_required
    if kind == "contain":
        found = dict.fromkeys(("approve", "deny"), numbers["contain_over_limit"])
    else:
        found = {"approve": numbers["remediate_approve"], "deny": numbers["remediate_deny"]}
        found["release"] = numbers["release"]
    return found if max(found.values()) > 1 else {}


def _record(row: Row, containment: ContainmentResult) -> None:
    """Write the request to the audit log before it is sent: the principals, the barred owners, both effects."""
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
        # The request is sent all the same. If the audit log is down, the parallel "Write Audit Log" fails and alerts.
        logger.error(
            "approval.request_not_recorded: the audit log has no record of the request",
            extra={"error": type(error).__name__},
        )


def _remember_case(incident: Incident, containment: ContainmentResult, case_id: str) -> None:
    """Store the case id: with permission, containment follows the case. Joining events and releases read it."""
    for part in wording_decisions.contained_parts(containment):
        containments.annotate(part["principal"]["arn"], incident["execution"]["id"], case_id=case_id)


def refresh(approval_id: str) -> Row | None:
    """Update both effects of an approval request for all events that have joined.

    Call it after the request is written and after each joined event, so that no event between the two is missed.

    Returns:
        The approval's row, or None if there is none.
    """
    row = approvals.get(approval_id)
    if row is None or row["state"] != approvals.PENDING:
        return row
    parts = _parts(row)
    if not parts:
        return row
    barred = sorted({*row["owners"], *(owner for part in parts for owner in part.get("joined_owners", []))})
    joined = {name: one for part in parts for name, one in (part.get("joined_creators") or {}).items()}
    if new := {name: one for name, one in joined.items() if name not in offers.of(row)}:
        offers.add(approval_id, {**offers.of(row), **new})
    several = len(approvals.principals_of(row)) > 1
    texts = {**wording_decisions.current_texts(parts, several=several), "owners": barred}
    if row["kind"] == "remediate":
        texts["credentials"] = contained_credentials.of(parts)
    if row.get("at_large") and not any(scopes.is_key_only(part) for part in parts):
        texts |= wording_decisions.completely_contained(parts)
    if not new and all(row.get(name) == text for name, text in texts.items()):
        return row
    approvals.amend(approval_id, **texts)
    return approvals.get(approval_id)


def _parts(row: Row) -> list[Row]:
    """Return the containment rows of the principals that the decision concerns: all that were not released since."""
    found = [containments.get(arn) or {} for arn in approvals.principals_of(row)]
    return [part for part in found if part.get("incident") == row["execution"]]


def record_decision(task: Mapping[str, Any], context: Any) -> Decision:
    """State "Record Decision": write the workflow's receipt. Only approve and deny count as a decision.

    If an analyst denied the permission to exceed the limit, the new keys are enabled again.
    """
    incident: Incident = task["incident"]
    answer = task["decision"] if isinstance(task["decision"], Mapping) else {}
    decision = approvals.answer_of(str(answer.get("decision", "")))
    execution = incident["execution"]["id"]
    approval_id = approvals.id_of(execution, task["kind"])
    if decision is None:
        return _undecided(approval_id, "the output sent to Step Functions was neither approve nor deny")
    notes = str(answer.get("notes") or "")[:_NOTES_LENGTH]
    row = approvals.record_receipt(approval_id, decision, _stated_name(answer.get("analyst")), notes)
    if row is None:
        return _undecided(approval_id, f"{decision} was sent to Step Functions directly, and it needs two people")
    if task["kind"] == "contain" and decision == "deny" and "containment" in task:
        parts = not_contained.with_joined(execution, task["containment"])["principals"]
        kept, incidents = new_keys.enable_again(execution, parts, context)
        if stays := ". ".join(kept):
            held = Alert(f"{incident['execution']['name']}/held", "HIGH", f"CHECK after the denial: {stays}", stays)
            notices.mail(held)
        for other in (approvals.id_of(one, "remediate") for one in incidents):
            if refresh(other) is not None:
                notices.publish("ApprovalRequested", {"approval_id": other, "joined": True})
    analyst = _analyst(row["analyst"])
    details = {"execution": execution, "approval_id": approval_id, "kind": task["kind"], "decision": decision}
    details |= {"via": analyst["via"], "slack_user_id": analyst.get("slack_user_id")}
    audit.append(
        "decision_received", approvals.actor(row["analyst"]), details, once=f"{execution}/{task['kind']}/received"
    )
    notices.publish("ApprovalDecided", {"approval_id": approval_id, "decision": decision})
    return {
        "decision": decision,
        "analyst": analyst,
        "decided_at": wording_decisions.iso(row["decided_at"]),
    }


def _undecided(approval_id: str, why: str) -> Decision:
    """Expire a request after an output that decides nothing. The containment stays.

    Every holder of the token can send any output to Step Functions directly.
    """
    approvals.record_expired(approval_id, why)
    notices.publish("ApprovalTimedOut", {"approval_id": approval_id})
    return {"decision": "not_asked", "notes": why}


def record_timeout(task: Mapping[str, Any], _context: Any) -> Decision:
    """The state after the 24-hour deadline: expire the approval request, so that later decisions are too late."""
    execution = task["incident"]["execution"]["id"]
    approval_id = approvals.id_of(execution, task["kind"])
    row = approvals.get(approval_id)
    why = "the 24-hour deadline passed"
    if row is not None and row["state"] == approvals.DECIDED:
        by = wording_decisions.decider(row.get("analyst"))
        why = f"{by} {wording_decisions.PAST[str(row['decision'])]} after the 24-hour deadline"
    approvals.record_expired(approval_id, why)
    details = {"execution": execution, "approval_id": approval_id, "kind": task["kind"]}
    audit.append("approval_timed_out", wording.AUDIT_ACTOR, details, once=f"{execution}/{task['kind']}/timed_out")
    notices.publish("ApprovalTimedOut", {"approval_id": approval_id})
    return {"decision": "timed_out"}


def _message(token: str, row: Row, incident: Incident, containment: ContainmentResult) -> dict[str, Any]:
    """Return the body of the queue message for an analyst at the command line."""
    return {
        "taskToken": token,
        "approvalId": row["approval_id"],
        "kind": row["kind"],
        "state": row["state"],
        "summary": row["headline"],
        "approve": row["approve_does"],
        "deny": row["deny_does"],
        "creators": [
            {"creator": one["arn"], "note": one["note"], "contain_creator": one.get("does")}
            for one in offers.of(row).values()
        ],
        "joinedEvents": int(row.get("joined_events", 0)),
        "decideBy": wording_decisions.at(row["decide_by"]),
        "caseId": row.get("case_id"),
        **({"peopleRequired": row["required"]} if "required" in row else {}),
        "incident": wording.record(incident),
        "containment": wording.record_containment(containment, row.get("case_id")),
    }


def _analyst(stored: Mapping[str, Any]) -> Analyst:
    """Return the analyst without the e-mail address, which must not reach the execution history."""
    analyst: Analyst = {"name": str(stored["name"]), "via": stored["via"]}
    if stored.get("slack_user_id"):
        analyst["slack_user_id"] = str(stored["slack_user_id"])
    if stored.get("break_glass"):
        analyst["break_glass"] = True
    if stored.get("first"):
        analyst["first"] = _analyst(stored["first"])
    return analyst


def _stated_name(value: object) -> str:
    """Return the name in the output sent to Step Functions. It is not authenticated."""
    name = value.get("name") if isinstance(value, Mapping) else value
    return name.strip()[:_NAME_LENGTH] if isinstance(name, str) and name.strip() else "an unnamed analyst"
