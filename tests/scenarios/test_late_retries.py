"""A press whose function died is retried by Lambda up to three minutes later, when its work may be done already."""

from __future__ import annotations

import json
import re

import pytest

from ir_router.commands.execution import StillAtWorkError
from ir_sandbox.slack.people import Person
from tests.support.approvals import approvals_in, case_channel, creator_buttons, make_approver, press
from tests.support.commands import answers
from tests.support.world import ACCOUNT, World
from tests.trials.world import incidents as support
from tests.trials.world.incidents import asked, audit_rows, decide, iam_state
from tests.trials.world.state_machine import StateMachine
from tests.trials.world.wire import Side

RELEASE = "release_access"
SIDES: tuple[Side, ...] = ("before", "after")
TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"


@pytest.fixture
def jane(world: World) -> Person:
    return make_approver(world)


@pytest.fixture
def approved(world: World, machine: StateMachine, jane: Person, security_channel: str) -> None:
    support.contain(world, machine, keys=2)
    world.settle()
    press(world, machine, jane, security_channel, "approval_approve")


@pytest.fixture
def created(world: World, machine: StateMachine, jane: Person, security_channel: str) -> None:
    """Contain the user backdoor, whose key mallory created."""
    (own,) = support.user("mallory")
    support.user("backdoor")
    machine.start(support.key_created(world, "backdoor", userIdentity=support.user_identity("mallory", own)))
    world.settle()


def interrupted(world: World, person: Person, channel: str, action: str, side: Side = "before") -> None:
    """Press a button of the request. The function dies when it opens the form."""
    world.unexpected.allow(StillAtWorkError)
    world.wire.kill_on("slack", "views.open", side)
    press_in(world, person, channel, action)
    assert world.wire.died_at is not None
    world.wire.spare()


def died_at_once(world: World, person: Person, channel: str, action: str) -> None:
    """Press a button of the request. The function dies before it has claimed the press."""
    world.wire.kill_on("dynamodb", "PutItem", "before")
    press_in(world, person, channel, action)
    died = world.wire.died_at
    assert (died and died.deployment) == "slack"
    world.wire.spare()


def press_in(world: World, person: Person, channel: str, action: str) -> None:
    message = approvals_in(world, channel)[0]
    if action == "creator_contain":
        (action,) = creator_buttons(message)
    person.press(channel, str(message["ts"]), action)
    world.settle(patience=20)


def complete(world: World, machine: StateMachine, person: Person, values: dict[str, object]) -> None:
    """Submit the newest form, and let its work end before Lambda retries the first press."""
    assert person.submit(person.views()[-1].id, values)[0].reason is None
    world.settle(patience=20)
    machine.advance()
    world.settle(patience=20)


def retried(world: World, person: Person) -> list[str]:
    """Let Lambda retry; return the answers that this gives to the person."""
    before = len(answers(world, person))
    world.live(5)
    return answers(world, person)[before:]


@pytest.mark.parametrize("action", ["approval_approve", "approval_deny"])
def test_given_a_press_that_died_before_its_claim_when_decided_by_a_second_press_then_the_late_retry_is_silent(
    world: World, machine: StateMachine, jane: Person, security_channel: str, action: str
) -> None:
    support.contain(world, machine)
    world.settle()
    died_at_once(world, jane, security_channel, action)
    press_in(world, jane, security_channel, action)
    complete(world, machine, jane, {"reason": "planned"} if action == "approval_deny" else {})

    assert retried(world, jane) == []


def test_given_a_press_of_contain_the_creator_that_died_before_its_claim_when_repeated_then_the_late_retry_is_silent(
    world: World, machine: StateMachine, jane: Person, security_channel: str, created: None
) -> None:
    died_at_once(world, jane, security_channel, "creator_contain")
    press_in(world, jane, security_channel, "creator_contain")
    complete(world, machine, jane, {})

    assert retried(world, jane) == []


def test_given_a_press_that_died_before_its_claim_when_another_user_decided_then_the_late_retry_names_them(
    world: World, machine: StateMachine, jane: Person, ann: Person, security_channel: str
) -> None:
    support.contain(world, machine)
    world.settle()
    died_at_once(world, jane, security_channel, "approval_approve")
    press_in(world, ann, security_channel, "approval_approve")
    complete(world, machine, ann, {})

    (answer,) = retried(world, jane)

    assert re.fullmatch(rf"Already approved by Ann Lee \({ann.id}\), {TIME}\.", answer)


def test_given_a_press_of_release_that_died_before_its_claim_when_repeated_then_the_late_retry_is_silent(
    world: World, machine: StateMachine, jane: Person, security_channel: str, approved: None
) -> None:
    died_at_once(world, jane, security_channel, RELEASE)
    press_in(world, jane, security_channel, RELEASE)
    complete(world, machine, jane, {"reason": "keys rotated"})

    assert retried(world, jane) == []


@pytest.mark.parametrize("side", SIDES)
def test_given_a_press_of_release_that_died_when_released_by_a_second_press_then_the_late_retry_is_silent(
    world: World, machine: StateMachine, jane: Person, security_channel: str, approved: None, side: Side
) -> None:
    interrupted(world, jane, security_channel, RELEASE, side)
    press_in(world, jane, security_channel, RELEASE)
    complete(world, machine, jane, {"reason": "keys rotated"})
    assert not iam_state(world, "backdoor").denied

    assert retried(world, jane) == []


def test_given_a_press_of_release_that_died_when_another_user_released_then_the_late_retry_names_them_and_the_time(
    world: World, machine: StateMachine, jane: Person, ann: Person, security_channel: str, approved: None
) -> None:
    interrupted(world, jane, security_channel, RELEASE)
    press_in(world, ann, security_channel, RELEASE)
    complete(world, machine, ann, {"reason": "keys rotated"})

    (answer,) = retried(world, jane)

    assert re.fullmatch(rf"Already released by Ann Lee \({ann.id}\), {TIME}\.", answer)


def test_given_two_open_forms_when_the_second_is_submitted_after_the_release_then_the_answer_names_the_first_user(
    world: World, machine: StateMachine, jane: Person, ann: Person, security_channel: str, approved: None
) -> None:
    press_in(world, jane, security_channel, RELEASE)
    press_in(world, ann, security_channel, RELEASE)
    complete(world, machine, jane, {"reason": "keys rotated"})
    complete(world, machine, ann, {"reason": "keys rotated"})

    assert re.fullmatch(rf"Already released by Jane Smith \({jane.id}\), {TIME}\.", answers(world, ann)[-1])


def test_given_a_submitted_release_whose_function_died_when_lambda_retries_then_the_answer_is_that_of_the_first_attempt(
    world: World, machine: StateMachine, jane: Person, security_channel: str, approved: None
) -> None:
    world.unexpected.allow(StillAtWorkError)
    press_in(world, jane, security_channel, RELEASE)
    world.wire.kill_on("slack", "response_url", "before")
    complete(world, machine, jane, {"reason": "keys rotated"})
    assert not iam_state(world, "backdoor").denied

    (answer,) = retried(world, jane)

    assert answer.startswith("ir-router now restores access.")
    assert [row["action"] for row in audit_rows()].count("release_decided") == 1


def test_given_the_command_release_that_died_when_released_by_a_second_one_then_the_late_retry_states_the_release(
    world: World, machine: StateMachine, jane: Person, ann: Person, security_channel: str, approved: None
) -> None:
    world.unexpected.allow(StillAtWorkError)
    channel = case_channel(world)
    world.wire.kill_on("slack", "views.open", "before")
    jane.command(channel, "/security-ir", "release")
    world.settle(patience=20)
    jane.command(channel, "/security-ir", "release")
    world.settle(patience=20)
    complete(world, machine, jane, {"reason": "keys rotated"})

    (answer,) = retried(world, jane)

    assert re.fullmatch(rf"Already released by Jane Smith \({jane.id}\), {TIME}\.", answer)


def test_given_two_people_when_the_first_releases_by_a_second_press_then_the_late_retry_is_silent(
    world: World, machine: StateMachine, jane: Person, security_channel: str
) -> None:
    world.environment["IR_APPROVALS_REQUIRED"] = json.dumps({"release": 2})
    support.contain(world, machine)
    world.settle()
    press(world, machine, jane, security_channel, "approval_approve")
    interrupted(world, jane, security_channel, RELEASE)
    press_in(world, jane, security_channel, RELEASE)
    complete(world, machine, jane, {"reason": "keys rotated"})

    assert retried(world, jane) == []


@pytest.mark.parametrize("action", ["approval_approve", "approval_deny"])
def test_given_two_people_when_the_first_decides_by_a_second_press_then_the_late_retry_is_silent(
    world: World, machine: StateMachine, jane: Person, security_channel: str, action: str
) -> None:
    world.environment["IR_APPROVALS_REQUIRED"] = json.dumps({"remediate_approve": 2, "remediate_deny": 2})
    support.contain(world, machine)
    world.settle()
    interrupted(world, jane, security_channel, action)
    press_in(world, jane, security_channel, action)
    complete(world, machine, jane, {"reason": "planned"} if action == "approval_deny" else {})

    assert retried(world, jane) == []


def test_given_two_people_and_a_decision_before_the_press_when_lambda_retries_then_the_user_gets_an_answer(
    world: World, machine: StateMachine, jane: Person, security_channel: str
) -> None:
    world.environment["IR_APPROVALS_REQUIRED"] = json.dumps({"remediate_approve": 2, "remediate_deny": 2})
    support.contain(world, machine)
    world.settle()
    press_in(world, jane, security_channel, "approval_approve")
    complete(world, machine, jane, {})
    interrupted(world, jane, security_channel, "approval_deny")

    assert [answer.partition(". ")[2] for answer in retried(world, jane)] == ["Press Deny again."]


@pytest.mark.parametrize("side", SIDES)
def test_given_a_press_of_contain_the_creator_that_died_when_contained_by_a_second_press_then_the_late_retry_is_silent(
    world: World, machine: StateMachine, jane: Person, security_channel: str, created: None, side: Side
) -> None:
    interrupted(world, jane, security_channel, "creator_contain", side)
    press_in(world, jane, security_channel, "creator_contain")
    complete(world, machine, jane, {})
    assert iam_state(world, "mallory").denied

    assert retried(world, jane) == []


def test_given_a_press_of_contain_the_creator_that_died_when_another_user_did_it_then_the_late_retry_names_them(
    world: World, machine: StateMachine, jane: Person, ann: Person, security_channel: str, created: None
) -> None:
    interrupted(world, jane, security_channel, "creator_contain")
    press_in(world, ann, security_channel, "creator_contain")
    complete(world, machine, ann, {})

    (answer,) = retried(world, jane)

    assert re.fullmatch(rf"Already requested by Ann Lee \({ann.id}\), {TIME}: user mallory contained\..*", answer)
    assert len(machine.executions) == 2


@pytest.mark.parametrize("decision", ["approve", "deny"])
def test_given_a_creator_that_was_contained_before_the_decision_when_requested_once_more_then_nothing_denies_it(
    world: World, machine: StateMachine, jane: Person, security_channel: str, created: None, decision: str
) -> None:
    (request,) = asked(world)
    starts = len(machine.executions)
    decide(world, request["taskToken"], "contain_creator", "ann")
    decide(world, request["taskToken"], decision, "ann")

    answer = decide(world, request["taskToken"], "contain_creator", "bob")

    assert answer["status"] == "creator_requested_before"
    assert "Already requested by ann" in answer["message"]
    assert len(machine.executions) == starts + 1


def test_given_a_permission_when_the_creator_is_contained_from_the_second_request_then_the_first_one_states_it(
    world: World, machine: StateMachine, jane: Person, security_channel: str
) -> None:
    world.environment["IR_MAX_CONTAINMENTS_PER_HOUR"] = "0"
    (own,) = support.user("mallory")
    support.user("backdoor")
    machine.start(support.key_created(world, "backdoor", userIdentity=support.user_identity("mallory", own)))
    world.settle()
    (first,) = asked(world)
    decide(world, first["taskToken"], "approve", "ann")
    machine.advance()
    (second,) = asked(world)
    decide(world, second["taskToken"], "contain_creator", "ann")

    answer = decide(world, first["taskToken"], "contain_creator", "bob")

    assert answer["status"] == "creator_requested_before"
    assert "Already requested by ann" in answer["message"]


def test_given_several_principals_when_one_is_released_twice_then_the_second_answer_names_the_last_release(
    world: World, machine: StateMachine, jane: Person, security_channel: str
) -> None:
    arns = [f"arn:aws:iam::{ACCOUNT}:user/{name}" for name in ("first", "second")]
    for name in ("first", "second"):
        support.user(name, 0)
        machine.start(support.key_created(world, name))
    world.settle()
    (request,) = asked(world)
    decide(world, request["taskToken"], "approve")
    machine.advance()
    statuses = []
    for arn in (*arns, arns[0]):
        answer = decide(world, request["taskToken"], "release", "ann", principal=arn, notes="rotated")
        world.settle()
        statuses.append(answer["status"])

    assert statuses == ["release_started", "release_started", "already_released"]
    last = rf"Already released\. The last release of this request was by ann \(name given .*\), {TIME}\."
    assert re.fullmatch(last, answer["message"])
