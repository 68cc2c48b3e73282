"""Channels of the local Slack: create, name, find, set the topic, archive; members."""

from __future__ import annotations

import pytest
from slack_sdk import WebClient

from ir_sandbox.slack.testing import error_of


def create(client: WebClient, name: str = "case-1", *, private: bool = False) -> str:
    return str(client.conversations_create(name=name, is_private=private)["channel"]["id"])


def subtypes(client: WebClient, channel: str) -> list[str | None]:
    return [message.get("subtype") for message in client.conversations_history(channel=channel)["messages"]][::-1]


# Creating and naming


@pytest.mark.parametrize("private", [False, True])
def test_given_a_name_when_created_then_the_bot_is_creator_and_member(slack, client, private):
    channel = client.conversations_create(name="case-1", is_private=private)["channel"]

    assert (channel["name"], channel["is_private"], channel["is_member"]) == ("case-1", private, True)
    assert channel["creator"] == slack.app.bot_user_id
    assert client.conversations_members(channel=channel["id"])["members"] == [slack.app.bot_user_id]
    assert client.conversations_info(channel=channel["id"], include_num_members=True)["channel"]["num_members"] == 1


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("", "invalid_name_required"),
        ("a" * 81, "invalid_name_maxlength"),
        ("---", "invalid_name_punctuation"),
        ("Upper", "invalid_name_specials"),
        ("with space", "invalid_name_specials"),
        ("dot.ted", "invalid_name_specials"),
        ("emoji🙂", "invalid_name_specials"),
    ],
)
def test_fact_channel_names_are_80_of_lower_case_digits_dash_underscore(client, name, error):
    """PLATFORM_FACTS: channel names: 80 characters of lower case, digits, `-`, `_`."""
    assert error_of(client.conversations_create, name=name)["error"] == error


@pytest.mark.parametrize("name", ["a" * 80, "aws-security-incident-response-case-1234567890", "under_score", "42"])
def test_given_a_good_name_when_created_then_accepted(client, name):
    assert client.conversations_create(name=name)["channel"]["name"] == name


@pytest.mark.parametrize("private", [False, True])
def test_fact_name_taken_also_for_archived_channels(client, private):
    """PLATFORM_FACTS: `name_taken` also for archived channels."""
    channel = create(client, private=private)
    assert error_of(client.conversations_create, name="case-1")["error"] == "name_taken"
    client.conversations_archive(channel=channel)
    assert error_of(client.conversations_create, name="case-1", is_private=True)["error"] == "name_taken"


def test_given_a_private_channel_of_others_when_its_name_is_used_then_name_taken_but_not_found(slack, client):
    jane = slack.workspace.create_user("jane")
    secret = jane.create_channel("secret", is_private=True)

    assert error_of(client.conversations_create, name="secret")["error"] == "name_taken"
    assert error_of(client.conversations_info, channel=secret)["error"] == "channel_not_found"
    assert client.conversations_list(types="public_channel,private_channel")["channels"] == []


# Finding


def test_given_many_channels_when_listed_by_pages_then_each_comes_once(client):
    made = {create(client, f"c{number:02}", private=number % 2 == 0) for number in range(25)}

    pages = [page["channels"] for page in client.conversations_list(types="public_channel,private_channel", limit=10)]

    assert [len(page) for page in pages] == [10, 10, 5]
    assert {channel["id"] for page in pages for channel in page} == made


def test_given_kinds_of_channels_when_listed_then_only_the_kinds_asked_for(slack, client):
    public, private = create(client, "public"), create(client, "private", private=True)
    jane = slack.workspace.create_user("jane")
    direct = client.conversations_open(users=jane.id)["channel"]["id"]

    def listed(**arguments: object) -> list[str]:
        return [channel["id"] for channel in client.conversations_list(**arguments)["channels"]]

    assert listed() == [public]
    assert listed(types="private_channel") == [private]
    assert listed(types="im") == [direct]
    client.conversations_archive(channel=public)
    assert listed() == [public]
    assert listed(exclude_archived=True) == []
    assert error_of(client.conversations_list, types="nonsense")["error"] == "invalid_types"


@pytest.mark.parametrize("cursor", ["nonsense", "dXNlcjpVMDAw", "///"])
def test_given_a_bad_cursor_when_listed_then_invalid_cursor(client, cursor):
    assert error_of(client.conversations_list, cursor=cursor)["error"] == "invalid_cursor"


@pytest.mark.parametrize(
    ("limit", "error"), [(1001, "invalid_limit"), (-1, "invalid_limit"), ("x", "invalid_arguments")]
)
def test_given_a_bad_limit_when_listed_then_refused(client, limit, error):
    assert error_of(client.conversations_list, limit=limit)["error"] == error


def test_given_a_user_when_users_conversations_then_those_that_both_are_in(slack, client):
    jane = slack.workspace.create_user("jane")
    with_jane, _without = create(client, "with"), create(client, "without")
    client.conversations_invite(channel=with_jane, users=jane.id)

    assert [c["id"] for c in client.users_conversations(user=jane.id)["channels"]] == [with_jane]
    assert len(client.users_conversations()["channels"]) == 2
    assert error_of(client.users_conversations, user="U404")["error"] == "user_not_found"


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("conversations_info", {}),
        ("conversations_members", {}),
        ("conversations_history", {}),
        ("conversations_replies", {"ts": "1.1"}),
        ("conversations_invite", {"users": "U1"}),
        ("conversations_kick", {"user": "U1"}),
        ("conversations_join", {}),
        ("conversations_leave", {}),
        ("conversations_setTopic", {"topic": "x"}),
        ("conversations_setPurpose", {"purpose": "x"}),
        ("conversations_rename", {"name": "x"}),
        ("conversations_archive", {}),
        ("conversations_unarchive", {}),
    ],
)
def test_given_an_unknown_channel_when_used_then_channel_not_found(client, method, arguments):
    assert error_of(getattr(client, method), channel="C404", **arguments)["error"] == "channel_not_found"


# Topic, purpose, name, archive


@pytest.mark.parametrize("what", ["topic", "purpose"])
def test_fact_topic_250(client, what):
    """PLATFORM_FACTS: topic 250."""
    channel = create(client)
    set_it = getattr(client, f"conversations_set{what.title()}")

    assert set_it(channel=channel, **{what: "t" * 250})["channel"][what]["value"] == "t" * 250
    assert error_of(set_it, channel=channel, **{what: "t" * 251})["error"] == "too_long"
    assert client.conversations_info(channel=channel)["channel"][what]["value"] == "t" * 250
    assert subtypes(client, channel) == ["channel_join", f"channel_{what}"]


def test_given_a_topic_with_markup_when_read_back_then_escaped(client):
    """Slack returns topics with entities, as github.com/adsr/irslackd/issues/1 shows."""
    channel = create(client)
    client.conversations_setTopic(channel=channel, topic="R&D <b> &amp;")
    topic = client.conversations_info(channel=channel)["channel"]["topic"]["value"]
    assert topic == "R&amp;D &lt;b&gt; &amp;"
    client.conversations_setTopic(channel=channel, topic=topic)
    assert client.conversations_info(channel=channel)["channel"]["topic"]["value"] == topic


def test_given_a_public_channel_the_bot_is_not_in_when_changed_then_not_in_channel(slack, client):
    jane = slack.workspace.create_user("jane")
    channel = jane.create_channel("janes")
    for method, arguments in [
        ("conversations_setTopic", {"topic": "x"}),
        ("conversations_invite", {"users": jane.id}),
        ("conversations_kick", {"user": jane.id}),
        ("conversations_archive", {}),
        ("conversations_rename", {"name": "x"}),
        ("conversations_history", {}),
    ]:
        assert error_of(getattr(client, method), channel=channel, **arguments)["error"] == "not_in_channel", method
    assert client.conversations_info(channel=channel)["channel"]["is_member"] is False


def test_given_a_channel_when_renamed_then_the_old_name_is_kept_and_announced(slack, client):
    channel = create(client)
    create(client, "other")

    assert client.conversations_rename(channel=channel, name="case-2")["channel"]["previous_names"] == ["case-1"]
    assert subtypes(client, channel)[-1] == "channel_name"
    assert error_of(client.conversations_rename, channel=channel, name="other")["error"] == "name_taken"
    assert error_of(client.conversations_rename, channel=channel, name="Upper")["error"] == "invalid_name_specials"
    jane = slack.workspace.create_user("jane")
    janes = jane.create_channel("janes")
    jane.invite(janes, slack.app.bot_user_id)
    assert error_of(client.conversations_rename, channel=janes, name="mine")["error"] == "not_authorized"


def test_given_an_archived_channel_when_used_then_is_archived(slack, client):
    jane = slack.workspace.create_user("jane")
    channel = create(client)
    ts = client.chat_postMessage(channel=channel, text="x")["ts"]
    client.conversations_archive(channel=channel)

    assert client.conversations_info(channel=channel)["channel"]["is_archived"] is True
    assert error_of(client.conversations_archive, channel=channel)["error"] == "already_archived"
    for method, arguments in [
        ("chat_postMessage", {"text": "x"}),
        ("chat_postEphemeral", {"text": "x", "user": slack.app.bot_user_id}),
        ("conversations_setTopic", {"topic": "x"}),
        ("conversations_invite", {"users": jane.id}),
        ("conversations_join", {}),
        ("conversations_rename", {"name": "x"}),
    ]:
        assert error_of(getattr(client, method), channel=channel, **arguments)["error"] == "is_archived", method
    assert error_of(client.chat_update, channel=channel, ts=ts, text="y")["error"] == "is_inactive"
    assert subtypes(client, channel)[-1] == "channel_archive"


def test_given_an_archived_channel_when_a_bot_unarchives_then_refused_but_a_person_may(slack, client):
    channel = create(client)
    assert error_of(client.conversations_unarchive, channel=channel)["error"] == "not_archived"
    client.conversations_archive(channel=channel)
    assert error_of(client.conversations_unarchive, channel=channel)["error"] == "not_in_channel"

    slack.workspace.create_user("jane").unarchive_channel(channel)
    assert client.chat_postMessage(channel=channel, text="again")["ok"]


# Members


def test_given_users_when_invited_then_they_are_members_and_the_channel_says_so(slack, client):
    people = [slack.workspace.create_user(name) for name in ("jane", "john")]
    channel = create(client)

    client.conversations_invite(channel=channel, users=[person.id for person in people])

    assert client.conversations_members(channel=channel)["members"] == [slack.app.bot_user_id, *(p.id for p in people)]
    joined = [m for m in client.conversations_history(channel=channel)["messages"] if m["subtype"] == "channel_join"]
    assert {message.get("inviter") for message in joined} == {None, slack.app.bot_user_id}


def test_fact_invite_answers_none_of_which_is_fatal(slack, client):
    """PLATFORM_FACTS: conversations.invite answers `already_in_channel`, `cant_invite_self`, `user_is_restricted`..."""
    ws = slack.workspace
    jane, gone = ws.create_user("jane"), ws.create_user("gone")
    guest, single = ws.create_user("guest", is_restricted=True), ws.create_user("single", is_ultra_restricted=True)
    ws.users.change(gone.user, {"deleted": True})
    channel = create(client)
    client.conversations_invite(channel=channel, users=jane.id)

    expected = {
        jane.id: "already_in_channel",
        slack.app.bot_user_id: "cant_invite_self",
        guest.id: "user_is_restricted",
        single.id: "user_is_ultra_restricted",
        gone.id: "cant_invite",
        ws.create_stranger("eve").id: "user_team_not_in_channel",
        "U404": "user_not_found",
    }
    answers = {user: error_of(client.conversations_invite, channel=channel, users=user)["error"] for user in expected}

    assert answers == expected
    assert error_of(client.conversations_invite, channel=channel, users="")["error"] == "no_user"


def test_given_one_bad_user_among_several_when_invited_then_none_or_with_force_the_others(slack, client):
    jane, john = slack.workspace.create_user("jane"), slack.workspace.create_user("john")
    channel = create(client)

    answer = error_of(client.conversations_invite, channel=channel, users=[jane.id, "U404"])
    assert answer["errors"] == [{"user": "U404", "ok": False, "error": "user_not_found"}]
    assert jane.id not in client.conversations_members(channel=channel)["members"]

    client.conversations_invite(channel=channel, users=[jane.id, "U404", john.id], force=True)
    assert {jane.id, john.id} < set(client.conversations_members(channel=channel)["members"])


def test_given_a_person_when_a_guest_is_invited_by_hand_then_the_guest_is_in(slack, client):
    jane = slack.workspace.create_user("jane")
    guest = slack.workspace.create_user("guest", is_restricted=True)
    channel = create(client)
    client.conversations_invite(channel=channel, users=jane.id)
    jane.invite(channel, guest.id)
    assert guest.id in client.conversations_members(channel=channel)["members"]


def test_given_members_when_kicked_then_they_are_gone(slack, client):
    jane = slack.workspace.create_user("jane")
    channel = create(client)
    assert error_of(client.conversations_kick, channel=channel, user=jane.id)["error"] == "not_in_channel"
    assert error_of(client.conversations_kick, channel=channel, user="U404")["error"] == "user_not_found"
    assert error_of(client.conversations_kick, channel=channel, user=slack.app.bot_user_id)["error"] == "cant_kick_self"

    client.conversations_invite(channel=channel, users=jane.id)
    client.conversations_kick(channel=channel, user=jane.id)

    assert client.conversations_members(channel=channel)["members"] == [slack.app.bot_user_id]
    assert subtypes(client, channel)[-1] == "channel_leave"


def test_given_a_bot_removed_by_hand_from_a_private_channel_when_used_then_it_is_not_found(slack, client):
    jane = slack.workspace.create_user("jane")
    channel = create(client, private=True)
    client.conversations_invite(channel=channel, users=jane.id)
    jane.kick(channel, slack.app.bot_user_id)

    assert error_of(client.chat_postMessage, channel=channel, text="x")["error"] == "channel_not_found"
    assert error_of(client.conversations_info, channel=channel)["error"] == "channel_not_found"


def test_given_a_public_channel_when_joined_and_left_twice_then_the_second_time_has_no_effect(slack, client):
    channel = slack.workspace.create_user("jane").create_channel("janes")

    assert "warning" not in client.conversations_join(channel=channel).data
    assert client.conversations_join(channel=channel)["warning"] == "already_in_channel"
    assert "not_in_channel" not in client.conversations_leave(channel=channel).data
    assert client.conversations_leave(channel=channel)["not_in_channel"] is True
    private = create(client, private=True)
    answer = error_of(client.conversations_join, channel=private)
    assert answer["error"] == "method_not_supported_for_channel_type"


def test_given_many_members_when_paged_then_each_once(slack, client):
    people = [slack.workspace.create_user(f"user{number}").id for number in range(25)]
    channel = create(client)
    client.conversations_invite(channel=channel, users=people)

    pages = [page["members"] for page in client.conversations_members(channel=channel, limit=10)]

    assert [len(page) for page in pages] == [10, 10, 6]
    assert sorted(member for page in pages for member in page) == sorted([slack.app.bot_user_id, *people])


# Direct messages


def test_given_users_when_opened_then_the_same_conversation_each_time(slack, client):
    jane, john = slack.workspace.create_user("jane"), slack.workspace.create_user("john")

    direct = client.conversations_open(users=jane.id)["channel"]["id"]
    group = client.conversations_open(users=[jane.id, john.id])["channel"]["id"]

    assert client.conversations_open(users=jane.id)["channel"]["id"] == direct
    assert client.conversations_open(channel=direct)["already_open"] is True
    assert group != direct
    assert client.conversations_open(users=jane.id, return_im=True)["channel"]["user"] == jane.id
    assert client.conversations_info(channel=group)["channel"]["is_mpim"] is True
    assert error_of(client.conversations_open, users="U404")["error"] == "user_not_found"
    assert error_of(client.conversations_open, users=["U1"] * 9)["error"] == "too_many_users"
    assert error_of(client.api_call, api_method="conversations.open")["error"] == "invalid_arguments"
    answer = error_of(client.conversations_setTopic, channel=direct, topic="x")
    assert answer["error"] == "method_not_supported_for_channel_type"
