"""State "Alert Only": send an SNS alert, grouped by principal and detection if the detection asks for it.

The first event of a group sends its alert immediately and opens the group for one hour. Later events are counted. At
the end of the hour the first execution sends the count.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from ir_router.errors import RefusedError
from ir_router.ledger import audit, groups, unavailable
from ir_router.ledger.alerts import Alert
from ir_router.observability import logger
from ir_router.workflow import (
    attempts,
    check_allowlist,
    detections,
    notices,
    report_failure,
    wording,
    wording_alerts,
    wording_ledger,
    wording_links,
    wording_subjects,
)
from ir_router.workflow.incident import Incident

GROUP_SECONDS = groups.SECONDS
_NOT_CONTAINED = (
    "The principal was not contained when these events arrived. The alert about the first event applies to all of them."
)


class AlertAnswer(TypedDict):
    """The state's result. `alerted` is False if the event was only counted."""

    alerted: bool
    group_opened: bool


def run_task(task: Mapping[str, Any], context: Any) -> AlertAnswer:
    """Send the alert, or count the event in its open group or on the incident of its contained caller.

    Raises LedgerUnavailableError if the ledger cannot be read or written.
    """
    with unavailable.reported():
        return _alert(task["incident"], context)


def without_ledger(task: Mapping[str, Any], _context: Any) -> dict[str, Any]:
    """State "Alert Only Without Ledger": publish the event at once, to the topic that needs no encryption key."""
    incident: Incident = task["incident"]
    text = wording_ledger.alerted(incident, report_failure.error_of(task["failure"])[1])
    subject = wording_subjects.without_ledger(incident)
    notices.alert_without_key(Alert(f"{incident['execution']['name']}/ledger", incident["severity"], subject, text))
    if incident["severity"] == "CRITICAL":
        # The alert with the ledger, which follows, has the same reason and headline.
        headline = wording_subjects.to_check(incident)
        notices.page_without_ledger(f"{incident['execution']['name']}/alert", headline, headline)
    return {"done": True, "step": "Alert Only Without Ledger"}


def _alert(incident: Incident, context: Any) -> AlertAnswer:
    execution = incident["execution"]["id"]
    group = group_of(incident)
    if attempts.handle(incident, context):
        # If the intake opened the group for this execution, and the caller was contained since, its events are counted.
        row = groups.find(group) if group is not None else None
        return {"alerted": False, "group_opened": row is not None and row["execution"] == execution}
    opener = groups.enter(group, execution)["execution"] if group is not None else execution
    first = opener == execution
    counted = 1 if first else _count(opener, incident)
    if not _is_due(opener, incident, counted):
        logger.info("alert.counted", extra={"event_id": incident["event_id"], "group": group})
        return {"alerted": False, "group_opened": first}
    notices.alert_everywhere(
        Alert(
            f"{incident['execution']['name']}/alert",
            incident["severity"],
            wording_subjects.to_check(incident),
            wording_alerts.alert_only(incident, grouped=group is not None, count=counted),
            execution=execution,
            principals=wording_links.named_in(incident),
            allow=check_allowlist.command_to_allow(incident),
            mention=incident["severity"] == "CRITICAL",
        )
    )
    audit.append("alerted", wording.AUDIT_ACTOR, wording.record(incident), once=f"{execution}/alert_only")
    logger.info("alert.sent", extra={"severity": incident["severity"], "event_id": incident["event_id"]})
    return {"alerted": True, "group_opened": group is not None and first}


def count(task: Mapping[str, Any], _context: Any) -> dict[str, Any]:
    """State "Alert the Count": send the number of events in the group if there was more than one.

    The group's first event sends it. For groups of the state "Open Case" the second event does, since the first one
    waits for a decision.
    """
    incident: Incident = task["incident"]
    execution = incident["execution"]["id"]
    row = groups.counted(execution)
    counted = 1 + int(row["events"]) if row else 1
    needed = events_needed(incident)
    if row and (needed == 1 or counted > needed):
        text = wording_alerts.alert_count(
            incident, counted, sorted({caller_name(incident), *row.get("callers", ())}), needed=needed
        )
        if "case_id" in row:
            text = wording.lines(text, "", _NOT_CONTAINED, wording.case_line(row["case_id"]))
        notices.alert_everywhere(
            Alert(
                f"{incident['execution']['name']}/count",
                incident["severity"],
                wording_subjects.counted(incident, counted),
                text,
                case_id=row.get("case_id"),
                execution=execution,
                principals=wording_links.named_in(incident),
                allow="" if row.get("case_id") else check_allowlist.command_to_allow(incident),
            )
        )
        details = {**wording.record(incident), "count": counted}
        audit.append("alerted_count", wording.AUDIT_ACTOR, details, once=f"{execution}/alert_count")
        if row.get("case_id"):
            _comment(row["case_id"], execution, text)
    return {"count": counted}


def group_of(incident: Incident) -> str | None:
    """Return the event's group, or None if the event sends its own alert."""
    if "quiet" in incident:
        return groups.name_of(incident["quiet"], incident["account"]) if incident["quiet"] == "sample" else None
    found = detections.by_ids(incident["detections"])
    if not found:
        return None
    gravest = found[0]
    if gravest.grouped == "none" or (gravest.grouped == "reads" and not incident["read_only"]):
        return None
    if gravest.grouped == "address":
        return groups.name_of(gravest.id, incident["account"], incident["source_ip"] or "")
    return groups.name_of(gravest.id, _caller(incident))


def events_needed(incident: Incident) -> int:
    """Return the number of events in the group that causes its first alert."""
    found = detections.by_ids(incident["detections"])
    return found[0].at_least if found and "quiet" not in incident else 1


def _count(opener: str, incident: Incident) -> int:
    """Count the event in the group of `opener` and return the number of its events so far."""
    groups.count(opener, incident["execution"]["id"], caller_name(incident))
    row = groups.counted(opener)
    return 1 + int(row["events"]) if row else 1


def _is_due(opener: str, incident: Incident, counted: int) -> bool:
    """Return whether this event sends the group's first alert: it is the first, or completes the number needed."""
    execution = incident["execution"]["id"]
    needed = events_needed(incident)
    if needed == 1:
        return opener == execution
    if counted < needed:
        return False
    return bool(groups.enter(groups.name_of("alerted", opener), execution)["execution"] == execution)


def caller_name(incident: Incident) -> str:
    """Return the name of the event's caller for a summary."""
    actor = incident["actor"]
    return wording.cut(actor["name"] or actor["caller_arn"] or "unknown")


def _caller(incident: Incident) -> str:
    """Return a text that differs for each caller.

    Callers without an ARN differ in their names and addresses. The id of another account's principal needs no address.
    """
    actor = incident["actor"]
    named = actor["arn"] or actor["caller_arn"]
    has_id = actor["kind"] == "account" and actor["name"] != actor["account"]
    address = "" if has_id else incident["source_ip"] or ""
    return named or " ".join((actor["kind"], actor["name"], actor["account"], address))


def _comment(case_id: str, execution: str, text: str) -> None:
    try:
        notices.comment(case_id, f"count-{execution}", text)
    except RefusedError as error:
        # A retry cannot help: a closed case accepts no comments.
        logger.warning(
            "case.comment_rejected: the case does not have the count", extra={"case_id": case_id, "code": error.code}
        )
