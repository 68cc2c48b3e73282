"""R5: titles, descriptions and comments of a case appear in Slack character by character."""

from __future__ import annotations

import pytest

from ir_sandbox.slack.rendering import visible_text
from tests.support.sync import settled_case
from tests.support.world import World

TEXTS = (
    'Policy {"Action": "s3:*", "Resource": "*"} of *_prod_*; run `rm -rf ~/a ~/b`',
    "> quoted\n>> twice\n• one\n\n  two   spaces\tand a tab",
    "key :id: in arn:aws:iam::111122223333:user/_svc_bot_ & <b> &lt; &amp;amp; :+1: :x:",
    "<!channel> <@U123> <https://evil.example|this> https://example.com #general @here ~struck~",
    "```\ncode *here*\n``` and ***",
)


def shown(world: World, case_id: str) -> str:
    return "\n".join(visible_text(message) for message in world.said(case_id))


@pytest.mark.parametrize("text", TEXTS)
def test_given_a_comment_when_it_is_copied_then_users_read_exactly_its_characters(world: World, text: str) -> None:
    case_id = settled_case(world)
    comment_id = world.security_ir.add_comment_as(case_id, body=text)
    world.settle()
    posted = visible_text(world.said(case_id)[-1])
    world.security_ir.update_comment_as(case_id, comment_id, body=text + "!")
    world.settle()

    assert posted.endswith("\n" + text)
    assert visible_text(world.said(case_id)[-1]).endswith("\n" + text + "!")
    assert "AWS Responder commented" in posted


@pytest.mark.parametrize("text", [TEXTS[0], TEXTS[2]])
def test_given_a_title_and_a_description_when_they_are_shown_and_changed_then_no_character_differs(
    world: World, text: str
) -> None:
    title, description = text, f"{text}\n" * 80
    case_id = settled_case(world, title=title[:300], description=description[:8000])
    notice = visible_text(world.said(case_id)[0])
    world.security_ir.call("UpdateCase", {"caseId": case_id, "title": f"{text} 2"})
    world.settle()

    assert title in notice
    assert description.strip()[:8000] in notice
    assert f"Title: {title} → {text} 2" in shown(world, case_id)


def test_given_a_title_of_the_longest_form_when_it_is_shown_then_all_of_it_is_there(world: World) -> None:
    title = "word " * 59 + "last"
    case_id = settled_case(world, title=title)

    assert title in visible_text(world.said(case_id)[0])


def test_given_a_user_with_formatting_in_the_name_when_it_comments_then_the_name_is_shown_as_it_is(
    world: World,
) -> None:
    case_id = settled_case(world)
    world.security_ir.add_comment_as(case_id, body="done", creator="arn:aws:iam::111122223333:user/_svc_bot_")
    world.settle()

    assert "] _svc_bot_ commented" in visible_text(world.said(case_id)[-1])
