"""The quirks of messages change the events that the local Slack sends."""

from __future__ import annotations

from ir_sandbox.slack.model import Channel, Json
from ir_sandbox.slack.people import Person
from ir_sandbox.slack.quirks import messages as quirks
from ir_sandbox.slack.quirks.quirk import Quirk
from ir_sandbox.slack.testing import LocalSlack
from tests.support.slack_events import happened, kinds


def turned_on(slack: LocalSlack, *which: Quirk) -> tuple[Person, Channel]:
    """Turn the quirks on, and return a person and a channel with the app."""
    jane = slack.workspace.create_user("jane")
    channel = slack.workspace.create_channel("case", [jane, slack.workspace.person(slack.app.bot_user_id)])
    happened(slack)
    slack.workspace.store.quirks.turn_on(quirk.name for quirk in which)
    return jane, channel


def messages(slack: LocalSlack) -> list[Json]:
    return [event for event in happened(slack) if event["type"] == "message"]


def test_given_quirks_of_the_content_when_a_user_posts_then_the_message_has_their_form(slack: LocalSlack) -> None:
    jane, channel = turned_on(slack, quirks.PASTED_TABLES, quirks.USER_TOKEN_POSTS, quirks.UNLABELLED_GROUPS)
    jane.post(channel.id, "see <!subteam^S1|@team>\na\tb\n1\t2")

    (event,) = messages(slack)

    assert event["text"] == "see <!subteam^S1>"
    assert [[cell["text"] for cell in row] for row in event["attachments"][0]["blocks"][0]["rows"]] == [
        ["a", "b"],
        ["1", "2"],
    ]
    assert (event["user"], event["app_id"]) == (jane.id, "A0LCCLIENT1")


def test_given_blocks_without_text_when_a_user_posts_and_edits_then_only_the_blocks_have_words(
    slack: LocalSlack,
) -> None:
    jane, channel = turned_on(slack, quirks.BLOCKS_WITHOUT_TEXT, quirks.CHANGES_WITHOUT_PREVIOUS)
    ts = jane.post(channel.id, "one")
    jane.edit(channel.id, ts, "two")

    posted, edited = messages(slack)

    assert (posted["text"], edited["message"]["text"]) == ("", "")
    assert "one" in str(posted["blocks"])
    assert "two" in str(edited["message"]["blocks"])
    assert "previous_message" not in edited


def test_given_quirks_of_slacks_own_messages_when_a_user_posts_then_slack_adds_them(slack: LocalSlack) -> None:
    on = (quirks.UNFURLS, quirks.HUDDLES, quirks.SLACKBOT, quirks.REPLIES_CHANGE_PARENTS, quirks.HOUSEKEEPING_CHANGES)
    jane, channel = turned_on(slack, *on)
    ts = jane.post(channel.id, "see https://example.com/x")
    assert kinds(messages(slack)) == [
        "message",
        "message.message_changed",
        "message",
        "message.huddle_thread",
        "message.message_changed",
    ]

    slack.workspace.store.quirks.turn_all_off()
    slack.workspace.store.quirks.turn_on([quirks.REPLIES_CHANGE_PARENTS.name, quirks.HOUSEKEEPING_CHANGES.name])
    jane.post(channel.id, "a reply", thread_ts=ts)
    jane.set_topic(channel.id, "a topic")
    reply, counted, topic, changed = messages(slack)

    assert (reply["text"], counted["message"]["reply_count"]) == ("a reply", 1)
    assert (topic["subtype"], changed["message"]["subtype"]) == ("channel_topic", "channel_topic")


def test_given_a_message_when_it_is_forwarded_then_its_words_and_files_are_in_an_attachment(slack: LocalSlack) -> None:
    jane, channel = turned_on(slack, quirks.FORWARDS_WITHOUT_TEXT)
    other = slack.workspace.create_channel("other", [jane])
    file_id, ts = jane.upload(other.id, "a.txt", b"x", text="the words")
    jane.forward(channel.id, other.id, ts)

    (event,) = messages(slack)

    (attachment,) = event["attachments"]
    assert (event["text"], attachment["text"], attachment["is_share"]) == ("", "", True)
    assert "the words" in str(attachment["message_blocks"])
    assert [file["id"] for file in attachment["files"]] == [file_id]
