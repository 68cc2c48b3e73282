"""State "Write Audit Log": write the detection and the containment to the audit log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ir_router.ledger import audit
from ir_router.workflow import owners, wording
from ir_router.workflow.incident import ContainmentResult, Incident


def run_task(task: Mapping[str, Any], _context: Any) -> dict[str, Any]:
    """Write the record, once for each execution."""
    incident: Incident = task["incident"]
    containment: ContainmentResult = owners.restored(task["containment"], incident["execution"]["id"])
    details = wording.record(incident) | wording.record_containment(containment, task["case"]["case_id"])
    # Anyone who can tag a principal controls who is barred from deciding, so the values of the tags are evidence.
    details["owner_tags"] = containment.get("owner_tags", {})
    audit.append("contained", wording.AUDIT_ACTOR, details, once=f"{incident['execution']['id']}/contained")
    return {"done": True, "step": "Write Audit Log"}
