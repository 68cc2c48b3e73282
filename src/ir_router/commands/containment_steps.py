"""What the audit has of the containment that a case is about, in people's words. Pure.

The actions and their details are those that the workflow writes (`workflow/wording.py`, `ledger/audit.py`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from ir_router.commands.timeline import Moment

_WORKFLOW = "ir-router workflow"
_OUTCOMES: Mapping[str, str] = {
    "contained": "Contained: {}",
    "joined": "Further event, {} contained already",
    "dry_run": "Dry run, nothing changed: {} would have been contained",
    "off": "Not contained, containment is switched off: {}",
    "refused": "NOT contained: {}",
    "gone": "Nothing left to contain: {}",
    "limit_reached": "Not contained yet, too many within the hour: {}",
}
_DECISIONS: Mapping[tuple[str, str], str] = {
    ("contain", "approve"): "Containment approved",
    ("contain", "deny"): "Containment denied",
    ("remediate", "approve"): "Remediation approved",
    ("remediate", "deny"): "Remediation denied",
}


def moments(records: Iterable[Mapping[str, Any]], case_id: str) -> list[Moment]:
    """The steps of a containment, from rows of the audit.

    Records that name the case give the executions of the workflow; all records of these executions count.
    """
    read = [(record, json.loads(record["details"])) for record in records if record.get("action") in _WORDS]
    executions = {_execution(details) for _, details in read if details.get("case_id") == case_id} - {""}
    told = [
        (record, _WORDS[record["action"]](details)) for record, details in read if _execution(details) in executions
    ]
    return [
        Moment(
            datetime.fromisoformat(record["at"]), words, None if record["actor"] == _WORKFLOW else str(record["actor"])
        )
        for record, words in told
        if words
    ]


def _execution(details: Mapping[str, Any]) -> str:
    return str(details.get("execution") or details.get("incident") or "")


def _contained(details: Mapping[str, Any]) -> str:
    names = [str(part.get("principal") or "").rpartition("/")[2] for part in details.get("principals") or []]
    outcome = str(details.get("outcome"))
    return _OUTCOMES.get(outcome, "Containment: {}").format(", ".join(filter(None, names)) or "nobody")


def _decided(details: Mapping[str, Any]) -> str:
    return _DECISIONS.get((str(details.get("kind")), str(details.get("decision"))), "Decision taken")


def _ended(details: Mapping[str, Any]) -> str:
    """Only a remediation is a step of its own; without one the decision or the time-out was the end."""
    return _actions("Remediation", details.get("remediation"))


def _released(details: Mapping[str, Any]) -> str:
    return _actions("Released", details.get("actions")) or "Released"


def _actions(label: str, actions: object) -> str:
    done = [
        f"{action['what']} ({'verified' if action['verified'] else 'NOT verified'})"
        for action in (actions if isinstance(actions, list) else [])
    ]
    return f"{label}: {', '.join(done)}" if done else ""


_WORDS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "contained": _contained,
    "containment_limit_reached": _contained,
    "decision_received": _decided,
    "approval_timed_out": lambda _: "No decision within 24 hours",
    "step_failed": lambda details: f"Workflow step failed: {details.get('step')}",
    "ended": _ended,
    "released": _released,
}
