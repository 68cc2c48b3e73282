"""State "Page: Limit Reached": too many principals within the hour, so a person decides before this one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ir_router.ledger import audit
from ir_router.workflow import notices, wording
from ir_router.workflow.incident import Incident

_LATER = "Further events of this kind are counted, and told in an hour; no second question is asked for them."


def handle(task: Mapping[str, Any], _context: Any) -> dict[str, Any]:
    """Alert and audit record."""
    incident: Incident = task["incident"]
    containment, case_id = task["containment"], task["case"]["case_id"]
    details = wording.record(incident) | wording.record_containment(containment, case_id)
    once = f"{incident['execution']['id']}/limit_reached"
    audit.append("containment_limit_reached", wording.AUDIT_ACTOR, details, once=once)
    notices.alert(
        f"{incident['execution']['name']}/limit",
        incident["severity"],
        f"NOT contained yet - {wording.alert_subject(incident, wording.principals_of(containment))}",
        wording.containment(incident, containment, case_id, (_LATER,)),
    )
    return {"done": True, "step": "Page: Limit Reached"}
