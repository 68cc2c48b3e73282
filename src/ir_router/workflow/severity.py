"""Determine the severity of an event and the action that follows. Pure; the back-test uses it too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ir_router.workflow.detections import SEVERITIES, Detection
from ir_router.workflow.incident import Action, Principal, Quiet, Severity, Whom

_QUIET: Mapping[Quiet, str] = {"sample": "SAMPLE finding: {title}", "closed": "Closed by AWS: {title}"}


@dataclass(frozen=True)
class Assessment:
    """The highest severity of the matching detections (NONE without any) and the title of that detection."""

    severity: Severity
    action: Action
    title: str
    detections: tuple[str, ...]


def whom(found: Sequence[Detection]) -> Whom | None:
    """Return the principal that the most severe containing detection contains, or None if there is none."""
    return next((detection.whom for detection in found if detection.contains), None)


def band(found: Sequence[Detection], quiet: Quiet | None) -> Severity:
    """Return the highest severity of the detections, NONE without any. An event that only informs is LOW."""
    if not found:
        return "NONE"
    return "LOW" if quiet else found[0].severity


def assess(found: Sequence[Detection], subject: Principal, quiet: Quiet | None = None) -> Assessment:
    """Assess an event by its detections and by the principal whose credentials are at risk.

    Root cannot be contained, so an event that would contain root is CRITICAL and alerted. A key that root created for a
    user is contained although its severity is CRITICAL. An event that only informs is alerted and never contains.

    Args:
        found: The matching detections, highest severity first.
        subject: The principal whose credentials are at risk.
        quiet: Why the event only informs, or None.
    """
    ids = tuple(detection.id for detection in found)
    if not found:
        return Assessment("NONE", "log", "No detection matches", ids)
    severity, title = found[0].severity, found[0].title
    if quiet:
        return Assessment("LOW", "alert", _QUIET[quiet].format(title=title), ids)
    contained = whom(found) is not None
    if contained and subject["kind"] == "root":
        return Assessment("CRITICAL", "alert", title, ids)
    if contained and subject["kind"] == "account" and severity == "CRITICAL":
        return Assessment(severity, "alert", title, ids)
    if contained:
        return Assessment(severity, "contain", title, ids)
    return Assessment(severity, "log" if severity == SEVERITIES[0] else "alert", title, ids)


def of_tampering(assessment: Assessment) -> Assessment:
    """Return the assessment of an event that changes a contained principal: HIGH or above, and contained again."""
    gravest = max(assessment.severity, "HIGH", key=_rank)
    title = f"Change to a contained principal: {assessment.title}"
    return replace(assessment, severity=gravest, action="contain", title=title)


def lifted_by_others(assessment: Assessment, without: Assessment) -> Assessment:
    """Return the assessment of an event that detaches AWSDenyAll from a principal that ir-router did not contain.

    Other tools and administrators attach AWSDenyAll too, and detach it when their own incident ends.

    Args:
        assessment: The assessment by all detections.
        without: The assessment without the detection of the detached policy. It counts if it is graver than MEDIUM.
    """
    if _rank(without.severity) > _rank("MEDIUM"):
        return replace(without, detections=assessment.detections)
    title = "AWSDenyAll was detached from a principal that ir-router did not contain"
    return replace(assessment, severity="MEDIUM", action="alert", title=title)


def _rank(severity: Severity) -> int:
    return SEVERITIES.index(severity) if severity in SEVERITIES else -1
