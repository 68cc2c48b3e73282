"""Texts of alerts: subjects, counts, names with accounts, and the facts of rare situations."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ir_router.ledger import contained_names
from ir_router.workflow import (
    findings,
    identity,
    invocation,
    origin,
    reading,
    tampering,
    wording,
    wording_alerts,
    wording_decisions,
    wording_gaps,
    wording_links,
    wording_subjects,
)
from tests.support.texts import facts
from tests.support.texts.facts import BOB, MALLORY, ROLE, ROOT, part, result

TITLE = "HIGH: New access key"
LONG = {**MALLORY, "name": "m" * 60}
SHOP = "shop (222222222222)"


@pytest.mark.parametrize(
    ("outcome", "subject"),
    [
        ("limit_reached", "ACT by hand now: user mallory NOT contained, the hourly limit is reached"),
        ("ask_first", "ACT by hand now: user mallory NOT contained, no approval"),
        ("refused", "ACT by hand now: user mallory NOT contained"),
        ("joined", "DECIDE: user mallory already contained, a further event joined"),
        ("dry_run", "NO ACTION: dry run, user mallory not contained"),
        ("off", "ACT by hand: user mallory not contained, containment is off"),
        ("gone", "NO ACTION: user mallory no longer exists"),
        ("closed", "NO ACTION: user mallory not contained, its account is closed"),
        ("contained", "CHECK: user mallory contained, without a decision"),
    ],
)
def test_given_an_outcome_without_a_decision_when_the_subject_is_made_then_it_states_the_action(
    outcome: str, subject: str
) -> None:
    contained = result(part(outcome=outcome), outcome=outcome)

    assert wording_subjects.final(facts.event(), contained, None, None, []) == f"{subject} - {TITLE}"
    if outcome not in ("contained", "limit_reached", "ask_first"):
        decision: Any = {"decision": "approve"}
        assert wording_subjects.final(facts.event(), contained, decision, None, []) == f"{subject} - {TITLE}"


JANE = {"analyst": {"name": "Jane Elizabeth Margaret Smith"}}


@pytest.mark.parametrize(
    ("outcome", "decision", "done", "missing", "subject"),
    [
        ("contained", {"decision": "approve", **JANE}, None, [],
         f"DONE: approved by Jane Elizabeth Ma..., user mallory stays contained - {TITLE}"),
        ("contained", {"decision": "approve"}, None, [],
         f"DONE: approved by an unnamed analyst, user mallory stays contained - {TITLE}"),
        ("contained", {"decision": "deny", **JANE}, {}, [],
         f"DONE: denied by Jane Elizabeth Ma..., user mallory restored - {TITLE}"),
        ("contained", {"decision": "deny"}, {"held": ["x"]}, [],
         f"DONE: denied by an unnamed analyst, user mallory restored in part - {TITLE}"),
        ("contained", {"decision": "deny"}, None, [],
         f"DONE: denied by an unnamed analyst, user mallory restored - {TITLE}"),
        ("contained", {"decision": "timed_out"}, None, [],
         f"REVIEW: no decision, user mallory stays contained until you release it - {TITLE}"),
        ("contained", {"decision": "approve"}, None, ["a", "b"],
         "ACT by hand now: user mallory, steps are missing: a; b"),
        ("limit_reached", {"decision": "deny"}, None, ["a"],
         f"DONE: denied by an unnamed analyst, user mallory NOT contained - {TITLE}"),
        ("ask_first", {"decision": "timed_out"}, None, [],
         f"ACT by hand now: user mallory NOT contained - {TITLE}"),
    ],
)  # fmt: skip
def test_given_a_decision_when_the_subject_is_made_then_analyst_principal_and_result_are_in_it(
    outcome: str, decision: Any, done: Any, missing: list[str], subject: str
) -> None:
    contained = result(part(outcome=outcome), outcome=outcome)

    assert wording_subjects.final(facts.event(), contained, decision, done, missing) == subject


def test_given_long_names_when_subjects_are_made_then_names_are_cut_and_the_title_stays() -> None:
    cut = f"user {'m' * 37}..."
    whole: Any = {**MALLORY, "name": "m" * 40}
    long: Any = LONG
    nameless: Any = {**BOB, "name": ""}
    event = facts.event(subject=LONG)

    assert wording_subjects.contained(event, result(part(LONG))) == f"DECIDE within 24 h: {cut} contained - {TITLE}"
    assert wording_subjects.contained(event, result(part(LONG, why="w"))) == (
        f"DECIDE within 24 h: {cut} PARTLY contained, act by hand now - {TITLE}"
    )
    assert wording_subjects.contained(event, result(part(outcome="refused"), outcome="refused")) == (
        f"ACT by hand now: user mallory NOT contained - {TITLE}"
    )
    assert wording_subjects.permission(event, result(part(whole))) == (
        f"DECIDE now: user {'m' * 40} NOT contained yet - {TITLE}"
    )
    assert wording_subjects.permission(event, result()) == f"DECIDE now: no principal NOT contained yet - {TITLE}"
    assert wording_subjects.counted(event, 7) == f"CHECK: {cut}, 7 times in an hour - {TITLE}"
    assert wording_subjects.failed("S", event, ()) == f"ACT by hand now: {cut}, S FAILED - {TITLE}"
    assert wording_subjects.failed("S", event, (BOB, nameless)) == (f"ACT by hand now: user bob, S FAILED - {TITLE}")
    assert wording_subjects.failed("S", None, ()) == "CHECK the execution: S FAILED, event not readable"
    assert wording_subjects.without_ledger(event, (ROLE,)) == f"FIX the ledger now: role deploy - {TITLE}"
    assert wording_subjects.without_ledger(event) == f"FIX the ledger now: {cut} - {TITLE}"
    assert wording_subjects.alone({"name": "J" * 21, "via": "cli"}, "approve", wording.name_of(long)) == (
        f"CHECK now: BREAK-GLASS, {'J' * 17}... decides alone: approve - {cut}"
    )
    untitled: Any = {name: value for name, value in event.items() if name not in ("severity", "title")}
    assert wording_subjects.to_check(untitled) == f"CHECK: {cut} - UNKNOWN: CreateAccessKey"


def test_given_an_organisation_when_principals_are_named_then_their_account_follows() -> None:
    member: Any = {**MALLORY, "in_account": SHOP}
    root: Any = {**ROOT, "in_account": SHOP}

    assert (wording.name_of(member), wording.name_of(root)) == (f"user mallory in {SHOP}", f"root of account {SHOP}")
    event = facts.event(in_account=SHOP, also=["a", "b"], allowlist={"allowlisted": False, "lookup_failed": False})
    assert wording.facts(event)[1:] == [
        "Also: a; b",
        "Key: AKIA2",
        'User agent (the caller chose it): "aws-cli/2"',
        f"Account {SHOP}, region us-east-1",
    ]
    away: Any = {**MALLORY, "arn": "arn:aws:iam::222222222222:user/mallory"}
    assert wording_links.named_in(facts.event(subject=away)) == [BOB["arn"]]
    assert wording_links.named_in(facts.event(subject={**away, "in_account": SHOP})) == [away["arn"], BOB["arn"]]
    named = [facts.principal("user", f"u{one}") for one in range(4)]
    assert len(wording_links.named_in(facts.event(), named)) == 5
    console = ["Console: https://one", "Console: https://two"]
    assert wording_links.finding_url(facts.event(details=["x", *console], finding=True)) == "https://one"
    assert wording_links.finding_url(facts.event(details=console)) == ""
    assert wording_links.finding_url(facts.event(details=["x"], finding=True)) == ""


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"event_source": "s3.amazonaws.com"}, "CreateAccessKey (s3) for user mallory by user bob from 198.51.100.7,"),
        ({"event_source": ""}, "CreateAccessKey for user mallory by user bob from 198.51.100.7,"),
        ({"addresses": ["a"]}, "CreateAccessKey for user mallory by user bob from 198.51.100.7,"),
        ({"addresses": ["a", "b"]},
         "CreateAccessKey for user mallory by user bob from 198.51.100.7 and 1 more address,"),
        ({"addresses": ["a", "b", "c"]},
         "CreateAccessKey for user mallory by user bob from 198.51.100.7 and 2 more addresses,"),
        ({"source_ip": "cloudformation.amazonaws.com"},
         "CreateAccessKey for user mallory by user bob through CloudFormation (cloudformation.amazonaws.com),"),
    ],
)  # fmt: skip
def test_given_an_event_when_described_then_service_and_number_of_addresses_are_stated(
    changes: dict[str, Any], text: str
) -> None:
    assert wording.what_happened(facts.event(**changes)) == f"{text} 2026-01-15 12:30:59 UTC"


def test_given_rare_facts_when_recorded_then_addresses_are_kept_and_missing_fields_are_empty() -> None:
    bare: Any = {name: value for name, value in facts.INCIDENT.items() if name not in ("severity", "detections")}

    several: Any = {**bare, "addresses": ["a", "b"], "user_agent": None}
    long: Any = {**bare, "user_agent": "u" * 301}

    found = wording.record(several)

    assert found["addresses"] == ["a", "b"]
    assert (found["severity"], found["detections"], found["user_agent"], found["allowlist"]) == (None, [], None, None)
    assert "addresses" not in wording.record(bare)
    assert wording.record(long)["user_agent"] == f"{'u' * 300}... (1 characters more)"
    member = part({**MALLORY, "in_account": SHOP})
    (shown,) = wording.record_containment(result(member), None)["principals"]
    assert (shown["in_account"], "joined_execution" in shown) == (SHOP, False)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(119.4, "119 s"), (119.5, "2 min"), (7199, "119 min"), (7200, "2 h 0 min"), (7260, "2 h 1 min"), (0.4, "0 s")],
)
def test_given_seconds_when_shown_then_minutes_begin_at_two_and_hours_at_two(seconds: float, text: str) -> None:
    assert wording.duration(seconds) == text


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"detections": ["health_account_at_risk"]}, "AWS considers the account at risk. ir-router contained nothing,"),
        ({"detections": ["health_account_at_risk"], "quiet": "closed"}, "AWS closed this event. Nothing was contained"),
        ({"detections": ["x"], "severity": "CRITICAL"}, "Nothing was contained. Check whether this was intended."),
    ],
)
def test_given_an_alert_without_containment_when_written_then_its_second_line_states_the_action(
    changes: dict[str, Any], line: str
) -> None:
    text = wording_alerts.alert_only(facts.event(**changes), grouped=False).split("\n")

    assert text[1].startswith(line)
    assert text[2] == ""


def test_given_a_count_when_an_earlier_execution_counted_some_then_the_text_states_it() -> None:
    earlier = "The number includes events that were counted for an earlier execution, which ended too early."
    texts = [wording_alerts.alert_count(facts.event(), 5, ["a"], taken_over=taken_over) for taken_over in (True, False)]

    assert [earlier in text for text in texts] == [True, False]
    assert "Callers:" not in texts[0]
    assert "Callers: a, b\n" in wording_alerts.alert_count(facts.event(), 5, ["a", "b"])


@pytest.mark.parametrize(
    ("undone", "verified", "text"),
    [
        ({"were_unknown": True, "active_keys": ["A"]}, True,
         "W completely contained: IAM lists the access keys now, and key A is disabled."),
        ({"were_unknown": True, "active_keys": ["A", "B"]}, True,
         "W completely contained: IAM lists the access keys now, and keys A, B are disabled."),
        ({"were_unknown": True, "active_keys": ["A"]}, False, "W only PARTLY contained: key A was active again."),
        ({"were_unknown": True, "active_keys": ["A"], "deny_policy": True}, True,
         "W contained again: the deny policy was no longer attached and key A was active again."),
        ({"was_refused": True, "deny_policy": True}, True,
         "W completely contained: IAM has now accepted the deny policy."),
        ({"was_refused": True, "deny_policy": True}, False,
         "W only PARTLY contained: the deny policy was no longer attached."),
        ({"active_keys": ["A", "B"], "new_keys": ["A", "B"]}, True, "W contained again: keys A, B were new."),
    ],
)  # fmt: skip
def test_given_a_containment_that_was_undone_when_described_then_the_cause_and_the_keys_are_stated(
    undone: dict[str, Any], verified: bool, text: str
) -> None:
    given = {"deny_policy": False, "active_keys": [], "new_keys": [], "was_refused": False, **undone}

    assert wording_gaps.contained_again("W", given, verified=verified) == text
    held = {"A": "AWS attached X", "B": "user eve disabled it"}
    assert wording_gaps.stays_disabled(held) == (
        "key A stays disabled, because AWS attached X since the containment, "
        "key B stays disabled, because user eve disabled it since the containment"
    )


def test_given_keys_that_stay_disabled_when_a_denial_is_described_then_each_is_explained() -> None:
    held = {"AKIA2": "user eve disabled it"}
    stays = ". But key AKIA2 stays disabled, because user eve disabled it since the containment"
    keys = {"AKIA1": "Active", "AKIA2": "Active", "AKIA3": "Inactive"}
    row = part(keys=keys, held=held)
    approved = (
        "the rest of the containment, including the deny policy, was approved earlier and stays until you release it"
    )

    assert wording_decisions.deny_does([row]) == (
        f"restores user mallory as found: 1 key active, no deny policy{stays}."
    )
    assert wording_decisions.deny_does([{**row, "scope": "key"}]) == (
        f"re-enables AKIA1 of user mallory. Nothing else changes{stays}."
    )
    assert wording_decisions.deny_does([{**row, "sealed_keys": []}]) == (
        f"re-enables key AKIA1 of user mallory; {approved}{stays}."
    )
    assert wording_decisions.deny_does([{**part(keys=keys), "sealed_keys": []}]) == (
        f"re-enables keys AKIA1, AKIA2 of user mallory; {approved}."
    )
    assert wording_decisions.deny_does([{**part(keys=keys), "sealed_keys": ["AKIA1", "AKIA2"]}]) == (
        f"changes nothing for user mallory; {approved}."
    )


@pytest.mark.parametrize(
    ("keys", "stays"),
    [([], ""), (["A"], " Only key A is disabled."), (["A", "B"], " Only keys A, B are disabled.")],
)
def test_given_a_permission_without_a_decision_when_it_ends_then_the_disabled_keys_are_stated(
    keys: list[str], stays: str
) -> None:
    one = part(outcome="limit_reached", actions=[facts.taken(target=key) for key in keys])

    def ended(decision: Any, *parts: Any) -> str:
        given = result(*parts, outcome="limit_reached")
        return wording_decisions.outcome(given, decision, None, [])

    assert ended({"decision": "timed_out"}, one) == (
        f"No decision within 24 hours: user mallory was NOT contained.{stays} Contain it by hand now."
    )
    assert ended(None, one, part(BOB, "limit_reached")) == (
        f"The approval request could not be sent: user mallory and user bob were NOT contained.{stays} "
        "Contain them by hand now."
    )
    assert ended({"decision": "deny"}, one) == "Denied by an unnamed analyst: user mallory was not contained."


@pytest.mark.parametrize(
    ("action", "address"),
    [
        ({"k": {"sourceIPs": ["192.0.2.9"]}}, "192.0.2.9"),
        ({"k": {"sourceIps": ["192.0.2.9", 7]}}, "192.0.2.9"),
        ({"k": {"sourceIPs": ["192.0.2.9"], "remoteIpDetails": {"ipAddressV4": "192.0.2.1"}}}, "192.0.2.1"),
        ({"k": {"sourceIPs": "192.0.2.9"}}, None),
        ({"p": {"portProbeDetails": [{"remoteIpDetails": {"ipAddressV4": "192.0.2.3"}}]}}, "192.0.2.3"),
    ],
)
def test_given_a_finding_when_its_address_is_read_then_source_addresses_count_without_a_remote_one(
    action: dict[str, Any], address: str | None
) -> None:
    detail = {"id": "f", "service": {"action": action}}

    found = findings.guardduty({"detail": detail}, detail, "aws", None)

    assert (found["source_ip"], found.get("addresses")) == (address, None)
    both = {"id": "f", "service": {"action": {"a": {"sourceIPs": ["192.0.2.1", "192.0.2.2", "192.0.2.1"]}}}}
    several = findings.guardduty({"detail": both}, both, "aws", None)
    assert several.get("addresses") == ["192.0.2.1", "192.0.2.2"]
    assert "Addresses: 192.0.2.1, 192.0.2.2" in several["details"]


@pytest.mark.parametrize(
    ("principal_id", "name"), [("AIDA1:s", "2 (principal AIDA1)"), ("2", "2"), ("2:s", "2"), ("", "2"), (None, "2")]
)
def test_given_a_caller_of_another_account_when_read_then_its_id_is_shown_without_its_session(
    principal_id: str | None, name: str
) -> None:
    actor = reading._actor({"type": "AWSAccount", "accountId": "2", "principalId": principal_id}, "1", "aws")

    assert (actor["kind"], actor["name"], actor["account"]) == ("account", name, "2")


@pytest.mark.parametrize(
    ("row", "changes", "is_found"),
    [
        ({}, {}, True),
        ({"opened_at": 1768480259.9}, {}, True),
        ({"opened_at": 1768480260.0}, {}, False),
        ({"opened_at": 1768480260.0}, {"event_time": None}, True),
        ({"incident": None}, {}, False),
        ({"contained_at": None}, {}, False),
    ],
)
def test_given_a_contained_target_when_an_event_changes_it_then_only_a_later_one_is_tampering(
    monkeypatch: pytest.MonkeyPatch, row: dict[str, Any], changes: dict[str, Any], is_found: bool
) -> None:
    stored = {"incident": "i", "contained_at": 9.0, "opened_at": 8.0, **row}
    stored = {name: value for name, value in stored.items() if value is not None}
    monkeypatch.setattr(invocation, "own_account", lambda _context: ("aws", facts.ACCOUNT))
    monkeypatch.setattr(invocation, "contained_account", lambda *_: facts.ACCOUNT)
    monkeypatch.setattr(origin, "of", lambda *_: facts.ACCOUNT)
    monkeypatch.setattr(identity, "resolve", lambda target: {**target.principal, "id": "AIDA"})
    monkeypatch.setattr(
        contained_names, "row_of", lambda arn, unique_id: stored if (arn, unique_id) == (BOB["arn"], "AIDA") else None
    )
    event = {"account": facts.ACCOUNT, "detail": {"requestParameters": {"userName": "bob"}}}
    found: Any = [SimpleNamespace(tampering=False), SimpleNamespace(tampering=True)]

    target = tampering.contained_target(facts.event(**changes), event, found, None)

    assert target == ({**BOB, "id": "AIDA"} if is_found else None)
    assert tampering.contained_target(facts.event(), event, found[:1], None) is None
    monkeypatch.setattr(identity, "resolve", lambda _target: None)
    assert tampering.contained_target(facts.event(), event, found, None) is None


@pytest.mark.parametrize(("status", "raised"), [(400, False), (499, False), (500, True), (None, True)])
def test_given_a_target_that_iam_does_not_show_when_an_event_changes_it_then_from_500_on_the_state_is_retried(
    monkeypatch: pytest.MonkeyPatch, status: int | None, raised: bool
) -> None:
    answer: Any = {"Error": {"Code": "AccessDenied"}}
    error = ClientError(answer | ({"ResponseMetadata": {"HTTPStatusCode": status}} if status else {}), "GetUser")

    def resolve(_target: Any) -> None:
        raise error

    monkeypatch.setattr(invocation, "own_account", lambda _context: ("aws", facts.ACCOUNT))
    monkeypatch.setattr(invocation, "contained_account", lambda *_: facts.ACCOUNT)
    monkeypatch.setattr(origin, "of", lambda *_: facts.ACCOUNT)
    monkeypatch.setattr(identity, "resolve", resolve)
    event = {"account": facts.ACCOUNT, "detail": {"requestParameters": {"userName": "bob"}}}
    found: Any = [SimpleNamespace(tampering=True)]

    if raised:
        with pytest.raises(ClientError):
            tampering.contained_target(facts.event(), event, found, None)
    else:
        assert tampering.contained_target(facts.event(), event, found, None) is None
