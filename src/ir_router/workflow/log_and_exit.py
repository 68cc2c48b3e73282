"""State "Log & Exit": write an audit record for an event without an alert."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ir_router.ledger import audit
from ir_router.observability import logger
from ir_router.workflow import wording
from ir_router.workflow.incident import Incident


def run_task(task: Mapping[str, Any], _context: Any) -> dict[str, Any]:
    """Write the audit record of an allowlisted or LOW event."""
    incident: Incident = task["incident"]
    allowlisted = incident["allowlist"]["allowlisted"]
    outcome = "allowlisted" if allowlisted else "logged"
    logger.info("event.ended_without_alert", extra={"outcome": outcome, "event_id": incident["event_id"]})
    audit.append(
        f"event_{outcome}",
        wording.AUDIT_ACTOR,
        wording.record(incident),
        once=f"{incident['execution']['id']}/log_and_exit",
    )
    return {"outcome": outcome}
