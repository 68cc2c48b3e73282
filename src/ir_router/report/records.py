"""The audit records of an incident, and their words in a report. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from ir_router.cases import containment_steps
from ir_router.cases.timeline import Moment

# A record of the audit: `action`, `actor`, `at`, `details` (JSON text), its position and its hash (ledger/audit.py).
Record = Mapping[str, Any]

_WORKFLOW = "ir-router workflow"


def details(record: Record) -> dict[str, Any]:
    """Return the details of a record."""
    found: dict[str, Any] = json.loads(str(record["details"]))
    return found


def steps(records: Iterable[Record]) -> list[Moment]:
    """Return the steps of the containments."""
    return containment_steps.of(records)


def shown(records: Iterable[Record]) -> list[Record]:
    """Return the records that a timeline shows next to the steps of containments."""
    return [one for one in records if one["action"] in _WORDS]


def words(record: Record) -> tuple[str, str, str | None]:
    """Return kind, text and user of a record of `shown`."""
    kind, template = _WORDS[str(record["action"])]
    found = {name: "" if value is None else value for name, value in details(record).items()}
    actor = str(record["actor"])
    return kind, template.format_map(_Known(found)).strip(" :"), None if actor == _WORKFLOW else actor


class _Known(dict[str, Any]):
    def __missing__(self, _: str) -> str:
        return ""


_WORDS: Mapping[str, tuple[str, str]] = {
    "case_opened": ("case", "The case was opened late"),
    "decision_asked": ("approval", "Approval requested. Approve: {approve} Deny: {deny}"),
    "decision_recorded": ("approval", "Decision made: {decision}. {notes}"),
    "decision_refused": ("approval", "Decision refused: {reason}"),
    "release_requested": ("release", "Release requested for {principal}: {reason}"),
    "command_executed": ("command", "/security-ir {command}: {outcome}"),
    "command_refused": ("command", "/security-ir {command}: refused ({reason})"),
}


def actions(taken: object) -> list[str]:
    """Return the actions of a record, each with its verification."""
    return [
        f"{one['what']} ({'verified' if one.get('verified') else 'NOT verified'})"
        for one in (taken if isinstance(taken, list) else [])
    ]


def unverified(found: Mapping[str, Any]) -> list[str]:
    """Return the actions of a record that were not verified."""
    parts = found.get("principals")
    lists = [found.get("actions"), found.get("remediation")]
    lists += [one.get("actions") for one in parts if isinstance(one, dict)] if isinstance(parts, list) else []
    return [
        str(one["what"])
        for taken in lists
        for one in (taken if isinstance(taken, list) else [])
        if isinstance(one, dict) and one.get("verified") is False
    ]
