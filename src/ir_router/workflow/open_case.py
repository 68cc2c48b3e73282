"""State "Open Case": open a SIR case for a new HIGH incident, or comment on the case that an event joins.

There is no case for a dry run, for `off`, or if nothing was left to contain. If a principal is not contained, its first
event of a kind opens a case. Later events are counted for an hour, so that an attacker cannot hide the case among
others. The same applies to the further events of an incident that many events have joined.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from ir_router import clock
from ir_router.cases.followed_fields import SEVERITY
from ir_router.cases.limits import DESCRIPTION_LIMIT, TITLE_LIMIT
from ir_router.errors import RefusedError
from ir_router.ledger import approvals, audit, containments, groups
from ir_router.ledger.table import ConditionFailedError
from ir_router.observability import logger
from ir_router.security_ir import gateway
from ir_router.settings import settings
from ir_router.workflow import case_fields, case_start, missing_cases, not_contained, notices, wording
from ir_router.workflow.incident import CaseResult, ContainmentResult, Incident
from ir_router.workflow.outcomes import OUTCOMES, CaseEffect

# Without a membership in the account there are no cases; everything else works.
_NO_MEMBERSHIP = frozenset({"SecurityIncidentResponseNotActiveException"})
_MEMBERSHIP = (
    "There is no case, because this account has no active membership of AWS Security Incident Response in this region. "
    "Check the membership in the console of the service, or run make verify."
)
_QUOTA = (
    "There is no case yet, because a quota for cases of AWS Security Incident Response is reached. Close cases that "
    "are finished, or request a higher quota in the Service Quotas console. ir-router opens the case within 15 minutes "
    "after the quota allows it."
)
_INVALID = "ValidationException"
# Events that join an incident are reported one by one up to this number, then counted for an hour.
_MOST_REPORTED = 10


def run_task(task: Mapping[str, Any], _context: Any) -> CaseResult:
    """Return the incident's case. Raises the Security IR gateway's errors if it cannot be opened."""
    incident: Incident = task["incident"]
    containment: ContainmentResult = task["containment"]
    effect = OUTCOMES[containment["outcome"]].case
    if effect == "none":
        return _no_case(f"no case for {containment['outcome']}")
    group = _group(incident, containment, effect)
    if group is not None and (counted := _counted(group, incident, containment)) is not None:
        return counted
    shared = not_contained.shared_case(incident, containment) if effect == "open_first" else None
    try:
        if effect == "comment":
            return _comment(incident, containment)
        opened = shared or _open(incident, containment, group)
    except RefusedError as error:
        if error.code not in _NO_MEMBERSHIP:
            raise
        logger.warning("case.not_opened: AWS Security Incident Response has no active membership")
        not_contained.opened(incident, containment, None)
        return {**_no_case("no active membership of AWS Security Incident Response"), "for_readers": _MEMBERSHIP}
    if shared is None:
        not_contained.opened(incident, containment, opened["case_id"])
    if opened["case_id"] is None:
        return opened
    if group is not None:
        with suppress(ConditionFailedError):  # the hour is over, and another event has opened a new group
            execution = incident["execution"]["id"]
            groups.annotate(group, execution, "SET case_id = :case_id", case_id=opened["case_id"])
    return opened


def _no_case(why: str) -> CaseResult:
    return {"case_id": None, "failed": False, "repetition": "none", "why": why}


def _group(incident: Incident, containment: ContainmentResult, effect: CaseEffect) -> str | None:
    """Return the group of alike events of which only the first is reported, or None to report every event.

    These are events with the same detections and the same principals that are not contained, and the further events of
    an incident that many have joined.
    """
    if effect == "comment":
        joined = next((part for part in containment["principals"] if "approval_id" in part), None)
        approval = approvals.get(joined["approval_id"]) if joined else None
        if joined is None or int((approval or {}).get("joined_events", 0)) <= _MOST_REPORTED:
            return None
        return groups.name_of("joined", joined["approval_id"])
    if effect != "open_first":
        return None
    unnamed = incident["access_key_id"] or incident["event_id"]
    about = [part for part in containment["principals"] if OUTCOMES[part["outcome"]].case == "open_first"]
    who = [f"{part['outcome']} {part['principal']['arn'] or unnamed}" for part in about]
    return groups.name_of("case", *incident["detections"], *who)


def _counted(group: str, incident: Incident, containment: ContainmentResult) -> CaseResult | None:
    """Count the event and write its audit record in one transaction. Returns None for the first event of a group."""
    execution = incident["execution"]["id"]
    opened = groups.enter(group, execution)
    if opened["execution"] != execution and _is_answered(opened["execution"]):
        opened = groups.enter(group, execution, instead_of=opened["execution"])
    opener, case_id = opened["execution"], opened.get("case_id")
    if opener == execution:
        return None
    teller = groups.annotate(group, opener, "SET teller = if_not_exists(teller, :execution)", execution=execution)[
        "teller"
    ]
    audit.append(
        "event_counted",
        wording.AUDIT_ACTOR,
        wording.record(incident) | wording.record_containment(containment, case_id) | {"told_with": opener},
        once=f"{execution}/counted",
        together_with=[groups.counting(teller, case_id or "")],
    )
    logger.info("case.event_counted", extra={"event_id": incident["event_id"], "group": group})
    return {"case_id": case_id, "failed": False, "repetition": "tells" if teller == execution else "counted"}


def _is_answered(opener: str) -> bool:
    """Whether the approval request of the group's first event is closed, so that the next event sends a new one."""
    request = approvals.get(approvals.id_of(opener, "contain"))
    return request is not None and request["state"] != approvals.PENDING


def _open(incident: Incident, containment: ContainmentResult, group: str | None) -> CaseResult:
    execution = incident["execution"]["id"]
    arns = [part["principal"]["arn"] for part in containment["principals"]]
    fields = _fields(incident, containment)
    structured = case_fields.structured(incident)
    try:
        case_id = _create(fields, structured)
    except RefusedError as error:
        if error.code != missing_cases.QUOTA:
            raise
        logger.warning("case.not_opened: a quota is reached", extra={"event_id": incident["event_id"]})
        missing_cases.remember(execution, {**fields, **structured}, arns, group, incident["event_time"])
        return {**_no_case("a quota for cases is reached"), "for_readers": _QUOTA, "opened_later": True}
    for arn in arns:
        containments.annotate(arn, execution, case_id=case_id)
    case_start.set_on(case_id, incident["event_time"])
    logger.info("case.opened", extra={"case_id": case_id})
    return {"case_id": case_id, "failed": False, "repetition": "none"}


def _create(fields: Mapping[str, Any], structured: Mapping[str, Any]) -> str:
    """Create the case. A rejected value of an optional field, such as a new Region, must not prevent the case."""
    try:
        return gateway.create_case(**fields, **structured)
    except RefusedError as error:
        if error.code not in (_INVALID, "ParamValidationError") or not structured:
            raise
        logger.warning("case.fields_rejected: the case is opened without the optional fields")
        return gateway.create_case(**fields)


def _fields(incident: Incident, containment: ContainmentResult) -> dict[str, Any]:
    execution = incident["execution"]["id"]
    reported = incident["event_time"]
    severity = incident["severity"].capitalize()
    return {
        "clientToken": _client_token(execution),
        "resolverType": settings().case_resolver_type,
        "engagementType": "Security Incident",
        "title": wording.alert_subject(incident, wording.principals_of(containment))[:TITLE_LIMIT],
        "description": wording.case_description(incident, containment)[:DESCRIPTION_LIMIT],
        "reportedIncidentStartDate": datetime.fromisoformat(reported) if reported else clock.utc_now(),
        "impactedAccounts": case_fields.accounts(incident),
        "watchers": [],
        "tags": {str(SEVERITY.tag): severity, "execution": execution},
    }


def _comment(incident: Incident, containment: ContainmentResult) -> CaseResult:
    case_id = next((part["case_id"] for part in containment["principals"] if part.get("case_id")), None)
    if case_id is not None:
        text = wording.containment(incident, containment, None)
        notices.comment(case_id, f"joined-{incident['execution']['id']}", text)
    return {"case_id": case_id, "failed": False, "repetition": "none"}


def _client_token(execution: str) -> str:
    """Return the execution's ARN, hashed if it exceeds the API's 255 characters."""
    return execution if len(execution) <= 255 else hashlib.sha256(execution.encode()).hexdigest()
