"""The states "Report ...": a step failed for good. People are alerted and the audit says what is done and what not."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ir_router.errors import IrRouterError, UncertainError
from ir_router.ledger import approvals, audit, containments
from ir_router.observability import logger
from ir_router.workflow import identity, notices, wording
from ir_router.workflow.incident import Decision, Incident, Principal

_NOT_CARRIED_OUT = "NOT carried out: it failed, and somebody must act (see the alert)"
_MUST = {
    "Extract Event Context": "The event was not evaluated. Look at it by hand: it is the execution's input.",
    "Evaluate Severity": "The event was not evaluated and nothing was contained. Look at it by hand.",
    "Log & Exit": "Nothing needs doing about the event itself; the audit lacks its record.",
    "Alert Only": "The alert about this event could not be sent the normal way. Look at the event.",
    "Immediate Containment": (
        "The principal is NOT or not fully contained. Disable its keys and attach the deny policy by hand now."
    ),
    "Wait for Analyst": (
        "Nobody can be asked in the normal way. The principal stays contained. Decide by hand; the task release "
        "restores it."
    ),
    "Wait for Permission": "Nobody can be asked in the normal way. The principal is NOT contained. Act by hand now.",
    "Remediation": (
        "The decision is on record but was not, or not fully, carried out. The principal stays contained as far as the "
        "details say. Carry the decision out by hand, or run the task release."
    ),
}
_NOT_TOLD = (
    "IAM does not tell whose keys these are now. The name below is the event's, and may be somebody else's by now: ask "
    "for the key's owner first (aws iam get-access-key-last-used)."
)
# Two principals with long names and all that was tried of them.
_CAUSE_LENGTH = 1_500
_LOOK = "Look at the execution's history."


def handle(task: Mapping[str, Any], context: Any) -> Decision:
    """Alert and audit record, each tried whatever becomes of the other. Raises UncertainError when one is missing.

    For a failed wait the answer takes the decision's place: nobody was asked.
    """
    step = str(task["step"])
    incident: Incident | None = task.get("incident")
    execution = incident["execution"]["id"] if incident else str(task.get("execution_id", "unknown"))
    error, cause = _error(task.get("failure"))
    details = {"execution": execution, "step": step, "error": error, "cause": cause}
    principals = _principals(task, step, context)
    if incident:
        arns = [principal["arn"] for principal in principals if principal["arn"]]
        details = wording.record(incident) | {"principals": arns} | details
    _attempt_all(
        lambda: _mark(task, step, execution, principals),
        lambda: audit.append("step_failed", wording.AUDIT_ACTOR, details, once=f"{execution}/failed/{step}"),
        lambda: notices.alert(
            f"{execution.rpartition(':')[2]}/failed/{step}",
            incident.get("severity", "HIGH") if incident else "HIGH",
            f"FAILED: {step} - {wording.alert_subject(incident, principals) if incident else 'event not readable'}",
            _text(step, error, cause, incident, execution, principals),
        ),
    )
    return {"decision": "not_asked"}


def note_failed_branch(task: Mapping[str, Any], _context: Any) -> dict[str, Any]:
    """States "Audit the Failed Alert" and "Alert the Failed Audit": the one that works tells of the other."""
    incident: Incident = task["incident"]
    step = str(task["step"])
    error, cause = _error(task.get("failure"))
    execution = incident["execution"]["id"]
    if step == "Send Alert":
        details = wording.record(incident) | {"step": step, "error": error, "cause": cause}
        audit.append("step_failed", wording.AUDIT_ACTOR, details, once=f"{execution}/failed/{step}")
    else:
        notices.alert(
            f"{incident['execution']['name']}/failed/{step}",
            incident["severity"],
            f"FAILED: {step} - {wording.alert_subject(incident)}",
            _text(step, error, cause, incident, execution),
        )
    logger.error("a branch failed", extra={"step": step, "error": error})
    return {"done": False, "step": step}


def _mark(task: Mapping[str, Any], step: str, execution: str, principals: Sequence[Principal]) -> None:
    """Nobody will decide about this execution's incident: the next event for the principal asks anew."""
    if step in ("Wait for Analyst", "Wait for Permission"):
        kind = "remediate" if step == "Wait for Analyst" else "contain"
        approvals.record_expired(approvals.id_of(execution, kind), "the workflow could not ask")
    decided = (task.get("decision") or {}).get("decision")
    if step == "Remediation" and decided in ("approve", "deny"):
        notices.tell_result(approvals.id_of(execution, "remediate"), decided, _NOT_CARRIED_OUT)
    if step == "Immediate Containment":  # asked before it, if anything was: permission
        notices.tell_result(approvals.id_of(execution, "contain"), "approve", _NOT_CARRIED_OUT)
    for principal in principals:
        if principal["arn"]:
            containments.annotate(principal["arn"], execution, phase=containments.FAILED)


def _principals(task: Mapping[str, Any], step: str, context: Any) -> list[Principal]:
    """Whom the failure concerns, under the name that IAM has now: by an old one somebody else might be stopped."""
    if task.get("containment"):
        return wording.principals_of(task["containment"])
    incident: Incident | None = task.get("incident")
    if incident is None:
        return []
    if step == "Immediate Containment":
        try:
            return [identity.behind(target) or target.principal for target in identity.targets(incident, context)]
        except (IrRouterError, BotoCoreError, ClientError) as error:
            logger.error("IAM does not tell whom a failure concerns", extra={"error": type(error).__name__})
            return []
    return [incident["subject"]]


def _attempt_all(*attempts: Callable[[], object]) -> None:
    failed: list[Exception] = []
    for attempt in attempts:
        try:
            attempt()
        except (IrRouterError, BotoCoreError, ClientError) as error:
            logger.error("a failure could not be told", extra={"error": type(error).__name__})
            failed.append(error)
    if failed:
        raise UncertainError("AWS", "reporting a failure", type(failed[0]).__name__) from failed[0]


def _error(failure: object) -> tuple[str, str]:
    """Error name and message of a Catch (`{"Error", "Cause"}`); never the stack trace that Lambda adds to the cause."""
    if not isinstance(failure, Mapping):
        return "Unknown", ""
    cause = str(failure.get("Cause") or "")
    try:
        parsed = json.loads(cause)
    except ValueError:
        parsed = None
    if isinstance(parsed, Mapping):
        cause = str(parsed.get("errorMessage") or "")
    return str(failure.get("Error") or "Unknown"), wording.cut(cause, _CAUSE_LENGTH)


def _text(
    step: str, error: str, cause: str, incident: Incident | None, execution: str, principals: Sequence[Principal] = ()
) -> str:
    return wording.lines(
        f"{step} failed and is not tried again. {_MUST.get(step, _LOOK)}",
        *(f"Principal: {principal['arn']}" for principal in principals if principal["arn"]),
        _NOT_TOLD if step == "Immediate Containment" and not principals else "",
        f"Error: {error}" + (f" - {cause}" if cause else ""),
        "",
        *(wording.facts(incident) if incident else ()),
        *(wording.ids(incident) if incident else ("", f"Execution: {execution}")),
    )
