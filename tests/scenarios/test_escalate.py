"""`/security-ir escalate`: a self-managed case is handed over to AWS, once and after a confirmation."""

from __future__ import annotations

from typing import Any

from ir_sandbox.slack.people import Person
from tests.attacks.test_decisions import with_token
from tests.support.commands import answers
from tests.support.world import World
from tests.trials.world.incidents import audit_rows


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
