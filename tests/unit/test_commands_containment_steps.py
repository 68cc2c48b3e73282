"""The steps of a containment in `incident-details`, made from the workflow's records."""

from __future__ import annotations

import json
from typing import Any

from ir_router.cases import containment_steps

CASE = "1234567890"
MEMBER = {"in_account": "shop-prod (222222222222)"}
USER = "arn:aws:iam::123456789012:user/team/backdoor-user"


def record(action: str, details: dict[str, Any], actor: str = "ir-router workflow") -> dict[str, Any]:
    return {"action": action, "actor": actor, "at": "2024-01-15T14:30:00.123Z", "details": json.dumps(details)}


def steps(*records: dict[str, Any]) -> list[tuple[str, str | None]]:
    named = record("contained", {"execution": "e1", "case_id": CASE, "outcome": "contained", "principals": []})
    return [(moment.what, moment.by) for moment in containment_steps.moments([named, *records], CASE)[1:]]


def test_given_records_of_the_cases_execution_when_reported_then_each_step_has_its_words_and_names() -> None:
    deleted = {"what": "key AKIA1 deleted", "verified": True}
    lifted = {"what": "deny policy detached", "verified": False}
    assert steps(
        record("contained", {"execution": "e1", "outcome": "contained", "principals": [{"principal": USER}]}),
        record("contained", {"execution": "e1", "outcome": "dry_run", "principals": [{"principal": USER}]}),
        record("contained", {"execution": "e1", "outcome": "joined", "principals": [{"principal": USER, **MEMBER}]}),
        record("decision_received", {"execution": "e1", "kind": "remediate", "decision": "deny"}, "Jane Smith"),
        record("decision_received", {"execution": "e1", "kind": "contain", "decision": "approve"}, "Jane Smith"),
        record("approval_timed_out", {"execution": "e1", "kind": "remediate"}),
        record("step_failed", {"execution": "e1", "step": "Send Alert"}),
        record("ended", {"execution": "e1", "remediation": [deleted, lifted]}),
        record("released", {"incident": "e1", "actions": [lifted]}, "Sam Lee"),
    ) == [
        ("Contained: backdoor-user", None),
        ("Dry run, nothing changed: backdoor-user would have been contained", None),
        ("Further event; backdoor-user in shop-prod (222222222222) was already contained", None),
        ("Remediation denied", "Jane Smith"),
        ("Containment approved", "Jane Smith"),
        ("No decision within 24 hours", None),
        ("Workflow step failed: Send Alert", None),
        ("Remediation: key AKIA1 deleted (verified), NOT verified: deny policy detached", None),
        ("Released: NOT verified: deny policy detached", "Sam Lee"),
    ]


def test_given_records_of_other_executions_or_other_matters_when_reported_then_they_are_left_out() -> None:
    assert (
        steps(
            record("contained", {"execution": "e2", "case_id": "9999999999", "outcome": "contained", "principals": []}),
            record("decision_received", {"execution": "e2", "kind": "remediate", "decision": "deny"}),
            record("command_refused", {"case_id": CASE, "reason": "guest"}),
            record("alerted", {"execution": "e1"}),
            record("ended", {"execution": "e1", "decision": None}),
            {"chain_hash": "not a record"},
        )
        == []
    )
