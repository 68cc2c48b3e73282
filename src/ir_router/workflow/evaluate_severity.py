"""State "Evaluate Severity": how grave the event is by the detection table, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ir_router.observability import logger
from ir_router.workflow import detections, severity
from ir_router.workflow.incident import Incident


def handle(task: Mapping[str, Any], _context: Any) -> Incident:
    """The incident with severity, title, detections and the action that follows (log, alert, contain)."""
    incident: Incident = task["incident"]
    assessment = severity.assess(detections.matching(task["event"]), incident["subject"])
    spared = "entry" in incident.get("allowlist", {})
    logger.info(
        "severity evaluated",
        extra={"severity": assessment.severity, "detections": assessment.detections, "event_id": incident["event_id"]},
    )
    return {
        **incident,
        "severity": assessment.severity,
        "action": "alert" if spared and assessment.action == "contain" else assessment.action,
        "title": assessment.title,
        "detections": list(assessment.detections),
    }
