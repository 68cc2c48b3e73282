"""`/security-ir escalate`: a self-managed case is handed over to AWS, once and after a confirmation."""

from __future__ import annotations

from typing import Any

import pytest

from ir_router.commands.execution import StillAtWorkError
from ir_sandbox.slack.people import Person
from tests.attacks.test_decisions import with_token
from tests.support.commands import answers
from tests.support.world import World
from tests.trials.world.incidents import audit_rows
from tests.trials.world.wire import Side


def resolver(world: World, case_id: str) -> str:
    return str(world.security_ir.call("GetCase", {"caseId": case_id})["resolverType"])


def ask(world: World, person: Person, channel: str) -> dict[str, Any]:
    person.command(channel, "/security-ir", "escalate")
    world.settle()
    return dict(world.workspace.ephemerals(person.id)[-1])


def test_given_a_self_managed_case_when_escalated_then_aws_handles_it_after_a_confirmation(
    world: World, jane: Person, case_id: str
) -> None:
    channel = world.channel_of(case_id)
    question = ask(world, jane, channel)
    assert "This cannot be undone" in question["text"]
    assert "all comments and attachments" in question["text"]
    assert resolver(world, case_id) == "Self"
    jane.press(channel, question["ts"], "escalate_keep")
    world.settle()
    assert resolver(world, case_id) == "Self"

    question = ask(world, jane, channel)
    jane.press(channel, question["ts"], "escalate_confirm")
    world.settle()
    assert resolver(world, case_id) == "AWS"
    assert "AWS now handles case" in answers(world, jane)[-1]
    assert len([one for one in world.comments(case_id) if "handed this case over to AWS" in one]) == 1
    world.live(2)
    assert any("Self → AWS" in str(one) for one in world.said(case_id))
    assert [one["actor"].partition(" (")[0] for one in audit_rows() if one["action"] == "command_executed"] == [
        "Jane Smith"
    ]
    assert "AWS already handles this case" in ask(world, jane, channel)["text"]


def test_given_a_button_of_another_users_command_when_pressed_then_it_is_refused_and_recorded(
    world: World, jane: Person, case_id: str
) -> None:
    channel = world.channel_of(case_id)
    mallory = world.workspace.create_user("mallory", email="mallory@example.com", real_name="Mallory")
    jane.invite(channel, mallory.id)
    assert "❌" in ask(world, mallory, channel)["text"]
    question = ask(world, jane, channel)
    posted = with_token(world, "chat.postMessage", channel=channel, text="Press this", blocks=question["blocks"])
    mallory.press(channel, posted["ts"], "escalate_confirm")
    world.settle()
    assert resolver(world, case_id) == "Self"
    assert [one["action"] for one in audit_rows()].count("command_refused") == 2


def died_at_call(world: World, jane: Person, channel: str, operation: str, side: Side) -> None:
    question = ask(world, jane, channel)
    world.unexpected.allow(StillAtWorkError)
    world.wire.kill_on("security-ir", operation, side)
    jane.press(channel, question["ts"], "escalate_confirm")
    world.settle(patience=20)
    assert world.wire.died_at is not None
    world.wire.spare()


def test_given_a_press_that_died_before_the_call_when_another_user_escalates_then_the_retry_records_no_change(
    world: World, jane: Person, case_id: str
) -> None:
    channel = world.channel_of(case_id)
    died_at_call(world, jane, channel, "GetCase", "after")
    world.security_ir.call("UpdateResolverType", {"caseId": case_id, "resolverType": "AWS"})

    world.live(5)

    assert answers(world, jane)[-1] == "AWS already handles this case."
    assert [one for one in world.comments(case_id) if "handed this case over to AWS" in one] == []
    assert "command_executed" not in [one["action"] for one in audit_rows()]


@pytest.mark.parametrize("side", ["before", "after"])
def test_given_a_press_that_died_at_the_call_when_retried_then_the_change_is_recorded_once(
    world: World, jane: Person, case_id: str, side: Side
) -> None:
    channel = world.channel_of(case_id)
    died_at_call(world, jane, channel, "UpdateResolverType", side)

    world.live(5)

    assert resolver(world, case_id) == "AWS"
    assert "AWS now handles case" in answers(world, jane)[-1]
    assert len([one for one in world.comments(case_id) if "handed this case over to AWS" in one]) == 1
    assert [one["action"] for one in audit_rows()].count("command_executed") == 1
