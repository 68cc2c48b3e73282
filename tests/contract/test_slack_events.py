"""Events of the local Slack: their delivery, envelope and signature."""

from __future__ import annotations

import pytest
from slack_sdk.signature import Clock, SignatureVerifier

from ir_sandbox.slack.testing import LocalSlack, Received, local_slack
from tests.support.slack_events import happened, kinds


class WorkspaceClock(Clock):
    """Provides the workspace's time to slack_sdk's verifier."""

    def __init__(self, slack: LocalSlack) -> None:
        self._slack = slack

    def now(self) -> float:
        return self._slack.clock()


# Envelope and signature


def test_fact_signature_is_what_slack_sdk_verifies(slack, channel, jane):
    """PLATFORM_FACTS: `v0=` HMAC-SHA256(secret, `v0:{timestamp}:{raw body}`); refuse beyond 300 s."""
    jane.post(channel, "grüß 🙂")
    slack.settle()
    ((headers, body),) = slack.received.requests
    verifier = SignatureVerifier(slack.app.signing_secret, WorkspaceClock(slack))

    assert verifier.is_valid_request(body, dict(headers))
    assert not verifier.is_valid_request(body + b" ", dict(headers))
    assert not SignatureVerifier("another secret", WorkspaceClock(slack)).is_valid_request(body, dict(headers))
    slack.clock.advance(301)
    assert not verifier.is_valid_request(body, dict(headers))


def test_given_a_message_when_delivered_then_the_envelope_is_slacks(slack, channel, jane):
    ts = jane.post(channel, "hello")
    slack.settle()
    (envelope,) = slack.received.bodies()

    assert envelope["type"] == "event_callback"
    assert (envelope["team_id"], envelope["api_app_id"]) == (slack.workspace.team_id, slack.app.app_id)
    assert envelope["event_id"].startswith("Ev")
    assert abs(envelope["event_time"] - slack.clock()) < 5
    assert envelope["authorizations"] == [
        {
            "enterprise_id": None,
            "team_id": slack.workspace.team_id,
            "user_id": slack.app.bot_user_id,
            "is_bot": True,
            "is_enterprise_install": False,
        }
    ]
    assert envelope["event_context"].startswith("4-")
    event = envelope["event"]
    assert (event["type"], event["channel_type"]) == ("message", "group")
    assert (event["user"], event["text"], event["channel"]) == (jane.id, "hello", channel)
    assert (event["ts"], event["event_ts"]) == (ts, ts)
    assert event["client_msg_id"]


def test_given_an_enterprise_grid_when_delivered_then_the_enterprise_is_in_the_envelope():
    with local_slack(enterprise_id="E0LC0000001") as slack:
        slack.client().conversations_create(name="c")
        slack.settle()
        envelope = slack.received.bodies()[0]
        assert envelope["enterprise_id"] == "E0LC0000001"
        assert envelope["authorizations"][0]["enterprise_id"] == "E0LC0000001"


# Which events


def test_given_the_apps_own_posts_when_made_then_they_raise_events_as_well(slack, client, channel, jane):
    ts = client.chat_postMessage(channel=channel, text="from the app")["ts"]
    client.chat_update(channel=channel, ts=ts, text="changed")
    client.chat_delete(channel=channel, ts=ts)

    events = happened(slack)

    assert kinds(events) == ["message", "message.message_changed", "message.message_deleted"]
    posted, changed, deleted = events
    assert (posted["bot_id"], posted["user"], posted["app_id"]) == (
        slack.app.bot_id,
        slack.app.bot_user_id,
        slack.app.app_id,
    )
    assert changed["message"]["bot_id"] == deleted["previous_message"]["bot_id"] == slack.app.bot_id


def test_given_edits_and_deletions_when_made_then_events_show_before_and_after(slack, channel, jane):
    ts = jane.post(channel, "one")
    jane.edit(channel, ts, "two")
    jane.delete(channel, ts)

    _, changed, deleted = happened(slack)

    assert (changed["message"]["text"], changed["previous_message"]["text"]) == ("two", "one")
    assert (changed["message"]["ts"], changed["message"]["edited"]["user"]) == (ts, jane.id)
    assert changed["ts"] != ts
    assert (deleted["deleted_ts"], deleted["previous_message"]["text"]) == (ts, "two")
    assert changed["hidden"] is deleted["hidden"] is True


def test_given_a_link_that_unfolds_when_delivered_then_message_changed_without_an_edit(slack, channel, jane):
    ts = jane.post(channel, "see https://a.example")
    slack.workspace.unfurl(channel, ts)
    _, changed = happened(slack)
    assert changed["message"]["text"] == changed["previous_message"]["text"]
    assert "edited" not in changed["message"]
    assert changed["message"]["attachments"]


def test_given_threads_when_replied_then_thread_ts_and_broadcast(slack, channel, jane):
    parent = jane.post(channel, "parent")
    jane.post(channel, "reply", thread_ts=parent)
    jane.post(channel, "both", thread_ts=parent, broadcast=True)

    _, reply, broadcast = happened(slack)

    assert (reply["thread_ts"], reply["parent_user_id"]) == (parent, jane.id)
    assert "subtype" not in reply
    assert (broadcast["subtype"], broadcast["root"]["ts"]) == ("thread_broadcast", parent)


def test_given_an_upload_when_shared_then_file_shared_and_a_file_share_message(slack, channel, jane):
    file_id, ts = jane.upload(channel, "a.txt", b"x", text="look")

    message, shared = happened(slack)

    assert (message["type"], message["subtype"], message["text"]) == ("message", "file_share", "look")
    assert message["files"][0]["id"] == file_id
    assert message["files"][0]["url_private_download"].startswith(slack.url)
    assert shared == {
        "type": "file_shared",
        "channel_id": channel,
        "file_id": file_id,
        "user_id": jane.id,
        "file": {"id": file_id},
        "event_ts": ts,
    }


@pytest.mark.parametrize(("private", "prefix", "letter"), [(False, "channel", "C"), (True, "group", "G")])
def test_given_what_happens_to_a_channel_when_delivered_then_its_lines_and_events(
    slack, client, private, prefix, letter
):
    admin = slack.workspace.create_user("admin", is_admin=True)
    john = slack.workspace.create_user("john")
    channel = client.conversations_create(name="c", is_private=private)["channel"]["id"]
    client.conversations_invite(channel=channel, users=admin.id)
    happened(slack)

    admin.invite(channel, john.id)
    joined = happened(slack)
    john.leave(channel)
    left = happened(slack)
    admin.set_topic(channel, "t")
    admin.rename_channel(channel, "d")
    admin.archive_channel(channel)
    admin.unarchive_channel(channel)

    assert kinds(joined) == [f"message.{prefix}_join", "member_joined_channel"]
    assert (joined[1]["user"], joined[1]["inviter"], joined[1]["channel_type"]) == (john.id, admin.id, letter)
    assert kinds(left) == [f"message.{prefix}_leave", "member_left_channel"]
    assert kinds(happened(slack)) == [
        f"message.{prefix}_topic",
        f"message.{prefix}_name",
        f"{prefix}_rename",
        f"message.{prefix}_archive",
        f"{prefix}_archive",
        f"message.{prefix}_unarchive",
        f"{prefix}_unarchive",
    ]


def test_given_a_channel_without_the_bot_when_written_in_then_nothing_is_delivered(slack, client):
    john = slack.workspace.create_user("john")
    happened(slack)
    channel = john.create_channel("johns")
    john.post(channel, "private matter")
    john.upload(channel, "a", b"x")
    assert kinds(happened(slack)) == ["channel_created"]

    john.invite(channel, slack.app.bot_user_id)
    john.post(channel, "welcome")
    john.kick(channel, slack.app.bot_user_id)
    john.post(channel, "alone again")
    assert kinds(happened(slack)) == [
        "message.channel_join",
        "member_joined_channel",
        "message",
        "message.channel_leave",
        "channel_left",
    ]


def test_given_few_subscriptions_when_things_happen_then_only_those_are_delivered():
    with local_slack(events={"message.channels", "file_shared"}) as slack:
        client = slack.client()
        public = client.conversations_create(name="public")["channel"]["id"]
        private = client.conversations_create(name="private", is_private=True)["channel"]["id"]
        client.chat_postMessage(channel=private, text="x")
        client.files_upload_v2(channel=public, filename="a", content=b"x")
        assert kinds(happened(slack)) == ["message.channel_join", "message.file_share", "file_shared"]


def test_given_no_history_scope_when_subscribed_then_nothing_is_delivered(slack, channel, jane):
    """PLATFORM_FACTS: `message.channels` needs `channels:history`, private channels `groups:history`."""
    slack.app.scopes.discard("groups:history")
    jane.post(channel, "x")
    assert happened(slack) == []


def test_given_a_revoked_token_when_written_then_nothing_is_delivered(slack, channel, jane):
    slack.workspace.revoke_token(slack.app.token)
    jane.post(channel, "x")
    assert happened(slack) == []


def test_given_two_apps_in_a_channel_when_one_posts_then_both_hear_of_it(slack, client, channel, jane):
    heard = Received()
    other = slack.workspace.create_app("other", commands=[], deliver=heard)
    jane.invite(channel, other.bot_user_id)
    slack.settle()
    heard.requests.clear()

    client.chat_postMessage(channel=channel, text="x")
    slack.settle()

    assert [event["bot_id"] for event in heard.events("message")] == [slack.app.bot_id]
    assert heard.bodies()[0]["api_app_id"] == other.app_id


def test_given_a_mention_reaction_and_new_user_when_they_happen_then_events(slack, channel, jane):
    ts = jane.post(channel, f"<@{slack.app.bot_user_id}> hi")
    jane.react(channel, ts, "eyes")
    slack.workspace.create_user("new")
    assert kinds(happened(slack)) == ["message", "app_mention", "reaction_added", "team_join"]


def test_given_a_stranger_over_slack_connect_when_posting_then_the_event_names_their_team(slack, channel, jane):
    eve = slack.workspace.create_stranger("eve")
    slack.workspace.channel(channel).is_ext_shared = True
    jane.invite(channel, eve.id)
    happened(slack)
    eve.post(channel, "hello")
    slack.settle()
    (envelope,) = slack.received.bodies()
    assert envelope["is_ext_shared_channel"] is True
    assert envelope["event"]["user_team"] == eve.user.team_id != slack.workspace.team_id
