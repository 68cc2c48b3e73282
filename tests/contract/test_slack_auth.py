"""Tokens, scopes and the general behaviour of the local Slack's Web API, called through slack_sdk."""

from __future__ import annotations

import json
import urllib.request

import pytest
from slack_sdk import WebClient

from ir_sandbox.slack.model import Json
from ir_sandbox.slack.testing import error_of, local_slack


def post(url: str, body: bytes, headers: dict[str, str]) -> Json:
    request = urllib.request.Request(url, body, headers)
    with urllib.request.urlopen(request, timeout=120) as response:
        answer: Json = json.load(response)
    return answer


def test_given_a_bot_token_when_auth_test_then_it_names_workspace_bot_and_granted_scopes(slack):
    response = slack.client().auth_test()

    assert response["ok"] is True
    assert response["team_id"] == slack.workspace.team_id
    assert response["user_id"] == slack.app.bot_user_id
    assert response["bot_id"] == slack.app.bot_id
    assert "enterprise_id" not in response
    granted = {name.lower(): value for name, value in response.headers.items()}["x-oauth-scopes"]
    assert set(granted.split(",")) == slack.app.scopes


def test_given_an_enterprise_grid_when_auth_test_then_the_enterprise_is_named_and_users_begin_with_w():
    """PLATFORM_FACTS: Enterprise Grid: key by enterprise_id and team_id; user ids begin with U or W."""
    with local_slack(enterprise_id="E0LC0000001") as slack:
        jane = slack.workspace.create_user("jane")
        assert slack.client().auth_test()["enterprise_id"] == "E0LC0000001"
        user = slack.client().users_info(user=jane.id)["user"]
        assert user["id"].startswith("W")
        assert user["enterprise_user"]["enterprise_id"] == "E0LC0000001"
        assert slack.client().team_info()["team"]["enterprise_id"] == "E0LC0000001"


@pytest.mark.parametrize(("token", "error"), [("", "not_authed"), ("xoxb-1-2-unknown", "invalid_auth")])
def test_given_no_good_token_when_called_then_refused(slack, token, error):
    client = WebClient(token, base_url=slack.api_url)
    assert error_of(client.auth_test)["error"] == error


@pytest.mark.parametrize("error", ["token_revoked", "account_inactive", "token_expired"])
def test_given_a_refused_token_when_called_then_the_error_says_why_and_a_newer_token_works(slack, error):
    old = slack.app.token
    slack.workspace.issue_token(slack.app)
    slack.workspace.revoke_token(old, error)

    assert error_of(slack.client(old).auth_test)["error"] == error
    assert slack.client().auth_test()["ok"]


def test_given_two_apps_when_each_calls_then_each_is_itself(slack):
    other = slack.workspace.create_app("other", commands=["/other"])
    assert slack.client(other.token).auth_test()["user_id"] == other.bot_user_id
    assert slack.client().auth_test()["user_id"] == slack.app.bot_user_id


@pytest.mark.parametrize(
    ("method", "arguments", "needed"),
    [
        ("conversations_create", {"name": "x"}, "channels:manage"),
        ("conversations_create", {"name": "x", "is_private": True}, "groups:write"),
        ("conversations_list", {}, "channels:read"),
        ("conversations_list", {"types": "private_channel"}, "groups:read"),
        ("conversations_open", {"users": "U1"}, "im:write"),
        ("conversations_join", {"channel": "C1"}, "channels:join"),
        ("chat_postMessage", {"channel": "C1", "text": "x"}, "chat:write"),
        ("chat_update", {"channel": "C1", "ts": "1.1", "text": "x"}, "chat:write"),
        ("chat_delete", {"channel": "C1", "ts": "1.1"}, "chat:write"),
        ("chat_postEphemeral", {"channel": "C1", "user": "U1", "text": "x"}, "chat:write"),
        ("reactions_add", {"channel": "C1", "timestamp": "1.1", "name": "eyes"}, "reactions:write"),
        ("files_getUploadURLExternal", {"filename": "x", "length": 1}, "files:write"),
        ("files_completeUploadExternal", {"files": [{"id": "F1"}]}, "files:write"),
        ("files_info", {"file": "F1"}, "files:read"),
        ("files_list", {}, "files:read"),
        ("files_delete", {"file": "F1"}, "files:write"),
        ("users_info", {"user": "U1"}, "users:read"),
        ("users_list", {}, "users:read"),
        ("users_lookupByEmail", {"email": "x@example.com"}, "users:read.email"),
        ("usergroups_list", {}, "usergroups:read"),
        ("bookmarks_list", {"channel_id": "C1"}, "bookmarks:read"),
        ("bookmarks_add", {"channel_id": "C1", "title": "x", "type": "link"}, "bookmarks:write"),
        ("bookmarks_edit", {"channel_id": "C1", "bookmark_id": "Bk1"}, "bookmarks:write"),
        ("bookmarks_remove", {"channel_id": "C1", "bookmark_id": "Bk1"}, "bookmarks:write"),
        ("usergroups_users_list", {"usergroup": "S1"}, "usergroups:read"),
        ("team_info", {}, "team:read"),
        ("bots_info", {"bot": "B1"}, "users:read"),
    ],
)
def test_given_a_token_without_scopes_when_called_then_missing_scope_says_needed_and_provided(
    slack, method, arguments, needed
):
    slack.app.scopes = {"commands"}
    answer = error_of(getattr(slack.client(), method), **arguments)
    assert (answer["error"], answer["needed"], answer["provided"]) == ("missing_scope", needed, "commands")


@pytest.mark.parametrize(
    ("method", "public", "private"),
    [
        ("conversations_info", "channels:read", "groups:read"),
        ("conversations_members", "channels:read", "groups:read"),
        ("conversations_history", "channels:history", "groups:history"),
    ],
)
def test_fact_private_channels_need_their_own_scope(slack, method, public, private):
    """PLATFORM_FACTS: conversations.history needs `channels:history`, private channels `groups:history`."""
    client = slack.client()
    ids = {kind: client.conversations_create(name=kind, is_private=kind == "b")["channel"]["id"] for kind in "ab"}
    slack.app.scopes = {public}

    assert getattr(client, method)(channel=ids["a"])["ok"]
    answer = error_of(getattr(client, method), channel=ids["b"])
    assert (answer["error"], answer["needed"]) == ("missing_scope", private)


def test_given_no_scope_at_all_when_history_of_any_kind_then_all_that_would_do_are_named(slack):
    slack.app.scopes = {"commands"}
    answer = error_of(slack.client().conversations_history, channel="C1")
    assert answer["needed"] == "channels:history,groups:history,im:history,mpim:history"


def test_given_an_unknown_method_when_called_then_unknown_method(slack):
    answer = error_of(slack.client().api_call, api_method="chat.shout")
    assert (answer["error"], answer["req_method"]) == ("unknown_method", "chat.shout")


def test_given_arguments_when_api_test_then_they_come_back_without_a_token(slack):
    client = WebClient(base_url=slack.api_url)
    assert client.api_test(foo="bar")["args"] == {"foo": "bar"}
    assert error_of(client.api_test, error="my_error")["error"] == "my_error"


def test_given_forms_json_and_query_strings_when_sent_then_all_are_understood(slack):
    url, token = f"{slack.api_url}chat.postMessage", slack.app.token
    channel = slack.client().conversations_create(name="c")["channel"]["id"]

    by_form = slack.client().api_call("chat.postMessage", params={"channel": channel, "text": "form"})
    by_multipart = slack.client().api_call("chat.postMessage", data={"channel": channel, "text": "multipart"})
    by_json = slack.client().api_call("chat.postMessage", json={"channel": channel, "text": "json"})
    by_token_argument = post(
        url,
        f"token={token}&channel={channel}&text=a%20%2B+b".encode(),
        {"Content-Type": "application/x-www-form-urlencoded"},
    )

    texts = [answer["message"]["text"] for answer in (by_form, by_multipart, by_json, by_token_argument)]
    assert texts == ["form", "multipart", "json", "a + b"]


@pytest.mark.parametrize(("body", "error"), [(b"{", "invalid_json"), (b"[]", "json_not_object")])
def test_given_a_bad_json_body_when_posted_then_it_is_named(slack, body, error):
    headers = {"Authorization": f"Bearer {slack.app.token}", "Content-Type": "application/json; charset=utf-8"}
    assert post(f"{slack.api_url}chat.postMessage", body, headers) == {"ok": False, "error": error}


def test_given_json_without_charset_when_posted_then_a_warning(slack):
    headers = {"Authorization": f"Bearer {slack.app.token}", "Content-Type": "application/json"}
    answer = post(f"{slack.api_url}auth.test", b"{}", headers)
    assert answer["ok"]
    assert answer["warning"] == "missing_charset"


def test_given_json_for_a_read_method_when_posted_then_its_arguments_are_not_seen(slack):
    """Slack's page on the Web API: only write methods accept JSON bodies."""
    answer = error_of(slack.client().api_call, api_method="users.info", json={"user": slack.app.bot_user_id})
    assert answer["error"] == "invalid_arguments"
    assert answer["response_metadata"]["messages"] == ["[ERROR] missing required field: user"]


def test_given_a_bot_when_bots_info_then_its_app_is_named(slack):
    bot = slack.client().bots_info(bot=slack.app.bot_id)["bot"]
    assert (bot["app_id"], bot["user_id"]) == (slack.app.app_id, slack.app.bot_user_id)
    assert error_of(slack.client().bots_info, bot="B404")["error"] == "bot_not_found"


def test_given_the_workspace_when_team_info_then_its_id(slack):
    assert slack.client().team_info()["team"]["id"] == slack.workspace.team_id
    assert error_of(slack.client().team_info, team="T404")["error"] == "team_not_found"
