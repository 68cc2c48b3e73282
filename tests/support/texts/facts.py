"""An event, principals and results of a containment, as the workflow passes them between its states."""

from __future__ import annotations

from typing import Any

ACCOUNT = "111122223333"


def principal(kind: str, name: str) -> Any:
    """Return a principal of the account."""
    arn = f"arn:aws:iam::{ACCOUNT}:{kind}" + (f"/{name}" if kind != "root" else "")
    return {"kind": kind, "name": name, "arn": arn, "account": ACCOUNT}


MALLORY, BOB, ROLE, ROOT = (
    principal("user", "mallory"),
    principal("user", "bob"),
    principal("role", "deploy"),
    principal("root", "root"),
)
UNKNOWN: Any = {"kind": "unknown", "name": "", "arn": "arn:x", "account": ""}
SESSION: Any = {**ROLE, "caller_arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/deploy/s", "access_key_id": "ASIA1"}

INCIDENT: Any = {
    "event_id": "e-1",
    "event_name": "CreateAccessKey",
    "event_source": "iam.amazonaws.com",
    "event_time": "2026-01-15T12:30:59+00:00",
    "region": "us-east-1",
    "account": ACCOUNT,
    "read_only": False,
    "error_code": None,
    "source_ip": "198.51.100.7",
    "vpc_endpoint_id": None,
    "user_agent": "aws-cli/2",
    "actor": {**BOB, "caller_arn": BOB["arn"], "access_key_id": "AKIA1"},
    "subject": MALLORY,
    "access_key_id": "AKIA2",
    "execution": {"id": f"arn:aws:states:us-east-1:{ACCOUNT}:execution:security-incident:1", "name": "1"},
    "duplicate": False,
    "band": "HIGH",
    "severity": "HIGH",
    "title": "New access key",
    "detections": ["new_key"],
}


def event(**changes: Any) -> Any:
    """Return the incident with these changes."""
    return {**INCIDENT, **changes}


def taken(what: str = "key {target} disabled", target: str = "AKIA2", *, verified: bool = True, **more: str) -> Any:
    """Return a change in IAM."""
    return {"what": what, "target": target, "verified": verified, **more}


def part(
    who: Any = MALLORY, outcome: str = "contained", why: str = "", actions: Any = (), keys: Any = None, **more: Any
) -> Any:
    """Return the result for one principal, whose recorded keys are `keys`."""
    recorded = {"keys": {"AKIA2": "Active"} if keys is None else keys, "deny_attached": False}
    named = {"named_keys": ["AKIA2"]} | more
    return {
        "principal": who,
        "outcome": outcome,
        "why": why,
        "actions": list(actions),
        "recorded": recorded,
        **named,
    }


def result(*parts: Any, outcome: str = "contained", **more: Any) -> Any:
    """Return the result of a containment."""
    return {
        "outcome": outcome,
        "principals": list(parts),
        "owners": [],
        "contained_at": "2026-01-15T12:31:03+00:00",
        "seconds_from_event": 4.2,
        "seconds_from_arrival": 1.5,
        **more,
    }


DENIED = taken("deny policy attached")
CONTAINED = part(actions=[taken(), DENIED])
PARTLY = part(
    ROLE,
    why="IAM refused.",
    actions=[taken("deny policy attached", verified=False, error="AccessDenied", reason="no policy")],
    keys={},
    named_keys=[],
)
FAILED = part(BOB, "gone", "not found", keys={}, named_keys=[])
KEY_ONLY = part(scope="key", still_active=["AKIA3"])
KEY_ONLY_BY_LIMIT = part(BOB, scope="key", named_keys=["AKIA4"], limited=True)
