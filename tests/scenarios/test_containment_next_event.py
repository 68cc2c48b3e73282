"""W4: further events about a contained principal join the incident, wait, or cause a new approval request."""

from __future__ import annotations

from typing import Any

import boto3

from ir_router.ledger.containments import ContainmentBusyError
from tests.support.world import ACCOUNT, World
from tests.trials.world import incidents as support
from tests.trials.world.incidents import IamState, alerts, asked, audit_actions, contain, decide, iam_state
from tests.trials.world.state_machine import Execution, StateMachine


def test_given_an_open_incident_when_another_key_is_made_then_it_is_disabled_and_no_second_question_asked(
    world: World, machine: StateMachine, waiting: Any
) -> None:
    _execution, _key, token = waiting
    later = support.key_created(world, "backdoor")
    joined = machine.start(later)

    assert joined.status == "SUCCEEDED"
    state = iam_state(world, "backdoor")
    assert state.keys[support.named_key(later)] == "Inactive"
    assert asked(world) == []
    assert any("This event joined the open incident" in alert["Message"] for alert in alerts(world))
    (case,) = world.security_ir.call("ListCases", {"maxResults": 25})["items"]
    assert len(world.comments(case["caseId"])) == 1

    decide(world, token, "approve")
    machine.advance()
    assert iam_state(world, "backdoor") == IamState({}, denied=True)


def test_given_an_event_that_joined_when_denied_then_both_keys_are_as_they_were(
    world: World, machine: StateMachine, waiting: Any
) -> None:
    _execution, key, token = waiting
    later = support.key_created(world, "backdoor")
    machine.start(later)

    decide(world, token, "deny")
    machine.advance()

    expected = {key: "Active", support.named_key(later): "Active"}
    assert iam_state(world, "backdoor") == IamState(expected, denied=False)


def test_given_an_approved_incident_when_the_next_is_denied_then_only_its_own_key_returns(
    world: World, machine: StateMachine
) -> None:
    _first, key = contain(world, machine, keys=2)
    (other,) = set(iam_state(world, "backdoor").keys) - {key}
    decide(world, asked(world)[0]["taskToken"], "approve")
    machine.advance()
    later = support.key_created(world, "backdoor")
    second = machine.start(later)
    assert second.path[-1] == "Wait for Analyst"

    decide(world, asked(world)[0]["taskToken"], "deny")
    machine.advance()

    expected = {other: "Inactive", support.named_key(later): "Active"}
    assert iam_state(world, "backdoor") == IamState(expected, denied=True)
    release = {"task": "release", "principal": f"arn:aws:iam::{ACCOUNT}:user/backdoor"}
    world.invoke("workflow", {**release, "released_by": "Jane", "reason": "user rebuilt"})
    assert iam_state(world, "backdoor") == IamState(dict.fromkeys(expected, "Active"), denied=False)
    assert audit_actions()[-1] == "released"


def test_given_an_approved_incident_when_the_next_is_asked_about_then_both_answers_say_what_stays(
    world: World, machine: StateMachine
) -> None:
    contain(world, machine, keys=2)
    decide(world, asked(world)[0]["taskToken"], "approve")
    machine.advance()
    later = support.key_created(world, "backdoor")
    machine.start(later)
    new = support.named_key(later)

    (question,) = asked(world)

    stays = (
        "the rest of the containment, including the deny policy, was approved earlier and stays until you release it."
    )
    assert question["deny"] == f"re-enables key {new} of user backdoor; {stays}"
    assert question["approve"].startswith(f"permanently deletes keys {new} ")


def test_given_an_approved_role_when_the_next_is_asked_about_then_deny_says_that_it_changes_nothing(
    world: World, machine: StateMachine
) -> None:
    support.role("deploy")
    machine.start(support.finding("deploy", 8.0, user_type="AssumedRole"))
    decide(world, asked(world)[0]["taskToken"], "approve")
    machine.advance()
    machine.start(support.finding("deploy", 8.0, user_type="AssumedRole"))

    (question,) = asked(world)

    assert question["deny"].startswith("changes nothing for role deploy; the rest of the containment")


def test_given_an_incident_without_a_decision_when_the_next_is_denied_then_the_first_state_returns(
    world: World, machine: StateMachine, waiting: Any
) -> None:
    _execution, key, _token = waiting
    world.advance(86_401)
    machine.advance()

    later = support.key_created(world, "backdoor")
    machine.start(later)
    decide(world, asked(world)[0]["taskToken"], "deny")
    machine.advance()

    expected = {key: "Active", support.named_key(later): "Active"}
    assert iam_state(world, "backdoor") == IamState(expected, denied=False)


def test_given_an_aborted_incident_with_a_failed_decision_when_the_next_comes_then_it_asks_again(
    world: World, machine: StateMachine, waiting: Any
) -> None:
    execution, _key, token = waiting
    machine.abort(execution)
    decide(world, token, "deny")

    machine.start(support.key_created(world, "backdoor"))

    assert len(asked(world)) == 1


def test_given_two_events_at_once_when_both_are_evaluated_then_one_asks_and_the_other_joins(
    world: World, machine: StateMachine
) -> None:
    first, second = support.user("backdoor", 2)
    inner: list[Execution] = []
    started: list[str] = []

    def start_another(task: str, after: bool) -> None:
        if task == "immediate_containment" and not after and not started:
            started.append(task)
            inner.append(machine.start(support.key_created(world, "backdoor", second)))

    machine.fault = start_another
    outer = machine.start(support.key_created(world, "backdoor", first))

    assert {outer.path[-1], inner[0].path[-1]} == {"Wait for Analyst", "Done"}
    assert len(asked(world)) == 1


def test_given_a_holder_that_died_when_another_event_comes_then_it_waits_until_the_lock_may_be_taken(
    world: World, machine: StateMachine
) -> None:
    world.expect(ContainmentBusyError)
    died: list[float] = []

    def kill(task: str, after: bool) -> None:
        if task == "immediate_containment" and not after and not died:
            died.append(world.now())
            arn = f"arn:aws:iam::{ACCOUNT}:user/backdoor"
            row: dict[str, Any] = {
                "PK": f"CONTAINMENT#{arn}",
                "SK": "META",
                "lock_holder": "dead",
                "lock_until": int(world.now()) + 65,
            }
            boto3.resource("dynamodb").Table("ledger").put_item(Item=row)

    machine.fault = kill
    execution, _key = contain(world, machine)

    assert execution.path[-1] == "Wait for Analyst"
    assert world.now() - died[0] >= 64
