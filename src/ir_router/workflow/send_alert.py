"""State "Send Alert": send an alert with the event, the containment and the decision that is needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ir_router.ledger import approvals
from ir_router.ledger.alerts import Alert
from ir_router.workflow import notices, wording, wording_decisions, wording_subjects
from ir_router.workflow.incident import Incident


def run_task(task: Mapping[str, Any], _context: Any) -> dict[str, Any]:
    """Publish to the alert topic."""
    incident: Incident = task["incident"]
    containment = task["containment"]
    text = wording.containment(
        incident,
        containment,
        task["case"]["case_id"],
        wording_decisions.decision_lines(containment, approvals.id_of(incident["execution"]["id"], "remediate")),
        effects=wording_decisions.effects(containment),
        no_case=task["case"].get("for_readers", ""),
    )
    subject = wording_subjects.contained(incident, containment)
    notices.mail(Alert(f"{incident['execution']['name']}/contained", incident["severity"], subject, text))
    return {"done": True, "step": "Send Alert"}
