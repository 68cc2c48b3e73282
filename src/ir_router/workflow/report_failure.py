"""The states "Report ...": report a failed step, which is not retried, in an alert and an audit record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ir_router import clock, command_lines, json_text
from ir_router.errors import IrRouterError, UncertainError
from ir_router.ledger import approvals, audit, containments, groups
from ir_router.ledger.alerts import Alert
from ir_router.ledger.approvals import ApprovalKind
from ir_router.observability import logger
from ir_router.workflow import (
    actor_incidents,
    creators,
    identity,
    not_contained,
    notices,
    wording,
    wording_links,
    wording_many,
    wording_subjects,
)
from ir_router.workflow import principals as iam_principals
from ir_router.workflow.incident import Decision, Incident, Principal

_BEFORE_THE_COUNT = ("Extract Event Context", "Evaluate Severity", "Log & Exit", "Alert Only")
_NOT_CARRIED_OUT = (
    "NOT carried out completely, because the workflow failed. The alert lists what you must do by hand now"
)
_REQUIRED_ACTION = {
    "Extract Event Context": (
        "The event was not evaluated. Review the event by hand. The execution shows the event as its input."
    ),
    "Evaluate Severity": "The event was not evaluated and nothing was contained. Review the event by hand.",
    "Log & Exit": "The event itself needs no action. Its audit record is missing.",
    "Alert Only": "ir-router could not send the regular alert about this event. Review the event.",
    "Immediate Containment": (
        "Containment FAILED or is incomplete. Disable the principal's keys and attach the deny policy by hand now."
    ),
    "Contain With Ledger": (
        "The ledger was unavailable for ten days. The principal stays contained, but no analyst can decide about it, "
        "and the task release does not know it. To restore it, enable the keys and detach the deny policy by hand. The "
        "output of the state Read State Without Ledger shows which keys were active."
    ),
    "Verify Containment": (
        "ir-router could not verify that the principal is still contained. Check in IAM that the deny policy is "
        "attached and that its keys are disabled. Do the missing steps by hand now."
    ),
    "Wait for Analyst": (
        "The approval request could not be sent. The principal stays contained. Review the incident. To restore "
        "access, run the command below."
    ),
    "Wait for Permission": (
        "The approval request could not be sent. The principal is NOT contained. Contain it by hand now."
    ),
    "Remediation": (
        "The decision is on record, but it was not carried out completely. The error below lists the changes made and "
        "the changes missing. Make the missing changes by hand, or run the command below to release the principal."
    ),
}
_OWNER_UNKNOWN = (
    "ir-router could not look up the current name of the user. The name below comes from the event and may now belong "
    "to another user. Before you act, find the owner of the key (aws iam get-access-key-last-used)."
)
# Long enough for the advice, and two principals with long names and all attempted changes.
_CAUSE_LENGTH = 2_200
# Between the attempts to write the records, as long as the invocation has the reserve left.
_PAUSES_SECONDS = (1.0, 2.0, 4.0, 8.0, 16.0)
_RESERVE_SECONDS = 20.0
_DEFAULT_ACTION = "Check the history of the execution."


def run_task(task: Mapping[str, Any], context: Any) -> Decision:
    """Send the alert, then write the records. A retry of the state would repeat the alert, so this task retries them.

    Returns:
        The decision `not_asked`, which takes the place of a decision after a failed wait.

    Raises:
        UncertainError: The alert is missing. Each record was attempted once.
    """
    step = str(task["step"])
    incident: Incident | None = task.get("incident")
    execution = incident["execution"]["id"] if incident else str(task.get("execution_id", "unknown"))
    error, cause = error_of(task.get("failure"))
    details = {"execution": execution, "step": step, "error": error, "cause": cause}
    principals = _principals(task, step, context)
    if incident:
        arns = [principal["arn"] for principal in principals if principal["arn"]]
        details = wording.record(incident) | {"principals": arns} | details
    alert_id = f"{execution.rpartition(':')[2]}/failed/{step}"
    severity = incident.get("severity", "HIGH") if incident else "HIGH"
    subject = wording_subjects.failed(step, incident, principals)
    text = _text(step, error, cause, incident, execution, principals, _give_up_group(step, execution))
    case_id = (task.get("case") or {}).get("case_id")
    named = wording_links.named_in(incident, principals) if incident else ()
    alert = Alert(alert_id, severity, subject, text, case_id=case_id, execution=execution, principals=named)
    unsent = _failing(lambda: notices.mail(alert))
    unrecorded = _failing(
        lambda: notices.alert_in_slack(alert),
        lambda: _mark(task, step, execution, principals),
        lambda: _report_to_creator(incident, step),
        lambda: audit.append("step_failed", wording.AUDIT_ACTOR, details, once=f"{execution}/failed/{step}"),
    )
    if unsent:
        raise UncertainError("AWS", "reporting a failure", "the alert was not sent")
    for pause in _PAUSES_SECONDS:
        if not unrecorded or float(context.get_remaining_time_in_millis()) / 1000 < pause + _RESERVE_SECONDS:
            break
        clock.sleep(pause)
        unrecorded = _failing(*unrecorded)
    return {"decision": "not_asked"}


def _give_up_group(step: str, execution: str) -> str:
    """Give up the group of alerts that the execution may have opened, and return a text about its counted events.

    The next event takes its place. No event is counted for this execution after the text.
    """
    if step not in _BEFORE_THE_COUNT:
        return ""
    try:
        row = groups.reported(execution)
    except (BotoCoreError, ClientError) as error:
        # The next alert of the group includes the events.
        logger.error("workflow.group_not_given_up", extra={"error": type(error).__name__})
        return ""
    if not row.get("events"):
        return ""
    callers = ", ".join(wording.cut(name) for name in sorted(row.get("callers", ())))
    return f"ir-router counted {row['events']} more events of this kind, and no other alert reports them: {callers}"


def _report_to_creator(incident: Incident | None, step: str) -> None:
    if incident is not None:
        creators.report(incident, f"failed {step}", f"FAILED: {step}. {_REQUIRED_ACTION.get(step, _DEFAULT_ACTION)}")


def note_failed_branch(task: Mapping[str, Any], _context: Any) -> dict[str, Any]:
    """States "Audit the Failed Alert" and "Alert the Failed Audit": report the failed branch through the other one."""
    incident: Incident = task["incident"]
    step = str(task["step"])
    error, cause = error_of(task.get("failure"))
    execution = incident["execution"]["id"]
    if step == "Send Alert":
        details = wording.record(incident) | {"step": step, "error": error, "cause": cause}
        audit.append("step_failed", wording.AUDIT_ACTOR, details, once=f"{execution}/failed/{step}")
    else:
        alert_id, severity = f"{incident['execution']['name']}/failed/{step}", incident["severity"]
        subject = wording_subjects.failed(step, incident, ())
        text = _text(step, error, cause, incident, execution)
        named = wording_links.named_in(incident)
        alert = Alert(alert_id, severity, subject, text, execution=execution, principals=named)
        notices.mail(alert)
        _failing(lambda: notices.alert_in_slack(alert))
    logger.error("workflow.branch_failed", extra={"step": step, "error": error})
    return {"done": False, "step": step}


def _mark(task: Mapping[str, Any], step: str, execution: str, principals: Sequence[Principal]) -> None:
    """Mark the incident as failed, so that the next event for the principal sends a new approval request."""
    if step in ("Wait for Analyst", "Wait for Permission"):
        kind: ApprovalKind = "remediate" if step == "Wait for Analyst" else "contain"
        approvals.record_expired(approvals.id_of(execution, kind), "the workflow could not send the approval request")
    decided = (task.get("decision") or {}).get("decision")
    if step == "Remediation" and decided in ("approve", "deny"):
        notices.report_result(approvals.id_of(execution, "remediate"), decided, _NOT_CARRIED_OUT)
    if step == "Immediate Containment":  # any earlier approval request was for permission to contain
        notices.report_result(approvals.id_of(execution, "contain"), "approve", _NOT_CARRIED_OUT)
    if "incident" in task:
        actor_incidents.give_up(task["incident"])
    for principal in principals:
        arn = principal["arn"]
        if arn and (containments.get(arn) or {}).get("phase") == containments.OPEN:  # else it is decided about
            containments.annotate(arn, execution, phase=containments.FAILED)


def _principals(task: Mapping[str, Any], step: str, context: Any) -> list[Principal]:
    """Return the affected principals under their current names: an old name may belong to another user by now."""
    incident: Incident | None = task.get("incident")
    if incident is None:
        return []
    if not task.get("containment") and step != "Immediate Containment":
        return [incident["subject"]]
    own = wording.principals_of(task["containment"]) if task.get("containment") else []
    try:
        if not task.get("containment"):
            own = [identity.resolve(target) or target.principal for target in identity.targets(incident, context)]
        return [*own, *_joined(incident["execution"]["id"], {principal["arn"] for principal in own})]
    except (IrRouterError, BotoCoreError, ClientError) as error:
        logger.error(
            "workflow.principal_lookup_failed: the report uses the names that are known",
            extra={"error": type(error).__name__},
        )
        return own


def _joined(execution: str, own: Set[str]) -> list[Principal]:
    """Return the principals that joined the incident, or its request for permission."""
    asked = approvals.get(approvals.id_of(execution, "remediate")) or {}
    found = [iam_principals.from_arn(arn) for arn in approvals.principals_of(asked)]
    found += [part["principal"] for part in not_contained.joined(execution, [])]
    by_arn = {principal["arn"]: principal for principal in found if principal is not None}
    return [principal for arn, principal in by_arn.items() if arn not in own]


def _failing(*attempts: Callable[[], object]) -> list[Callable[[], object]]:
    """Make all attempts, and return those that fail."""
    failing: list[Callable[[], object]] = []
    for attempt in attempts:
        try:
            attempt()
        except (IrRouterError, BotoCoreError, ClientError) as error:
            logger.error("workflow.report_failed: a failure was not reported", extra={"error": type(error).__name__})
            failing.append(attempt)
    return failing


def error_of(failure: object) -> tuple[str, str]:
    """Return name and message of a Catch's error (`{"Error", "Cause"}`), without the stack trace that Lambda adds."""
    if not isinstance(failure, Mapping):
        return "Unknown", ""
    cause = str(failure.get("Cause") or "")
    try:
        parsed = json_text.parsed(cause)
    except ValueError:
        parsed = None
    if isinstance(parsed, Mapping):
        cause = str(parsed.get("errorMessage") or "")
    return str(failure.get("Error") or "Unknown"), wording.cut(cause, _CAUSE_LENGTH)


def _text(
    step: str,
    error: str,
    cause: str,
    incident: Incident | None,
    execution: str,
    principals: Sequence[Principal] = (),
    counted: str = "",
) -> str:
    return wording.lines(
        f"The step {step} failed, and ir-router does not retry it. {_REQUIRED_ACTION.get(step, _DEFAULT_ACTION)}",
        *(f"Principal: {principal['arn']}" for principal in principals if principal["arn"]),
        *(f"Release: {command}" for command in _release_commands(step, principals)),
        _OWNER_UNKNOWN if step == "Immediate Containment" and not principals else "",
        f"Error: {error}" + (f" - {cause}" if cause else ""),
        counted,
        "",
        *(wording.facts(incident) if incident else ()),
        *(wording.ids(incident) if incident else ("", f"Execution: {execution}")),
    )


def _release_commands(step: str, principals: Sequence[Principal]) -> list[str]:
    """Return the commands that release the principals, for the steps whose action names them."""
    if "command below" not in _REQUIRED_ACTION.get(step, ""):
        return []
    return [command_lines.release(one["arn"]) for one in principals[: wording_many.MOST_NAMED] if one["arn"]]
