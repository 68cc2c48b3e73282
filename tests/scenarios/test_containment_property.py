"""D1-D5: for any initial state, joining events and deaths, IAM ends in the state of the decision."""

from __future__ import annotations

import itertools
from typing import Any

import boto3
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ir_router.ledger.containments import ContainmentBusyError
from tests.support.world import World
from tests.trials.world.deployment import DENY_POLICY
from tests.trials.world.incidents import IamState, asked, decide, iam_state, key_created, named_key, user_identity
from tests.trials.world.state_machine import Execution, StateMachine
from tests.trials.world.wire import FunctionDiedError

_names = (f"user-{number}" for number in itertools.count())

KEYS_OF_A_USER = 2  # IAM's quota
# Where a function dies: at its nth outbound call, before or after the effect. None means nowhere.
deaths = st.none() | st.tuples(st.integers(1, 30), st.sampled_from(["before", "after"]))


class Case:
    """One user, its incident, and functions that die at the given calls."""

    def __init__(
        self, world: World, machine: StateMachine, active: list[bool], *, denied: bool, caller: str = ""
    ) -> None:
        self.world, self.machine = world, machine
        self.name = next(_names)
        self.caller = user_identity(caller or f"creator-of-{self.name}", "AKIACREATOR000000001")
        iam = boto3.client("iam")
        iam.create_user(UserName=self.name)
        for is_active in active:
            key = iam.create_access_key(UserName=self.name)["AccessKey"]["AccessKeyId"]
            if not is_active:
                iam.update_access_key(UserName=self.name, AccessKeyId=key, Status="Inactive")
        if denied:
            iam.attach_user_policy(UserName=self.name, PolicyArn=DENY_POLICY)
        self.before = self.state()
        self.named: list[str] = []

    def state(self) -> IamState:
        return iam_state(self.world, self.name)

    def contained(self, scope: str) -> IamState:
        """Return the state in containment. Another principal created every key of this test."""
        if scope == "principal":
            return IamState(dict.fromkeys(self.before.keys, "Inactive"), denied=True)
        keys = {key: "Inactive" if key in self.named else status for key, status in self.before.keys.items()}
        return IamState(keys, self.before.denied)

    def event(self, death: Any) -> Execution:
        """Send an event about a key (a new one while IAM allows one more); run the execution that it starts."""
        if len(self.before.keys) < KEYS_OF_A_USER:
            created = key_created(self.world, self.name, userIdentity=self.caller)
            self.before.keys[named_key(created)] = "Active"
        else:
            keys = sorted(self.before.keys)
            key = keys[len(self.named) % len(keys)]
            created = key_created(self.world, self.name, key, userIdentity=self.caller)
        self.named.append(named_key(created))
        with_death(self.world, death)
        execution = self.machine.start(created)
        self.world.wire.spare()
        return execution

    def decide(self, token: str, decision: str, death: Any) -> None:
        """Decide, and repeat the decision if the function dies. The poller would deliver it in the same way."""
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


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    active=st.lists(st.booleans(), max_size=2),
    denied=st.booleans(),
    joining=st.lists(deaths, max_size=2),
    during=st.lists(deaths, max_size=1),
    scope=st.sampled_from(["principal", "key"]),
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
    scope: str,
    decision: str,
    dying: tuple[Any, Any, Any],
) -> None:
    world.unexpected.allow(ContainmentBusyError)
    world.environment["IR_CONTAINMENT_SCOPE"] = scope
    asked(world)
    case = Case(world, machine, active, denied=denied)
    execution = case.event(dying[0])
    assert execution.steps[-1] == "Wait for Analyst"
    for death in joining:
        case.event(death)
    assert case.state() == case.contained(scope)
    questions = {message["approvalId"]: message["taskToken"] for message in asked(world)}
    (token,) = questions.values()

    case.decide(token, decision, dying[1])
    later = [case.event(death) for death in during]
    case.remediate(dying[2])

    assert execution.status == "SUCCEEDED", execution
    if later:  # the decision does not cover later events
        assert [one.steps[-1] for one in later] == ["Wait for Analyst"]
        assert set(case.state().keys.values()) <= {"Inactive"} or scope == "key"
        assert case.state().denied == (scope == "principal" or denied)
        assert len({message["approvalId"] for message in asked(world)}) == 1
    elif decision == "deny":
        assert case.state() == case.before
    else:
        contained = case.contained(scope)
        kept = {key: status for key, status in contained.keys.items() if key not in case.named}
        assert case.state() == IamState(kept, contained.denied)


@settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    users=st.lists(st.tuples(st.lists(st.booleans(), max_size=2), st.booleans(), deaths), min_size=2, max_size=2),
    decision=st.sampled_from(["approve", "deny"]),
    dying=st.tuples(deaths, deaths),
)
def test_given_any_users_of_one_caller_when_functions_die_then_one_decision_is_carried_out_for_each(
    world: World, machine: StateMachine, users: list[Any], decision: str, dying: tuple[Any, Any]
) -> None:
    world.unexpected.allow(ContainmentBusyError)
    asked(world)
    caller = f"caller-{next(_names)}"
    cases = [Case(world, machine, active, denied=denied, caller=caller) for active, denied, _ in users]
    executions = [case.event(death) for case, (_, _, death) in zip(cases, users, strict=True)]
    assert [execution.steps[-1] for execution in executions] == ["Wait for Analyst", *["Done"] * (len(users) - 1)]
    (token,) = {message["approvalId"]: message["taskToken"] for message in asked(world)}.values()

    cases[0].decide(token, decision, dying[0])
    cases[0].remediate(dying[1])

    assert [execution.status for execution in executions] == ["SUCCEEDED"] * len(users)
    for case in cases:
        kept = IamState({key: "Inactive" for key in case.before.keys if key not in case.named}, denied=True)
        assert case.state() == (case.before if decision == "deny" else kept)
