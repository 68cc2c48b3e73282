"""State "Final Alert + Audit Log": report the outcome in an alert, an audit record and a comment on the case.

It also lists missing steps, so that the execution succeeds only if every step was done and reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ir_router.errors import RefusedError
from ir_router.ledger import approvals, audit, containments
from ir_router.ledger.alerts import Alert
from ir_router.ledger.approvals import ApprovalKind
from ir_router.observability import logger
from ir_router.workflow import (
    approval_queue,
    creators,
    missing_cases,
    not_contained,
    notices,
    owners,
    wording,
    wording_decisions,
    wording_links,
    wording_subjects,
)
from ir_router.workflow.incident import CaseResult, ContainmentResult, Decision, Incident, PrincipalResult
from ir_router.workflow.outcomes import OUTCOMES, EndState
from ir_router.workflow.remediation import RemediationResult

# AWS's answer to a comment on a closed case.
_CLOSED = "ConflictException"


def run_task(task: Mapping[str, Any], _context: Any) -> dict[str, Any]:
    """Report the outcome. Raises the first error of audit log, alert or case.

    Returns:
        `result` (done, not_contained or undone) and the names of the steps that are `missing`.
    """
    state = task["state"]
    incident: Incident = state["incident"]
    done: RemediationResult | None = state["remediation"]["answer"] if "remediation" in state else None
    containment = _with_joined(owners.restored(state["containment"]["answer"], incident["execution"]["id"]), done)
    if OUTCOMES[containment["outcome"]].approval == "contain":
        containment = not_contained.with_joined(incident["execution"]["id"], containment)
    if containment["outcome"] == "closed":
        incident = {**incident, "severity": "MEDIUM"}  # an analyst can do nothing in the account either
    case: CaseResult = state["case"]["answer"]
    case_id = missing_cases.case_of(case, incident["execution"]["id"])
    decision = _decision(state)
    missing = _missing(state, containment, done)
    details = wording.record(incident) | wording.record_containment(containment, case_id)
    details |= {"decision": dict(decision) if decision else None, "missing": missing}
    if done:
        details |= {"remediation": wording.record_actions(done["actions"]), "notes": done["notes"]}
    audit.append("ended", wording.AUDIT_ACTOR, details, once=f"{incident['execution']['id']}/final")
    text = wording_decisions.final(
        incident, containment, decision, done, case_id, missing, no_case=case.get("for_readers", "")
    )
    alert = Alert(
        f"{incident['execution']['name']}/final",
        incident["severity"],
        wording_subjects.final(incident, containment, decision, done, missing),
        text,
        case_id=case_id,
        execution=incident["execution"]["id"],
        principals=wording_links.named_in(incident, wording.principals_of(containment)),
    )
    notices.mail(alert)
    consequences = OUTCOMES[containment["outcome"]]
    # Otherwise an approval request shows the outcome: the own one, or that of the incident that the event joined.
    if missing or (consequences.approval is None and not consequences.contained):
        notices.alert_in_slack(alert)
    creators.report(incident, "final", wording_decisions.outcome(containment, decision, done, missing))
    shown_by = _report_to_approval(state, containment, decision, done)
    # An event that joined at once has already commented on the case, in the state "Open Case".
    if case_id is None and case.get("opened_later"):
        text = wording_decisions.final(incident, containment, decision, done, None, missing)
        case_id = missing_cases.comment_later(incident["execution"]["id"], text)
    if (
        case_id
        and not case.get("full")
        and (OUTCOMES[containment["outcome"]].case != "comment" or "permission" in state)
    ):
        missing += _comment(
            case_id,
            incident,
            wording_decisions.final(incident, containment, decision, done, None, missing),
            shown_by if not missing else None,  # the comment reports missing steps to the channel
        )
    if decision is not None:
        approval_queue.tidy()
    result = _result(containment, decision, missing)
    logger.info("workflow.ended", extra={"result": result, "missing": missing, "event_id": incident["event_id"]})
    return {"result": result, "missing": missing}


def _with_joined(containment: ContainmentResult, done: RemediationResult | None) -> ContainmentResult:
    """Return the containment with all principals that the decision was carried out for."""
    if done is None:
        return containment
    joined: list[PrincipalResult] = [
        {"principal": one, "outcome": "contained", "why": "", "actions": [], "named_keys": [], "recorded": {}}
        for one in done.get("joined", [])
    ]
    if not joined:
        return containment
    released = done.get("released", [])
    own = [part for part in containment["principals"] if part["principal"]["arn"] not in released]
    return {**containment, "principals": [*own, *joined]}


def _report_to_approval(
    state: Mapping[str, Any], containment: ContainmentResult, decision: Decision | None, done: RemediationResult | None
) -> str | None:
    """Show the result in the approval's Slack messages. Returns the approval's id, or None without a decision."""
    if decision is None or decision["decision"] not in ("approve", "deny"):
        return None
    kind: ApprovalKind = "remediate" if "response" in state else "contain"
    approval_id = approvals.id_of(state["incident"]["execution"]["id"], kind)
    reported = notices.report_result(approval_id, decision["decision"], wording_decisions.result(containment, done))
    return approval_id if reported else None


def _decision(state: Mapping[str, Any]) -> Decision | None:
    """Return the decision about the containment or, without one, about the permission to contain.

    The reason is only in the ledger, so that the execution history does not contain it.
    """
    decision: Decision | None = None
    kind: ApprovalKind = "remediate" if "response" in state else "contain"
    if "response" in state:
        decision = state["response"]["decision"]
    elif "permission" in state:
        decision = state["permission"]["answer"]
    if decision is None or decision["decision"] not in ("approve", "deny") or "notes" in decision:
        return decision
    row = approvals.get(approvals.id_of(state["incident"]["execution"]["id"], kind)) or {}
    return {**decision, "notes": str(row.get("notes") or "")}


def _missing(state: Mapping[str, Any], containment: ContainmentResult, done: RemediationResult | None) -> list[str]:
    """Return the names of the steps that should have been done and were not."""
    response = state.get("response", {})
    answers = (response.get("alert"), response.get("audit"), response.get("verified"))
    parts = [*answers, state.get("paged", {}).get("answer")]
    missing = [str(part["step"]) for part in parts if part is not None and not part["done"]]
    contained = [part for part in containment["principals"] if OUTCOMES[part["outcome"]].contained]
    lacking = [part for part in contained if wording_decisions.lacks_deny(part, done)]
    missing += [f"deny policy of {wording.name_of(part['principal'])}" for part in lacking]
    unknown = [part["principal"] for part in contained if part.get("keys_unknown")]
    still = [one for one in unknown if (containments.get(one["arn"]) or {}).get("keys_unknown")]
    missing += [f"disabling the keys of {wording.name_of(one)}" for one in still]
    missing += [f"containment of {wording.name_of(part['principal'])}" for part in _left_out(containment)]
    if state["case"]["answer"]["failed"]:
        missing.append("Open Case")
    for decision in (response.get("decision"), state.get("permission", {}).get("answer")):
        if decision is None:
            continue
        if decision.get("receipt_failed"):
            missing.append("Record Decision")
        if decision["decision"] == "not_asked":
            missing.append("Wait for Analyst")
    return missing


def _left_out(containment: ContainmentResult) -> list[PrincipalResult]:
    """Return principals that are not contained and not part of the decision, since another principal's outcome won."""
    return [
        part
        for part in containment["principals"]
        if OUTCOMES[part["outcome"]].case == "open_first" and part["outcome"] != containment["outcome"]
    ]


def _comment(case_id: str, incident: Incident, text: str, shown_by: str | None) -> list[str]:
    try:
        notices.comment(case_id, missing_cases.final_comment_name(incident["execution"]["id"]), text, shown_by)
    except RefusedError as error:
        # A retry cannot help.
        details = {"case_id": case_id, "code": error.code}
        if error.code == _CLOSED:
            # Users may close a case before the decision. The alert and the audit have the outcome.
            logger.warning("case.closed: the case accepts no final comment", extra=details)
            return []
        logger.error("case.comment_rejected: the case has no final comment", extra=details)
        return ["comment on the case"]
    return []


def _result(containment: ContainmentResult, decision: Decision | None, missing: list[str]) -> EndState:
    denied = decision is not None and decision["decision"] == "deny"
    end = OUTCOMES[containment["outcome"]].end
    if end == "not_contained" and not denied:
        return end
    return "undone" if missing else "done"
