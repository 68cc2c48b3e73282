"""Findings of AWS's investigating agent: each appears once in the channel, and people rate it for AWS."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ir_sandbox.slack.people import Person
from tests.attacks.test_decisions import with_token
from tests.support.commands import answers
from tests.support.world import World
from tests.trials.world.incidents import audit_rows
from tests.trials.world.wire import Side


def add(world: World, case_id: str, title: str = "Keys of <!channel>", status: str = "Completed", **more: str) -> str:
    content = more.get("content", "The key *AKIA* listed <@U1> all buckets.")
    return str(world.security_ir.add_investigation(case_id, "Investigation", title, content, status))


def shown(world: World, case_id: str) -> list[dict[str, Any]]:
    messages = world.workspace.channel_messages(world.channel_of(case_id))
    return [one for one in messages if "automated finding" in str(one.get("text"))]


def feedback(world: World, case_id: str) -> list[dict[str, Any] | None]:
    answer = world.security_ir.call("ListInvestigations", {"caseId": case_id})
    return [one.get("feedback") for one in answer["investigationActions"]]


def rate(world: World, person: Person, channel: str, ts: str, button: str, comment: str | None) -> None:
    person.press(channel, ts, button)
    world.settle()
    person.submit(person.views()[-1].id, {"comment": comment})
    world.settle()


def test_given_findings_of_aws_when_ten_minutes_pass_then_each_appears_once_and_its_rating_reaches_aws(
    world: World, jane: Person, case_id: str
) -> None:
    world.live(1)
    add(world, case_id, status="InProgress")
    add(world, case_id, "Failed", status="Failed")
    add(world, case_id)
    add(world, case_id, "Long", content="word " * 999)
    world.live(11)
    first, second = shown(world, case_id)
    assert "<!channel>" not in first["text"]
    texts = [
        part["text"]
        for block in first["blocks"]
        if block["type"] == "rich_text"
        for section in block["elements"]
        for part in section["elements"]
    ]
    assert texts == ["Keys of <!channel>", "The key *AKIA* listed <@U1> all buckets."]
    assert json.dumps(second["blocks"]).count("word ") >= 990

    channel = world.channel_of(case_id)
    rate(world, jane, channel, first["ts"], "feedback_useful", None)
    rate(world, jane, channel, second["ts"], "feedback_not_useful", "Wrong account")
    assert "not useful" in answers(world, jane)[-1]
    given = [one for one in feedback(world, case_id) if one]
    assert [(one["usefulness"], one.get("comment")) for one in given] == [
        ("NOT_USEFUL", "Wrong account"),
        ("USEFUL", None),
    ]
    assert [one["action"] for one in audit_rows()].count("command_executed") == 2
    world.live(11)
    assert len(shown(world, case_id)) == 2


def test_given_a_user_or_a_button_that_ir_router_does_not_accept_when_pressed_then_aws_gets_no_rating(
    world: World, jane: Person, case_id: str
) -> None:
    add(world, case_id)
    world.security_ir.add_comment_as(case_id, body="a change")
    world.settle()
    (finding,) = shown(world, case_id)
    channel = world.channel_of(case_id)
    mallory = world.workspace.create_user("mallory", email="mallory@example.com", real_name="Mallory")
    jane.invite(channel, mallory.id)
    mallory.press(channel, finding["ts"], "feedback_useful")
    world.settle()
    assert answers(world, mallory)[-1].startswith("❌")
    posted = with_token(world, "chat.postMessage", channel=channel, text="Press this", blocks=finding["blocks"])
    jane.press(channel, posted["ts"], "feedback_useful")
    world.settle()
    assert "does not know this button" in answers(world, jane)[-1]
    assert jane.views() == []
    assert feedback(world, case_id) == [None]
    assert [one["action"] for one in audit_rows()].count("command_refused") == 2


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize(
    ("service", "operation"), [("security-ir", "ListInvestigations"), ("slack", "chat.postMessage")]
)
def test_given_a_crash_while_a_finding_is_posted_when_continued_then_it_appears_once(
    world: World, jane: Person, case_id: str, service: str, operation: str, side: Side
) -> None:
    add(world, case_id)
    world.wire.kill_on(service, operation, side)
    if service == "security-ir":
        world.security_ir.add_comment_as(case_id, body="starts a run")
    world.live(12)
    assert world.wire.died_at is not None
    assert len(shown(world, case_id)) == 1
