"""State "Alert Only": tell people by SNS, grouped where the detection says so.

Grouped: the first event of a principal and detection alerts at once and opens a group for an hour; later ones are
counted; the first execution waits for the hour's end and tells the count.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from ir_router.errors import RefusedError
from ir_router.ledger import audit, groups
from ir_router.observability import logger
from ir_router.workflow import detections, notices, wording
from ir_router.workflow.incident import Incident

GROUP_SECONDS = groups.SECONDS
_NOT_CONTAINED = "When they came the principal was not contained. What was told of the first holds for all of them."


class AlertAnswer(TypedDict):
    """`alerted` is False when the event was only counted."""

    alerted: bool
    group_opened: bool


def handle(task: Mapping[str, Any], _context: Any) -> AlertAnswer:
    """Alert, or count the event in the group that is open."""
    incident: Incident = task["incident"]
    execution = incident["execution"]["id"]
    group = group_of(incident)
    opener = groups.enter(group, execution)["execution"] if group is not None else execution
    if opener != execution:
        groups.count(opener, execution)
        logger.info("counted in an open group", extra={"event_id": incident["event_id"], "group": group})
        return {"alerted": False, "group_opened": False}
    notices.alert(
        f"{incident['execution']['name']}/alert",
        incident["severity"],
        wording.alert_subject(incident),
        wording.alert_only(incident, grouped=group is not None),
    )
    audit.append("alerted", wording.AUDIT_ACTOR, wording.record(incident), once=f"{execution}/alert_only")
    logger.info("alerted", extra={"severity": incident["severity"], "event_id": incident["event_id"]})
    return {"alerted": True, "group_opened": group is not None}


def count(task: Mapping[str, Any], _context: Any) -> dict[str, Any]:
    """State "Alert the Count": tell how many events the group had, if there was more than the first.

    Told by the group's first event; where that had to be acted upon (state "Open Case"), by the next one.
    """
    incident: Incident = task["incident"]
    execution = incident["execution"]["id"]
    row = groups.counted(execution)
    counted = 1 + int(row["events"]) if row else 1
    if row:
        text = wording.alert_count(incident, counted)
        if "case_id" in row:
            text = wording.lines(text, "", _NOT_CONTAINED, f"Case: {row['case_id']}" if row["case_id"] else "")
        notices.alert(
            f"{incident['execution']['name']}/count",
            incident["severity"],
            f"{counted} times within the hour: {wording.alert_subject(incident)}",
            text,
        )
        details = {**wording.record(incident), "count": counted}
        audit.append("alerted_count", wording.AUDIT_ACTOR, details, once=f"{execution}/alert_count")
        if row.get("case_id"):
            _comment(row["case_id"], execution, text)
    return {"count": counted}


def group_of(incident: Incident) -> str | None:
    """The group that this event counts in, or None when it alerts for itself."""
    found = detections.by_ids(incident["detections"])
    if not found:
        return None
    gravest = found[0]
    if gravest.grouped == "none" or (gravest.grouped == "reads" and not incident["read_only"]):
        return None
    actor = incident["actor"]
    who = actor["arn"] or actor["caller_arn"] or f"{actor['kind']} {actor['account']}"
    return groups.name_of(gravest.id, who)


def _comment(case_id: str, execution: str, text: str) -> None:
    try:
        notices.comment(case_id, f"count-{execution}", text)
    except RefusedError as error:
        # For certain and for good: a closed case takes no comments.
        logger.warning("the case did not take the count", extra={"case_id": case_id, "code": error.code})
