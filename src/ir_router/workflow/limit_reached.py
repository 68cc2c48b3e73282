"""State "Page: Limit Reached": an analyst decides whether the principal is contained.

The reason is the hourly limit, or a role that needs an approval (`workflow/roles.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ir_router.ledger import audit
from ir_router.ledger.alerts import Alert
from ir_router.workflow import notices, wording, wording_subjects
from ir_router.workflow.incident import Incident

_DECIDE = (
    "Decide with the buttons in Slack, or with `ir-router approvals`. Without a decision within 24 hours, ir-router "
    "contains nothing more."
)
_LATER = "Further events of this kind are summarised in one hour and do not send another approval request."


def run_task(task: Mapping[str, Any], _context: Any) -> dict[str, Any]:
    """Write the audit record and send the alert."""
    incident: Incident = task["incident"]
    containment, case_id = task["containment"], task["case"]["case_id"]
    details = wording.record(incident) | wording.record_containment(containment, case_id)
    once = f"{incident['execution']['id']}/limit_reached"
    reason = "containment_limit_reached" if containment["outcome"] == "limit_reached" else "containment_needs_approval"
    audit.append(reason, wording.AUDIT_ACTOR, details, once=once)
    text = wording.containment(
        incident, containment, case_id, (_DECIDE, _LATER), no_case=task["case"].get("for_readers", "")
    )
    subject = wording_subjects.permission(incident, containment)
    notices.mail(Alert(f"{incident['execution']['name']}/limit", incident["severity"], subject, text))
    return {"done": True, "step": "Page: Limit Reached"}
