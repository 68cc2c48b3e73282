"""The people of an approval request: the assignee, the decisions of two people and their buttons."""

from __future__ import annotations

from typing import Any

import pytest

from ir_router.ledger import approvals
from ir_router.sync import request_people

AT = 1_768_500_000.0
TWO = {"approve": 2, "deny": 2, "release": 2}


def person(name: str, via: str = approvals.SLACK) -> dict[str, Any]:
    return {"name": name, "via": via, "slack_user_id": f"U{name.upper()}"}


def vote(name: str, decision: str = "approve", *, seen: int = 0, at: float = AT) -> dict[str, Any]:
    return {"analyst": person(name), "decision": decision, "seen": seen, "at": at}


def request(**changes: Any) -> dict[str, Any]:
    return {"approval_id": "a1", "state": approvals.PENDING, **changes}


def test_given_an_assignee_when_shown_then_the_line_has_name_and_time() -> None:
    row = request(assignee={**person("jane"), "at": AT})

    (line,) = request_people.lines(row)

    assert line.startswith("*On it*  jane, since <!date^1768500000^")
    assert line.endswith("|2026-01-15 18:00:00 UTC>")
    assert request_people.mentions_of_assignee(row) == ["<@UJANE>"]


def test_given_one_of_two_decisions_when_shown_then_only_those_that_need_two_people_have_a_line() -> None:
    votes = [vote("jane"), vote("bob", "deny")]

    both = request_people.lines(request(required=TWO, votes=votes, joined_events=0))
    one = request_people.lines(request(required={"approve": 2}, votes=votes))

    assert [line.partition(", <")[0] for line in both] == [
        "*Approvals*  1 of 2 people: jane",
        "*Denials*  1 of 2 people: bob",
    ]
    assert [line.partition(", <")[0] for line in one] == ["*Approvals*  1 of 2 people: jane"]
    assert "|2026-01-15 18:00:00 UTC>" in both[0]
    assert request_people.lines(request(required=TWO)) == ["*Approvals*  0 of 2 people", "*Denials*  0 of 2 people"]


def test_given_events_that_joined_later_when_shown_then_the_earlier_decision_is_outdated() -> None:
    row = request(required={"approve": 2}, joined_events=2, votes=[vote("jane", seen=1), vote("bob", seen=2)])

    count, outdated = request_people.lines(row)

    assert count.startswith("*Approvals*  1 of 2 people: bob")
    assert outdated == "*Outdated*  events joined after jane decided. jane must decide again."


@pytest.mark.parametrize(
    ("state", "texts"),
    [
        (approvals.PENDING, ["I'm on it"]),
        (approvals.DECIDED, []),
        (approvals.DELIVERED, []),
        (approvals.EXPIRED, []),
    ],
)
def test_given_each_state_when_shown_then_only_an_open_request_has_buttons(state: str, texts: list[str]) -> None:
    assert [one["text"]["text"] for one in request_people.buttons(request(state=state))] == texts


def test_given_an_assignee_and_a_decision_when_shown_then_another_may_take_over_and_the_decision_be_withdrawn() -> None:
    row = request(assignee={**person("jane"), "at": AT}, votes=[vote("jane"), vote("bob", at=AT + 1)])

    take_over, withdraw = request_people.buttons(row)

    assert take_over == {
        "type": "button",
        "action_id": "request_assign",
        "text": {"type": "plain_text", "text": "Take over"},
        "value": "a1",
    }
    assert (withdraw["action_id"], withdraw["value"]) == ("request_withdraw", f"a1/{AT + 1!r}")


def test_given_a_release_by_one_of_two_when_shown_then_it_waits_for_the_principals_that_are_left() -> None:
    arns = [f"arn:aws:iam::1:user/{name}" for name in ("ann", "ben", "eve")]
    waiting = {"analyst": person("jane"), "at": AT, "principals": arns, "seen": 0}
    row = request(state=approvals.DELIVERED, required=TWO, release_votes=[waiting], released=[arns[1]])

    (line,) = request_people.lines(row)
    (button,) = request_people.buttons(row)

    assert line.startswith("*Release*  1 of 2 people: jane, <!date^1768500000^")
    assert line.endswith("|2026-01-15 18:00:00 UTC>, of ann, eve")
    assert button["value"] == f"a1/{AT!r}"
    assert request_people.lines({**row, "released": arns}) == []
    assert request_people.buttons({**row, "released": arns}) == []


def test_given_an_analyst_when_named_then_a_name_without_a_check_states_its_source_and_long_ones_are_cut() -> None:
    assert request_people.plain_name_of({}) == "an unnamed analyst"
    assert request_people.plain_name_of(person("jane")) == "jane"
    assert request_people.plain_name_of(person("jane", approvals.CLI)) == f"jane{approvals.STATED[approvals.CLI]}"
    assert approvals.STATED[approvals.CLI]
    assert request_people.name_of(person("<@U1>")) == "&lt;@U1&gt;"
    assert "(200 characters in total)" in request_people.plain_name_of(person("x" * 200))
    assert request_people.mentions_of_assignee(request(assignee={"name": "jane", "via": "cli", "at": AT})) == []
