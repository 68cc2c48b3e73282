"""How grave an event is, and what that leads to. Pure; the back-test takes the same way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ir_router.workflow.detections import SEVERITIES, Detection
from ir_router.workflow.incident import Action, Principal


@dataclass(frozen=True)
class Assessment:
    """`severity` is the gravest of the matching detections (NONE without any), `title` that detection's."""

    severity: str
    action: Action
    title: str
    detections: tuple[str, ...]


def assess(found: Sequence[Detection], subject: Principal) -> Assessment:
    """What the matching detections (gravest first) mean for the principal whose credentials are in danger.

    Root cannot be contained: what would contain it is CRITICAL and alerted. A key that root made for a user is
    contained although the severity is CRITICAL.
    """
    ids = tuple(detection.id for detection in found)
    if not found:
        return Assessment("NONE", "log", "No detection matches", ids)
    severity, title = found[0].severity, found[0].title
    contained = any(detection.severity == "HIGH" for detection in found)
    if contained and subject["kind"] == "root":
        return Assessment("CRITICAL", "alert", title, ids)
    if contained:
        return Assessment(severity, "contain", title, ids)
    return Assessment(severity, "log" if severity == SEVERITIES[0] else "alert", title, ids)
