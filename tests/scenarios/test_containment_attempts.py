"""C6: calls of a contained principal are counted on its incident, and a call that succeeds is reported at once."""

from __future__ import annotations

from typing import Any

import boto3
import pytest

from tests.support.world import World
from tests.trials.world import FunctionDiedError
from tests.trials.world import incidents as support
from tests.trials.world.deployment import DENY_POLICY
from tests.trials.world.incidents import alerts, call, contain, event, iam_state, user_identity
from tests.trials.world.state_machine import Execution, StateMachine


@pytest.fixture
def contained(world: World, machine: StateMachine) -> Any:
    found = contain(world, machine)
    alerts(world)
    world.advance(30)
    machine.advance()
    return found


def make_call(world: World, machine: StateMachine, name: str, key: str, **changes: Any) -> Execution:
    return machine.start(event(call(world, name, userIdentity=user_identity("backdoor", key), **changes)))


def denied(world: World, machine: StateMachine, key: str, **changes: Any) -> Execution:
    return make_call(world, machine, "ListUsers", key, errorCode="AccessDenied", **changes)


def comments(world: World) -> list[str]:
    (case,) = world.security_ir.call("ListCases", {"maxResults": 25})["items"]
    return [body for body in world.comments(case["caseId"]) if "since the containment" in body]


def test_given_a_contained_user_when_its_calls_are_denied_then_they_are_counted_on_the_case_without_alerts(
    world: World, machine: StateMachine, contained: Any
) -> None:
    _execution, key = contained
    assert not any(denied(world, machine, key).path for _ in range(20))  # the intake counts them
    assert alerts(world) == []
    (first,) = comments(world)
    assert "user backdoor: 1 denied call since the containment. Last: ListUsers at" in first

    world.advance(301)
    world.verify_containments()
    machine.advance()

    assert len(comments(world)) == 2
    assert "20 denied calls since the containment" in comments(world)[-1]


def test_given_a_run_that_dies_at_any_call_when_time_passes_then_the_case_has_the_number_of_denied_calls_once(
    world: World, machine: StateMachine, contained: Any
) -> None:
    _execution, key = contained
    world.unexpected.allow(FunctionDiedError)
    world.carriers.append(machine.carry)
    rounds, died = 0, True
    while died:
        rounds += 1
        world.wire.kill_at(rounds, "before")
        denied(world, machine, key)
        world.run_intake()
        died = world.wire.died_at is not None
        world.wire.spare()
        world.settle(patience=900)
        world.advance(301)
        world.verify_containments()
        world.settle()
        world.advance(301)
        told = comments(world)
        assert f"{rounds} denied {'call' if rounds == 1 else 'calls'} since the containment" in told[-1]
    assert rounds > 8
    assert len(told) == len(set(told)) == rounds


def test_given_a_call_from_before_the_containment_when_denied_then_it_is_alerted(
    world: World, machine: StateMachine, contained: Any
) -> None:
    _execution, key = contained

    denied(world, machine, key, eventTime="2020-01-01T00:00:00Z")

    assert len(alerts(world)) == 1
    assert comments(world) == []


def test_given_a_released_user_when_its_calls_are_denied_then_they_are_alerted(
    world: World, machine: StateMachine
) -> None:
    (key,) = support.user("backdoor")

    denied(world, machine, key)

    assert len(alerts(world)) == 1


def test_given_a_contained_user_when_a_call_succeeds_then_it_is_reported_once_and_the_containment_is_verified(
    world: World, machine: StateMachine, contained: Any
) -> None:
    _execution, key = contained
    boto3.client("iam").detach_user_policy(UserName="backdoor", PolicyArn=DENY_POLICY)

    for _ in range(2):
        make_call(world, machine, "ListUsers", key)

    told = [str(alert["Message"]).splitlines()[0] for alert in alerts(world)]
    assert told.count("A call of the contained user backdoor succeeded: ListUsers. You must act by hand now.") == 1
    assert iam_state(world, "backdoor").denied


def test_given_a_contained_user_when_it_calls_get_caller_identity_then_no_leak_is_reported(
    world: World, machine: StateMachine, contained: Any
) -> None:
    _execution, key = contained

    make_call(world, machine, "GetCallerIdentity", key, service="sts")

    assert not any("succeeded" in alert["Message"] for alert in alerts(world))
