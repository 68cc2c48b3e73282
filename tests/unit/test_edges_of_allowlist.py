"""Entries of the allowlist: which callers they match, which entries are too wide, and when an entry silences."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest

from ir_router import clock
from ir_router.errors import InvalidInputError
from ir_router.workflow import allowlist, allowlist_tasks, check_allowlist, iam, inputs, invocation
from ir_router.workflow.allowlist import Entry
from ir_router.workflow.sessions import NoRoleError
from tests.support.texts import facts

NOW = 1000.0
ROLE = "arn:aws:iam::111122223333:role/deploy"
SESSION = "arn:aws:sts::111122223333:assumed-role/deploy/s"
SSO = "AWSReservedSSO_Admin_0123"
SSO_SESSION = f"arn:aws:sts::111122223333:assumed-role/{SSO}/jane@example.com"
SSO_ROLE = f"arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/{SSO}"


def find(entries: list[Entry], *addresses: str, arn: str = ROLE, caller: str = SESSION) -> str | None:
    actor: Any = {"arn": arn, "caller_arn": caller}
    found = allowlist.find(actor, addresses, entries, NOW)
    return None if found is None else f"{found.kind} {found.value} ({found.reason})"


def ip(value: str, reason: str = "r", expires_at: float | None = None) -> Entry:
    return Entry("ip", value, reason, expires_at)


@pytest.mark.parametrize(
    ("entry", "addresses", "matches"),
    [
        ("192.0.2.0/24", ("192.0.2.255",), True),
        ("192.0.2.0/24", ("192.0.3.0",), False),
        ("192.0.2.5", ("192.0.2.5",), True),
        ("192.0.2.5", ("192.0.2.4",), False),
        ("192.0.2.7/24", ("192.0.2.1",), True),
        ("2001:db8::/32", ("2001:db8:ffff::1",), True),
        ("2001:db8::/32", ("2001:db9::1",), False),
        ("192.0.2.0/24", ("::ffff:192.0.2.1",), True),
        ("::/96", ("192.0.2.1",), False),
        ("192.0.2.0/24", ("no address",), False),
        ("192.0.2.0/24", (), False),
        ("192.0.2.0/24", ("192.0.2.1", "192.0.2.2"), True),
        ("192.0.2.0/24", ("192.0.2.1", "198.51.100.1"), False),
        ("lambda.amazonaws.com", ("lambda.amazonaws.com",), False),
    ],
)
def test_given_an_entry_for_addresses_when_compared_then_every_address_must_be_in_it(
    entry: str, addresses: tuple[str, ...], matches: bool
) -> None:
    assert find([ip(entry)], *addresses) == (f"ip {entry} (r)" if matches else None)


@pytest.mark.parametrize(
    ("expires_at", "matches"), [(None, True), (NOW + 1, True), (NOW + 0.5, True), (NOW, False), (NOW - 1, False)]
)
def test_given_an_entry_with_an_end_when_compared_at_that_moment_then_it_no_longer_counts(
    expires_at: float | None, matches: bool
) -> None:
    assert (find([ip("192.0.2.1", expires_at=expires_at)], "192.0.2.1") is not None) is matches


def test_given_several_addresses_when_entries_match_them_together_then_all_used_entries_are_named() -> None:
    one, two, both = ip("192.0.2.1", "a"), ip("192.0.2.2", "b"), ip("192.0.2.0/24", "c")

    assert find([one, two], "192.0.2.1", "192.0.2.2") == "ip 192.0.2.1, 192.0.2.2 (a; b)"
    assert find([one, ip("192.0.2.2", "a")], "192.0.2.1", "192.0.2.2") == "ip 192.0.2.1, 192.0.2.2 (a)"
    assert find([one, ip("198.51.100.1"), both], "192.0.2.1", "192.0.2.2") == "ip 192.0.2.1, 192.0.2.0/24 (a; c)"
    assert find([both, one, two], "192.0.2.1", "192.0.2.2") == "ip 192.0.2.0/24 (c)"
    assert find([one, Entry("principal", ROLE, "p"), two], "192.0.2.1", "192.0.2.2") == f"principal {ROLE} (p)"


@pytest.mark.parametrize(
    ("value", "given", "matches"),
    [
        (ROLE, {}, True),
        ("arn:aws:iam::111122223333:role/dep*", {}, True),
        ("arn:aws:iam::111122223333:role/dep", {}, False),
        ("arn:aws:iam::111122223333:role/*/deploy", {}, False),
        (SESSION, {}, False),
        ("arn:aws:sts::111122223333:assumed-role/deploy/*", {}, True),
        (SSO_SESSION, {"arn": SSO_ROLE, "caller": SSO_SESSION}, True),
        (SSO_SESSION, {"arn": ROLE, "caller": SSO_SESSION}, False),
        (f"{ROLE} via cloudformation.amazonaws.com", {}, False),
        (ROLE, {"arn": "", "caller": ""}, False),
        ("arn:aws:iam::111122223333:user/*", {"arn": "arn:aws:iam::111122223333:user/p/bob", "caller": ""}, False),
    ],
)
def test_given_an_entry_for_a_principal_when_compared_then_chosen_session_names_do_not_count(
    value: str, given: dict[str, str], matches: bool
) -> None:
    assert (find([Entry("principal", value, "r")], **given) is not None) is matches


@pytest.mark.parametrize(
    ("addresses", "matches"),
    [
        (("cloudformation.amazonaws.com",), True),
        (("lambda.amazonaws.com",), False),
        (("cloudformation.amazonaws.com", "192.0.2.1"), False),
        ((), False),
    ],
)
def test_given_an_entry_through_a_service_when_compared_then_only_its_calls_are_allowed(
    addresses: tuple[str, ...], matches: bool
) -> None:
    entry = Entry("principal", f"{ROLE} via cloudformation.amazonaws.com", "r")

    assert (find([entry], *addresses) is not None) is matches


@pytest.mark.parametrize(
    ("kind", "value", "normal"),
    [
        ("ip", "10.0.0.0/8", "10.0.0.0/8"),
        ("ip", "10.1.2.3/8", "10.0.0.0/8"),
        ("ip", "10.0.0.0/7", "would allow too many addresses. The largest network allowed is /8."),
        ("ip", "0.0.0.0/0", "0.0.0.0/0 would allow every address. The largest network allowed is /8."),
        ("ip", "2001:db8::/32", "2001:db8::/32"),
        ("ip", "2001:db8::/31", "would allow too many addresses. The largest network allowed is /32."),
        ("ip", "192.0.2.1", "192.0.2.1/32"),
        ("ip", "AWS Internal", "AWS Internal"),
        ("ip", "ec2.amazonaws.com.cn", "ec2.amazonaws.com.cn"),
        ("ip", "ec2.example.com", "'ec2.example.com' is not an IP address, a CIDR or the name of an AWS service."),
        ("principal", ROLE, ROLE),
        ("principal", "arn:aws:iam::111122223333:role/d*", "arn:aws:iam::111122223333:role/d*"),
        ("principal", "arn:aws:iam::111122223333:role/*", "could allow every principal of the account."),
        ("principal", "arn:aws:iam::111122223333:*/deploy", "could allow every principal of the account."),
        ("principal", "arn:aws:iam::*:role/deploy", "is not a full ARN with an account."),
        ("principal", f"{ROLE} via lambda.amazonaws.com", f"{ROLE} via lambda.amazonaws.com"),
        ("principal", f"{ROLE} via lambda", "'lambda' is not the name of an AWS service,"),
        ("principal", "deploy", "'deploy' is not a full ARN with an account."),
    ],
)
def test_given_an_entry_when_checked_then_it_gets_its_normal_form_or_the_reason_against_it(
    kind: Any, value: str, normal: str
) -> None:
    refused = check_allowlist.refusal(Entry(kind, value, "r"))

    if refused is None:
        assert allowlist.checked(kind, value) == normal
    else:
        assert normal in refused
        with pytest.raises(InvalidInputError, match=re.escape(refused)):
            allowlist.checked(kind, value)


@pytest.mark.parametrize(
    ("kind", "value", "why"),
    [
        ("principal", ROLE, None),
        ("principal", SESSION, "because callers choose the names of their sessions."),
        ("principal", "arn:aws:sts::111122223333:assumed-role/deploy/*", None),
        ("principal", SSO_SESSION, None),
        ("principal", "arn:aws:sts::111122223333:assumed-role/deploy", "because it names no session."),
        ("principal", f"{SESSION} via lambda.amazonaws.com", "because callers choose the names"),
        ("ip", "192.0.2.1", None),
        ("ip", "lambda.amazonaws.com", "role/deploy-* via lambda.amazonaws.com."),
        ("ip", SESSION, None),
    ],
)
def test_given_a_valid_entry_when_it_can_match_no_caller_then_the_reason_is_stated(
    kind: Any, value: str, why: str | None
) -> None:
    found = allowlist.without_effect(kind, value)

    assert (found is None) is (why is None)
    assert why is None or (found is not None and found.startswith(f"{value} allows nothing") and why in found)


def test_given_a_pattern_when_it_protects_then_its_star_also_spans_paths() -> None:
    assert allowlist.matches_arn("arn:aws:iam::*:role/*", "arn:aws:iam::1:role/a/b")
    assert not allowlist.matches_arn("arn:aws:iam::1:role/a", "arn:aws:iam::1:role/ab")
    assert not allowlist.matches_caller("arn:aws:iam::1:role/*", "arn:aws:iam::1:role/a/b")
    with pytest.raises(InvalidInputError, match=r"^kind must be ip or principal\.$"):
        allowlist.kind_of("IP")


@pytest.mark.parametrize(
    ("changes", "matches"),
    [
        ({"source_ip": "192.0.2.1"}, True),
        ({"source_ip": "192.0.2.1", "vpc_endpoint_id": "vpce-1"}, False),
        ({"source_ip": "198.51.100.1", "addresses": ["192.0.2.1"]}, True),
        ({"source_ip": "192.0.2.1", "addresses": ["192.0.2.1", "198.51.100.1"]}, False),
        ({"source_ip": "192.0.2.1", "addresses": []}, True),
        ({"source_ip": None}, False),
    ],
)
def test_given_the_addresses_of_an_event_when_compared_then_one_without_an_entry_is_enough_against_it(
    changes: dict[str, Any], matches: bool
) -> None:
    found = check_allowlist.entry_for(facts.event(**changes), [ip("192.0.2.0/24")], NOW)

    assert (found is not None) is matches


@pytest.mark.parametrize(
    ("changes", "severity", "silences"),
    [
        ({}, "HIGH", True),
        ({}, "LOW", True),
        ({}, "CRITICAL", False),
        ({"finding": True}, "LOW", False),
        ({"finding": False, "event_source": "guardduty.amazonaws.com"}, "LOW", True),
        ({"event_source": "guardduty.amazonaws.com"}, "LOW", False),
        ({"event_source": "health.amazonaws.com"}, "LOW", False),
    ],
)
def test_given_an_event_when_an_entry_matches_then_findings_and_critical_events_are_still_alerted(
    changes: dict[str, Any], severity: Any, silences: bool
) -> None:
    assert check_allowlist.may_silence(facts.event(**changes), severity) is silences


DAYS = 86_400.0


@pytest.mark.parametrize(
    ("created", "doubt"),
    [
        (NOW - 7 * DAYS, ""),
        (NOW - 7 * DAYS + 1, "The caller was created within the last 7 days. Check whether the entry means this"),
        (None, ""),
        (NoRoleError("x"), "IAM did not show when the caller was created. Check whether the entry means this caller."),
    ],
)
def test_given_a_new_caller_when_an_entry_matches_its_name_then_the_event_is_doubted_for_seven_days(
    monkeypatch: pytest.MonkeyPatch, created: Any, doubt: str
) -> None:
    def created_at(_principal: Any) -> float | None:
        if isinstance(created, Exception):
            raise created
        return float(created) if created is not None else None

    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(iam, "created_at", created_at)
    monkeypatch.setattr(invocation, "contained_account", lambda *_: facts.ACCOUNT)

    found = check_allowlist._doubt(facts.event(), None)
    assert found.startswith(doubt)
    assert bool(found) is bool(doubt)
    other = {**facts.INCIDENT["actor"], "account": "222222222222"}
    root = {**facts.INCIDENT["actor"], "kind": "root"}
    assert [check_allowlist._doubt(facts.event(actor=one), None) for one in (other, root)] == ["", ""]


def test_given_a_medium_event_when_alerted_then_the_command_allows_only_a_principal_that_it_helps() -> None:
    def command(**changes: Any) -> str:
        return check_allowlist.command_to_allow(facts.event(**{"severity": "MEDIUM", **changes}))

    assert all(part in command() for part in (facts.BOB["arn"], "allowlist_add", "principal", "WHY", "YOUR NAME"))
    assert command(actor={**facts.SESSION}) != ""
    entry = {"allowlisted": False, "lookup_failed": False, "entry": "x"}
    for changes in (
        {"severity": "LOW"},
        {"severity": "HIGH"},
        {"quiet": "sample"},
        {"finding": True},
        {"allowlist": entry},
        {"actor": {**facts.INCIDENT["actor"], "kind": "root"}},
        {"detections": ["console_sign_ins_failed"]},
        {"actor": {**facts.INCIDENT["actor"], "arn": "arn:aws:iam::1:user/x"}},
    ):
        assert command(**changes) == ""
    assert command(allowlist={"allowlisted": False, "lookup_failed": True}) == command()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(None, None), ("1970-01-01T00:16:41Z", 1001), ("1970-01-01T00:16:41", 1001), ("1970-01-01T01:16:41+01:00", 1001)],
)
def test_given_the_end_of_an_entry_when_read_then_a_time_without_a_zone_is_utc(
    monkeypatch: pytest.MonkeyPatch, value: str | None, seconds: int | None
) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)

    assert allowlist_tasks._moment(value) == seconds
    with pytest.raises(InvalidInputError, match="must be in the future"):
        allowlist_tasks._moment("1970-01-01T00:16:40Z")
    with pytest.raises(InvalidInputError, match="must be an ISO 8601 time"):
        allowlist_tasks._moment("soon")


def test_given_a_field_of_a_task_when_read_then_its_length_has_a_limit_and_spaces_are_dropped() -> None:
    assert inputs.text({"reason": " x "}, "reason") == "x"
    assert inputs.text({"reason": "x" * 1_000}, "reason") == "x" * 1_000
    with pytest.raises(InvalidInputError, match="The field reason is longer than 1000 characters"):
        inputs.text({"reason": "x" * 1_001}, "reason")
    for value in (None, 7, "", "  "):
        with pytest.raises(InvalidInputError, match=r"The task t requires the field reason\. It must be text\."):
            inputs.text({"task": "t", "reason": value}, "reason")


@pytest.mark.parametrize(
    ("organization", "account", "found"),
    [(None, "222222222222", "111122223333"), ("o-1", "222222222222", "222222222222"),
     ("o-1", "22222222222", "111122223333"), ("o-1", "2222222222222", "111122223333")],
)  # fmt: skip
def test_given_the_account_of_an_event_when_contained_then_another_one_needs_an_organisation(
    monkeypatch: pytest.MonkeyPatch, organization: str | None, account: str, found: str
) -> None:
    monkeypatch.setattr(invocation, "settings", lambda: SimpleNamespace(organization_id=organization, settle_seconds=3))
    monkeypatch.setattr(clock, "now", lambda: NOW)
    context: Any = SimpleNamespace(
        invoked_function_arn="arn:aws-cn:lambda:cn-north-1:111122223333:function:f:slack",
        get_remaining_time_in_millis=lambda: 2500,
    )

    assert invocation.contained_account({"account": account}, context) == found
    assert invocation.own_account(context) == ("aws-cn", "111122223333")
    assert (invocation.alias(context), invocation.alias(None)) == ("slack", "")
    assert invocation.alias(SimpleNamespace(invoked_function_arn="arn:aws:lambda:r:1:function:f")) == ""
    assert invocation.lock_until(context) == NOW + 5.5
