"""W5, W8: each failed step is reported completely, and does not stop independent steps."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from ir_router.workflow.changes import ChangeFailedError
from tests.support.iam_answers import Answers
from tests.support.tasks import die_once_after, fail_task
from tests.support.world import World
from tests.trials.world import ACCOUNT
from tests.trials.world.incidents import (
    IamState,
    alerts,
    asked,
    audit_actions,
    audit_rows,
    call,
    contain,
    decide,
    event,
    exposed,
    finding,
    iam_state,
    key_created,
    role,
    user,
    user_identity,
)
from tests.trials.world.state_machine import StateMachine


def test_given_a_function_that_dies_after_containing_when_tried_again_then_all_that_was_done_is_reported(
    world: World, machine: StateMachine
) -> None:
    deaths = die_once_after(machine, "immediate_containment")
    _, key = contain(world, machine, keys=2)

    assert deaths
    keys = iam_state(world, "backdoor").keys
    assert set(keys.values()) == {"Inactive"}
    (alert,) = alerts(world)
    for one in keys:
        assert f"key {one} disabled (verified)" in alert["Message"]
    assert key in keys


def test_given_a_function_that_dies_after_restoring_when_tried_again_then_all_that_was_done_is_reported(
    world: World, machine: StateMachine
) -> None:
    deaths = die_once_after(machine, "reenable_key_remove_deny_policy")
    execution, key = contain(world, machine)
    decide(world, asked(world)[0]["taskToken"], "deny")
    machine.advance()

    assert deaths
    assert execution.status == "SUCCEEDED"
    assert iam_state(world, "backdoor") == IamState({key: "Active"}, denied=False)
    told = alerts(world)[-1]["Message"]
    assert f"key {key} enabled (verified) · deny policy detached (verified)" in told


# Steps that fail


def without_the_deny_policy(world: World) -> Answers:
    """Let IAM reject the deny policy with a code after which a later attempt may succeed."""
    missing = ("NoSuchEntity", 404, "The policy AWSDenyAll does not exist or is not attachable.")
    return Answers(world, "AttachUserPolicy", missing, until=float("inf"))


def test_given_no_deny_policy_when_containing_then_the_key_is_disabled_and_the_failure_is_reported_exactly(
    world: World, machine: StateMachine
) -> None:
    world.expect(ChangeFailedError)
    without_the_deny_policy(world)
    execution, key = contain(world, machine)

    assert (execution.status, execution.error) == ("FAILED", "ContainmentFailed")
    assert iam_state(world, "backdoor") == IamState({key: "Inactive"}, denied=False)
    (alert,) = alerts(world)
    missing = "NOT done or not verified: deny policy attached (NoSuchEntity)"
    assert f"{missing} - done: key {key} disabled" in alert["Message"]
    assert "Containment FAILED or is incomplete" in alert["Message"]
    assert audit_actions() == ["step_failed"]
    assert asked(world) == []


def test_given_an_exposed_key_whose_owner_is_partly_contained_when_given_up_then_the_owner_is_named(
    world: World, machine: StateMachine
) -> None:
    world.expect(ChangeFailedError)
    without_the_deny_policy(world)
    (key,) = user("backdoor")

    execution = machine.start(exposed(key))

    assert (execution.status, execution.error) == ("FAILED", "ContainmentFailed")
    owner = f"arn:aws:iam::{ACCOUNT}:user/backdoor"
    (alert,) = alerts(world)
    assert "user backdoor" in alert["Subject"]
    assert f"Principal: {owner}" in alert["Message"]
    (record,) = audit_rows()
    assert json.loads(record["details"])["principals"] == [owner]


def test_given_an_exposed_key_when_iam_fails_until_it_is_given_up_then_the_alert_comes_all_the_same(
    world: World, machine: StateMachine
) -> None:
    world.expect(ClientError)
    (key,) = user("backdoor")

    def fail(model: Any, **_: Any) -> None:
        answer: Any = {"Error": {"Code": "ServiceFailure"}, "ResponseMetadata": {"HTTPStatusCode": 503}}
        raise ClientError(answer, model.name)

    boto3.DEFAULT_SESSION.events.register("before-call.iam.*", fail)  # type: ignore[union-attr]
    execution = machine.start(exposed(key))

    assert (execution.status, execution.error) == ("FAILED", "ContainmentFailed")
    (alert,) = alerts(world)
    assert key in alert["Message"]
    assert "ir-router could not look up the current name of the user" in alert["Message"]


def test_given_two_principals_when_containing_fails_then_each_change_names_its_principal(
    world: World, machine: StateMachine
) -> None:
    world.expect(ChangeFailedError)
    world.environment["IR_CONTAIN_ACTOR"] = "true"
    without_the_deny_policy(world)
    (own,), (key,) = user("mallory"), user("backdoor")

    machine.start(key_created(world, "backdoor", key, userIdentity=user_identity("mallory", own)))

    (alert,) = alerts(world)
    for name, its_key in (("backdoor", key), ("mallory", own)):
        missing = "NOT done or not verified: deny policy attached (NoSuchEntity) - done: "
        told = f"arn:aws:iam::{ACCOUNT}:user/{name}: {missing}"
        assert f"{told}key {its_key} disabled" in alert["Message"]
        assert f"user {name}" in alert["Subject"]


def refuse_further_policies() -> None:
    """Let IAM refuse policies, as for a user or role that already has 10 managed policies."""

    def refuse(model: Any, **_: Any) -> None:
        answer: Any = {"Error": {"Code": "LimitExceeded"}, "ResponseMetadata": {"HTTPStatusCode": 409}}
        raise ClientError(answer, model.name)

    for name in ("AttachUserPolicy", "AttachRolePolicy"):
        boto3.DEFAULT_SESSION.events.register(f"before-call.iam.{name}", refuse)  # type: ignore[union-attr]


@pytest.mark.parametrize("decision", ["approve", "deny"])
def test_given_ten_policies_when_containing_then_keys_are_disabled_it_is_asked_and_the_end_is_red(
    world: World, machine: StateMachine, decision: str
) -> None:
    refuse_further_policies()
    execution, key = contain(world, machine)

    assert execution.path[-1] == "Wait for Analyst"
    assert iam_state(world, "backdoor") == IamState({key: "Inactive"}, denied=False)
    (alert,) = alerts(world)
    assert "user backdoor only PARTLY contained" in alert["Message"]
    assert "deny policy NOT attached to user backdoor: IAM rejected it (LimitExceeded)" in alert["Message"]
    (row,) = world.security_ir.call("ListCases", {"maxResults": 25})["items"]
    assert "deny policy NOT attached" in world.security_ir.call("GetCase", {"caseId": row["caseId"]})["description"]
    (question,) = asked(world)
    assert question["summary"] == "user backdoor only PARTLY contained"

    decide(world, question["taskToken"], decision)
    machine.advance()

    assert (execution.status, execution.error) == ("FAILED", "SomethingUndone")
    assert "Missing: deny policy of user backdoor" in alerts(world)[-1]["Message"]
    assert iam_state(world, "backdoor").keys == ({} if decision == "approve" else {key: "Active"})


def test_given_a_role_with_ten_policies_when_containing_then_it_fails_since_nothing_is_contained(
    world: World, machine: StateMachine
) -> None:
    world.expect(ChangeFailedError)
    refuse_further_policies()
    role("app")

    execution = machine.start(finding("app", 8.0, user_type="AssumedRole"))

    assert (execution.status, execution.error) == ("FAILED", "ContainmentFailed")
    assert asked(world) == []


def test_given_a_containment_that_failed_when_the_next_event_comes_then_it_is_contained_and_asked_about(
    world: World, machine: StateMachine
) -> None:
    world.expect(ChangeFailedError)
    missing = without_the_deny_policy(world)
    _failed, key = contain(world, machine)
    missing.end()

    execution = machine.start(key_created(world, "backdoor"))
    assert execution.path[-1] == "Wait for Analyst"
    decide(world, asked(world)[0]["taskToken"], "deny")
    machine.advance()

    state = iam_state(world, "backdoor")
    assert (state.keys[key], state.denied) == ("Active", False)


def test_given_a_topic_that_refuses_when_contained_then_the_approval_is_asked_and_the_end_is_red(
    world: World, machine: StateMachine
) -> None:
    fail_task(machine, "send_alert")
    execution, key = contain(world, machine)
    assert execution.status == "RUNNING"
    assert "step_failed" in audit_actions()

    decide(world, asked(world)[0]["taskToken"], "approve")
    machine.advance()

    assert (execution.status, execution.error) == ("FAILED", "SomethingUndone")
    assert key not in iam_state(world, "backdoor").keys
    assert "Missing: Send Alert" in alerts(world)[-1]["Message"]


def test_given_an_audit_that_fails_when_contained_then_people_are_alerted_and_the_end_is_red(
    world: World, machine: StateMachine
) -> None:
    fail_task(machine, "write_audit_log")
    execution, _key = contain(world, machine)
    assert any("Write Audit Log failed" in alert["Message"] for alert in alerts(world))

    decide(world, asked(world)[0]["taskToken"], "deny")
    machine.advance()

    assert (execution.status, execution.error) == ("FAILED", "SomethingUndone")


def test_given_a_question_that_cannot_be_asked_when_contained_then_it_stays_and_people_are_notified(
    world: World, machine: StateMachine
) -> None:
    fail_task(machine, "request_approval")
    execution, key = contain(world, machine)

    assert (execution.status, execution.error) == ("FAILED", "SomethingUndone")
    assert iam_state(world, "backdoor") == IamState({key: "Inactive"}, denied=True)
    assert any("The approval request could not be sent" in alert["Message"] for alert in alerts(world))


@pytest.mark.parametrize(
    ("decision", "task"), [("approve", "delete_key_permanently"), ("deny", "reenable_key_remove_deny_policy")]
)
def test_given_a_remediation_that_fails_when_decided_then_the_failure_is_reported_and_red(
    world: World, machine: StateMachine, decision: str, task: str
) -> None:
    fail_task(machine, task)
    execution, key = contain(world, machine)
    decide(world, asked(world)[0]["taskToken"], decision)
    machine.advance()

    assert (execution.status, execution.error) == ("FAILED", "RemediationFailed")
    assert iam_state(world, "backdoor") == IamState({key: "Inactive"}, denied=True)
    assert "The step Remediation failed, and ir-router does not retry it" in alerts(world)[-1]["Message"]
    assert audit_actions()[-1] == "step_failed"


def test_given_an_alert_that_fails_when_a_medium_event_comes_then_it_is_on_record_and_red(
    world: World, machine: StateMachine
) -> None:
    fail_task(machine, "alert_only")
    execution = machine.start(event(call(world, "ListUsers")))

    assert (execution.status, execution.error) == ("FAILED", "AlertFailed")
    assert audit_actions() == ["step_failed"]


def test_given_a_receipt_that_cannot_be_written_when_approved_then_the_decision_counts_and_the_end_is_red(
    world: World, machine: StateMachine
) -> None:
    fail_task(machine, "record_decision")
    execution, key = contain(world, machine)
    decide(world, asked(world)[0]["taskToken"], "approve")
    machine.advance()

    assert (execution.status, execution.error) == ("FAILED", "SomethingUndone")
    assert key not in iam_state(world, "backdoor").keys
