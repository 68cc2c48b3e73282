"""State "Final Alert + Audit Log": how it ended, told to people, written to the audit and to the case.

It also says whether anything is missing, so that the execution ends green only when everything was done and told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ir_router.errors import RefusedError
from ir_router.ledger import approvals, audit
from ir_router.observability import logger
from ir_router.workflow import notices, wording, wording_decisions
from ir_router.workflow.incident import ContainmentResult, Decision, Incident, PrincipalResult
from ir_router.workflow.remediation import RemediationResult

_CONTAINED = frozenset({"contained", "joined"})
_NOT_CONTAINED = frozenset({"refused", "limit_reached"})


def handle(task: Mapping[str, Any], _context: Any) -> dict[str, Any]:
    """Audit, alert, case; raises what fails. `result`: done, not_contained or undone, with what is `missing`."""
    state = task["state"]
    incident: Incident = state["incident"]
    containment: ContainmentResult = state["containment"]["answer"]
    case_id: str | None = state["case"]["answer"]["case_id"]
    decision = _decision(state)
    done: RemediationResult | None = state["remediation"]["answer"] if "remediation" in state else None
    missing = _missing(state, done)
    details = wording.record(incident) | wording.record_containment(containment, case_id)
    details |= {"decision": dict(decision) if decision else None, "missing": missing}
    if done:
        details |= {"remediation": wording.record_actions(done["actions"]), "notes": done["notes"]}
    audit.append("ended", wording.AUDIT_ACTOR, details, once=f"{incident['execution']['id']}/final")
    notices.alert(
        f"{incident['execution']['name']}/final",
        incident["severity"],
        wording_decisions.outcome(containment, decision, done, missing),
        wording_decisions.final(incident, containment, decision, done, case_id, missing),
    )
    shown_by = _tell_approval(state, containment, decision, done)
    # An event that joined at once told the case of the incident that it joined, which is its own as well.
    if case_id and (containment["outcome"] != "joined" or "permission" in state):
        missing += _comment(
            case_id,
            incident,
            wording_decisions.final(incident, containment, decision, done, None, missing),
            shown_by if not missing else None,  # what is missing, the channel learns from the comment
        )
    result = _result(containment, decision, missing)
    logger.info("ended", extra={"result": result, "missing": missing, "event_id": incident["event_id"]})
    return {"result": result, "missing": missing}


def _tell_approval(
    state: Mapping[str, Any], containment: ContainmentResult, decision: Decision | None, done: RemediationResult | None
) -> str | None:
    """The question that was decided shows what became of the decision; the approval's id, or None."""
    if decision is None or decision["decision"] not in ("approve", "deny"):
        return None
    kind = "remediate" if "response" in state else "contain"
    approval_id = approvals.id_of(state["incident"]["execution"]["id"], kind)
    told = notices.tell_result(approval_id, decision["decision"], wording_decisions.result(containment, done))
    return approval_id if told else None


def _decision(state: Mapping[str, Any]) -> Decision | None:
    """The decision about the containment; where there was none, the one that was asked before containing."""
    decision: Decision | None = None
    if "response" in state:
        decision = state["response"]["decision"]
    elif "permission" in state:
        decision = state["permission"]["answer"]
    return decision


def _missing(state: Mapping[str, Any], done: RemediationResult | None) -> list[str]:
    """What should have been done on the way and was not."""
    response = state.get("response", {})
    parts = [response.get("alert"), response.get("audit"), state.get("paged", {}).get("answer")]
    missing = [str(part["step"]) for part in parts if part is not None and not part["done"]]
    contained = [part for part in state["containment"]["answer"]["principals"] if part["outcome"] in _CONTAINED]
    lacking = [part for part in contained if wording_decisions.lacks_deny(part, done)]
    missing += [f"deny policy of {wording.name_of(part['principal'])}" for part in lacking]
    missing += [
        f"containment of {wording.name_of(part['principal'])}" for part in _left_out(state["containment"]["answer"])
    ]
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
    """Of several principals those not contained about whom nobody was asked, since the outcome is another one's."""
    return [
        part
        for part in containment["principals"]
        if part["outcome"] in _NOT_CONTAINED and part["outcome"] != containment["outcome"]
    ]


def _comment(case_id: str, incident: Incident, text: str, shown_by: str | None) -> list[str]:
    try:
        notices.comment(case_id, f"final-{incident['execution']['id']}", text, shown_by)
    except RefusedError as error:
        # For certain and for good (a closed case takes no comments): trying again changes nothing.
        logger.error("the case did not take the final comment", extra={"case_id": case_id, "code": error.code})
        return ["comment on the case"]
    return []


def _result(containment: ContainmentResult, decision: Decision | None, missing: list[str]) -> str:
    denied = decision is not None and decision["decision"] == "deny"
    if containment["outcome"] in _NOT_CONTAINED and not denied:
        return "not_contained"
    return "undone" if missing else "done"
