"""C10: one caller creates keys for many users. It is one incident: one case, one channel, one approval request."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from ir_router.ledger import containments, joined_events
from ir_router.ledger.containments import ContainmentBusyError
from ir_sandbox.slack.people import Person
from tests.support.approvals import approvals_in, as_shown, make_approver, press
from tests.support.world import ACCOUNT, World
from tests.trials.world import incidents as support
from tests.trials.world.incidents import IamState, alerts, asked, audit_rows, decide, iam_state
from tests.trials.world.state_machine import StateMachine

JOINED = "This event joined the open incident of the same actor. The decision about the incident is pending."


def cases(world: World) -> list[str]:
    found: list[str] = []
    token: dict[str, Any] = {}
    while True:
        page = world.security_ir.call("ListCases", {"maxResults": 25, **token})
        found += [str(row["caseId"]) for row in page["items"]]
        if not page.get("nextToken"):
            return found
        token = {"nextToken": page["nextToken"]}


def victims(world: World, machine: StateMachine, count: int, **changes: Any) -> dict[str, str]:
    """Report a new key for each of so many new users; return the users and their keys."""
    made = {}
    for number in range(1, count + 1):
        name = f"user-{number:02}"
        (made[name],) = support.user(name)
        machine.start(support.key_created(world, name, made[name], **changes))
    return made


def release(world: World, name: str) -> Any:
    principal = f"arn:aws:iam::{ACCOUNT}:user/{name}"
    return world.invoke(
        "workflow", {"task": "release", "principal": principal, "released_by": "Ann", "reason": "known user"}
    )


@pytest.fixture
def jane(world: World) -> Person:
    return make_approver(world)


def test_given_three_users_of_one_caller_when_contained_then_one_case_and_one_request_list_them_all(
    world: World, machine: StateMachine, jane: Person, security_channel: str
) -> None:
    made = victims(world, machine, 3)
    world.settle()

    assert all(iam_state(world, name) == IamState({key: "Inactive"}, denied=True) for name, key in made.items())
    assert len(cases(world)) == 1
    assert len(asked(world)) == 1
    (request,) = approvals_in(world, security_channel)
    assert "user user-01 and user user-02 and user user-03 contained" in request["text"]
    shown = as_shown(request["blocks"])
    assert all(f"user {name} {key}" in shown for name, key in made.items())
    assert "2 more events of this incident" in shown
    told = [alert["Message"] for alert in alerts(world)]
    assert [text.splitlines()[0] for text in told] == [
        "user user-01 contained. Approve or deny within 24 hours.",
        f"user user-02 contained. {JOINED}",
        f"user user-03 contained. {JOINED}",
    ]


def test_given_three_users_of_one_caller_when_denied_then_each_is_restored_and_the_result_names_them(
    world: World, machine: StateMachine, jane: Person, security_channel: str
) -> None:
    made = victims(world, machine, 3)
    world.settle()
    alerts(world)

    decide(world, asked(world)[0]["taskToken"], "deny")
    machine.advance()
    world.settle()

    assert all(iam_state(world, name) == IamState({key: "Active"}, denied=False) for name, key in made.items())
    (alert,) = alerts(world)
    assert "user user-01 and user user-02 and user user-03" in alert["Message"]
    assert alert["Message"].count("enabled (verified)") == 3
    ended = [json.loads(row["details"]) for row in audit_rows() if row["action"] == "ended"][-1]
    assert [part["principal"].rpartition("/")[2] for part in ended["principals"]] == list(made)


def test_given_three_users_when_one_is_released_alone_then_the_decision_is_about_the_others(
    world: World, machine: StateMachine, jane: Person, security_channel: str
) -> None:
    made = victims(world, machine, 3)
    world.settle()

    release(world, "user-02")
    world.settle()

    assert iam_state(world, "user-02") == IamState({made["user-02"]: "Active"}, denied=False)
    (request,) = approvals_in(world, security_channel)
    assert "user user-01 and user user-03 contained" in request["text"]
    press(world, machine, jane, security_channel, "approval_approve")
    assert iam_state(world, "user-01") == IamState({}, denied=True)
    assert iam_state(world, "user-02") == IamState({made["user-02"]: "Active"}, denied=False)
    assert iam_state(world, "user-03") == IamState({}, denied=True)


def test_given_all_others_released_when_the_last_is_released_then_the_request_must_be_decided(
    world: World, machine: StateMachine
) -> None:
    victims(world, machine, 2)
    release(world, "user-01")

    with pytest.raises(Exception, match="A decision about this principal is pending"):
        release(world, "user-02")


def test_given_a_decision_when_the_caller_goes_on_then_it_is_a_new_incident(
    world: World, machine: StateMachine
) -> None:
    victims(world, machine, 2)
    decide(world, asked(world)[0]["taskToken"], "approve")
    machine.advance()
    (key,) = support.user("later")

    machine.start(support.key_created(world, "later", key))

    assert len(cases(world)) == 2
    (request,) = asked(world)
    assert request["summary"] == "user later contained"


def test_given_an_hour_later_when_the_caller_goes_on_then_it_is_a_new_incident(
    world: World, machine: StateMachine
) -> None:
    victims(world, machine, 2)
    world.advance(3_601)
    (key,) = support.user("later")

    machine.start(support.key_created(world, "later", key))

    assert len(cases(world)) == 2
    assert len(asked(world)) == 2


def test_given_two_callers_by_turns_then_each_has_its_own_incident(world: World, machine: StateMachine) -> None:
    for number in range(1, 5):
        (key,) = support.user(f"user-{number}")
        by = support.user_identity(("mallory", "eve")[number % 2], f"AKIACALLER{number % 2:010}")
        machine.start(support.key_created(world, f"user-{number}", key, userIdentity=by))

    assert len(cases(world)) == 2
    first, _second = asked(world)
    decide(world, first["taskToken"], "deny")
    machine.advance()
    assert [iam_state(world, f"user-{number}").denied for number in range(1, 5)] == [False, True, False, True]


def test_given_callers_that_the_events_do_not_identify_then_they_share_no_incident(
    world: World, machine: StateMachine
) -> None:
    for number in (1, 2):
        (key,) = support.user(f"user-{number}")
        unknown = {"type": "Unknown", "principalId": "", "accountId": ACCOUNT}
        machine.start(support.key_created(world, f"user-{number}", key, userIdentity=unknown))

    assert len(cases(world)) == 2


def test_given_events_at_once_when_the_first_has_not_asked_yet_then_the_second_is_contained_and_waits(
    world: World, machine: StateMachine
) -> None:
    world.expect(ContainmentBusyError)
    (first,), (second,) = support.user("user-1"), support.user("user-2")
    seen: list[bool] = []

    def start_another(task: str, after: bool) -> None:
        if task == "open_case" and not after and not seen:
            seen.append(True)
            machine.start(support.key_created(world, "user-2", second))

    machine.fault = start_another
    machine.start(support.key_created(world, "user-1", first))
    machine.advance()

    assert iam_state(world, "user-2").denied
    assert len(asked(world)) == len(cases(world))


def test_given_a_leader_that_fails_when_the_next_event_comes_then_it_asks_itself(
    world: World, machine: StateMachine
) -> None:
    world.expect(ContainmentBusyError)
    (first,), (second,) = support.user("user-1"), support.user("user-2")
    execution = machine.start(support.key_created(world, "user-1", first))
    machine.abort(execution)
    table = boto3.resource("dynamodb").Table("ledger")
    (approval,) = [row for row in table.scan()["Items"] if str(row["PK"]).startswith("APPROVAL#")]
    table.delete_item(Key={"PK": approval["PK"], "SK": approval["SK"]})
    asked(world)

    machine.start(support.key_created(world, "user-2", second))

    assert iam_state(world, "user-2").denied
    assert [request["summary"] for request in asked(world)] == ["user user-2 contained"]


def test_given_more_users_than_the_hourly_limit_then_every_key_is_disabled_and_one_request_lists_them_all(
    world: World, machine: StateMachine, jane: Person, security_channel: str
) -> None:
    world.environment["IR_MAX_CONTAINMENTS_PER_HOUR"] = "2"
    made = victims(world, machine, 5)
    world.settle()

    assert [iam_state(world, name).keys for name in made] == [{key: "Inactive"} for key in made.values()]
    assert [iam_state(world, name).denied for name in made] == [True, True, False, False, False]
    assert (len(cases(world)), len(asked(world))) == (1, 1)
    (request,) = approvals_in(world, security_channel)
    assert "user user-01, user user-02 and 3 more principals contained" in request["text"]
    assert f"user user-05 {made['user-05']} (only the key is disabled)" in as_shown(request["blocks"])
    told = alerts(world)[-1]["Message"]
    assert told.startswith(f"key {made['user-05']} of user user-05 contained. {JOINED}")
    (case_id,) = cases(world)
    assert "another principal created the key (the hourly limit is reached)" in str(world.comments(case_id))


@pytest.mark.parametrize("decision", ["approve", "deny"])
def test_given_users_of_whom_only_the_key_is_disabled_when_decided_then_only_their_keys_change(
    world: World, machine: StateMachine, decision: str
) -> None:
    world.environment["IR_MAX_CONTAINMENTS_PER_HOUR"] = "1"
    made = victims(world, machine, 3)
    calls = len(world.wire.calls)

    decide(world, asked(world)[0]["taskToken"], decision)
    machine.advance()

    for name, key in made.items():
        left = (
            IamState({}, denied=name == "user-01") if decision == "approve" else IamState({key: "Active"}, denied=False)
        )
        assert iam_state(world, name) == left
    detached = [call for call in world.wire.calls[calls:] if "DetachUserPolicy" in str(call)]
    assert len(detached) == (decision == "deny")
    assert [execution.status for execution in machine.executions.values()] == ["SUCCEEDED"] * 3
    assert containments.get(f"arn:aws:iam::{ACCOUNT}:user/user-03") is None


def test_given_a_full_limit_when_one_caller_goes_on_then_there_are_two_cases_and_two_requests(
    world: World, machine: StateMachine, jane: Person, security_channel: str
) -> None:
    world.environment["IR_MAX_CONTAINMENTS_PER_HOUR"] = "0"
    made = victims(world, machine, 5)
    world.settle()

    assert [iam_state(world, name) for name in made] == [
        IamState({key: "Inactive"}, denied=False) for key in made.values()
    ]
    assert len(cases(world)) == 2
    first, second = asked(world)
    assert first["summary"] == "contain user user-01?"
    assert second["approve"] == f"permanently deletes key {made['user-02']}. Nothing else changes."

    decide(world, first["taskToken"], "approve")
    machine.advance()

    assert iam_state(world, "user-01").denied
    assert len(cases(world)) == 2
    assert asked(world) == []  # it joined the second request
    decide(world, second["taskToken"], "deny")
    machine.advance()
    assert [iam_state(world, name) for name in made] == [
        IamState({key: "Active"}, denied=False) for key in made.values()
    ]


def test_given_a_stream_of_events_when_decided_then_the_decision_is_recorded(
    world: World, machine: StateMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joined_events, "MOST_COUNTED", 2)
    made = victims(world, machine, 1)
    (request,) = asked(world)
    for number in range(5):
        event = support.key_created(world, "user-01", made["user-01"], eventID=f"again-{number}")
        machine.start(event)

    answer = decide(world, request["taskToken"], "approve", joined_events=2)

    assert answer["status"] == "approved"
