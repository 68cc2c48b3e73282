"""Approval requests in Slack, in each state."""

from __future__ import annotations

import json
from typing import Any

from ir_router.sync import approval_message, urgent_messages
from tests.support.texts.channel import shown

_ROW: dict[str, Any] = {
    "approval_id": "abc",
    "state": "pending",
    "kind": "remediate",
    "headline": "user mallory contained",
    "who": "user mallory",
    "decide_by": 1_768_566_659,
    "what": "CreateAccessKey for user mallory by user bob <x>",
    "done": ["key AKIA2 disabled (verified)", "deny policy attached (verified)"],
    "seconds_from_event": 119.4,
    "approve_does": "permanently deletes key AKIA2.",
    "deny_does": "restores user mallory as found.",
    "severity": "HIGH",
    "title": "New access key",
    "event_id": "e-1",
    "execution_name": "x-1",
    "case_id": "1234567890",
    "owners": ["arn:owner"],
}
_OFFER = {"who": "user bob", "arn": "arn:b", "note": "NOT contained: user bob."}
_JANE = {"name": "Jane & Co", "via": "cli"}


def texts() -> dict[str, Any]:
    """Return each message by its situation."""
    permission = {"kind": "contain", "headline": "contain user mallory?"}
    rows: dict[str, dict[str, Any]] = {
        "pending": {},
        "pending, of an earlier version": {"seconds_from_event": None, "owners": None, "who": None},
        "pending, after two minutes": {"seconds_from_event": 150},
        "pending, with an unknown owner and no case": {
            "owners": [],
            "case_id": None,
            "no_case": "No case: the quota is reached.",
            "at_large": ["NOT contained: user eve."],
        },
        "pending, with events that joined": {
            "joined_events": 1,
            "last_joined": {"what": "DeleteTrail"},
            "no_case": "No case yet.",
        },
        "pending, with many events and principals": {
            "joined_events": 20,
            "summarised_events": 3,
            "last_joined": {"what": "DeleteTrail"},
            "listed": ["user mallory AKIA2", "role deploy"],
        },
        "pending, with creators": {
            "creators": {
                "c1": _OFFER | {"does": "contains user bob.", "facts": {}},
                "c2": _OFFER | {"who": "root"},
                "c3": _OFFER | {"does": "contains user eve.", "facts": {}},
                "c4": _OFFER | {"does": "contains user kim.", "facts": {}},
            },
            "creator_c3": {"analyst": _JANE, "requested_at": 1_768_480_259},
            "creator_c4": {"analyst": _JANE, "requested_at": 1_768_480_259},
            "creator_result_c4": "user kim contained.",
        },
        "permission": permission,
        "decided": {"state": "decided", "decision": "approve", "analyst": _JANE, "notes": "sure\nand <b>"},
        "delivered": {
            "state": "delivered",
            "decision": "deny",
            "analyst": {"name": "Jane", "via": "slack"},
            "decided_at": 1_768_480_259,
        },
        "delivered by Step Functions, with a result": {
            "state": "delivered",
            "decision": "approve",
            "analyst": {"via": "step_functions"},
            "received_at": 1_768_480_260,
            "result": "key AKIA2 deleted & verified",
        },
        "expired": {"state": "expired", "why": "no decision within 24 hours."},
        "expired permission": permission | {"state": "expired"},
        "expired permission of an earlier version": permission | {"state": "expired", "who": None},
    }
    found = {name: shown(approval_message.message(_row(changes))) for name, changes in rows.items()}
    for name, changes in (("remediation", {}), ("permission", permission)):
        found[f"reminder of a {name}"] = shown(
            approval_message.reminder(_row(changes), "1 h", "https://acme.slack.com/archives/C1/p1")
        )
        for form in (approval_message.approve_form, approval_message.reason_form):
            view = form("origin", _row(changes | {"joined_events": 1, "listed": ["user mallory"]}))
            found[f"{form.__name__} of a {name}"] = json.dumps(view, indent=1, ensure_ascii=False)
    text = "user mallory <x> contained again: key AKIA2 was active again.\n\nFind the caller in CloudTrail."
    found["urgent message"] = shown(urgent_messages.message(text, "<@U1> <!subteam^S1>", {"user mallory": "https://x"}))
    values = ("abc/12", "abc", "abc/x", "abc/", "abc/1234567890", "abc/123456789", "abc/١")
    found["values of buttons"] = "\n".join(f"{value}: {approval_message.parse_button_value(value)}" for value in values)
    return found


def _row(changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in (_ROW | changes).items() if value is not None}
