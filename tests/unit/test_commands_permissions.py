"""The permission to change a case: each decision agrees with its stated reason, for all kinds of users and lists."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ir_router.commands.permissions import Reason, Requester, decide

IDS = ["U1", "U2", "W3"]
EMAILS = ["jane@example.com", "JOHN@example.com", "eve@example.org"]
GROUPS = ["S1", "S2"]

requesters = st.builds(
    Requester,
    user_id=st.sampled_from(IDS),
    email=st.none() | st.just("") | st.sampled_from(EMAILS),
    is_person=st.booleans(),
    is_guest=st.booleans(),
    is_stranger=st.booleans(),
    groups=st.frozensets(st.sampled_from(GROUPS)),
)
addresses = st.lists(st.sampled_from([*EMAILS, "Jane@Example.com", ""]), max_size=3)
editors = st.lists(st.sampled_from([*IDS, *GROUPS, *EMAILS]), max_size=3)


@given(requester=requesters, watchers=addresses, team=addresses, editors=editors)
def test_given_anybody_when_decided_then_only_named_members_of_the_organisation_may(
    requester: Requester, watchers: list[str], team: list[str], editors: list[str]
) -> None:
    decision = decide(requester, watchers=watchers, response_team=team, editors=editors)

    addresses = {address.lower() for address in (*watchers, *team, *editors)}
    named = (
        bool(requester.email and requester.email.lower() in addresses)
        or requester.user_id in editors
        or any(group in editors for group in requester.groups)
    )
    belongs = requester.is_person and not requester.is_guest and not requester.is_stranger
    assert decision.allowed == (named and belongs)


@given(requester=requesters, watchers=addresses, team=addresses, editors=editors)
def test_given_a_refusal_when_decided_then_the_reason_is_the_first_that_applies(
    requester: Requester, watchers: list[str], team: list[str], editors: list[str]
) -> None:
    decision = decide(requester, watchers=watchers, response_team=team, editors=editors)

    if not requester.is_person:
        assert decision.reason is Reason.NOT_A_PERSON
    elif requester.is_stranger:
        assert decision.reason is Reason.STRANGER
    elif requester.is_guest:
        assert decision.reason is Reason.GUEST
    elif not decision.allowed:
        assert decision.reason is Reason.NOT_LISTED


def person(**changes: object) -> Requester:
    fields: dict[str, Any] = {
        "user_id": "U1",
        "email": "jane@example.com",
        "is_person": True,
        "is_guest": False,
        "is_stranger": False,
    }
    return Requester(**(fields | changes))


def test_given_each_list_when_it_names_the_person_then_the_reason_says_which() -> None:
    nobody: dict[str, list[str]] = {"watchers": [], "response_team": [], "editors": []}
    assert decide(person(), **(nobody | {"watchers": ["Jane@Example.COM"]})).reason is Reason.WATCHER
    assert decide(person(), **(nobody | {"response_team": ["jane@example.com"]})).reason is Reason.RESPONSE_TEAM
    assert decide(person(), **(nobody | {"editors": ["jane@example.com"]})).reason is Reason.EDITOR
    assert decide(person(), **(nobody | {"editors": ["U1"]})).reason is Reason.EDITOR
    assert decide(person(groups=frozenset({"S1"})), **(nobody | {"editors": ["S1"]})).reason is Reason.EDITOR


def test_given_no_address_when_a_list_holds_an_empty_one_then_they_do_not_match() -> None:
    assert not decide(person(email=""), watchers=[""], response_team=[""], editors=[""]).allowed
