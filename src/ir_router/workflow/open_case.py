"""State "Open Case": a SIR case for a new HIGH incident, a comment for an event that joins an open one.

Nothing is opened for a dry run, for `off`, or when nothing was left to contain.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ir_router import clock
from ir_router.cases.limits import DESCRIPTION_LIMIT, TITLE_LIMIT
from ir_router.errors import RefusedError
from ir_router.ledger import containments
from ir_router.observability import logger
from ir_router.security_ir import gateway
from ir_router.settings import settings
from ir_router.workflow import notices, wording
from ir_router.workflow.incident import CaseResult, ContainmentResult, Incident

_NO_CASE = frozenset({"dry_run", "off", "gone"})
# Nothing is wrong with the incident when the account has no membership: everything else works without a case.
_NO_MEMBERSHIP = frozenset({"SecurityIncidentResponseNotActiveException"})


def handle(task: Mapping[str, Any], _context: Any) -> CaseResult:
    """The incident's case. Raises the Security IR gateway's errors when it cannot be opened."""
    incident: Incident = task["incident"]
    containment: ContainmentResult = task["containment"]
    if containment["outcome"] in _NO_CASE:
        return {"case_id": None, "failed": False, "why": f"no case for {containment['outcome']}"}
    try:
        if containment["outcome"] == "joined":
            return _comment(incident, containment)
        return _open(incident, containment)
    except RefusedError as error:
        if error.code not in _NO_MEMBERSHIP:
            raise
        logger.warning("no case: Security Incident Response has no active membership")
        return {"case_id": None, "failed": False, "why": "no active membership of AWS Security Incident Response"}


def _open(incident: Incident, containment: ContainmentResult) -> CaseResult:
    execution = incident["execution"]["id"]
    reported = incident["event_time"]
    severity = incident["severity"].capitalize()
    case_id = gateway.create_case(
        clientToken=_client_token(execution),
        resolverType=settings().case_resolver_type,
        engagementType="Security Incident",
        title=wording.alert_subject(incident)[:TITLE_LIMIT],
        description=wording.case_description(incident, containment)[:DESCRIPTION_LIMIT],
        reportedIncidentStartDate=datetime.fromisoformat(reported) if reported else clock.utc_now(),
        impactedAccounts=[incident["account"].zfill(12)],
        watchers=[],
        tags={"severity": severity, "execution": execution},
    )
    for part in containment["principals"]:
        containments.annotate(part["principal"]["arn"], execution, case_id=case_id)
    logger.info("case opened", extra={"case_id": case_id})
    return {"case_id": case_id, "failed": False}


def _comment(incident: Incident, containment: ContainmentResult) -> CaseResult:
    case_id = next((part["case_id"] for part in containment["principals"] if part.get("case_id")), None)
    if case_id is not None:
        text = wording.containment(incident, containment, None)
        notices.comment(case_id, f"joined-{incident['execution']['id']}", text)
    return {"case_id": case_id, "failed": False}


def _client_token(execution: str) -> str:
    """The execution's ARN; hashed when longer than the API's 255 characters."""
    return execution if len(execution) <= 255 else hashlib.sha256(execution.encode()).hexdigest()
