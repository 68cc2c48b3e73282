"""Item 16: one actor causes at most two cases and three requests, for all outcomes of its principals."""

from __future__ import annotations

from typing import Any

import pytest

from ir_router.workflow import detections
from tests.scenarios.test_containment_of_one_actor import cases, victims
from tests.support.world import ACCOUNT, World
from tests.trials.world import incidents as support
from tests.trials.world.incidents import alerts, asked, decide, iam_state, role_is_denied
from tests.trials.world.state_machine import StateMachine

MANY = 14
TRUST_CHANGED = {
    "id": "own_trust_policy",
    "title": "Trust policy changed",
    "severity": "HIGH",
    "whom": "target_user",
    "grouped": "none",
    "pattern": {"detail": {"eventName": ["UpdateAssumeRolePolicy"]}},
}


def protect(world: World, *patterns: str) -> None:
    world.environment["IR_PROTECTED_PRINCIPALS"] = str([*patterns]).replace("'", '"')


def trust_changed(world: World, name: str) -> Any:
    request = {"roleName": name, "policyDocument": "{}"}
    return support.event(support.call(world, "UpdateAssumeRolePolicy", requestParameters=request))


@pytest.fixture
def own_detection() -> Any:
    detections.add([TRUST_CHANGED])
    yield
    detections.add([])


def test_given_many_protected_users_of_one_caller_then_one_case_and_an_alert_for_each(
    world: World, machine: StateMachine
) -> None:
    protect(world, f"arn:aws:iam::{ACCOUNT}:user/*")

    made = victims(world, machine, MANY)

    (case_id,) = cases(world)
    assert asked(world) == []
    told = "\n".join(str(alert["Message"]) for alert in alerts(world))
    assert all(f"user {name} NOT contained" in told for name in made)
    comments = world.comments(case_id)
    assert sum("NOT contained" in body for body in comments) == 11  # the first, and ten further principals
    assert {execution.status for execution in machine.executions.values()} == {"SUCCEEDED"}


def test_given_many_roles_that_need_an_approval_when_one_caller_touches_them_then_one_request_covers_all(
    world: World, machine: StateMachine, own_detection: None
) -> None:
    names = [f"app-{number:02}" for number in range(MANY)]
    for name in names:
        support.role(name, services=["ec2.amazonaws.com"])
        machine.start(trust_changed(world, name))

    assert len(cases(world)) == 1
    (request,) = asked(world)
    answer = decide(world, request["taskToken"], "approve", joined_events=0)
    assert answer["status"] == "events_joined"
    decide(world, request["taskToken"], "approve", joined_events=MANY - 1)
    machine.advance()

    assert all(role_is_denied(world, name) for name in names)
    assert len(cases(world)) == 1
    (second,) = asked(world)
    decide(world, second["taskToken"], "deny")
    machine.advance()
    assert not any(role_is_denied(world, name) for name in names)
    assert {execution.status for execution in machine.executions.values()} == {"SUCCEEDED"}


def test_given_a_mixture_of_one_caller_then_two_cases_and_three_requests(
    world: World, machine: StateMachine, own_detection: None
) -> None:
    protect(world, f"arn:aws:iam::{ACCOUNT}:user/protected-*")
    world.environment["IR_MAX_CONTAINMENTS_PER_HOUR"] = "2"
    requests = []
    for number in range(5):
        support.role(f"app-{number}", services=["ec2.amazonaws.com"])
        machine.start(trust_changed(world, f"app-{number}"))
        for name in (f"protected-{number}", f"user-{number}"):
            (key,) = support.user(name)
            machine.start(support.key_created(world, name, key))
        requests += asked(world)

    assert [iam_state(world, f"user-{number}").denied for number in range(5)] == [True, True, False, False, False]
    assert all("Inactive" in iam_state(world, f"user-{number}").keys.values() for number in range(5))
    assert len(cases(world)) == 2
    assert len(requests) == 2
    permission = next(one for one in requests if one["kind"] == "contain")
    decide(world, permission["taskToken"], "approve")
    machine.advance()
    requests += asked(world)
    assert all(role_is_denied(world, f"app-{number}") for number in range(5))
    assert len(cases(world)) == 2
    assert len(requests) <= 3
