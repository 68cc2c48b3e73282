"""Describe the containment that a case is about, from the audit's records. Pure.

The workflow writes the actions and their details (`workflow/wording.py`, `ledger/audit.py`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from ir_router.cases.timeline import Moment

_WORKFLOW = "ir-router workflow"
_OUTCOMES: Mapping[str, str] = {
    "contained": "Contained: {}",
    "joined": "Further event; {} was already contained",
    "dry_run": "Dry run, nothing changed: {} would have been contained",
    "off": "Not contained because containment is off: {}",
    "refused": "NOT contained: {}",
    "gone": "Nothing left to contain: {}",
    "closed": "Not contained because the account is closed: {}",
    "ask_first": "Not contained yet because the role needs an approval: {}",
    "limit_reached": "Not contained yet because the hourly limit is reached: {}",
}
_ADDED = "Contained, joined the incident of the same actor: {}"
_DECISIONS: Mapping[tuple[str, str], str] = {
    ("contain", "approve"): "Containment approved",
    ("contain", "deny"): "Containment denied",
    ("remediate", "approve"): "Remediation approved",
    ("remediate", "deny"): "Remediation denied",
}


def moments(records: Iterable[Mapping[str, Any]], case_id: str) -> list[Moment]:
    """Return the steps of a case's containment.

    Records that name the case identify the workflow's executions. All records of these executions are included.
    """
    read = [(record, json.loads(record["details"])) for record in records if record.get("action") in _WORDS]
    executions = {_execution(details) for _, details in read if details.get("case_id") == case_id} - {""}
    return of(record for record, details in read if _execution(details) in executions)


def of(records: Iterable[Mapping[str, Any]]) -> list[Moment]:
    """Return the steps of containments in these records."""
    found = []
    for record in records:
        if record.get("action") not in _WORDS:
            continue
        details = json.loads(record["details"])
        if words := _WORDS[record["action"]](details):
            by = None if record["actor"] == _WORKFLOW else str(record["actor"])
            found.append(Moment(_at(record, details), words, by))
    return found


def _at(record: Mapping[str, Any], details: Mapping[str, Any]) -> datetime:
    """Return the time of a step. The record of a containment is written some seconds after the containment."""
    contained_at = details.get("contained_at") if record["action"] == "contained" else None
    return datetime.fromisoformat(str(contained_at or record["at"]))


def _execution(details: Mapping[str, Any]) -> str:
    return str(details.get("execution") or details.get("incident") or "")


def _name(part: Mapping[str, Any]) -> str:
    name = str(part.get("principal") or "").rpartition("/")[2]
    name = f"{name} in {part['in_account']}" if name and part.get("in_account") else name
    return f"only the new key of {name}" if part.get("scope") == "key" else name


def _contained(details: Mapping[str, Any]) -> str:
    parts = details.get("principals") or []
    words = _OUTCOMES.get(str(details.get("outcome")), "Containment: {}")
    if any(part.get("added") for part in parts):
        words = _ADDED
    return words.format(", ".join(filter(None, map(_name, parts))) or "no principal")


def _creator(details: Mapping[str, Any]) -> str:
    return f"Containment of the key's creator requested: {str(details.get('principal') or '').rpartition('/')[2]}"


def _decided(details: Mapping[str, Any]) -> str:
    return _DECISIONS.get((str(details.get("kind")), str(details.get("decision"))), "Decision taken")


def _ended(details: Mapping[str, Any]) -> str:
    """Return the remediation's actions. Without a remediation the decision or the timeout is the last step."""
    return _actions("Remediation", details.get("remediation"))


def _released(details: Mapping[str, Any]) -> str:
    return _actions("Released", details.get("actions")) or "Released"


def _actions(label: str, actions: object) -> str:
    done = [
        f"{action['what']} (verified)" if action["verified"] else f"NOT verified: {action['what']}"
        for action in (actions if isinstance(actions, list) else [])
    ]
    return f"{label}: {', '.join(done)}" if done else ""


def _reapplied(details: Mapping[str, Any]) -> str:
    return _actions("Containment was undone and re-applied", details.get("actions"))


_WORDS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "contained": _contained,
    "containment_limit_reached": _contained,
    "containment_needs_approval": _contained,
    "containment_reapplied": _reapplied,
    "creator_containment_requested": _creator,
    "decision_received": _decided,
    "approval_timed_out": lambda _: "No decision within 24 hours",
    "step_failed": lambda details: f"Workflow step failed: {details.get('step')}",
    "ended": _ended,
    "released": _released,
}
