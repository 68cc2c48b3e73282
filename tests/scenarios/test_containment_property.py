"""D1-D5: whatever was there before, whatever joins and whoever dies where, IAM ends as the decision says."""

from __future__ import annotations

import itertools
from typing import Any

import boto3
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ir_local.world.incidents import IamState, asked, decide, iam_state, key_created, named_key
from ir_local.world.state_machine import Execution, StateMachine
from ir_local.world.wire import FunctionDiedError
from tests.support.world import World

_names = (f"user-{number}" for number in itertools.count())

KEYS_OF_A_USER = 2  # IAM's quota
# Where a function dies: at its nth outbound call, before or after the effect; None: nowhere.
deaths = st.none() | st.tuples(st.integers(1, 30), st.sampled_from(["before", "after"]))


class Case:
    """One user, its incident, and functions that die where they are told."""

    def __init__(self, world: World, machine: StateMachine, active: list[bool], *, denied: bool) -> None:
        self.world, self.machine = world, machine
        self.name = next(_names)
        iam = boto3.client("iam")
        iam.create_user(UserName=self.name)
        for is_active in active:
            key = iam.create_access_key(UserName=self.name)["AccessKey"]["AccessKeyId"]
            if not is_active:
                iam.update_access_key(UserName=self.name, AccessKeyId=key, Status="Inactive")
        if denied:
            iam.attach_user_policy(UserName=self.name, PolicyArn=world.environment["IR_DENY_POLICY_ARN"])
        self.before = self.state()
        self.named: list[str] = []

    def state(self) -> IamState:
        return iam_state(self.world, self.name)

    def event(self, death: Any) -> Execution:
        """An event names a key, a new one as long as IAM allows one more; the execution that it starts."""
        if len(self.before.keys) < KEYS_OF_A_USER:
            created = key_created(self.world, self.name)
            self.before.keys[named_key(created)] = "Active"
        else:
            keys = sorted(self.before.keys)
            created = key_created(self.world, self.name, keys[len(self.named) % len(keys)])
        self.named.append(named_key(created))
        with_death(self.world, death)
        execution = self.machine.start(created)
        self.world.wire.spare()
        return execution

    def decide(self, token: str, decision: str, death: Any) -> None:
        """A person decides and, when the function dies, tries again; the poller would deliver it likewise."""
        with_death(self.world, death)
        for _ in range(3):
            try:
                answer = decide(self.world, token, decision)
            except FunctionDiedError:
                continue
            if answer["status"] in ("approved", "denied", "already_decided"):
                break
            self.machine.advance()
        self.world.wire.spare()

    def remediate(self, death: Any) -> None:
        with_death(self.world, death)
        self.machine.advance()
        self.world.wire.spare()


def with_death(world: World, death: Any) -> None:
    if death is not None:
        world.wire.kill_at(*death)


@pytest.fixture
def machine(world: World) -> StateMachine:
    world.environment["IR_MAX_CONTAINMENTS_PER_HOUR"] = "1000000"
    return StateMachine(world)


@pytest.mark.timeout(300)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    active=st.lists(st.booleans(), max_size=2),
    denied=st.booleans(),
    joining=st.lists(deaths, max_size=2),
    during=st.lists(deaths, max_size=1),
    decision=st.sampled_from(["approve", "deny"]),
    dying=st.tuples(deaths, deaths, deaths),
)
def test_given_any_user_when_events_join_and_functions_die_then_iam_ends_as_decided(
    world: World,
    machine: StateMachine,
    active: list[bool],
    denied: bool,
    joining: list[Any],
    during: list[Any],
    decision: str,
    dying: tuple[Any, Any, Any],
) -> None:
    asked(world)
    case = Case(world, machine, active, denied=denied)
    execution = case.event(dying[0])
    assert execution.path[-1] == "Wait for Analyst"
    for death in joining:
        case.event(death)
    contained = IamState(dict.fromkeys(case.before.keys, "Inactive"), denied=True)
    assert case.state() == contained
    questions = {message["approvalId"]: message["taskToken"] for message in asked(world)}
    (token,) = questions.values()

    case.decide(token, decision, dying[1])
    later = [case.event(death) for death in during]
    case.remediate(dying[2])

    assert execution.status == "SUCCEEDED", execution
    if later:  # what came after the decision is not decided by it
        assert [one.path[-1] for one in later] == ["Wait for Analyst"]
        assert case.state() == IamState(dict.fromkeys(case.state().keys, "Inactive"), denied=True)
        assert len({message["approvalId"] for message in asked(world)}) == 1
    elif decision == "deny":
        assert case.state() == case.before
    else:
        kept = {key: "Inactive" for key in case.before.keys if key not in case.named}
        assert case.state() == IamState(kept, denied=True)
