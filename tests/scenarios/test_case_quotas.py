"""V5: a quota for cases of AWS Security Incident Response is reached."""

from __future__ import annotations

from typing import Any

import pytest

from ir_router.errors import RefusedError, RetryLaterError, UncertainError
from ir_router.ledger import approvals
from ir_sandbox.security_ir import Settings
from tests.support.world import World
from tests.trials.world.incidents import alerts, asked, audit_actions, contain, decide, jane_and_her_channel
from tests.trials.world.state_machine import StateMachine

NO_ROOM = Settings(active_self_managed_cases=0)


def app_messages(world: World, channel: str) -> list[dict[str, Any]]:
    return [message for message in world.workspace.channel_messages(channel) if message.get("bot_id")]


def open_missing_cases(world: World) -> Any:
    return world.invoke("workflow", {"task": "open_missing_cases"})


def only_case(world: World) -> str:
    (row,) = world.security_ir.call("ListCases", {"maxResults": 25})["items"]
    return str(row["caseId"])


@pytest.mark.parametrize("decision", ["approve", "deny"])
def test_given_no_room_for_a_case_when_contained_then_it_is_asked_in_the_security_channel_and_ends_green(
    world: World, machine: StateMachine, decision: str
) -> None:
    _jane, channel = jane_and_her_channel(world)
    world.security_ir.configure(NO_ROOM)

    execution, _key = contain(world, machine)
    world.settle()

    (alert,) = alerts(world)
    assert "There is no case yet, because a quota for cases" in alert["Message"]
    assert "Service Quotas console" in alert["Message"]
    (request,) = app_messages(world, channel)
    assert "There is no case yet" in str(request["blocks"])
    assert open_missing_cases(world) == {"waiting": 1, "opened": 0}

    decide(world, asked(world)[0]["taskToken"], decision)
    machine.advance()

    assert execution.status == "SUCCEEDED"
    assert "There is no case yet" in alerts(world)[-1]["Message"]

    world.security_ir.configure(Settings())
    assert open_missing_cases(world) == {"waiting": 0, "opened": 1}
    assert open_missing_cases(world) == {"waiting": 0, "opened": 0}
    assert world.security_ir.call("GetCase", {"caseId": only_case(world)})["actualIncidentStartDate"]
    comments = world.comments(only_case(world))
    assert len(comments) == 1
    assert comments[0].startswith("Approved by jane" if decision == "approve" else "Denied by jane")


def test_given_room_again_while_the_decision_is_pending_then_the_case_and_its_channel_show_the_request(
    world: World, machine: StateMachine
) -> None:
    _jane, channel = jane_and_her_channel(world)
    world.security_ir.configure(NO_ROOM)
    execution, _key = contain(world, machine)
    world.settle()

    world.security_ir.configure(Settings())
    open_missing_cases(world)
    world.settle()
    world.live(2)

    case_id = only_case(world)
    (request,) = app_messages(world, channel)
    assert f"case {case_id}" in str(request["blocks"])
    assert "There is no case yet" not in str(request["blocks"])
    assert any("Approval needed" in str(message) for message in world.said(case_id))
    assert "case_opened" in audit_actions()

    decide(world, asked(world)[0]["taskToken"], "deny")
    machine.advance()
    world.settle()

    assert execution.status == "SUCCEEDED"
    assert f"Case: {case_id}" in alerts(world)[-1]["Message"]
    assert any("Denied by jane" in comment for comment in world.comments(case_id))


@pytest.mark.parametrize("code", ["ThrottlingException", "AccessDeniedException", "InternalServerException"])
def test_given_aws_that_still_refuses_the_case_when_tried_again_then_the_next_run_opens_it_without_a_failure(
    world: World, machine: StateMachine, code: str
) -> None:
    world.security_ir.configure(NO_ROOM)
    contain(world, machine)
    world.security_ir.configure(Settings())
    world.security_ir.faults.refuse(code, "CreateCase", times=None)

    assert open_missing_cases(world) == {"waiting": 1, "opened": 0}

    world.security_ir.faults.clear()
    assert open_missing_cases(world) == {"waiting": 0, "opened": 1}


def test_given_no_membership_when_contained_then_the_alert_states_it_and_how_to_look(
    world: World, machine: StateMachine
) -> None:
    world.security_ir.faults.refuse("SecurityIncidentResponseNotActiveException", "CreateCase", times=None)

    contain(world, machine)

    (alert,) = alerts(world)
    assert "no active membership of AWS Security Incident Response" in alert["Message"]
    assert "make verify" in alert["Message"]


@pytest.mark.parametrize("code", ["AccessDeniedException", "ThrottlingException", "InternalServerException"])
def test_given_another_refusal_of_the_case_when_contained_then_alert_and_request_state_that_it_may_be_missing(
    world: World, machine: StateMachine, code: str
) -> None:
    world.security_ir.faults.refuse(code, "CreateCase", times=None)
    world.unexpected.allow(RefusedError, RetryLaterError, UncertainError)

    execution, _ = contain(world, machine)

    (alert,) = alerts(world)
    assert "This event may have no case" in alert["Message"]
    assert execution.path[-1] == "Wait for Analyst"
    row = approvals.get(approvals.id_of(execution.arn, "remediate"))
    assert row is not None
    assert "This event may have no case" in row["no_case"]


def test_given_an_event_when_a_case_is_opened_then_it_has_the_structured_fields(
    world: World, machine: StateMachine
) -> None:
    contain(world, machine)

    case = world.security_ir.call("GetCase", {"caseId": only_case(world)})
    (address,) = case["threatActorIpAddresses"]
    assert address["ipAddress"].count(".") == 3
    assert address["userAgent"]
    assert case["impactedServices"] == ["iam"]
    assert case["impactedAwsRegions"] == [{"region": "us-east-1"}]
    assert len(case["impactedAccounts"]) == 1
    assert case["actualIncidentStartDate"] == case["reportedIncidentStartDate"]


def test_given_a_case_whose_start_aws_does_not_take_when_contained_then_the_case_and_the_request_are_there(
    world: World, machine: StateMachine
) -> None:
    world.security_ir.faults.refuse("ValidationException", "UpdateCase", times=None)

    contain(world, machine)

    case = world.security_ir.call("GetCase", {"caseId": only_case(world)})
    assert "actualIncidentStartDate" not in case
    assert len(asked(world)) == 1


def test_given_no_room_and_the_hourly_limit_when_an_event_arrives_then_the_alert_states_both(
    world: World, machine: StateMachine
) -> None:
    jane_and_her_channel(world)
    world.security_ir.configure(NO_ROOM)
    world.environment["IR_MAX_CONTAINMENTS_PER_HOUR"] = "0"

    contain(world, machine)
    world.settle()

    (alert,) = alerts(world)
    assert " NOT contained yet - HIGH" in alert["Subject"]
    assert "There is no case yet, because a quota for cases" in alert["Message"]
