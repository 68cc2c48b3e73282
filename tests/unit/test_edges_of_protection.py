"""Principals that ir-router must not contain, and the state in which it found the others."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import clock
from ir_router.ledger import containments, keys, table
from ir_router.workflow import found_state, protection, sessions, third_parties
from ir_router.workflow.changes import State
from tests.support.texts import facts
from tests.support.world import World

ACCOUNT, OTHER = facts.ACCOUNT, "222222222222"
DENY = "arn:aws:iam::aws:policy/AWSDenyAll"
FOREIGN = f"It belongs to account {OTHER}, but"


def principal(kind: str = "user", name: str = "bob", arn: str | None = None, account: str = ACCOUNT) -> Any:
    shown = f"arn:aws:iam::{account}:{kind}/{name}" if arn is None else arn
    return {"kind": kind, "name": name, "arn": shown, "account": account}


@pytest.mark.parametrize(
    ("who", "event_account", "start"),
    [
        (principal(), "", None),
        (principal(), ACCOUNT, None),
        (principal(account=""), ACCOUNT, None),
        (principal("role", "deploy"), ACCOUNT, None),
        (principal("root", "root"), ACCOUNT, "Root cannot be contained by a policy. Sign in as root,"),
        (principal("root", "root", account=OTHER), ACCOUNT, "Root cannot be contained by a policy."),
        (principal(account=OTHER), ACCOUNT, f"{FOREIGN} an event can cause a containment only in its own account,"),
        (principal(account=OTHER), OTHER, f"{FOREIGN} ir-router contains only principals of account {ACCOUNT}."),
        (principal(), OTHER, f"The event is about account {OTHER}, so it can cause no containment in account"),
        (principal("unknown", "bob", ""), ACCOUNT, 'IAM shows no user or role with the name or unique id "bob".'),
        (principal("unknown", "", ""), ACCOUNT, "The event names no IAM user or role of this account."),
        (principal("unknown", "bob", "arn:x"), ACCOUNT, "The event names no IAM user or role of this account."),
        (principal("service", "ec2", ""), ACCOUNT, "The event names no IAM user or role of this account."),
        (principal("user", "", "arn:x"), ACCOUNT, "The event names no IAM user or role of this account."),
        (principal("role", "x", f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/s/x"), "", "Only AWS can change"),
        (principal("role", "x", f"arn:aws:iam::{ACCOUNT}:role/aws-reserved/s/x"), "", "Only AWS can change"),
        (principal("role", "x", f"arn:aws:iam::{ACCOUNT}:role/mine/aws-reserved/x"), "", None),
        (principal("user", "x", f"arn:aws:iam::{ACCOUNT}:role/aws-reserved/x"), "", None),
        (principal(name="break-glass"), ACCOUNT, "It is protected (by the variable protected_principals, or"),
        (principal(name="break-glass-2"), ACCOUNT, None),
    ],
)
def test_given_a_principal_when_examined_then_the_first_reason_against_its_containment_is_stated(
    who: Any, event_account: str, start: str | None
) -> None:
    protected = ["arn:aws:iam::*:user/other", "arn:aws:iam::*:user/break-glass"]

    why = protection.refusal(who, ACCOUNT, protected, event_account=event_account)

    assert why is None if start is None else (why or "").startswith(start)


def test_given_an_e_mail_address_when_iam_shows_no_such_user_then_root_is_mentioned() -> None:
    of_root = "It may be the e-mail address of root"
    by_name = protection.refusal(principal("unknown", "bob", ""), ACCOUNT, ()) or ""
    by_address = protection.refusal(principal("unknown", "bob@example.com", ""), ACCOUNT, ()) or ""

    assert (of_root in by_name, of_root in by_address) == (False, True)
    assert '"evil[.]example"' in (protection.refusal(principal("unknown", "evil.example", ""), ACCOUNT, ()) or "")


@pytest.fixture
def policies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "deny_policy_arn", lambda: DENY)


@pytest.mark.usefixtures("policies")
@pytest.mark.parametrize(
    ("recorded", "current", "earlier"),
    [
        ({"deny_attached": True, "earlier_attached": False}, True, False),
        ({"deny_attached": False, "earlier_attached": True, "policies": [DENY]}, False, True),
        ({"deny_attached": True, "policies": ["p"]}, False, True),
        ({"deny_attached": False, "policies": ["p", DENY]}, True, False),
        ({"deny_attached": True}, False, True),
    ],
)
def test_given_the_record_of_any_version_when_read_then_both_deny_policies_are_known(
    recorded: dict[str, Any], current: bool, earlier: bool
) -> None:
    assert found_state.denied_before(recorded) == (current, earlier)


@pytest.mark.usefixtures("policies")
def test_given_recorded_policies_when_compared_then_the_deny_policy_is_not_among_them() -> None:
    assert found_state.policies_before({}) is None
    assert found_state.policies_before({"policies": ["p", DENY, "q"]}) == ["p", "q"]
    new = {"deny_attached": True, "earlier_attached": True, "policies": [DENY, "p"], "keys": {"k": "Active"}}
    assert found_state.without_deny_of_others(new) == {**new, "deny_attached": False, "policies": ["p"]}
    assert found_state.without_deny_of_others({"deny_attached": True, "policies": [DENY]}) == {
        "deny_attached": True,
        "policies": [],
    }
    assert found_state.without_deny_of_others({"deny_attached": True}) == {"deny_attached": True}


@pytest.mark.parametrize(
    ("denied", "earlier", "recorded", "expected"),
    [
        (True, False, {"earlier_attached": False}, True),
        (False, True, {"earlier_attached": False}, False),
        (False, True, {}, True),
        (True, False, {}, True),
        (False, False, {}, False),
    ],
)
def test_given_a_contained_principal_when_read_then_the_policy_of_its_version_counts(
    denied: bool, earlier: bool, recorded: dict[str, Any], expected: bool
) -> None:
    state = State({}, denied, earlier=earlier)

    assert found_state.is_denied({"recorded": recorded}, state) is expected


def test_given_keys_that_ir_router_disabled_when_read_then_their_first_status_counts() -> None:
    state = State({"a": "Inactive", "b": "Inactive", "c": "Active"}, denied=True, policies=["p"], earlier=True)

    before = found_state.active_before(state, frozenset({"a", "x"}))
    retried = found_state.as_found(state, {"recorded": {"keys": {"b": "Active", "gone": "Active"}}})

    assert before == State({"a": "Active", "b": "Inactive", "c": "Active"}, denied=True, policies=["p"], earlier=True)
    assert retried == State({"a": "Inactive", "b": "Active", "c": "Active"}, denied=True, policies=["p"], earlier=True)


def test_given_an_incident_when_its_first_activity_is_read_then_it_is_never_in_the_future(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clock, "now", lambda: 1768480300.0)

    assert found_state.suspicious_since(facts.event()) == 1768480259.0
    assert found_state.suspicious_since(facts.event(first_seen="2026-01-15T12:30:00Z")) == 1768480200.0
    assert found_state.suspicious_since(facts.event(first_seen=None)) == 1768480259.0
    assert found_state.suspicious_since(facts.event(event_time=None)) == 1768480300.0
    assert found_state.suspicious_since(facts.event(event_time="2026-01-15T12:32:00Z")) == 1768480300.0


OPENED = 1000.0
QUARANTINED = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3"


def held(
    *, call: float | None = None, status: str = "Inactive", before: str = "Active", policy: str = "", **row: Any
) -> dict[str, str]:
    if call is not None:
        table.put(keys.disabled_key("AKIA1"), {"by": "user eve", "disabled_at": call})
    recorded = {"keys": {"AKIA1": before}, "policies": ["p"], "deny_attached": False, "earlier_attached": False}
    given = {"recorded": recorded, "opened_at": OPENED, "disabled_keys": ["AKIA1"], **row}
    given = {name: value for name, value in given.items() if value is not None}
    return third_parties.held(given, State({"AKIA1": status}, denied=True, policies=["p", *filter(None, [policy])]))


@pytest.mark.usefixtures("world", "policies")
@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({}, None),
        ({"call": OPENED - 5}, "user eve disabled it"),
        ({"call": OPENED - 5.5}, None),
        ({"call": 400.0, "found_at": 405.0}, "user eve disabled it"),
        ({"call": 399.0, "found_at": 405.0}, None),
        ({"call": 2000.0, "status": "Active"}, None),
        ({"call": 2000.0, "status": "Expired"}, None),
        ({"call": 2000.0, "before": "Inactive"}, None),
        ({"call": -5.0, "opened_at": None}, "user eve disabled it"),
        ({"call": -5.5, "opened_at": None}, None),
        ({"disabled_keys": []}, "others disabled it"),
        ({"disabled_keys": None}, None),
        ({"disabled_keys": [], "call": 2000.0}, "user eve disabled it"),
        ({"policy": QUARANTINED}, "AWS attached AWSCompromisedKeyQuarantineV3"),
        ({"policy": "arn:aws:iam::1:policy/p/Our-Deny"}, "another principal attached Our-Deny"),
        ({"policy": "arn:aws:iam::1:policy/My-AWSCompromisedKeyQuarantine"},
         "another principal attached My-AWSCompromisedKeyQuarantine"),
        ({"policy": "arn:aws:iam::1:policy/ReadOnly"}, None),
        ({"policy": QUARANTINED, "disabled_keys": []}, "others disabled it"),
    ],
    ids=repr,
)  # fmt: skip
def test_given_a_key_when_it_is_restored_then_restrictions_of_others_since_the_containment_keep_it_disabled(
    given: dict[str, Any], why: str | None
) -> None:
    assert held(**given) == ({} if why is None else {"AKIA1": why})


def test_given_keys_that_stay_disabled_when_more_are_added_then_a_later_release_knows_all(world: World) -> None:
    row = {"incident": "i", "opened_at": 7, "case_id": "1000000001"}
    third_parties.remember(row, facts.MALLORY, {})
    assert third_parties.waiting(facts.MALLORY["arn"]) is None

    third_parties.remember(row, facts.MALLORY, {"a": "x", "b": "y"})
    third_parties.remember({"incident": "j"}, facts.MALLORY, {"b": "z"})

    found = third_parties.waiting(facts.MALLORY["arn"]) or {}
    assert (found["keys"], found["incident"], found["principal"]) == ({"a": "x", "b": "z"}, "j", facts.MALLORY)
    assert found.get("case_id") is None
    third_parties.forget(facts.MALLORY["arn"])
    assert third_parties.waiting(facts.MALLORY["arn"]) is None


@pytest.mark.parametrize(
    ("key", "moment", "detection", "noted"),
    [
        ("AKIA5", "2026-01-15T12:30:59+00:00", "access_key_disabled", True),
        ("AKIA5", "2026-01-15T12:30:59+00:00", "other", False),
        ("AKIA5", None, "access_key_disabled", False),
        ("", "2026-01-15T12:30:59+00:00", "access_key_disabled", False),
    ],
)
def test_given_a_call_when_it_disabled_a_key_then_its_caller_and_time_are_stored(
    world: World, key: str, moment: str | None, detection: str, noted: bool
) -> None:
    event = {"detail": {"requestParameters": {"accessKeyId": key}}}
    found: Any = [SimpleNamespace(id="first"), SimpleNamespace(id=detection)]

    third_parties.note_disabled(facts.event(event_time=moment), event, found)

    row = table.get(keys.disabled_key("AKIA5"))
    assert (row is not None) is noted
    assert row is None or (row["by"], row["disabled_at"]) == ("user bob", 1768480259)
    assert containments.get(facts.BOB["arn"]) is None
