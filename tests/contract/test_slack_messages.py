"""Messages of the local Slack: posts, changes, threads, history, metadata."""

from __future__ import annotations

import json

import pytest
from slack_sdk import WebClient

from ir_sandbox.slack.testing import error_of

SECTION = {"type": "section", "text": {"type": "mrkdwn", "text": "*Hello*"}}
METADATA = {"event_type": "ir_router", "event_payload": {"key": "CASE#1"}}


def texts(client: WebClient, channel: str) -> list[str]:
    """Return the messages of users and bots, oldest first."""
    messages = client.conversations_history(channel=channel)["messages"][::-1]
    return [message["text"] for message in messages if not message.get("subtype", "").endswith("_join")]


# Posting


def test_given_text_and_blocks_when_posted_then_the_answer_and_history_show_them(slack, client, channel):
    posted = client.chat_postMessage(channel=channel, text="Hello", blocks=[SECTION])

    message = posted["message"]
    assert posted["channel"] == channel
    assert (message["ts"], message["text"]) == (posted["ts"], "Hello")
    assert (message["user"], message["bot_id"], message["app_id"]) == (
        slack.app.bot_user_id,
        slack.app.bot_id,
        slack.app.app_id,
    )
    assert "subtype" not in message
    assert message["blocks"][0]["text"] == SECTION["text"]
    assert message["blocks"][0]["block_id"]
    assert client.conversations_history(channel=channel)["messages"][0] == message


def test_given_a_username_when_posted_then_a_bot_message_and_only_with_its_scope(slack, client, channel):
    answer = error_of(client.chat_postMessage, channel=channel, text="x", username="Case")
    assert (answer["error"], answer["needed"]) == ("missing_scope", "chat:write.customize")

    slack.app.scopes.add("chat:write.customize")
    message = client.chat_postMessage(channel=channel, text="x", username="Case")["message"]
    assert (message["subtype"], message["username"]) == ("bot_message", "Case")
    assert "user" not in message


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({}, "no_text"),
        ({"text": ""}, "no_text"),
        ({"text": "x" * 40_001}, "msg_too_long"),
        ({"text": "x", "attachments": [{"text": "a"}] * 101}, "too_many_attachments"),
        ({"text": "x", "blocks": "{"}, "invalid_blocks_format"),
        ({"text": "x", "blocks": {"type": "divider"}}, "invalid_blocks_format"),
        ({"text": "x", "blocks": [{"type": "nonsense"}]}, "invalid_blocks"),
        ({"text": "x", "metadata": "{"}, "invalid_metadata_format"),
        ({"text": "x", "metadata": {"event_type": "x"}}, "invalid_metadata_schema"),
        ({"text": "x", "metadata": {"event_type": "x", "event_payload": {"k": "v" * 15_000}}}, "metadata_too_large"),
        ({"text": "x", "thread_ts": "1.000001"}, "thread_not_found"),
    ],
)
def test_given_what_slack_refuses_when_posted_then_its_error_and_nothing_posted(client, channel, arguments, error):
    body = {"channel": channel, **arguments}
    assert error_of(client.api_call, api_method="chat.postMessage", json=body)["error"] == error
    assert texts(client, channel) == []


def test_fact_text_at_most_40000(client, channel):
    """PLATFORM_FACTS: text: at most 40,000."""
    assert client.chat_postMessage(channel=channel, text="x" * 40_000)["message"]["text"] == "x" * 40_000


def test_given_names_and_users_when_posted_to_then_the_channel_or_direct_message(slack, client, channel, jane):
    assert client.chat_postMessage(channel="#case-1", text="x")["channel"] == channel
    assert client.chat_postMessage(channel=jane.id, text="x")["channel"].startswith("D")
    assert error_of(client.chat_postMessage, channel="nowhere", text="x")["error"] == "channel_not_found"
    other = slack.workspace.create_app("other", commands=[])
    assert error_of(client.chat_postMessage, channel=other.bot_user_id, text="x")["error"] == "cannot_dm_bot"


def test_given_a_public_channel_without_the_bot_when_posted_then_it_takes_chat_write_public(slack, client):
    channel = slack.workspace.create_user("john").create_channel("public")
    assert client.chat_postMessage(channel=channel, text="x")["ok"]
    slack.app.scopes.discard("chat:write.public")
    assert error_of(client.chat_postMessage, channel=channel, text="x")["error"] == "not_in_channel"


def test_given_a_clock_that_stands_still_when_posted_then_ts_are_unique_and_increase(slack, client, channel):
    frozen = slack.clock()
    slack.workspace.store.clock = lambda: frozen

    stamps = [client.chat_postMessage(channel=channel, text=str(number))["ts"] for number in range(5)]

    assert stamps == sorted(set(stamps))
    assert all(len(ts.partition(".")[2]) == 6 for ts in stamps)
    assert texts(client, channel) == ["0", "1", "2", "3", "4"]


def test_given_a_person_who_types_markup_when_posted_then_it_arrives_escaped_and_links_in_brackets(
    slack, client, channel, jane
):
    jane.post(channel, f"<b>&amp; <@{slack.app.bot_user_id}> see https://a.example/?x=1&y=2 <https://b.example|b>")
    assert texts(client, channel) == [
        f"&lt;b&gt;&amp;amp; <@{slack.app.bot_user_id}> see <https://a.example/?x=1&amp;y=2> <https://b.example|b>"
    ]


def test_given_an_app_that_does_not_escape_when_posted_then_slack_keeps_it_escaped(client, channel):
    client.chat_postMessage(channel=channel, text="R&D &amp; <!here> <b> https://a.example <https://b.example|b>")
    assert texts(client, channel) == ["R&amp;D &amp; <!here> &lt;b&gt; <https://a.example> <https://b.example|b>"]


# Changing


def test_given_an_own_message_when_updated_then_history_shows_it_edited(slack, client, channel):
    ts = client.chat_postMessage(channel=channel, text="one")["ts"]

    answer = client.chat_update(channel=channel, ts=ts, text="two")

    assert (answer["ts"], answer["text"], answer["channel"]) == (ts, "two", channel)
    message = client.conversations_history(channel=channel)["messages"][0]
    assert (message["text"], message["edited"]["user"]) == ("two", slack.app.bot_user_id)


def test_given_blocks_and_metadata_when_updated_without_them_then_kept_and_with_empty_ones_removed(client, channel):
    ts = client.chat_postMessage(channel=channel, text="one", blocks=[SECTION], metadata=METADATA)["ts"]

    client.chat_update(channel=channel, ts=ts, text="two")
    kept = client.conversations_history(channel=channel, include_all_metadata=True)["messages"][0]
    client.chat_update(channel=channel, ts=ts, text="three", blocks=[], metadata={})
    removed = client.conversations_history(channel=channel, include_all_metadata=True)["messages"][0]

    assert (kept["text"], kept["blocks"][0]["type"], kept["metadata"]) == ("two", "section", METADATA)
    assert (removed["text"], removed["blocks"][0]["type"]) == ("three", "rich_text")
    assert "metadata" not in removed


def test_given_only_new_blocks_when_updated_then_the_text_stays(client, channel):
    ts = client.chat_postMessage(channel=channel, text="one")["ts"]
    answer = client.api_call("chat.update", json={"channel": channel, "ts": ts, "blocks": [SECTION]})
    assert (answer["text"], answer["message"]["blocks"][0]["type"]) == ("one", "section")


def test_given_another_authors_message_when_changed_then_rejected(client, channel, jane):
    ts = jane.post(channel, "mine")
    assert error_of(client.chat_update, channel=channel, ts=ts, text="x")["error"] == "cant_update_message"
    assert error_of(client.chat_delete, channel=channel, ts=ts)["error"] == "cant_delete_message"
    assert error_of(client.chat_update, channel=channel, ts="1.1", text="x")["error"] == "message_not_found"
    assert error_of(client.chat_delete, channel=channel, ts="1.1")["error"] == "message_not_found"
    assert texts(client, channel) == ["mine"]


def test_given_an_edit_window_that_closed_when_updated_then_edit_window_closed(slack, client, channel):
    slack.workspace.configure(edit_window_seconds=300)
    ts = client.chat_postMessage(channel=channel, text="one")["ts"]
    client.chat_update(channel=channel, ts=ts, text="two")
    slack.clock.advance(301)
    assert error_of(client.chat_update, channel=channel, ts=ts, text="three")["error"] == "edit_window_closed"
    assert texts(client, channel) == ["two"]


def test_given_an_own_message_when_deleted_then_gone(client, channel):
    ts = client.chat_postMessage(channel=channel, text="one")["ts"]
    assert client.chat_delete(channel=channel, ts=ts)["ts"] == ts
    assert texts(client, channel) == []
    assert error_of(client.chat_delete, channel=channel, ts=ts)["error"] == "message_not_found"


# Threads


def test_fact_history_leaves_out_thread_replies_and_replies_has_them(client, channel, jane):
    """PLATFORM_FACTS: conversations.history leaves out thread replies (conversations.replies has them)."""
    parent = client.chat_postMessage(channel=channel, text="parent")["ts"]
    reply = jane.post(channel, "reply", thread_ts=parent)
    client.chat_postMessage(channel=channel, text="broadcast", thread_ts=parent, reply_broadcast=True)

    assert texts(client, channel) == ["parent", "broadcast"]
    thread = client.conversations_replies(channel=channel, ts=parent)["messages"]
    assert [message["text"] for message in thread] == ["parent", "reply", "broadcast"]
    assert (thread[0]["reply_count"], thread[0]["reply_users_count"], thread[0]["latest_reply"]) == (
        2,
        2,
        thread[2]["ts"],
    )
    assert (thread[1]["thread_ts"], thread[1]["ts"]) == (parent, reply)
    assert thread[2]["subtype"] == "thread_broadcast"
    assert client.conversations_replies(channel=channel, ts=reply)["messages"][0]["ts"] == parent
    assert error_of(client.conversations_replies, channel=channel, ts="1.1")["error"] == "thread_not_found"


def test_given_a_reply_to_a_reply_when_posted_then_it_hangs_below_the_parent(client, channel, jane):
    parent = jane.post(channel, "parent")
    reply = jane.post(channel, "reply", thread_ts=parent)
    assert client.chat_postMessage(channel=channel, text="x", thread_ts=reply)["message"]["thread_ts"] == parent


def test_given_a_parent_with_replies_when_deleted_then_a_tombstone_keeps_the_thread(client, channel, jane):
    parent = client.chat_postMessage(channel=channel, text="parent")["ts"]
    jane.post(channel, "reply", thread_ts=parent)

    client.chat_delete(channel=channel, ts=parent)

    thread = client.conversations_replies(channel=channel, ts=parent)["messages"]
    assert [message.get("subtype") for message in thread] == ["tombstone", None]


def test_given_a_long_thread_when_paged_then_every_page_has_the_parent_and_each_reply_comes_once(client, channel, jane):
    parent = jane.post(channel, "parent")
    for number in range(7):
        jane.post(channel, str(number), thread_ts=parent)

    pages = [
        [message["text"] for message in page["messages"]]
        for page in client.conversations_replies(channel=channel, ts=parent, limit=3)
    ]

    assert pages == [["parent", "0", "1", "2"], ["parent", "3", "4", "5"], ["parent", "6"]]


# History


def test_given_many_messages_when_paged_then_newest_first_and_each_once(client, channel):
    for number in range(7):
        client.chat_postMessage(channel=channel, text=str(number))

    pages = [page.data for page in client.conversations_history(channel=channel, limit=3)]

    assert [[message["text"] for message in page["messages"]] for page in pages][:2] == [
        ["6", "5", "4"],
        ["3", "2", "1"],
    ]
    assert [page["has_more"] for page in pages] == [True, True, False]
    assert pages[0]["response_metadata"]["next_cursor"].startswith("bmV4dF90czo")


def test_given_a_time_range_when_read_then_its_ends_count_only_if_inclusive(client, channel):
    stamps = [client.chat_postMessage(channel=channel, text=str(number))["ts"] for number in range(4)]

    def between(**arguments: object) -> list[str]:
        messages = client.conversations_history(channel=channel, oldest=stamps[1], **arguments)["messages"]
        return [message["text"] for message in messages]

    assert between() == ["3", "2"]
    assert between(inclusive=True) == ["3", "2", "1"]
    assert between(latest=stamps[2], inclusive=True) == ["2", "1"]
    assert between(latest=stamps[2]) == []


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"cursor": "nonsense"}, "invalid_cursor"),
        ({"cursor": "bmV4dF90czphYmM="}, "invalid_cursor"),
        ({"limit": 1001}, "invalid_limit"),
        ({"oldest": "yesterday"}, "invalid_ts_oldest"),
        ({"latest": "soon"}, "invalid_ts_latest"),
    ],
)
def test_given_bad_arguments_when_history_is_read_then_refused(client, channel, arguments, error):
    assert error_of(client.conversations_history, channel=channel, **arguments)["error"] == error


def test_fact_metadata_is_returned_with_include_all_metadata(client, channel):
    """PLATFORM_FACTS: message metadata is returned by conversations.history with include_all_metadata."""
    parent = client.chat_postMessage(channel=channel, text="x", metadata=METADATA)["ts"]
    client.chat_postMessage(channel=channel, text="y", thread_ts=parent, metadata=METADATA)

    assert (
        client.conversations_history(channel=channel, include_all_metadata=True)["messages"][0]["metadata"] == METADATA
    )
    assert "metadata" not in client.conversations_history(channel=channel)["messages"][0]
    thread = client.conversations_replies(channel=channel, ts=parent, include_all_metadata=True)["messages"]
    assert [message["metadata"] for message in thread] == [METADATA, METADATA]


def test_given_metadata_as_form_json_when_posted_then_understood(client, channel):
    fields = {"channel": channel, "text": "x", "metadata": json.dumps(METADATA), "blocks": json.dumps([SECTION])}
    message = client.api_call("chat.postMessage", params=fields)["message"]
    assert (message["metadata"], message["blocks"][0]["type"]) == (METADATA, "section")


# Ephemeral messages, links, reactions


def test_given_a_member_when_an_ephemeral_is_posted_then_only_that_person_sees_it(slack, client, channel, jane):
    ts = client.chat_postEphemeral(channel=channel, user=jane.id, text="psst", blocks=[SECTION])["message_ts"]

    (shown,) = slack.workspace.ephemerals(jane.id)
    assert (shown["ts"], shown["text"], shown["channel"], shown["via"]) == (ts, "psst", channel, "chat.postEphemeral")
    assert slack.workspace.ephemerals(slack.app.bot_user_id) == []
    assert texts(client, channel) == []
    outsider = slack.workspace.create_user("outsider")
    for user, error in [(outsider.id, "user_not_in_channel"), ("U404", "user_not_found")]:
        assert error_of(client.chat_postEphemeral, channel=channel, user=user, text="x")["error"] == error
    empty = {"channel": channel, "user": jane.id}
    assert error_of(client.api_call, api_method="chat.postEphemeral", json=empty)["error"] == "no_text"


def test_given_a_message_when_its_permalink_is_asked_then_it_names_channel_and_ts(client, channel, jane):
    ts = jane.post(channel, "x")
    reply = jane.post(channel, "y", thread_ts=ts)
    link = client.chat_getPermalink(channel=channel, message_ts=ts)["permalink"]
    assert link.endswith(f"/archives/{channel}/p{ts.replace('.', '')}")
    assert f"thread_ts={ts}" in client.chat_getPermalink(channel=channel, message_ts=reply)["permalink"]
    assert error_of(client.chat_getPermalink, channel=channel, message_ts="1.1")["error"] == "message_not_found"


def test_given_a_message_when_reacted_then_counted_once_for_each_user(slack, client, channel, jane):
    ts = jane.post(channel, "x")
    jane.react(channel, ts, "eyes")
    client.reactions_add(channel=channel, timestamp=ts, name="eyes")

    (reaction,) = client.conversations_history(channel=channel)["messages"][0]["reactions"]
    assert reaction == {"name": "eyes", "users": [jane.id, slack.app.bot_user_id], "count": 2}
    again = {"channel": channel, "timestamp": ts}
    assert error_of(client.reactions_add, name="eyes", **again)["error"] == "already_reacted"
    assert error_of(client.reactions_add, name="NOT AN EMOJI", **again)["error"] == "invalid_name"
    missing = error_of(client.reactions_add, channel=channel, timestamp="1.1", name="eyes")
    assert missing["error"] == "message_not_found"
