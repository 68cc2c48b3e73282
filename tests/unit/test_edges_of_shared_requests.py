"""Principals that share a request, the groups of events without containment, and the errors of states."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ir_router.ledger import approvals, groups
from ir_router.workflow import accounts, actor_incidents, not_contained, report_failure, request_approval
from tests.support.texts import facts

SETTINGS = SimpleNamespace(organization_id=None)

SHARED: dict[str, Any] = {
    "principal": facts.BOB["arn"],
    "joined_principals": {facts.MALLORY["arn"], facts.ROLE["arn"], facts.BOB["arn"]},
    "joined_keys": {f"{facts.MALLORY['arn']} AKIA5", f"{facts.ROLE['arn']} AKIA4"},
    "joined_ids": {f"{facts.MALLORY['arn']} AIDA5"},
    "owners": ["z", "b"],
    "joined_owners": {"a", "b"},
}


def test_given_principals_that_joined_a_request_when_shown_then_each_is_named_once_with_its_keys(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(accounts, "settings", lambda: SETTINGS)
    monkeypatch.setattr(
        approvals, "get", lambda approval_id: SHARED if approval_id == approvals.id_of("e", "contain") else None
    )
    who = "user bob and role deploy and user mallory"

    found = not_contained.texts({**SHARED, "disabled_keys": ["AKIA9"]})

    assert found == {
        "who": who,
        "headline": f"contain {who}?",
        "listed": ["user bob", "role deploy", "user mallory"],
        "approve_does": f"contains {who}: attaches the deny policy to each, so that everything that uses it stops. "
        "ir-router then sends a second approval request.",
        "deny_does": f"re-enables key AKIA9, AKIA4, AKIA5. Nothing else changes for {who}.",
        "owners": ["a", "b", "z"],
    }
    assert not_contained.texts({**SHARED, "joined_keys": ()})["deny_does"] == f"leaves {who} unchanged."
    assert not_contained.texts({**SHARED, "joined_principals": {facts.BOB["arn"]}}) == {}
    role, mallory = not_contained.joined("e", [])
    assert (role["principal"], mallory["principal"]) == (facts.ROLE, {**facts.MALLORY, "id": "AIDA5"})
    assert mallory["actions"] == [facts.taken(target="AKIA5", principal=facts.MALLORY["arn"])]
    assert (role["outcome"], role["why"], role["named_keys"], role["recorded"]) == ("ask_first", "", [], {})
    own = facts.part(facts.ROLE, "limit_reached")
    assert [(one["principal"]["name"], one["outcome"]) for one in not_contained.joined("e", [own])] == [
        ("mallory", "limit_reached")
    ]
    assert not_contained.joined("other", []) == []


@pytest.mark.parametrize(
    ("parts", "changes", "group"),
    [
        ([{}], {}, "actor"),
        ([{"beyond_account": "2"}], {}, "account"),
        ([{"beyond_account": "2"}, {}], {}, "actor"),
        ([{"beyond_account": "2"}, {"beyond_account": "3"}], {}, "account"),
        ([], {}, "actor"),
        ([{}], {"finding": True}, None),
        ([{}], {"requested": {}}, None),
        ([{"beyond_account": "2"}], {"finding": True}, "account"),
        ([{}], {"actor": {**facts.UNKNOWN, "arn": "", "caller_arn": "", "access_key_id": None}}, None),
    ],
)
def test_given_events_without_containment_when_grouped_then_the_limit_of_an_account_comes_before_the_actor(
    monkeypatch: pytest.MonkeyPatch, parts: list[dict[str, Any]], changes: dict[str, Any], group: str | None
) -> None:
    monkeypatch.setattr(actor_incidents, "identity_of", lambda actor: actor["arn"])
    monkeypatch.setattr(actor_incidents, "group_of", lambda kind, _incident: kind)
    names = {"actor": "not-contained-case", "account": groups.name_of("not-contained-case-of-account", facts.ACCOUNT)}

    found = not_contained._group("case", facts.event(**changes), facts.result(*(facts.part(**one) for one in parts)))

    assert found == (names[group] if group else None)


@pytest.mark.parametrize(
    ("failure", "found"),
    [
        ("x", ("Unknown", "")),
        ({}, ("Unknown", "")),
        ({"Error": "E", "Cause": "not JSON"}, ("E", "not JSON")),
        ({"Error": "E", "Cause": '{"errorMessage": "a\\n b", "stackTrace": ["x"]}'}, ("E", "a b")),
        ({"Error": "E", "Cause": '{"other": 1}'}, ("E", "")),
        ({"Error": "E", "Cause": "[1]"}, ("E", "[1]")),
        ({"Error": "", "Cause": None}, ("Unknown", "")),
    ],
)
def test_given_the_error_of_a_state_when_read_then_lambdas_stack_trace_is_left_out(
    failure: Any, found: tuple[str, str]
) -> None:
    assert report_failure.error_of(failure) == found


@pytest.mark.parametrize(
    ("kind", "numbers", "required"),
    [
        ("contain", {"contain_over_limit": 1}, {}),
        ("contain", {"contain_over_limit": 2}, {"approve": 2, "deny": 2}),
        ("remediate", {}, {}),
        ("remediate", {"remediate_approve": 2}, {"approve": 2, "deny": 1, "release": 1}),
        ("remediate", {"remediate_deny": 2}, {"approve": 1, "deny": 2, "release": 1}),
        ("remediate", {"release": 2}, {"approve": 1, "deny": 1, "release": 2}),
        ("remediate", {"contain_over_limit": 2}, {}),
    ],
)
def test_given_the_numbers_of_people_when_a_request_is_sent_then_it_keeps_those_of_its_kind(
    monkeypatch: pytest.MonkeyPatch, kind: str, numbers: dict[str, int], required: dict[str, int]
) -> None:
    every = {"contain_over_limit": 1, "remediate_approve": 1, "remediate_deny": 1, "release": 1} | numbers
    monkeypatch.setattr(request_approval, "settings", lambda: SimpleNamespace(approvals_required=every))

    assert request_approval._required(kind) == required
