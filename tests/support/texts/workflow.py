"""Texts of alerts and cases."""

from __future__ import annotations

import json
from typing import Any

from ir_router.workflow import wording, wording_alerts, wording_gaps, wording_ledger, wording_many
from ir_router.workflow.outcomes import OUTCOMES
from tests.support.texts import facts
from tests.support.texts.facts import BOB, CONTAINED, FAILED, INCIDENT, MALLORY, PARTLY, ROLE, ROOT, SESSION, UNKNOWN

_ALLOWLIST: Any = {
    "allowlisted": False,
    "lookup_failed": True,
    "entry": "ip 198.51.100.0/24",
    "reason": "office",
    "doubt": "The key is new.",
    "refused": ["The entry x is no address."],
}


def texts() -> dict[str, Any]:
    """Return each text by its situation."""
    return {
        **_names(),
        "a contained user": wording.containment(
            facts.event(details=["Finding: x"], allowlist=_ALLOWLIST),
            facts.result(CONTAINED),
            "1234567890",
            ["Approve or deny."],
        ),
        "a partly contained role and a user that is gone, without a case": wording.containment(
            INCIDENT,
            facts.result(PARTLY, FAILED, creators={"c": {"note": "The creator's credentials still work."}}),
            None,
            no_case="There is no case.",
        ),
        "nothing contained": wording.containment(
            facts.event(user_agent=None, access_key_id=None),
            facts.result(facts.part(why="Protected."), outcome="refused", seconds_from_event=None),
            None,
        ),
        "each outcome": "\n".join(
            wording.containment_headline(facts.result(facts.part(outcome=outcome), outcome=outcome))
            for outcome in OUTCOMES
        ),
        "no principal": wording.containment_headline(facts.result(outcome="gone")),
        "keys only": wording.case_description(INCIDENT, facts.result(facts.KEY_ONLY, facts.KEY_ONLY_BY_LIMIT)),
        "a principal that joined": wording.case_description(
            INCIDENT, facts.result(facts.part(outcome="joined", added=True), outcome="joined")
        ),
        "a role that joined": wording.case_description(
            INCIDENT, facts.result(facts.part(ROLE, "joined", added=True), outcome="joined")
        ),
        "an event that joined": wording.case_description(
            INCIDENT, facts.result(facts.part(outcome="joined"), outcome="joined")
        ),
        "a containment that was undone": wording.case_description(
            INCIDENT, facts.result(facts.part(outcome="joined", undone=True), outcome="joined")
        ),
        "the record of an incident": _json(wording.record(facts.event(allowlist=_ALLOWLIST))),
        "the record of a containment": _json(
            wording.record_containment(
                facts.result(
                    facts.part(
                        actions=[facts.taken(error="Throttled", reason="busy"), facts.taken()],
                        scope="key",
                        approval_id="a1",
                        joined_execution="arn:execution:0",
                        owner_tags={"mallory": "owner"},
                    ),
                    CONTAINED,
                ),
                "1234567890",
            )
        ),
        **_alerts(),
        **_gaps(),
        **_without_ledger(),
    }


def _without_ledger() -> dict[str, Any]:
    state: Any = {"at": 0.0, "keys": {"AKIA1": "Inactive", "AKIA2": "Active"}, "denied": False, "policies": []}
    cause = "The ledger is unavailable: An error occurred (AccessDeniedException) when calling the PutItem operation"
    return {
        "a user contained without the ledger": wording_ledger.contained(
            INCIDENT, [(MALLORY, state)], facts.result(CONTAINED), cause
        ),
        "an uncertain containment without the ledger": wording_ledger.contained(
            INCIDENT, [(MALLORY, state | {"denied": True})], None, ""
        ),
        "a role that waits for the ledger": wording_ledger.contained(
            INCIDENT, [], facts.result(facts.part(ROLE, "ask_first", "Services use it."), outcome="ask_first"), cause
        ),
        "root without the ledger": wording_ledger.alerted(facts.event(severity="CRITICAL", subject=ROOT), cause),
    }


def _names() -> dict[str, Any]:
    nameless = {**MALLORY, "name": "", "arn": ""}
    without_title: Any = {
        name: value for name, value in facts.event(subject=UNKNOWN).items() if name not in ("severity", "title")
    }
    calls: dict[str, Any] = {
        "by another user": {},
        "by a role session": {"actor": SESSION, "error_code": "AccessDenied", "source_ip": None, "event_time": None},
        "by the user": {"actor": {**INCIDENT["actor"], **MALLORY}},
        "by nobody known": {"actor": {**UNKNOWN, "caller_arn": None}, "subject": UNKNOWN},
        "by an ARN": {"actor": {**UNKNOWN, "caller_arn": "arn:y"}},
        "of another kind of the same name": {"actor": {**ROLE, "name": "mallory", "caller_arn": None}},
    }
    return {
        "principals": "\n".join(map(wording.name_of, (MALLORY, ROLE, ROOT, UNKNOWN, nameless))),
        "times": "\n".join(wording.clock_time(at) for at in (None, INCIDENT["event_time"])),
        "calls": "\n".join(
            f"{name}: {wording.what_happened(facts.event(**changes))}" for name, changes in calls.items()
        ),
        "subjects": "\n".join(
            (
                wording.alert_subject(INCIDENT),
                wording.alert_subject(INCIDENT, [ROLE, BOB, UNKNOWN]),
                wording.alert_subject(without_title),
            )
        ),
        "durations": "\n".join(wording.duration(seconds) for seconds in (0.4, 119.4, 119.6, 7199, 7200, 7500)),
        "lines": wording.lines("", "a", "", "", wording.cut("b  c\n" + "x" * 300), wording.cut("x" * 300), ""),
        "many names": "\n".join(wording_many.names([*"abcde"][:count]) for count in range(6)),
    }


def _alerts() -> dict[str, Any]:
    by_root = {**INCIDENT["actor"], **ROOT}
    incidents: dict[str, tuple[Any, bool, int]] = {
        "the first of a group": (INCIDENT, True, 1),
        "a sample, the third of its kind": (facts.event(quiet="sample"), False, 3),
        "a closed event": (facts.event(quiet="closed"), False, 2),
        "root": (facts.event(severity="CRITICAL", subject=ROOT), False, 1),
        "a call of root": (facts.event(severity="CRITICAL", actor=by_root), False, 1),
        "a mild call of root": (facts.event(actor=by_root), False, 1),
    }
    return {
        f"an alert without containment: {name}": wording_alerts.alert_only(incident, grouped=grouped, count=count)
        for name, (incident, grouped, count) in incidents.items()
    } | {
        "the count of an hour": wording_alerts.alert_count(INCIDENT, 5, ["bob"]),
        "the count of an hour after three events": wording_alerts.alert_count(INCIDENT, 7, ["a", "b"], needed=3),
    }


def _gaps() -> dict[str, Any]:
    undone = {"was_refused": False, "deny_policy": True, "active_keys": ["A", "B", "C"], "new_keys": ["C"]}
    situations: dict[str, tuple[dict[str, Any], bool]] = {
        "again": ({}, True),
        "partly again": ({"was_refused": True}, False),
        "at last": ({"was_refused": True}, True),
        "two keys": ({"deny_policy": False, "new_keys": []}, True),
        "one new key": ({"deny_policy": False, "active_keys": ["C"]}, True),
    }
    return {
        "gaps": "\n".join(
            f"{name}: {wording_gaps.contained_again('user mallory', undone | changes, verified=verified)}"
            for name, (changes, verified) in situations.items()
        )
    }


def _json(value: object) -> str:
    return json.dumps(value, indent=1)
