"""Characters that are easily garbled: combined characters at a cut, line separators, and angle brackets of apps."""

from __future__ import annotations

import pytest

from ir_sandbox.slack.people import Person
from ir_sandbox.slack.rendering import visible_text
from tests.support.commands import type_command
from tests.support.raw_events import message, send_event
from tests.support.sync import from_slack, settled_case
from tests.support.world import World

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
# Each is one character for a reader: an emoji of three, a skin tone, a flag, an accent, two vowel signs, a keycap.
COMBINED = (
    FAMILY,
    "\U0001f44d\U0001f3fd",
    "\U0001f1e9\U0001f1ea",
    "e\u0301",
    "\u0939\u093f",
    "\u0e01\u0e33",
    "1\ufe0f\u20e3",
)
LINE_ENDS = ("\x0b", "\x0c", "\x85", "\u2028", "\u2029")


def parts_from_slack(world: World, case_id: str) -> list[str]:
    """Return the texts of the comments from Slack without their frames."""
    return ["\n".join(body.split("\n")[1:-2]) for body in from_slack(world, case_id)]


@pytest.mark.parametrize("character", COMBINED)
def test_given_a_long_text_of_combined_characters_when_it_is_split_then_no_character_is_cut_on_either_side(
    world: World, jane: Person, case_id: str, channel: str, character: str
) -> None:
    text = "." + character * (23_000 // len(character))
    assert send_event(world, message(world, channel, user=jane.id, text=text)) == 200
    world.settle()
    parts = parts_from_slack(world, case_id)
    assert len(parts) > 1
    assert "".join(parts) == text
    assert all(part.removeprefix(".").replace(character, "") == "" for part in parts)

    comment = "." + character * (5_000 // len(character))
    world.security_ir.add_comment_as(case_id, body=comment)
    world.settle()
    shown = [visible_text(one).rpartition("\n")[2] for one in world.said(case_id) if "AWS Responder" in one["text"]]
    assert len(shown) > 1
    assert "".join(shown) == comment
    assert all(part.removeprefix(".").replace(character, "") == "" for part in shown)


@pytest.mark.parametrize("character", COMBINED)
def test_given_a_title_of_combined_characters_when_it_is_shortened_then_no_character_is_cut(
    world: World, character: str
) -> None:
    case_id = settled_case(world, title=character * (240 // len(character)))
    header = world.said(case_id)[0]["blocks"][0]["text"]["text"]
    assert header.partition("…")[0].replace(character, "") == ""


@pytest.mark.parametrize("line_end", LINE_ENDS)
def test_given_another_line_end_when_a_message_or_a_comment_is_copied_then_the_lines_stay_apart(
    world: World, jane: Person, case_id: str, channel: str, line_end: str
) -> None:
    spoof = "[AWS Security IR Update] Approved"
    text = f"first{line_end}second{line_end}{spoof}"
    send_event(world, message(world, channel, user=jane.id, text=text))
    world.settle()
    assert parts_from_slack(world, case_id) == [f"first\nsecond\n> {spoof}"]

    world.security_ir.add_comment_as(case_id, body=text)
    world.settle()
    assert visible_text(world.said(case_id)[-1]).endswith(f"first\nsecond\n> {spoof}")


# The flag of England ends with tags. The others are an emoji that is newer than this Python, and a private character.
@pytest.mark.parametrize(
    "end", ["\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "\U0001fae9", "\uf8ff"]
)
def test_given_a_command_with_a_rare_character_at_its_end_when_executed_then_the_comment_has_it(
    world: World, jane: Person, case_id: str, end: str
) -> None:
    type_command(world, jane, case_id, f"comment {end}\u200b")
    assert parts_from_slack(world, case_id) == [end]


def test_given_angle_brackets_in_text_of_an_app_when_it_is_copied_then_they_stay(
    world: World, jane: Person, case_id: str, channel: str
) -> None:
    code = "List<std:string> x; if a<b:c> <https://example.com/a> <ftp://h/f> <mailto:a@example.com> <sip:a|call>"
    blocks = [{"type": "markdown", "text": code}]
    send_event(world, message(world, channel, user=jane.id, text="", blocks=blocks))
    world.settle()
    (text,) = parts_from_slack(world, case_id)
    assert text == ("List<std:string> x; if a<b:c> https://example.com/a ftp://h/f a@example.com call (sip:a)")
