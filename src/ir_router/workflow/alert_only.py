"""State "Alert Only": tell people by SNS, grouped where the detection says so.

Grouped: the first event of a principal and detection alerts at once and opens a group for an hour; later ones are
counted; the first execution waits for the hour's end and tells the count.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, TypedDict

from ir_router import clock
from ir_router.ledger import audit, keys, table
from ir_router.ledger.table import ConditionFailedError
from ir_router.observability import logger
from ir_router.workflow import detections, notices, wording
from ir_router.workflow.incident import Incident

GROUP_SECONDS = 3600
# The count is told at the group's end; the row outlives it by enough for retries.
_KEPT_SECONDS = GROUP_SECONDS + 86_400


class AlertAnswer(TypedDict):
    """`group` is the opened group's name; `alerted` is False when the event was only counted."""

    alerted: bool
    group_opened: bool
    group: str | None


def handle(task: Mapping[str, Any], _context: Any) -> AlertAnswer:
    """Alert, or count the event in the group that is open."""
    incident: Incident = task["incident"]
    execution = incident["execution"]["id"]
    group = group_of(incident)
    if group is not None and not _opens(group, execution):
        logger.info("counted in an open group", extra={"event_id": incident["event_id"], "group": group})
        return {"alerted": False, "group_opened": False, "group": None}
    notices.alert(
        f"{incident['execution']['name']}/alert",
        incident["severity"],
        wording.alert_subject(incident),
        wording.alert_only(incident, grouped=group is not None),
    )
    audit.append("alerted", wording.AUDIT_ACTOR, wording.record(incident), once=f"{execution}/alert_only")
    logger.info("alerted", extra={"severity": incident["severity"], "event_id": incident["event_id"]})
    return {"alerted": True, "group_opened": group is not None, "group": group}


def count(task: Mapping[str, Any], _context: Any) -> dict[str, Any]:
    """State "Alert the Count": tell how many events the group had, if there was more than the first."""
    incident: Incident = task["incident"]
    execution = incident["execution"]["id"]
    row = table.get(_counter(execution))
    counted = 1 + int(row["events"]) if row else 1
    if counted > 1:
        notices.alert(
            f"{incident['execution']['name']}/count",
            incident["severity"],
            f"{counted} times within the hour: {wording.alert_subject(incident)}",
            wording.alert_count(incident, counted),
        )
        details = {**wording.record(incident), "count": counted}
        audit.append("alerted_count", wording.AUDIT_ACTOR, details, once=f"{execution}/alert_count")
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
    return hashlib.sha256(f"{gravest.id}|{who}".encode()).hexdigest()[:24]


def _opens(group: str, execution: str) -> bool:
    """Open the group for this execution, or count one more event in the group that is open."""
    key = keys.deduplication(f"ALERT#{group}")
    now = clock.now()
    try:
        table.put(
            key,
            {
                "execution": execution,
                "until": now + GROUP_SECONDS,
                "expires_at": int(now) + _KEPT_SECONDS,
            },
            "attribute_not_exists(PK) OR #until <= :now",
            now=now,
        )
    except ConditionFailedError as conflict:
        if conflict.row["execution"] == execution:
            return True  # a retry of the state
        table.update(
            _counter(conflict.row["execution"]),
            "ADD events :one SET expires_at = :expires_at",
            one=1,
            expires_at=int(now) + _KEPT_SECONDS,
        )
        return False
    return True


def _counter(opener: str) -> keys.Key:
    """How many events came after the one that opened the group; `opener` is that one's execution."""
    return keys.deduplication(f"COUNT#{hashlib.sha256(opener.encode()).hexdigest()[:24]}")
