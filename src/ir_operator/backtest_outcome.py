"""The result of a back-test, as lines and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ir_router.workflow import detections

ARCHIVED = (
    "GuardDuty sends a suppressed or archived finding to no rule. A finding that was archived later was sent before"
)


@dataclass
class Containment:
    """A principal that would have been contained.

    Attributes:
        principal: ARN of the principal.
        at: Time of the first event (ISO 8601).
        why: Description of the first event.
        key: Id of the access key that the first event names.
        joined: Number of later events within the same day.
    """

    principal: str
    at: str
    why: str
    key: str | None
    joined: int = 0


@dataclass
class Outcome:
    """The counts of a back-test.

    Attributes:
        allowlist: Number of valid allowlist entries.
        protected: Number of protected principals.
        files: Files found, including skipped ones.
        files_skipped: The reason by path.
        records: Records read.
        refused: Records with missing or invalid fields.
        duplicates: Records whose event id was seen before with the same severity.
        archived: Findings that GuardDuty suppressed, or that were archived.
        detections: Matches by detection id.
        refusals: Invalid records by reason.
        severities: Incidents by severity.
        allowlisted: Records by allowlist entry.
        alerts: Alerts that would have been sent.
        grouped: Records that would have been counted in the group of an earlier alert.
        logged: Records that would only have been logged.
        contained: Principals that would have been contained.
        owner_asked: Records by key whose owner only IAM knows.
        not_contained: Records by principal and the reason that prevents a containment.
        seconds: Duration.
    """

    allowlist: int = 0
    protected: int = 0
    files: int = 0
    files_skipped: dict[str, str] = field(default_factory=dict)
    records: int = 0
    refused: int = 0
    refusals: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0
    archived: int = 0
    detections: Counter[str] = field(default_factory=Counter)
    severities: Counter[str] = field(default_factory=Counter)
    allowlisted: Counter[str] = field(default_factory=Counter)
    alerts: int = 0
    grouped: int = 0
    logged: int = 0
    contained: list[Containment] = field(default_factory=list)
    owner_asked: Counter[str] = field(default_factory=Counter)
    not_contained: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0


def table(outcome: Outcome) -> Iterable[str]:
    """Yield the report in aligned lines."""
    joined = sum(contained.joined for contained in outcome.contained)
    rows: list[tuple[str, object]] = [
        ("Allowlist entries used", outcome.allowlist),
        ("Protected principals used", outcome.protected),
        ("Files read", outcome.files - len(outcome.files_skipped)),
        ("Files skipped", len(outcome.files_skipped)),
        ("Records read", outcome.records),
        ("Records invalid", outcome.refused),
        ("Duplicate records", outcome.duplicates),
        ("Suppressed or archived findings", outcome.archived),
        *(
            (f"Detection {entry.id} ({entry.severity}, {entry.whom})", outcome.detections[entry.id])
            for entry in detections.table()
        ),
        *((f"Severity {name}", outcome.severities[name]) for name in reversed(detections.SEVERITIES)),
        ("Allowlisted", sum(outcome.allowlisted.values())),
        ("Alerts", outcome.alerts),
        ("Grouped with an earlier alert", outcome.grouped),
        ("Only logged", outcome.logged),
        ("Principals contained", len(outcome.contained)),
        ("Added to an open incident", joined),
        ("Contained, if IAM knows the key's owner", sum(outcome.owner_asked.values())),
        ("Not contained, act yourself", sum(outcome.not_contained.values())),
    ]
    width = max(len(name) for name, _ in rows)
    yield from (f"{name:<{width}}  {value:>9,}" for name, value in rows)
    for contained in outcome.contained:
        yield f"\n{contained.at}  {contained.principal}\n  {contained.why}"
        if contained.joined:
            yield f"  {contained.joined} later events would have joined"
    for why, count in outcome.owner_asked.items():
        yield f"\nowner not known here ({count}): {why}"
    if outcome.archived:
        yield f"\nnot counted ({outcome.archived}): {ARCHIVED}"
    for why, count in outcome.not_contained.items():
        yield f"\nnot contained ({count}): {why}"
    for why, count in outcome.refusals.items():
        yield f"\ninvalid ({count}): {why}"


def as_json(outcome: Outcome) -> dict[str, Any]:
    """Return the content of build/backtest.json."""
    values = dict(vars(outcome))
    values["contained"] = [vars(contained) for contained in outcome.contained]
    return values | {
        name: dict(value.most_common()) for name, value in vars(outcome).items() if isinstance(value, Counter)
    }
