"""The texts of alerts about events that are not contained. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ir_router.workflow import wording, wording_subjects
from ir_router.workflow.incident import Incident

_ACCOUNT_AT_RISK = "health_account_at_risk"


def alert_only(incident: Incident, *, grouped: bool, count: int = 1) -> str:
    """Return the text of an alert about an event that is not contained.

    Args:
        incident: The incident to alert about.
        grouped: Whether further events are counted.
        count: The number of events so far, if several of them cause the first alert.
    """
    so_far = f"{count} events of this kind arrived within the hour so far." if count > 1 else ""
    later = "Further events of this kind are summarised in one hour." if grouped else ""
    return wording.lines(
        f"{wording_subjects.to_check(incident)}.",
        _required(incident),
        so_far,
        "",
        *wording.facts(incident),
        later,
        *wording.ids(incident),
    )


def _required(incident: Incident) -> str:
    """Return the action that an alert about an event requires that is not contained."""
    match incident.get("quiet"):
        case "sample":
            return "An operator created this sample. Nothing was contained, and no action is required."
        case "closed":
            return "AWS closed this event. Nothing was contained, and no action is required."
    if _ACCOUNT_AT_RISK in incident.get("detections", ()):
        return (
            "AWS considers the account at risk. ir-router contained nothing, because the event names no principal that "
            "it can contain. Follow the instructions of AWS now."
        )
    root = incident["actor"]["kind"] == "root" or incident["subject"]["kind"] == "root"
    if root and incident.get("severity") == "CRITICAL":
        return (
            "Root cannot be contained. Check now whether this was intended. If not, sign in as root, delete its access "
            "keys, change its password and check its MFA devices."
        )
    return "Nothing was contained. Check whether this was intended."


def alert_count(
    incident: Incident, count: int, callers: Sequence[str] = (), *, needed: int = 1, taken_over: bool = False
) -> str:
    """Return the text of the hourly summary.

    Args:
        incident: The first event.
        count: The number of events.
        callers: The callers of a group that has several.
        needed: The number of events that caused the first alert.
        taken_over: Whether an execution that ended too early had counted some of them.
    """
    first = "the first one when it arrived" if needed == 1 else f"them after {needed} events"
    return wording.lines(
        f"{wording_subjects.counted(incident, count)}.",
        f"There were {count} events within the hour. ir-router sent an alert about {first}.",
        "The number includes events that were counted for an earlier execution, which ended too early." * taken_over,
        f"Callers: {', '.join(wording.cut(name) for name in callers)}" if len(callers) > 1 else "",
        "",
        *wording.facts(incident),
        *wording.ids(incident),
    )
