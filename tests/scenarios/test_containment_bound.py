"""Item 16: one actor causes at most two cases and three requests, for all outcomes of its principals."""

from __future__ import annotations

import itertools
from typing import Any

import boto3
import pytest

from ir_router.ledger.containments import ContainmentBusyError
from ir_router.workflow import detections, immediate_containment
from ir_sandbox.slack.people import Person
from tests.scenarios.test_containment_of_one_actor import cases, victims
from tests.support.approvals import approvals_in, as_shown, make_approver
from tests.support.world import ACCOUNT, World
from tests.trials.world import incidents as support
from tests.trials.world.incidents import IamState, alerts, asked, decide, iam_state, role_is_denied
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
def jane(world: World) -> Person:
    return make_approver(world)


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
    world: World, machine: StateMachine, own_detection: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.expect(ContainmentBusyError)  # one invocation is too short for all
    short = itertools.cycle([False] * 5 + [True])
    monkeypatch.setattr(immediate_containment, "_is_short_of_time", lambda _context: next(short))
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


@pytest.mark.parametrize("decision", ["approve", "deny", "none"])
def test_given_roles_and_a_new_key_of_one_caller_when_the_request_ends_then_each_is_named_and_treated_alike(
    world: World, machine: StateMachine, own_detection: None, jane: Person, security_channel: str, decision: str
) -> None:
    world.environment["IR_MAX_CONTAINMENTS_PER_HOUR"] = "0"
    names = [f"app-{number}" for number in range(4)]
    for name in names:
        support.role(name, services=["ec2.amazonaws.com"])
        machine.start(trust_changed(world, name))
    (key,) = support.user("mallory")
    boto3.client("iam").tag_user(UserName="mallory", Tags=[{"Key": "slack-email", "Value": "mallory@example.com"}])
    machine.start(support.key_created(world, "mallory", key))
    world.settle()
    (request,) = asked(world)
    all_names = [*(f"role {name}" for name in names), "user mallory"]
    everything = f"Principals (5): {', '.join(all_names)}"
    (shown,) = approvals_in(world, security_channel)
    assert f"Deny re-enables key {key}. Nothing else changes for role app-0, role app-1 and 3" in shown["text"]
    assert iam_state(world, "mallory").keys == {key: "Inactive"}
    by_owner = {"slack_user_id": "UMALLORY", "email": "mallory@example.com", "name": "Mallory"}
    refused = decide(world, request["taskToken"], "deny", by_owner)
    assert refused["status"] == "not_allowed"
    alerts(world)

    if decision == "none":
        world.advance(86_401)
    else:
        decide(world, request["taskToken"], decision)
    machine.advance()
    world.settle()

    (shown, *_second) = approvals_in(world, security_channel)
    assert all(name in as_shown(shown["blocks"]) for name in all_names)
    (case_id,) = cases(world)
    told = alerts(world)[-1]["Message"]
    assert "role app-0, role app-1 and 3 more principals" in told
    if decision == "approve":
        decide(world, asked(world)[-1]["taskToken"], "deny")
        machine.advance()
        told = alerts(world)[-1]["Message"]
    for text in (told, world.comments(case_id)[-1]):
        assert everything in text
        assert {"deny": "were not contained.", "none": f"were NOT contained. Only key {key} is disabled."}.get(
            decision, f"key {key} enabled (verified)"
        ) in text
    assert iam_state(world, "mallory").keys == {key: "Inactive" if decision == "none" else "Active"}
    assert not any(role_is_denied(world, name) for name in names)


@pytest.mark.parametrize("permission", ["approve", "deny"])
def test_given_a_key_beyond_the_limit_when_another_event_contains_its_owner_then_a_denial_enables_the_key(
    world: World, machine: StateMachine, permission: str
) -> None:
    world.environment["IR_MAX_CONTAINMENTS_PER_HOUR"] = "0"
    _execution, key = support.contain(world, machine)
    (asked_first,) = asked(world)
    world.environment["IR_MAX_CONTAINMENTS_PER_HOUR"] = "10"
    machine.start(support.finding("backdoor", 8.0))
    (asked_then,) = asked(world)
    assert asked_then["deny"] == "restores user backdoor as found: 0 keys active, no deny policy."

    decide(world, asked_first["taskToken"], permission)
    machine.advance()
    assert iam_state(world, "backdoor") == IamState({key: "Inactive"}, denied=True)
    (pending,) = world.invoke("approval-handler", {"task": "list_approvals"})["approvals"]
    assert pending["deny_does"] == "restores user backdoor as found: 1 key active, no deny policy."
    decide(world, asked_then["taskToken"], "deny")
    machine.advance()

    assert iam_state(world, "backdoor") == IamState({key: "Active"}, denied=False)
    assert {execution.status for execution in machine.executions.values()} == {"SUCCEEDED"}
