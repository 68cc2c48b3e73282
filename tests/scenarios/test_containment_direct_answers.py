"""X3: answers sent directly to Step Functions, without the approval function: they count, and name no other person."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from tests.support.tasks import die_once_after
from tests.support.world import World
from tests.trials.world.incidents import IamState, alerts, audit_rows, decide, iam_state
from tests.trials.world.outages import Outage, struck_by
from tests.trials.world.state_machine import StateMachine


def details_of(action: str) -> dict[str, Any]:
    """Return the details of the audit's only record of this action."""
    (row,) = [row for row in audit_rows() if row["action"] == action]
    details: dict[str, Any] = json.loads(row["details"])
    return details


@pytest.mark.parametrize("output", ["approve", {"decision": "maybe"}, None, {}])
def test_given_a_token_when_step_functions_gets_an_invalid_answer_then_the_containment_stays(
    world: World, machine: StateMachine, waiting: Any, output: Any
) -> None:
    execution, key, token = waiting
    machine.send(token, output)

    assert (execution.status, execution.error) == ("FAILED", "SomethingUndone")
    assert iam_state(world, "backdoor") == IamState({key: "Inactive"}, denied=True)
    assert decide(world, token, "deny")["status"] == "too_late"


def test_given_a_token_when_it_is_approved_directly_in_step_functions_then_it_counts_and_is_marked_so(
    world: World, machine: StateMachine, waiting: Any
) -> None:
    execution, key, token = waiting
    machine.send(token, {"decision": "approve"})

    assert execution.status == "SUCCEEDED"
    assert key not in iam_state(world, "backdoor").keys
    assert (
        "Approved by an unnamed analyst (who sent the decision directly to Step Functions)"
        in alerts(world)[-1]["Message"]
    )
    assert decide(world, token, "deny")["status"] == "already_decided"


@pytest.mark.parametrize("via", ["slack", "cli"])
def test_given_a_token_when_step_functions_is_answered_in_another_name_then_no_other_person_is_blamed(
    world: World, machine: StateMachine, waiting: Any, via: str
) -> None:
    forged = {"name": "Jane Smith", "via": via, "slack_user_id": "U1"}
    machine.send(waiting[2], {"decision": "approve", "analyst": forged})

    received = details_of("decision_received")
    assert (received["via"], received["slack_user_id"]) == ("step_functions", None)
    said = alerts(world)[-1]["Message"]
    assert "Approved by Jane Smith (who sent the decision directly to Step Functions)" in said


def test_given_a_decision_that_was_recorded_when_the_same_is_answered_directly_then_the_record_is_kept(
    world: World, machine: StateMachine, waiting: Any
) -> None:
    token = waiting[2]
    with struck_by(world, Outage("stepfunctions", "SendTaskSuccess", "connection reset", None)):
        decide(world, token, "approve", {"slack_user_id": "U2", "name": "Ann"}, notes="not ours")

    machine.send(token, {"decision": "approve", "analyst": {"name": "Jane", "via": "slack", "slack_user_id": "U1"}})

    received = details_of("decision_received")
    assert (received["via"], received["slack_user_id"]) == ("slack", "U2")
    said = alerts(world)[-1]["Message"]
    assert "Approved by Ann (U2): " in said
    assert "Reason given: not ours" in said


@pytest.mark.parametrize("dies", [False, True])
def test_given_a_decision_on_its_way_when_step_functions_took_another_then_that_one_is_reported_everywhere(
    world: World, machine: StateMachine, waiting: Any, *, dies: bool
) -> None:
    """The first answer to Step Functions is carried out. No record may attribute it to another person."""
    execution, key, token = waiting
    if dies:
        die_once_after(machine, "record_decision")
    with struck_by(world, Outage("stepfunctions", "SendTaskSuccess", "connection reset", None)):
        decide(world, token, "approve", {"slack_user_id": "U2", "name": "Ann"}, notes="not ours")

    machine.send(token, {"decision": "deny", "analyst": "bob", "notes": "planned"})

    assert execution.status == "SUCCEEDED"
    assert iam_state(world, "backdoor") == IamState({key: "Active"}, denied=False)
    received = details_of("decision_received")
    assert (received["decision"], received["via"]) == ("deny", "step_functions")
    said = alerts(world)[-1]["Message"]
    assert "Denied by bob (who sent the decision directly to Step Functions)" in said
    assert "Reason given: planned" in said
    again = decide(world, token, "approve", {"slack_user_id": "U2", "name": "Ann"})
    assert again["status"] == "already_decided"
    assert "Already denied by bob (who sent the decision directly to Step Functions), 20" in again["message"]


def test_given_an_answer_that_step_functions_took_when_an_analyst_decides_otherwise_then_the_answer_says_so(
    world: World, machine: StateMachine, waiting: Any
) -> None:
    """The token is used, the workflow has not reported it yet and the row still waits, so the decision
    comes too late.
    """
    token = waiting[2]
    answers: list[dict[str, Any]] = []

    def decide_before_the_receipt(task: str, after: bool) -> None:
        if task == "record_decision" and not after and not answers:
            answers.append(decide(world, token, "approve", "jane"))

    machine.fault = decide_before_the_receipt
    machine.send(token, {"decision": "deny", "analyst": "bob"})

    assert answers[0]["status"] == "recorded"
    assert decide(world, token, "approve", "jane")["status"] == "already_decided"
    assert "Denied by bob" in alerts(world)[-1]["Message"]


def test_given_an_answer_that_step_functions_took_when_the_receipt_comes_during_a_decision_then_it_is_reported(
    world: World, machine: StateMachine, waiting: Any
) -> None:
    token = waiting[2]
    sent: list[str] = []

    def answered_directly(**_kwargs: Any) -> None:
        if not sent:
            sent.append(token)
            machine.send(token, {"decision": "deny", "analyst": "bob"})
            world.become("approval-handler")

    boto3.DEFAULT_SESSION.events.register("before-parameter-build.stepfunctions.SendTaskSuccess", answered_directly)  # type: ignore[union-attr]
    answer = decide(world, token, "approve", "jane")

    assert answer["status"] == "already_decided"
    assert "Already denied by bob" in answer["message"]
