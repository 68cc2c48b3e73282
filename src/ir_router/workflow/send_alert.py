"""State "Send Alert": people are told what happened, what was done and what is asked of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ir_router.workflow import notices, wording, wording_decisions
from ir_router.workflow.incident import Incident


def handle(task: Mapping[str, Any], _context: Any) -> dict[str, Any]:
    """Publish to the alert topic."""
    incident: Incident = task["incident"]
    containment = task["containment"]
    notices.alert(
        f"{incident['execution']['name']}/contained",
        incident["severity"],
        wording.alert_subject(incident, wording.principals_of(containment)),
        wording.containment(incident, containment, task["case"]["case_id"], wording_decisions.asked(containment)),
    )
    return {"done": True, "step": "Send Alert"}
