"""Which recorded approvals, denials and releases count as those of another person."""

from __future__ import annotations

from typing import Any

import pytest

from ir_router.ledger import approvals, joined_events, two_people
from tests.support.world import World

ANN = {"name": "Ann Lee", "via": "slack", "slack_user_id": "U1"}
BOB = {"name": "Bob", "via": "slack", "slack_user_id": "U2"}
CARL = {"name": "Carl", "via": "slack", "slack_user_id": "U3"}
ARN = "arn:aws:iam::123456789012:user/carol"


FACTS = {"headline": "h", "owners": [], "principals": [ARN], "approve_does": "a", "deny_does": "d"}


def vote(analyst: dict[str, Any], at: float = 1.0, arn: str = ARN) -> dict[str, Any]:
    return {"analyst": analyst, "at": at, "seen": 0, "principals": [arn]}


def row(*votes: dict[str, Any], required: int = 2) -> dict[str, Any]:
    return {"required": {"release": required}, "release_votes": list(votes), "votes": list(votes)}


@pytest.mark.parametrize(
    ("other", "is_same"),
    [
        (ANN | {"slack_user_id": "U2"}, False),  # two users of Slack can have one name
        (BOB | {"slack_user_id": "U1"}, True),
        ({"name": "ann lee", "via": "cli"}, True),
        ({"name": "bob", "via": "cli"}, False),
    ],
)
def test_given_two_analysts_when_compared_then_names_count_only_if_one_has_no_user_id(
    other: dict[str, Any], *, is_same: bool
) -> None:
    assert two_people.is_same_person(ANN, other) is is_same


def test_given_the_decisions_of_several_users_when_one_asks_then_only_an_own_one_since_then_counts() -> None:
    both = row(vote(BOB, 5.0), vote(ANN, 7.0))
    for name in ("votes", "release_votes"):
        assert two_people.has_own(both, name, "U1", 7.0)
        assert not two_people.has_own(both, name, "U1", 7.5)
        assert not two_people.has_own(both, name, "U3", 0.0)


@pytest.mark.parametrize(
    ("votes", "is_enough"),
    [
        ((), False),
        ((vote(ANN),), False),
        ((vote(ANN), vote(ANN)), False),
        ((vote(ANN), vote(BOB)), True),
        ((vote(ANN), vote(ANN), vote(BOB)), True),
        ((vote(ANN), vote(BOB, arn="arn:other")), False),
        ((vote(ANN), vote(ANN | {"break_glass": "alone at night"})), True),
    ],
)
def test_given_releases_of_a_principal_when_counted_then_two_people_or_a_break_glass_release_are_enough(
    votes: tuple[dict[str, Any], ...], *, is_enough: bool
) -> None:
    assert two_people.is_released_by_enough(row(*votes), ARN) is is_enough
    assert two_people.is_released_by_enough(row(*votes, required=1), ARN)


def test_given_earlier_releases_when_another_user_releases_then_the_first_other_person_is_named() -> None:
    found = two_people.with_first_release(row(vote(CARL), vote(ANN), vote(BOB)), ARN, CARL)
    assert (found["name"], found["first"]["name"]) == ("Carl", "Ann Lee")
    assert "first" not in two_people.with_first_release(row(vote(CARL)), ARN, CARL)
    assert "first" not in two_people.with_first_release(row(vote(ANN), required=1), ARN, CARL)


def test_given_an_event_that_joins_between_two_decisions_when_the_row_was_read_before_then_the_first_one_does_not_count(
    world: World,
) -> None:
    facts = FACTS | {"required": {"approve": 2}}
    approval_id = str(approvals.request("one", "remediate", "token", facts)["approval_id"])
    row_before = approvals.get(approval_id) or {}
    assert two_people.decide(row_before, "approve", ANN, "", 0, "request-1") == ("first_recorded", None)
    read_early = approvals.get(approval_id) or {}
    joined_events.note(approval_id, {"execution": "two", "what": "two"})

    assert two_people.decide(read_early, "approve", BOB, "", 1, "request-2") == ("first_recorded", None)
    row = approvals.get(approval_id) or {}
    assert row["state"] == approvals.PENDING
    assert two_people.decide(row, "approve", ANN, "", 1, "request-3")[0] == "decided"
