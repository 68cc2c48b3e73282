"""The subjects of the e-mails about a containment: the required action, the principal and the result. Pure.

SNS cuts a subject at 100 characters. Names are therefore shortened, and the title of the event comes last.
"""

from __future__ import annotations

from collections.abc import Sequence

from ir_router.workflow import wording, wording_decisions
from ir_router.workflow.incident import ContainmentResult, Decision, Incident
from ir_router.workflow.outcomes import OUTCOMES
from ir_router.workflow.remediation import RemediationResult

_NAMES_LENGTH = 45
_ANALYST_LENGTH = 20


def contained(incident: Incident, containment: ContainmentResult) -> str:
    """Return the subject of the alert about a contained principal, about which an analyst must decide."""
    if OUTCOMES[containment["outcome"]].approval != "remediate":
        return wording.alert_subject(incident, wording.principals_of(containment))
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
    """Return the subject of the final alert. Without a decision it is the outcome itself."""
    consequences = OUTCOMES[containment["outcome"]]
    if decision is None or consequences.approval is None:
        return wording_decisions.outcome(containment, decision, done, missing)
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
