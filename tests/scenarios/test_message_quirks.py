"""R1: with half of the quirks of messages on, and with all, nothing is lost, doubled or called an edit that is none.

`make proof PARTS=quirks` turns each on alone.
"""

from __future__ import annotations

import re

import pytest

from ir_sandbox.slack.people import Person
from ir_sandbox.slack.quirks import messages as quirks
from tests.support.sync import attachments, from_slack
from tests.support.world import World

NAMES = [quirk.name for quirk in quirks.QUIRKS]


def text_of(body: str) -> str:
    """Return the text of a comment from Slack without its frame."""
    return "\n".join(body.split("\n")[1:-2])


@pytest.mark.parametrize("on", [NAMES[::2], NAMES[1::2], NAMES], ids=["even", "odd", "all"])
def test_given_quirks_when_people_write_reply_edit_forward_and_delete_then_the_case_has_it_right(
    world: World, jane: Person, case_id: str, channel: str, on: list[str]
) -> None:
    bob = world.workspace.create_user("bob", real_name="Bob Stone")
    group = world.workspace.create_user_group("responders", [bob.id])
    world.workspace.store.quirks.turn_on(on)
    other = jane.create_channel("build")
    jane.invite(other, bob.id, world.app.bot_user_id)
    file_id, source = bob.upload(other, "notes.txt", b"the notes", text="my notes")

    first = jane.post(channel, f"page <!subteam^{group.id}|@responders> about https://example.com/x")
    world.settle()
    jane.post(channel, "a reply", thread_ts=first)
    table = jane.post(channel, "hosts\nname\tport\nbuild-7\t8443")
    world.settle()
    jane.set_topic(channel, "something else")
    jane.forward(channel, other, source, "see")
    world.settle()
    wrong = jane.post(channel, "wrong chanel")
    jane.edit(channel, wrong, "wrong channel")
    world.settle()
    gone = jane.post(channel, "not for here")
    jane.delete(channel, gone)
    world.settle()
    jane.edit(channel, table, "hosts\nname\tport\nbuild-7\t9000")
    world.live(4)

    bodies = from_slack(world, case_id)
    texts = "\n".join(text_of(body) for body in bodies)
    assert all("[Slack Update] Jane Smith" in body for body in bodies)
    assert texts.count("page @responders about https://example.com/x") == 1
    assert texts.count("a reply") == 1
    assert texts.count("hosts") == len(re.findall(r"build-7\W+9000", texts)) == 1
    assert re.search(r"build-7\W+8443", texts) is None
    assert texts.count("Forwarded message by Bob Stone (Posted in #build, ") == texts.count("my notes") == 1
    assert texts.count("wrong channel") == 1
    edited = [text_of(body) for body in bodies if ", edited" in body.split("\n")[0]]
    assert all("hosts" in text or "wrong channel" in text for text in edited)
    deleted = [body for body in bodies if "not for here" in body]
    assert all("(This message was deleted in Slack.)" in body for body in deleted)
    assert f"notes-{file_id}.txt" in [one["fileName"] for one in attachments(world, case_id)]
    assert len(bodies) == 5 + len(deleted)
