"""P6: open approval requests and cases in one place, for those who may see them."""

from __future__ import annotations

import json

import pytest

from ir_sandbox.slack.people import Person
from tests.support.approvals import case_channel, make_approver
from tests.support.commands import answers
from tests.support.world import World
from tests.trials.world import incidents as support
from tests.trials.world.state_machine import StateMachine


@pytest.fixture
def jane(world: World) -> Person:
    return make_approver(world)


def answer(world: World, person: Person, channel: str, text: str) -> str:
    """Return the blocks of the newest answer to a command."""
    person.command(channel, "/security-ir", text)
    world.settle()
    return json.dumps(world.workspace.ephemerals(person.id)[-1], ensure_ascii=False)


def outsider(world: World) -> tuple[Person, str]:
    bob = world.workspace.create_user("bob", email="bob@example.com", real_name="Bob")
    return bob, bob.create_channel("general-talk")


def test_given_open_requests_when_an_approver_lists_them_anywhere_then_each_has_a_link_to_its_message(
    world: World, machine: StateMachine, jane: Person, security_channel: str
) -> None:
    support.contain(world, machine)
    support.contain(world, machine, "second")
    world.settle()
    text = answer(world, jane, jane.create_channel("talk"), "approvals")

    assert "2 open approval requests" in text
    assert text.count("/archives/") == 2
    assert "user backdoor" in text
    assert "user second" in text
    assert "decide by <!date^" in text


def test_given_an_open_request_when_another_user_lists_them_then_only_those_of_their_channels_are_shown(
    world: World, machine: StateMachine, jane: Person, security_channel: str
) -> None:
    bob, talk = outsider(world)
    support.contain(world, machine)
    world.settle()
    assert "There are no open approval requests in your channels." in answer(world, bob, talk, "approvals")

    jane.invite(case_channel(world), bob.id)
    assert "1 open approval request" in answer(world, bob, talk, "approvals")


def test_given_no_request_when_an_approver_lists_them_then_the_answer_states_it(world: World, jane: Person) -> None:
    assert "There are no open approval requests." in answer(world, jane, jane.create_channel("talk"), "approvals")


def test_given_cases_when_listed_then_each_shows_status_and_channel_only_to_those_who_may_see_it(
    world: World, jane: Person
) -> None:
    bob, talk = outsider(world)
    world.poll()
    first, closed = world.create_case(title="One <b>"), world.create_case(title="Two")
    world.live(2)
    world.security_ir.call("CloseCase", {"caseId": closed})
    world.live(1)

    text = answer(world, jane, jane.create_channel("other"), "list")
    assert "1 open case" in text
    assert f"|{first}>" in text
    assert "One &lt;b&gt;: Open (Submitted)" in text
    assert f"<#{world.channel_of(first)}>" in text
    assert "Two" not in text
    assert "There are no open cases in your channels." in answer(world, bob, talk, "list")
    jane.invite(world.channel_of(first), bob.id)
    assert f"|{first}>" in answer(world, bob, talk, "list")
    assert answers(world, bob)


def home(world: World, person: Person) -> str:
    """Open the Home tab, and return its blocks."""
    person.open_home()
    world.settle()
    shown = person.home()
    assert shown is not None
    return json.dumps(shown["blocks"], ensure_ascii=False)


def test_given_requests_and_cases_when_the_home_tab_opens_then_it_shows_what_the_user_may_see(
    world: World, machine: StateMachine, jane: Person, security_channel: str
) -> None:
    bob, _talk = outsider(world)
    support.contain(world, machine)
    world.settle()
    (case_id,) = world.security_ir.snapshot()["cases"]

    shown = home(world, jane)
    assert "1 open approval request" in shown
    assert shown.count("/archives/") == 1
    assert f"|{case_id}>" in shown
    assert f"<#{case_channel(world)}>" in shown
    other = home(world, bob)
    assert "There are no open approval requests in your channels." in other
    assert "There are no open cases in your channels." in other

    world.wire.calls.clear()
    bob.open_home("messages")
    bob.open_home()
    world.settle()
    assert not [call for call in world.wire.calls if call.service == "security-ir"]  # it was published seconds ago
    jane.invite(case_channel(world), bob.id)
    world.advance(11)
    other = home(world, bob)
    assert "1 open approval request" in other
    assert f"|{case_id}>" in other


def test_given_no_answer_by_aws_when_the_home_tab_opens_then_it_states_the_error_and_the_next_opening_repairs_it(
    world: World, jane: Person
) -> None:
    world.security_ir.faults.refuse("AccessDeniedException", "ListCases")
    assert "Error ID: api-error" in home(world, jane)
    world.security_ir.faults.clear()
    assert "There are no open cases." in home(world, jane)


def test_given_a_home_tab_that_is_switched_off_when_opened_then_nothing_is_retried(world: World, jane: Person) -> None:
    world.app.has_home_tab = False
    jane.open_home()
    world.settle()

    assert jane.home() is None
    assert world.dead == []
