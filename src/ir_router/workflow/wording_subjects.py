"""The subjects of the e-mails about a containment: the required action, the principal and the result. Pure.

SNS cuts a subject at 100 characters. Names are therefore shortened, and the title of the event comes last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ir_router.workflow import wording, wording_many
from ir_router.workflow.incident import Analyst, ContainmentResult, Decision, Incident, Principal
from ir_router.workflow.outcomes import OUTCOMES
from ir_router.workflow.remediation import RemediationResult

_NAMES_LENGTH = 45
_ANALYST_LENGTH = 20
_WITHOUT_REQUEST: Mapping[str, str] = {
    "limit_reached": "ACT by hand now: {who} NOT contained, the hourly limit is reached",
    "ask_first": "ACT by hand now: {who} NOT contained, no approval",
    "refused": "ACT by hand now: {who} NOT contained",
    "joined": "DECIDE: {who} already contained, a further event joined",
    "dry_run": "NO ACTION: dry run, {who} not contained",
    "off": "ACT by hand: {who} not contained, containment is off",
    "gone": "NO ACTION: {who} no longer exists",
    "closed": "NO ACTION: {who} not contained, its account is closed",
}


def to_check(incident: Incident) -> str:
    """Return the subject of an alert about an event that is not contained."""
    who = _short(wording.in_event(incident), _NAMES_LENGTH)
    if "quiet" in incident:
        return f"NO ACTION: {who} - {_title(incident)}"
    critical = incident.get("severity") == "CRITICAL"
    return f"{'ACT now' if critical else 'CHECK'}: {who} - {_title(incident)}"


def counted(incident: Incident, count: int) -> str:
    """Return the subject of the hourly summary of alike events."""
    return f"CHECK: {_short(wording.in_event(incident), _NAMES_LENGTH)}, {count} times in an hour - {_title(incident)}"


def failed(step: str, incident: Incident | None, principals: Sequence[Principal]) -> str:
    """Return the subject of the alert about a failed step of the workflow."""
    if incident is None:
        return f"CHECK the execution: {step} FAILED, event not readable"
    who = wording_many.names([wording.name_of(principal) for principal in principals if principal["name"]])
    who = _short(who or wording.in_event(incident), _NAMES_LENGTH)
    return f"ACT by hand now: {who}, {step} FAILED - {_title(incident)}"


def without_ledger(incident: Incident, principals: Sequence[Principal] = ()) -> str:
    """Return the subject of an alert while the ledger is unavailable."""
    who = wording_many.names([wording.name_of(principal) for principal in principals if principal["name"]])
    return f"FIX the ledger now: {_short(who or wording.in_event(incident), _NAMES_LENGTH)} - {_title(incident)}"


def alone(analyst: Analyst, decision: str, who: str) -> str:
    """Return the subject of the alert about a decision by one person instead of two."""
    name = _short(str(analyst["name"]), _ANALYST_LENGTH)
    return f"CHECK now: BREAK-GLASS, {name} decides alone: {decision} - {_short(who, _NAMES_LENGTH)}"


def contained(incident: Incident, containment: ContainmentResult) -> str:
    """Return the subject of the alert about a contained principal, about which an analyst must decide."""
    if OUTCOMES[containment["outcome"]].approval != "remediate":
        return _without_request(incident, containment)
    in_part = any(part["why"] for part in containment["principals"])
    state = "PARTLY contained, act by hand now" if in_part else "contained"
    return f"DECIDE within 24 h: {_names(containment)} {state} - {_title(incident)}"


def permission(incident: Incident, containment: ContainmentResult) -> str:
    """Return the subject of the alert about a principal that is contained only after an approval."""
    return f"DECIDE now: {_names(containment)} NOT contained yet - {_title(incident)}"


def final(
    incident: Incident,
    containment: ContainmentResult,
    decision: Decision | None,
    done: RemediationResult | None,
    missing: Sequence[str],
) -> str:
    """Return the subject of the final alert."""
    consequences = OUTCOMES[containment["outcome"]]
    if decision is None or consequences.approval is None:
        return _without_request(incident, containment)
    who, title = _names(containment), _title(incident)
    if consequences.approval == "contain":
        result = f"{who} NOT contained"
        if decision["decision"] == "deny":
            return f"DONE: denied by {_analyst(decision)}, {result} - {title}"
        return f"ACT by hand now: {result} - {title}"
    if missing:
        return f"ACT by hand now: {who}, steps are missing: {'; '.join(missing)}"
    match decision["decision"]:
        case "approve":
            return f"DONE: approved by {_analyst(decision)}, {who} stays contained - {title}"
        case "deny":
            restored = "restored in part" if done is not None and done.get("held") else "restored"
            return f"DONE: denied by {_analyst(decision)}, {who} {restored} - {title}"
        case _:
            return f"REVIEW: no decision, {who} stays contained until you release it - {title}"


def _without_request(incident: Incident, containment: ContainmentResult) -> str:
    """Return the subject of an alert about an outcome that needs no decision of its own."""
    who = _names(containment)
    if containment["outcome"] == "contained":
        return f"CHECK: {who} contained, without a decision - {_title(incident)}"
    return f"{_WITHOUT_REQUEST[containment['outcome']].format(who=who)} - {_title(incident)}"


def _names(containment: ContainmentResult) -> str:
    return _short(wording.names_of(containment["principals"]) or "no principal", _NAMES_LENGTH)


def _analyst(decision: Decision) -> str:
    analyst = decision.get("analyst")
    return _short(str(analyst["name"]) if analyst else "an unnamed analyst", _ANALYST_LENGTH)


def _title(incident: Incident) -> str:
    return f"{incident.get('severity', 'UNKNOWN')}: {incident.get('title', incident['event_name'])}"


def _short(text: str, length: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[: length - 3]}..."
