"""State "Open Case": a SIR case for a new HIGH incident, a comment for an event that joins an open one.

Nothing is opened for a dry run, for `off`, or when nothing was left to contain. Of a principal that is not contained
the first event of a kind opens a case; those of the hour after it are counted, so that nobody can bury it under more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from ir_router import clock
from ir_router.cases.limits import DESCRIPTION_LIMIT, TITLE_LIMIT
from ir_router.errors import RefusedError
from ir_router.ledger import approvals, audit, containments, groups
from ir_router.ledger.table import ConditionFailedError
from ir_router.observability import logger
from ir_router.security_ir import gateway
from ir_router.settings import settings
from ir_router.workflow import notices, wording
from ir_router.workflow.incident import CaseResult, ContainmentResult, Incident

_NO_CASE = frozenset({"dry_run", "off", "gone"})
_NOT_CONTAINED = frozenset({"refused", "limit_reached"})
# Nothing is wrong with the incident when the account has no membership: everything else works without a case.
_NO_MEMBERSHIP = frozenset({"SecurityIncidentResponseNotActiveException"})


def handle(task: Mapping[str, Any], _context: Any) -> CaseResult:
    """The incident's case. Raises the Security IR gateway's errors when it cannot be opened."""
    incident: Incident = task["incident"]
    containment: ContainmentResult = task["containment"]
    if containment["outcome"] in _NO_CASE:
        return _no_case(f"no case for {containment['outcome']}")
    group = _group(incident, containment) if containment["outcome"] in _NOT_CONTAINED else None
    if group is not None and (counted := _counted(group, incident, containment)) is not None:
        return counted
    try:
        if containment["outcome"] == "joined":
            return _comment(incident, containment)
        opened = _open(incident, containment)
    except RefusedError as error:
        if error.code not in _NO_MEMBERSHIP:
            raise
        logger.warning("no case: Security Incident Response has no active membership")
        return _no_case("no active membership of AWS Security Incident Response")
    if group is not None:
        with suppress(ConditionFailedError):  # the hour is over, and another event has opened the group anew
            execution = incident["execution"]["id"]
            groups.annotate(group, execution, "SET case_id = :case_id", case_id=opened["case_id"])
    return opened


def _no_case(why: str) -> CaseResult:
    return {"case_id": None, "failed": False, "repetition": "none", "why": why}


def _group(incident: Incident, containment: ContainmentResult) -> str:
    """Alike are events of one kind for the same principals, with the same outcome for each."""
    unnamed = incident["access_key_id"] or incident["event_id"]
    who = [f"{part['outcome']} {part['principal']['arn'] or unnamed}" for part in containment["principals"]]
    return groups.name_of("case", *incident["detections"], *who)


def _counted(group: str, incident: Incident, containment: ContainmentResult) -> CaseResult | None:
    """Count the event and keep it in the audit, in one write; None when it is the first."""
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
    logger.info("counted in an open group", extra={"event_id": incident["event_id"], "group": group})
    return {"case_id": case_id, "failed": False, "repetition": "tells" if teller == execution else "counted"}


def _is_answered(opener: str) -> bool:
    """Whether the question that the group's first event asked is open no more: the next event asks anew."""
    question = approvals.get(approvals.id_of(opener, "contain"))
    return question is not None and question["state"] != approvals.PENDING


def _open(incident: Incident, containment: ContainmentResult) -> CaseResult:
    execution = incident["execution"]["id"]
    reported = incident["event_time"]
    severity = incident["severity"].capitalize()
    case_id = gateway.create_case(
        clientToken=_client_token(execution),
        resolverType=settings().case_resolver_type,
        engagementType="Security Incident",
        title=wording.alert_subject(incident, wording.principals_of(containment))[:TITLE_LIMIT],
        description=wording.case_description(incident, containment)[:DESCRIPTION_LIMIT],
        reportedIncidentStartDate=datetime.fromisoformat(reported) if reported else clock.utc_now(),
        impactedAccounts=[incident["account"].zfill(12)],
        watchers=[],
        tags={"severity": severity, "execution": execution},
    )
    for part in containment["principals"]:
        containments.annotate(part["principal"]["arn"], execution, case_id=case_id)
    logger.info("case opened", extra={"case_id": case_id})
    return {"case_id": case_id, "failed": False, "repetition": "none"}


def _comment(incident: Incident, containment: ContainmentResult) -> CaseResult:
    case_id = next((part["case_id"] for part in containment["principals"] if part.get("case_id")), None)
    if case_id is not None:
        text = wording.containment(incident, containment, None)
        notices.comment(case_id, f"joined-{incident['execution']['id']}", text)
    return {"case_id": case_id, "failed": False, "repetition": "none"}


def _client_token(execution: str) -> str:
    """The execution's ARN; hashed when longer than the API's 255 characters."""
    return execution if len(execution) <= 255 else hashlib.sha256(execution.encode()).hexdigest()
