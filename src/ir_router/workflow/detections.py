"""The detection table (detections.json). Terraform creates the EventBridge rules from the same entries."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib.resources import files
from typing import Any, Literal, cast, get_args

from botocore.exceptions import BotoCoreError, ClientError

from ir_router.ledger import configuration, unavailable
from ir_router.observability import logger
from ir_router.settings import settings
from ir_router.workflow import patterns, refinements
from ir_router.workflow.incident import Severity, Whom

SEVERITIES: Sequence[Severity] = ("LOW", "MEDIUM", "HIGH", "CRITICAL")

Grouping = Literal["none", "reads", "all", "address"]

_PREFIX = "${name_prefix}"
_MOST_CHARACTERS_OF_A_RULE = 64
"""Of its name (docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html)."""


@dataclass(frozen=True)
class Detection:
    """One entry of the table.

    Attributes:
        id: Stable id.
        title: Title for people.
        severity: Severity of a matching event.
        whom: The principal that the detection contains. Severity never implies it.
        grouped: When further alerts are counted for an hour instead of sent: never (`none`), for the same principal's
            read-only calls (`reads`), for the same principal (`all`) or for the same address (`address`).
        matches: Tests an event against the pattern.
        at_least: The number of events in a group that causes the first alert.
        tampering: Whether the event undoes a containment if its target is contained.
        sources: The sources that the pattern lists, or empty if it has none or other conditions on the source.
    """

    id: str
    title: str
    severity: Severity
    whom: Whom
    grouped: Grouping
    matches: patterns.Predicate = field(repr=False, compare=False)
    at_least: int = 1
    tampering: bool = False
    sources: frozenset[str] = field(default=frozenset(), repr=False, compare=False)

    @property
    def contains(self) -> bool:
        """Whether a matching event leads to a containment. LOW and MEDIUM never do (docs/containment.md)."""
        return self.whom != "nobody" and SEVERITIES.index(self.severity) >= SEVERITIES.index("HIGH")

    @property
    def is_direct(self) -> bool:
        """Whether the rule of this detection starts the workflow at once, without the intake (`is_direct`)."""
        return is_direct(self.severity, tampering=self.tampering)


def is_direct(severity: str, *, tampering: bool) -> bool:
    """Return whether events of a detection start the workflow at once, as in terraform/detections.tf.

    An event that undoes a containment has the severity HIGH then, so it must not wait behind others.
    """
    return severity not in ("LOW", "MEDIUM") or tampering


_added: list[Detection] = []


def table() -> tuple[Detection, ...]:
    """Return the active detections in the table's order: those of ir-router, then the deployment's own ones.

    Raises ValueError if an entry is invalid. Terraform refuses such a file when it plans.
    """
    given = settings()
    chosen = (given.name_prefix, given.detections_disabled, given.severity_overrides)
    try:
        found = _table(*chosen, given.extra_detections)
    except (BotoCoreError, ClientError) as error:
        if not unavailable.is_unavailable(error):
            raise
        logger.error("detections.not_read: only the built-in ones are used", extra={"error": type(error).__name__})
        found = _table(*chosen, None)
    return (*found, *_added) if _added else found


def add(entries: Sequence[Mapping[str, Any]]) -> None:
    """Add entries to the table of this process, for a back-test of a file that is not deployed yet.

    Entries of an earlier call are replaced. Raises ValueError, with the reason, if an entry is invalid.
    """
    _added[:] = [detection(entry) for entry in entries]


@lru_cache(maxsize=8)
def _table(
    prefix: str, disabled: tuple[str, ...], overrides: tuple[tuple[str, str], ...], extra: str | None
) -> tuple[Detection, ...]:
    severities = dict(overrides)
    own = configuration.extra_detections() if extra else []
    found = [detection(entry) for entry in [*_bundled(prefix), *own] if entry.get("id") not in disabled]
    return tuple(
        replace(one, severity=cast("Severity", severities[one.id])) if one.id in severities else one for one in found
    )


def entries() -> list[dict[str, Any]]:
    """Return the entries of detections.json with the names of this deployment in their patterns."""
    return _bundled(settings().name_prefix)


def rule_name(detection: str) -> str:
    """Return the name of a detection's rule, as in terraform/detections.tf and terraform/modules/region."""
    prefix, name = settings().name_prefix, detection.replace("_", "-")
    full = f"{prefix}-detect-{name}"
    return full if len(full) <= _MOST_CHARACTERS_OF_A_RULE else f"{prefix}-{name}"


def rule_state(entry: Mapping[str, Any]) -> str:
    """Return the state of an entry's rule. Rules match read-only API calls only in the longer state."""
    return "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS" if entry.get("read_only_calls") else "ENABLED"


def _bundled(prefix: str) -> list[dict[str, Any]]:
    text = files(__package__).joinpath("detections.json").read_text("utf-8")
    found: list[dict[str, Any]] = json.loads(text.replace(_PREFIX, prefix))["detections"]
    return found


def detection(entry: Mapping[str, Any]) -> Detection:
    """Return the detection of an entry. Raises ValueError, with the reason, if a field is missing or invalid."""
    name = entry.get("id")
    for field_name, allowed in (("severity", SEVERITIES), ("whom", get_args(Whom)), ("grouped", get_args(Grouping))):
        if entry.get(field_name) not in allowed:
            raise ValueError(f"detection {name}: {field_name} must be one of {', '.join(allowed)}")
    if entry["whom"] != "nobody" and entry["severity"] in ("LOW", "MEDIUM"):
        raise ValueError(f"detection {name}: `LOW` and `MEDIUM` never contain. They require `nobody`")
    if not isinstance(name, str) or not isinstance(entry.get("title"), str) or "pattern" not in entry:
        raise ValueError(f"detection {name}: id, title and pattern are required")
    return Detection(
        name,
        entry["title"],
        entry["severity"],
        entry["whom"],
        entry["grouped"],
        _predicate(entry),
        int(entry.get("at_least", 1)),
        bool(entry.get("tampering", False)),
        _sources(entry["pattern"]),
    )


def _sources(pattern: Mapping[str, Any]) -> frozenset[str]:
    listed = pattern.get("source") or []
    return frozenset(listed) if all(isinstance(one, str) for one in listed) else frozenset()


def _predicate(entry: Mapping[str, Any]) -> patterns.Predicate:
    """Return the pattern's test, with the refinement that no EventBridge pattern can express."""
    matches = patterns.compiled(entry["pattern"])
    if "refine" not in entry:
        return matches
    refined: Callable[[Mapping[str, Any]], bool] = refinements.BY_NAME[entry["refine"]]
    return lambda event: matches(event) and refined(event)


def matching(event: Mapping[str, Any]) -> list[Detection]:
    """Return the detections that match an EventBridge event, highest severity first, then in the table's order."""
    source = event.get("source")
    # Most detections are about another service. This is cheap, and the back-test reads millions of events.
    candidates: Iterable[Detection] = table()
    if isinstance(source, str):
        candidates = (one for one in candidates if not one.sources or source in one.sources)
    found = [one for one in candidates if one.matches(event)]
    return sorted(found, key=lambda detection: -SEVERITIES.index(detection.severity)) if len(found) > 1 else found


def by_ids(ids: Sequence[str]) -> list[Detection]:
    """Return detections in the order of `ids`. Unknown ids are skipped, since the table may have changed."""
    known = {detection.id: detection for detection in table()}
    return [known[name] for name in ids if name in known]
