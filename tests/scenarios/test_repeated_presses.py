"""A press whose function died counts as of its own time: later work of others stays, and its user gets an answer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from ir_router.commands import approval_buttons
from ir_router.commands.execution import StillAtWorkError
from ir_router.ledger import approvals, keys, table
from ir_router.ledger.table import Row
from ir_sandbox.slack.people import Person
from tests.scenarios.test_late_retries import RELEASE, SIDES, TIME, complete, press_in, retried
from tests.support.approvals import approvals_in, case_channel, creator_buttons, make_approver, press
from tests.support.commands import answers
from tests.support.world import World
from tests.trials.world import incidents as support
from tests.trials.world.incidents import asked, decide, iam_state
from tests.trials.world.state_machine import StateMachine
from tests.trials.world.wire import DeathError, FunctionDiedError, Side

ASSIGN, WITHDRAW = "request_assign", "request_withdraw"
Dies = Callable[[Side], None]


@pytest.fixture
def jane(world: World) -> Person:
    return make_approver(world)


@pytest.fixture
def two(world: World, machine: StateMachine, security_channel: str) -> None:
    """Wait for two people."""
    world.environment["IR_APPROVALS_REQUIRED"] = json.dumps({"remediate_approve": 2, "remediate_deny": 2})
    support.contain(world, machine)
    world.settle()


@pytest.fixture
def released(world: World, machine: StateMachine, jane: Person, security_channel: str) -> None:
    """Jane released the contained user two hours ago."""
    support.contain(world, machine, keys=2)
    world.settle()
    press(world, machine, jane, security_channel, "approval_approve")
    press_in(world, jane, security_channel, RELEASE)
    complete(world, machine, jane, {"reason": "keys rotated"})
    world.advance(7200)
    world.settle()


def dies(world: World, service: str, operation: str, side: Side = "before") -> None:
    world.unexpected.allow(StillAtWorkError)
    world.wire.kill_on(service, operation, side)


@pytest.fixture
def dies_at_call(world: World, monkeypatch: pytest.MonkeyPatch) -> Dies:
    """Return a function that lets the next call of the approval function end its caller, before or after its effect."""

    def die(side: Side) -> None:
        world.unexpected.allow(StillAtWorkError)
        invoke = approval_buttons.invoke

        def call(payload: Mapping[str, Any]) -> dict[str, Any]:
            monkeypatch.setattr(approval_buttons, "invoke", invoke)
            if side == "after":
                invoke(payload)
            raise DeathError

        monkeypatch.setattr(approval_buttons, "invoke", call)

    return die


def died(world: World) -> None:
    assert world.wire.died_at is not None
    world.wire.spare()


def row() -> Row:
    (approval_id,) = approvals.open_ids()
    found = approvals.get(approval_id)
    assert found is not None
    return found


def test_given_a_first_decision_when_a_deny_that_recorded_nothing_is_retried_then_the_user_gets_an_answer(
    world: World, machine: StateMachine, jane: Person, security_channel: str, two: None, dies_at_call: Dies
) -> None:
    press_in(world, jane, security_channel, "approval_approve")
    complete(world, machine, jane, {})
    press_in(world, jane, security_channel, "approval_deny")
    dies_at_call("before")
    complete(world, machine, jane, {"reason": "planned"})

    (answer,) = retried(world, jane)

    assert "another person" in answer.lower()
    assert [one["decision"] for one in row()["votes"]] == ["approve"]


def test_given_a_deny_that_was_recorded_when_it_is_retried_then_the_retry_is_silent(
    world: World, machine: StateMachine, jane: Person, security_channel: str, two: None, dies_at_call: Dies
) -> None:
    press_in(world, jane, security_channel, "approval_deny")
    dies_at_call("after")
    complete(world, machine, jane, {"reason": "planned"})

    assert retried(world, jane) == []
    assert [one["decision"] for one in row()["votes"]] == ["deny"]


def test_given_an_earlier_release_when_the_command_release_dies_then_its_retry_answers(
    world: World, jane: Person, released: None
) -> None:
    dies(world, "slack", "response_url")
    jane.command(case_channel(world), "/security-ir", "release")
    world.settle(patience=20)
    died(world)

    (answer,) = retried(world, jane)

    assert re.fullmatch(rf"Already released by Jane Smith \({jane.id}\), {TIME}\.", answer)


def test_given_an_earlier_release_when_a_second_form_is_submitted_and_dies_then_its_retry_answers(
    world: World, machine: StateMachine, jane: Person, security_channel: str
) -> None:
    support.contain(world, machine, keys=2)
    world.settle()
    press(world, machine, jane, security_channel, "approval_approve")
    press_in(world, jane, security_channel, RELEASE)
    press_in(world, jane, security_channel, RELEASE)
    first, second = jane.views()[-2:]
    jane.submit(first.id, {"reason": "keys rotated"})
    world.settle(patience=20)
    machine.advance()
    world.settle(patience=20)
    dies(world, "slack", "response_url")
    jane.submit(second.id, {"reason": "keys rotated"})
    world.settle(patience=20)
    died(world)

    (answer,) = retried(world, jane)

    assert re.fullmatch(rf"Already released by Jane Smith \({jane.id}\), {TIME}\.", answer)


def test_given_a_released_and_an_open_request_of_a_case_when_release_is_sent_then_the_answer_names_the_open_one(
    world: World, machine: StateMachine, jane: Person, security_channel: str
) -> None:
    support.contain(world, machine, keys=2)
    world.settle()
    press(world, machine, jane, security_channel, "approval_approve")
    press_in(world, jane, security_channel, RELEASE)
    complete(world, machine, jane, {"reason": "keys rotated"})
    channel = case_channel(world)
    (case,) = world.security_ir.call("ListCases", {"maxResults": 25})["items"]
    machine.start(support.key_created(world, "backdoor"))
    world.settle()
    # The case shows both requests.
    table.put(keys.note(case["caseId"], f"approval-{row()['approval_id']}"), {})

    jane.command(channel, "/security-ir", "release")
    world.settle()

    assert "its approval request is still open" in answers(world, jane)[-1]


@pytest.mark.parametrize("side", SIDES)
def test_given_a_press_of_im_on_it_that_died_when_another_user_took_over_then_the_retry_changes_nothing(
    world: World,
    machine: StateMachine,
    jane: Person,
    ann: Person,
    security_channel: str,
    two: None,
    dies_at_call: Dies,
    side: Side,
) -> None:
    dies_at_call(side)
    press_in(world, jane, security_channel, ASSIGN)
    press_in(world, ann, security_channel, ASSIGN)

    (answer,) = retried(world, jane)

    assert row()["assignee"]["slack_user_id"] == ann.id
    assert re.fullmatch(rf"Nothing was changed: Ann Lee \({ann.id}\) has taken the request since, {TIME}\.", answer)


def test_given_a_press_of_im_on_it_that_died_when_lambda_retries_then_the_user_is_the_assignee(
    world: World, machine: StateMachine, jane: Person, ann: Person, security_channel: str, two: None, dies_at_call: Dies
) -> None:
    press_in(world, ann, security_channel, ASSIGN)
    dies_at_call("before")
    press_in(world, jane, security_channel, ASSIGN)

    assert retried(world, jane) == []
    assert row()["assignee"]["slack_user_id"] == jane.id


def test_given_a_withdrawal_that_died_when_the_request_is_decided_then_the_retry_answers(
    world: World, machine: StateMachine, jane: Person, ann: Person, security_channel: str, two: None, dies_at_call: Dies
) -> None:
    press_in(world, jane, security_channel, "approval_approve")
    complete(world, machine, jane, {})
    dies_at_call("before")
    press_in(world, jane, security_channel, WITHDRAW)
    press_in(world, ann, security_channel, "approval_approve")
    complete(world, machine, ann, {})

    (answer,) = retried(world, jane)

    assert answer.startswith("Nothing was withdrawn")


def test_given_a_withdrawal_that_was_recorded_when_lambda_retries_then_the_retry_is_silent(
    world: World, machine: StateMachine, jane: Person, security_channel: str, two: None, dies_at_call: Dies
) -> None:
    press_in(world, jane, security_channel, "approval_approve")
    complete(world, machine, jane, {})
    dies_at_call("after")
    press_in(world, jane, security_channel, WITHDRAW)

    assert retried(world, jane) == []
    assert row()["votes"] == []


def test_given_a_creator_whose_containment_never_started_when_pressed_after_a_denial_then_nothing_is_contained(
    world: World, machine: StateMachine, jane: Person, security_channel: str
) -> None:
    (own,) = support.user("mallory")
    support.user("backdoor")
    machine.start(support.key_created(world, "backdoor", userIdentity=support.user_identity("mallory", own)))
    world.settle()
    (request,) = asked(world)
    message = approvals_in(world, security_channel)[0]
    (button,) = creator_buttons(message)
    starts = len(machine.executions)
    dies(world, "stepfunctions", "StartExecution")
    with pytest.raises(FunctionDiedError):
        decide(world, request["taskToken"], "contain_creator", "ann")
    died(world)
    decide(world, request["taskToken"], "deny", "ann")
    jane.press(security_channel, str(message["ts"]), button)
    world.settle()

    assert len(machine.executions) == starts
    assert not iam_state(world, "mallory").denied
    assert "was never started" in answers(world, jane)[-1]
