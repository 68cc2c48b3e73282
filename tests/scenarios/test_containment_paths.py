"""W1-W9: every path through the state machine, seen from IAM, SNS, SQS, the case and the ledger."""

from __future__ import annotations

import pytest

from tests.support import containment as support
from tests.support.containment import IamState, alerts, asked, audit_actions, contain, decide, iam_state, key_created
from tests.support.state_machine import StateMachine
from tests.support.world import World


@pytest.fixture
def machine(world: World) -> StateMachine:
    return StateMachine(world)


def test_given_a_new_key_when_approved_by_the_documented_payload_then_the_key_is_gone(
    world: World, machine: StateMachine
) -> None:
    execution, key = contain(world, machine, keys=2)
    other = next(name for name in iam_state(world, "backdoor").keys if name != key)

    assert iam_state(world, "backdoor") == IamState({key: "Inactive", other: "Inactive"}, denied=True)
    (message,) = asked(world)
    assert message["incident"]["access_key_id"] == key
    answer = decide(world, message["taskToken"], "approve", "your-name")
    assert answer["status"] == "approved", answer
    machine.advance()

    assert execution.status == "SUCCEEDED", execution
    assert "Delete Key Permanently" in execution.path
    assert iam_state(world, "backdoor") == IamState({other: "Inactive"}, denied=True)
    contained, ended = alerts(world)
    assert "A decision is needed within 24 hours" in contained["Message"]
    assert "Approved by your-name" in ended["Message"]
    assert f"key {key[:4]}...{key[-4:]} deleted (verified)" in ended["Message"]
    assert audit_actions(world) == ["contained", "decision_recorded", "decision_received", "ended"]


def test_given_a_contained_user_when_denied_then_exactly_the_former_state_returns(
    world: World, machine: StateMachine
) -> None:
    import boto3

    first, second = support.user("backdoor", 2)
    boto3.client("iam").update_access_key(UserName="backdoor", AccessKeyId=first, Status="Inactive")
    before = iam_state(world, "backdoor")
    execution = machine.start(key_created(world, "backdoor", second))
    assert iam_state(world, "backdoor") == IamState({first: "Inactive", second: "Inactive"}, denied=True)

    (message,) = asked(world)
    notes = "False positive - CI/CD key rotation"
    assert decide(world, message["taskToken"], "deny", "your-name", notes=notes)["status"] == "denied"
    machine.advance()

    assert execution.status == "SUCCEEDED"
    assert iam_state(world, "backdoor") == before
    assert notes in alerts(world)[-1]["Message"]
