"""State "Evaluate Severity": determine the event's severity from the detection table, and the action that follows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ir_router.observability import logger
from ir_router.workflow import creators, detections, severity, tampering
from ir_router.workflow.incident import Incident


def run_task(task: Mapping[str, Any], context: Any) -> Incident:
    """Return the incident with its severity, title, detections and action (log, alert or contain).

    An analyst who requests the containment of a creator has decided all of these. An event that changes a contained
    principal has at least severity HIGH and joins the incident of that principal.
    """
    incident: Incident = task["incident"]
    if "requested" in incident:
        return {**incident, "severity": "HIGH", "action": "contain", "title": creators.TITLE, "detections": []}
    found = detections.matching(task["event"])
    assessment = severity.assess(found, incident["subject"], incident.get("quiet"))
    target = None
    if assessment.action != "contain" and "unclaimed" not in incident:  # without the ledger, no containment is known
        target = tampering.contained_target(incident, task["event"], found, context)
    if target is not None:
        assessment = severity.of_tampering(assessment)
        incident = {**incident, "subject": target}
        if tampering.only_removes(task["event"]):
            incident = {**incident, "spares_actor": True}
    elif "unclaimed" not in incident and tampering.is_of_others(task["event"], found, context):
        others = [detection for detection in found if detection.id != tampering.DETACHED]
        without = severity.assess(others, incident["subject"], incident.get("quiet"))
        assessment = severity.lifted_by_others(assessment, without)
    if target is not None or tampering.only_detaches(found):
        # The key of the call existed before, so an approval must not delete it.
        incident = {**incident, "access_key_id": None}
    also = [one.title for one in found if one.title != found[0].title and one.severity != "LOW"]
    spared = "entry" in incident.get("allowlist", {})
    logger.info(
        "severity.evaluated",
        extra={"severity": assessment.severity, "detections": assessment.detections, "event_id": incident["event_id"]},
    )
    return {
        **incident,
        "severity": assessment.severity,
        "action": "alert" if spared and assessment.action == "contain" else assessment.action,
        "title": assessment.title,
        "detections": list(assessment.detections),
        "also": also,
    }
