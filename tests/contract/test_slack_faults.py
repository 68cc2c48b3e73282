"""Faults, latency, rate limits and the call log of the local Slack."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Callable, Iterator
from http.client import RemoteDisconnected
from urllib.error import HTTPError

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler
from slack_sdk.web import SlackResponse
from slack_sdk.webhook import WebhookClient

from ir_sandbox.slack import Fault
from ir_sandbox.slack.model import Json
from ir_sandbox.slack.testing import LocalSlack, error_of, local_slack


@pytest.fixture
def slack() -> Iterator[LocalSlack]:
    with local_slack(events=()) as running:
        yield running


@pytest.fixture
def channel(client: WebClient) -> str:
    return str(client.conversations_create(name="case-1")["channel"]["id"])


def fail(slack: LocalSlack, **fields) -> None:
    slack.workspace.faults.add(Fault(**fields))


def texts(slack: LocalSlack, channel: str) -> list[str]:
    return [message["text"] for message in slack.workspace.channel_messages(channel) if "subtype" not in message]


def log(slack: LocalSlack) -> list[tuple[str, int | None, str | None]]:
    return [(record.method, record.status, record.error) for record in slack.workspace.reset_calls()]


def error_name(call: Callable[..., SlackResponse], arguments: Json) -> str | None:
    try:
        call(**arguments)
    except SlackApiError as error:
        return str(error.response["error"])
    return None


# Faults on demand


def test_fact_a_429_has_retry_after_as_a_header(slack, client, channel):
    """PLATFORM_FACTS: a 429 has `Retry-After` as a header, and error `ratelimited`."""
    fail(slack, method="chat.postMessage", kind="ratelimited", times=2, retry_after=7)

    for _ in range(2):
        with pytest.raises(SlackApiError) as caught:
            client.chat_postMessage(channel=channel, text="x")
        assert caught.value.response.status_code == 429
        assert caught.value.response.headers["Retry-After"] == "7"
        assert caught.value.response["error"] == "ratelimited"
    assert client.chat_postMessage(channel=channel, text="x")["ok"]
    assert texts(slack, channel) == ["x"]


def test_given_a_rate_limit_when_the_sdks_handler_is_on_then_it_waits_and_succeeds(slack, channel):
    client = WebClient(slack.app.token, base_url=slack.api_url, retry_handlers=[RateLimitErrorRetryHandler(1)])
    fail(slack, method="users.info", kind="ratelimited", retry_after=0)
    assert client.users_info(user=slack.app.bot_user_id)["ok"]


@pytest.mark.parametrize("status", [500, 503])
def test_given_a_server_error_when_called_then_no_effect(slack, client, channel, status):
    fail(slack, method="chat.postMessage", kind="status", status=status)
    with pytest.raises(SlackApiError) as caught:
        client.chat_postMessage(channel=channel, text="x")
    assert caught.value.response.status_code == status
    assert texts(slack, channel) == []


@pytest.mark.parametrize("error", ["internal_error", "fatal_error", "service_unavailable", "token_revoked"])
def test_given_an_error_on_demand_when_called_then_answered_without_effect(slack, client, channel, error):
    fail(slack, method="*", kind="error", error=error)
    assert error_of(client.chat_postMessage, channel=channel, text="x")["error"] == error
    assert texts(slack, channel) == []


def test_given_a_reset_when_called_then_the_connection_closes_without_effect(slack, client, channel):
    fail(slack, method="chat.postMessage", kind="reset")
    with pytest.raises((RemoteDisconnected, ConnectionResetError)):
        client.chat_postMessage(channel=channel, text="x")
    assert texts(slack, channel) == []


def test_given_a_lost_answer_when_called_then_the_effect_is_there_all_the_same(slack, client, channel):
    """PLATFORM_FACTS: a retried chat.postMessage may have been posted the first time."""
    fail(slack, method="chat.postMessage", kind="answer_lost")
    with pytest.raises((RemoteDisconnected, ConnectionResetError)):
        client.chat_postMessage(channel=channel, text="reset")
    fail(slack, method="chat.postMessage", kind="status", status=504, after_effect=True)
    with pytest.raises(SlackApiError) as caught:
        client.chat_postMessage(channel=channel, text="gateway")
    assert caught.value.response.status_code == 504
    fail(slack, method="chat.postMessage", kind="error", error="fatal_error", after_effect=True)
    assert error_of(client.chat_postMessage, channel=channel, text="fatal")["error"] == "fatal_error"
    assert texts(slack, channel) == ["reset", "gateway", "fatal"]


def test_given_a_method_that_is_not_there_when_a_fault_is_made_then_refused():
    with pytest.raises(ValueError, match="unknown Web API method"):
        Fault("chat.postmessage", "reset")


def test_given_a_malformed_answer_when_called_then_the_effect_is_there_but_no_json(slack, client, channel):
    fail(slack, method="chat.postMessage", kind="malformed")
    with pytest.raises(SlackApiError, match="non-JSON"):
        client.chat_postMessage(channel=channel, text="x")
    assert texts(slack, channel) == ["x"]


def test_given_latency_when_called_then_it_takes_longer_and_a_fault_still_strikes(slack, client):
    fail(slack, method="auth.test", kind="latency", seconds=0.15, times=2)
    fail(slack, method="auth.test", kind="error", error="internal_error")
    started = time.monotonic()
    assert error_of(client.auth_test)["error"] == "internal_error"
    assert client.auth_test()["ok"]
    assert time.monotonic() - started >= 0.3


def test_given_skip_times_and_until_when_called_then_only_those_calls_fail(slack, client):
    fail(slack, method="auth.test", kind="error", times=1, skip=1)
    assert client.auth_test()["ok"]
    assert error_of(client.auth_test)["error"] == "internal_error"
    assert client.auth_test()["ok"]

    fail(slack, method="auth.test", kind="error", times=None, until=slack.clock() + 600)
    for _ in range(5):
        assert error_of(client.auth_test)["error"] == "internal_error"
    assert client.api_test()["ok"]
    slack.clock.advance(601)
    assert client.auth_test()["ok"]
    assert slack.workspace.faults.all() == []

    fail(slack, method="*", kind="error", times=None)
    slack.workspace.faults.clear()
    assert client.auth_test()["ok"]


@pytest.mark.parametrize("place", ["files.upload", "files.download", "response_url"])
def test_given_faults_beside_the_web_api_when_used_then_they_strike_there(slack, client, channel, place):
    jane = slack.workspace.create_user("jane")
    client.conversations_invite(channel=channel, users=jane.id)
    file = client.files_upload_v2(channel=channel, filename="a", content=b"x")["file"]
    answer_url = jane.command(channel, "/security-ir").response_url
    fail(slack, method=place, kind="status", status=503)

    if place == "response_url":
        assert WebhookClient(answer_url).send(text="x").status_code == 503
        assert slack.workspace.ephemerals() == []
        assert WebhookClient(answer_url).send(text="x").status_code == 200
        return
    begun = client.files_getUploadURLExternal(filename="b", length=1)
    url, body = (begun["upload_url"], b"x") if place == "files.upload" else (file["url_private_download"], None)
    request = urllib.request.Request(url, body, {"Authorization": f"Bearer {slack.app.token}"})
    with pytest.raises(HTTPError) as caught:
        urllib.request.urlopen(request, timeout=120)
    assert caught.value.code == 503
    with urllib.request.urlopen(request, timeout=120) as response:
        assert response.status == 200


# The call log


def test_given_calls_when_logged_then_each_with_status_and_error_and_resettable(slack, client, channel):
    slack.workspace.reset_calls()
    before = time.monotonic()
    client.chat_postMessage(channel=channel, text="x")
    error_of(client.chat_postMessage, channel="C404", text="x")
    fail(slack, method="auth.test", kind="ratelimited")
    error_of(client.auth_test)
    fail(slack, method="auth.test", kind="reset")
    with pytest.raises((RemoteDisconnected, ConnectionResetError)):
        client.auth_test()
    fail(slack, method="chat.postMessage", kind="answer_lost")
    with pytest.raises((RemoteDisconnected, ConnectionResetError)):
        client.chat_postMessage(channel=channel, text="y")
    client.files_upload_v2(filename="a", content=b"x")

    records = slack.workspace.calls
    assert all(before <= record.at <= time.monotonic() for record in records)
    assert records[0].app_id == slack.app.app_id
    assert log(slack) == [
        ("chat.postMessage", 200, None),
        ("chat.postMessage", 200, "channel_not_found"),
        ("auth.test", 429, "ratelimited"),
        ("auth.test", None, "reset"),
        ("chat.postMessage", None, "answer_lost"),
        ("files.getUploadURLExternal", 200, None),
        ("files.upload", 200, None),
        ("files.completeUploadExternal", 200, None),
    ]
    assert slack.workspace.calls == []


# Slack's own rate limits


@pytest.mark.parametrize(
    ("method", "arguments", "most"),
    [
        ("conversations_list", {}, 20),
        ("users_list", {}, 20),
        ("conversations_info", {"channel": "C404"}, 50),
        ("users_lookupByEmail", {"email": "x@example.com"}, 50),
        ("users_info", {"user": "U404"}, 100),
    ],
)
def test_fact_rate_limits_per_method_and_minute(method, arguments, most):
    """PLATFORM_FACTS: per minute: tier 2 (20), tier 3 (50), tier 4 (100)."""
    with local_slack(enforce_rate_limits=True, events=()) as slack:
        started = slack.clock()
        errors = [error_name(getattr(slack.client(), method), arguments) for _ in range(most + 1)]
        assert slack.clock() - started < 60
        assert "ratelimited" not in errors[:-1]
        assert errors[-1] == "ratelimited"
        slack.clock.advance(60)
        assert error_name(getattr(slack.client(), method), arguments) != "ratelimited"


def test_given_a_rate_limit_when_reached_then_other_methods_and_apps_go_on():
    with local_slack(enforce_rate_limits=True, events=()) as slack:
        client, other = slack.client(), slack.client(slack.workspace.create_app("other", commands=[]).token)
        for _ in range(20):
            client.users_list()
        with pytest.raises(SlackApiError) as caught:
            client.users_list()
        assert 50 <= int(caught.value.response.headers["Retry-After"]) <= 60
        assert client.conversations_list()["ok"]
        assert other.users_list()["ok"]


def test_fact_about_one_post_a_second_per_channel():
    """PLATFORM_FACTS: chat.postMessage: about 1 a second per channel."""
    with local_slack(enforce_rate_limits=True, events=()) as slack:
        client = slack.client()
        busy, quiet = (client.conversations_create(name=name)["channel"]["id"] for name in ("busy", "quiet"))
        for number in range(5):
            client.chat_postMessage(channel=busy, text=str(number))
        assert error_of(client.chat_postMessage, channel=busy, text="5")["error"] == "ratelimited"
        assert client.chat_postMessage(channel=quiet, text="x")["ok"]
        slack.clock.advance(1)
        error_of(client.chat_postMessage, channel=busy, text="5")
        slack.clock.advance(4)
        assert client.chat_postMessage(channel=busy, text="5")["ok"]
        assert texts(slack, busy) == ["0", "1", "2", "3", "4", "5"]
