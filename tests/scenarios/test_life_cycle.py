"""The life cycle of a case that the workflow opened: its status, the offer to close it, and its closing."""

from __future__ import annotations

from typing import Any

import pytest

from ir_sandbox.slack.people import Person
from tests.support.approvals import case_channel, make_approver, press
from tests.support.commands import answers
from tests.support.world import World
from tests.trials.world import incidents
from tests.trials.world.incidents import asked, decide
from tests.trials.world.state_machine import Execution, StateMachine

HOUR = 3_600
DETECTION, POST = "Detection and Analysis", "Post-incident Activities"
CONTAINMENT = "Containment, Eradication and Recovery"


@pytest.fixture
def jane(world: World) -> Person:
    return make_approver(world)


def case(world: World) -> dict[str, Any]:
    (row,) = world.security_ir.call("ListCases", {"maxResults": 25})["items"]
    return {"caseId": row["caseId"], **world.security_ir.call("GetCase", {"caseId": row["caseId"]})}


def offers(world: World) -> list[dict[str, Any]]:
    messages = world.workspace.channel_messages(case_channel(world))
    return [one for one in messages if "incident of this case has ended" in str(one.get("text"))]


def approve(world: World, machine: StateMachine, jane: Person) -> None:
    press(world, machine, jane, case_channel(world), "approval_approve")


def idle(world: World, hours: float) -> None:
    world.advance(hours * HOUR)
    world.live(2)


def test_given_a_containment_when_decided_then_the_status_of_the_case_follows(
    world: World, machine: StateMachine, jane: Person, contained: tuple[Execution, str]
) -> None:
    world.live(2)
    assert case(world)["caseStatus"] == CONTAINMENT
    said = [str(message) for message in world.said(case(world)["caseId"])]
    assert any("Containment, Eradication and Recovery" in one and "by ir-router" in one for one in said)

    approve(world, machine, jane)
    world.live(2)
    assert case(world)["caseStatus"] == POST


def test_given_a_status_of_a_person_when_decided_then_it_stays(
    world: World, machine: StateMachine, jane: Person, contained: tuple[Execution, str]
) -> None:
    world.live(2)
    jane.command(case_channel(world), "/security-ir", "update-status Detection and Analysis")
    world.settle()
    world.live(2)
    assert case(world)["caseStatus"] == DETECTION
    approve(world, machine, jane)
    world.live(3)
    assert case(world)["caseStatus"] == DETECTION


def test_given_a_case_of_a_person_when_synchronised_then_its_status_stays(
    world: World, jane: Person, case_id: str
) -> None:
    world.live(3)
    assert case(world)["caseStatus"] == "Submitted"


def test_given_a_decision_when_carried_out_then_one_message_has_the_outcome_and_the_button_closes_the_case(
    world: World, machine: StateMachine, jane: Person, contained: tuple[Execution, str]
) -> None:
    world.live(1)
    assert offers(world) == []
    approve(world, machine, jane)
    world.live(3)
    (offer,) = offers(world)
    assert "Approved by Jane Smith: user backdoor" in offer["text"]
    assert "deleted (verified)" in offer["text"]
    assert "iam/home#/users/details/backdoor|user backdoor>" in str(offer["blocks"])

    jane.press(case_channel(world), offer["ts"], "close_offer")
    world.settle()
    assert "A closed case cannot be reopened" in answers(world, jane)[-1]
    assert case(world)["caseStatus"] != "Closed"
    question = world.workspace.ephemerals(jane.id)[-1]
    jane.press(case_channel(world), question["ts"], "close_confirm")
    world.settle()
    assert case(world)["caseStatus"] == "Closed"


def test_given_a_guest_when_pressing_the_button_then_nothing_is_closed(
    world: World, machine: StateMachine, jane: Person, contained: tuple[Execution, str]
) -> None:
    approve(world, machine, jane)
    world.live(3)
    (offer,) = offers(world)
    mallory = world.workspace.create_user("mallory", email="mallory@example.com", real_name="Mallory")
    jane.invite(case_channel(world), mallory.id)
    mallory.press(case_channel(world), offer["ts"], "close_offer")
    world.settle()
    assert answers(world, mallory)[-1].startswith("❌")


def test_given_a_decided_case_when_no_activity_follows_for_the_hours_then_it_is_closed_with_the_reason(
    world: World, machine: StateMachine, jane: Person, contained: tuple[Execution, str]
) -> None:
    approve(world, machine, jane)
    world.live(3)
    idle(world, 70)
    world.security_ir.add_comment_as(case(world)["caseId"], body="still looking")
    world.settle()
    idle(world, 70)
    assert case(world)["caseStatus"] != "Closed"
    idle(world, 3)
    assert case(world)["caseStatus"] == "Closed"
    (reason,) = [body for body in world.comments(case(world)["caseId"]) if "closes this case" in body]
    assert "72 hours" in reason
    assert "deleted (verified)" in reason


@pytest.mark.parametrize("hours", ["0", "24"])
def test_given_the_setting_when_time_passes_then_it_decides(
    world: World, machine: StateMachine, jane: Person, contained: tuple[Execution, str], hours: str
) -> None:
    world.environment["IR_CLOSE_DECIDED_CASES_AFTER_HOURS"] = hours
    approve(world, machine, jane)
    world.live(3)
    idle(world, 25)
    idle(world, 100)
    assert (case(world)["caseStatus"] == "Closed") is (hours == "24")


def test_given_no_decision_when_the_time_is_over_then_the_case_stays_open(
    world: World, machine: StateMachine, contained: tuple[Execution, str]
) -> None:
    world.live(2)
    world.advance(25 * HOUR)
    machine.advance()
    world.settle()
    world.live(2)
    idle(world, 80)
    assert case(world)["caseStatus"] == CONTAINMENT
    assert offers(world) == []


def test_given_a_permission_when_approved_then_the_incident_ends_only_after_the_second_decision(
    world: World, machine: StateMachine, jane: Person, security_channel: str
) -> None:
    world.environment["IR_MAX_CONTAINMENTS_PER_HOUR"] = "0"
    incidents.contain(world, machine)
    world.settle()
    world.live(2)
    assert case(world)["caseStatus"] == DETECTION
    (first,) = asked(world)
    decide(world, first["taskToken"], "approve")
    machine.advance()
    world.settle()
    world.live(2)
    assert case(world)["caseStatus"] == CONTAINMENT
    assert offers(world) == []
    (second,) = asked(world)
    decide(world, second["taskToken"], "approve")
    machine.advance()
    world.settle()
    world.live(2)
    assert case(world)["caseStatus"] == POST
    assert len(offers(world)) == 1


@pytest.mark.parametrize("operation", ["UpdateCaseStatus", "CreateCaseComment", "CloseCase"])
def test_given_a_crash_when_continued_then_the_case_is_closed_once(
    world: World, machine: StateMachine, jane: Person, contained: tuple[Execution, str], operation: str
) -> None:
    world.live(1)
    if operation == "UpdateCaseStatus":
        world.wire.kill_on("security-ir", operation, "after")
    approve(world, machine, jane)
    world.live(8)
    assert case(world)["caseStatus"] == POST
    if operation != "UpdateCaseStatus":
        world.advance(2 * HOUR)
        world.live(2)  # the last reading of the activity comments on the case
        world.advance(73 * HOUR)
        world.wire.kill_on("security-ir", operation, "after")
    else:
        world.advance(73 * HOUR)
    world.live(12)
    assert world.wire.died_at is not None
    assert case(world)["caseStatus"] == "Closed"
    assert len([body for body in world.comments(case(world)["caseId"]) if "closes this case" in body]) == 1
    assert len(offers(world)) == 1
