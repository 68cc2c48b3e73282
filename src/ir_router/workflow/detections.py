"""The detection table (detections.json), evaluated. Terraform makes EventBridge's rules from the very same entries."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from ir_router.workflow import patterns

SEVERITIES = ("LOW", "MEDIUM", "HIGH", "CRITICAL")

Grouping = Literal["none", "reads", "all"]


@dataclass(frozen=True)
class Detection:
    """One entry of the table.

    `grouped`: whether later alerts for the same principal are counted for an hour instead of sent: never, for calls
    that only read, or always. `matches` says whether an event is one of this detection's.
    """

    id: str
    title: str
    severity: str
    grouped: Grouping
    matches: patterns.Predicate = field(repr=False, compare=False)


@cache
def table() -> tuple[Detection, ...]:
    """All detections, in the table's order. Raises ValueError when the table is wrong."""
    entries = json.loads(files(__package__).joinpath("detections.json").read_text("utf-8"))["detections"]
    return tuple(_detection(entry) for entry in entries)


def _detection(entry: Mapping[str, Any]) -> Detection:
    if entry["severity"] not in SEVERITIES:
        raise ValueError(f"detection {entry['id']}: severity is one of {', '.join(SEVERITIES)}")
    if entry["grouped"] not in ("none", "reads", "all"):
        raise ValueError(f"detection {entry['id']}: grouped is none, reads or all")
    return Detection(
        entry["id"], entry["title"], entry["severity"], entry["grouped"], patterns.compiled(entry["pattern"])
    )


def matching(event: Mapping[str, Any]) -> list[Detection]:
    """The detections that an EventBridge event matches, gravest first, else in the table's order."""
    found = [detection for detection in table() if detection.matches(event)]
    return sorted(found, key=lambda detection: -SEVERITIES.index(detection.severity)) if len(found) > 1 else found


def by_ids(ids: Sequence[str]) -> list[Detection]:
    """Detections by their ids, in the order of the ids; unknown ones are left out (the table may have changed)."""
    known = {detection.id: detection for detection in table()}
    return [known[name] for name in ids if name in known]
