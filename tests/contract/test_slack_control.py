"""The control API of the local Slack, and the workspace as a separate process."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from urllib.error import HTTPError

import pytest
from slack_sdk import WebClient

from ir_sandbox.http import RunningServer
from ir_sandbox.slack import SlackWorkspace, serve


def control(url: str, method: str, path: str, body: object = None, raw: bytes | None = None):
    data = raw if raw is not None else json.dumps(body).encode() if body is not None else None
    content_type = "application/octet-stream" if raw is not None else "application/json"
    request = urllib.request.Request(f"{url}/_local/{path}", data, {"Content-Type": content_type}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=120) as response:
            return json.load(response)
    except HTTPError as error:
        return {"status": error.code, **json.load(error)}


def test_given_the_control_api_when_users_act_then_the_state_shows_it(slack):
    url = slack.url
    jane = control(url, "POST", "users", {"name": "jane", "email": "jane@example.com", "is_admin": True})
    channel = control(url, "POST", "channels", {"name": "c", "members": ["jane", slack.app.bot_user_id]})

    ts = control(url, "POST", f"people/{jane}/post", {"channel": channel, "text": "hello"})
    control(url, "POST", "people/jane@example.com/edit", {"channel": channel, "ts": ts, "text": "hallo"})
    reply = control(url, "POST", "people/jane/post", {"channel": "c", "text": "reply", "thread_ts": ts})
    uploaded = control(url, "POST", "people/jane/upload?channel=c&name=a%20b.bin&text=look", raw=b"\x00\x01")
    command = control(url, "POST", "people/jane/command", {"channel": "c", "command": "/security-ir", "text": "status"})

    state = control(url, "GET", "state")
    (shown,) = state["channels"]
    messages = [message for message in shown["messages"] if message.get("subtype") != "channel_join"]
    assert [message["text"] for message in messages] == ["hallo", "reply", "look"]
    assert messages[1]["ts"] == reply
    assert messages[2]["ts"] == uploaded["ts"]
    assert [(file["id"], file["name"], file["size"]) for file in state["files"]] == [
        (uploaded["file_id"], "a b.bin", 2)
    ]
    assert command["attempt"]["status"] == 200
    assert command["response_url"].startswith(url)
    text = json.dumps(state)
    assert slack.app.token not in text
    assert slack.app.signing_secret not in text


def test_given_buttons_and_forms_when_used_through_the_control_api_then_as_in_python(slack):
    url, client = slack.url, slack.client()
    jane = control(url, "POST", "users", {"name": "jane"})
    channel = client.conversations_create(name="c")["channel"]["id"]
    client.conversations_invite(channel=channel, users=jane)
    button = {"type": "button", "action_id": "go", "text": {"type": "plain_text", "text": "Go"}}
    ts = client.chat_postMessage(channel=channel, text="x", blocks=[{"type": "actions", "elements": [button]}])["ts"]

    pressed = control(url, "POST", "people/jane/press", {"channel": channel, "ts": ts, "action_id": "go"})
    field = {"type": "plain_text_input", "action_id": "why"}
    title = {"type": "plain_text", "text": "Why"}
    view = {
        "type": "modal",
        "title": title,
        "submit": title,
        "blocks": [{"type": "input", "label": title, "element": field}],
    }
    client.views_open(trigger_id=pressed["trigger_id"], view=view)
    (opened,) = control(url, "GET", "state")["views"]
    submitted = control(url, "POST", "people/jane/submit", {"view_id": opened["id"], "values": {"why": "because"}})

    assert opened["user"] == jane
    assert submitted[0]["status"] == 200
    assert control(url, "GET", "state")["views"] == []
    assert [body["type"] for body in slack.received.bodies() if "event" not in body] == [
        "block_actions",
        "view_submission",
    ]


def test_given_a_document_and_a_forward_when_made_through_the_control_api_then_as_in_python(slack):
    url = slack.url
    control(url, "POST", "users", {"name": "jane"})
    source = control(url, "POST", "people/jane/create_channel", {"name": "operations"})
    channel = control(url, "POST", "people/jane/create_channel", {"name": "case"})
    ts = control(url, "POST", "people/jane/post", {"channel": source, "text": "the words"})
    control(url, "POST", "people/jane/forward", {"channel": channel, "source": source, "ts": ts, "text": "look"})
    control(url, "POST", "people/jane/share_document", {"channel": channel, "kind": "canvas", "title": "Runbook"})

    messages = slack.workspace.channel_messages(channel)
    assert "the words" in str([one.get("attachments") for one in messages])
    assert [file["mode"] for one in messages for file in one.get("files", [])] == ["quip"]


def test_given_faults_calls_and_time_when_changed_through_the_control_api_then_they_work(slack):
    url, client = slack.url, slack.client()
    control(url, "POST", "faults", {"method": "auth.test", "kind": "ratelimited", "retry_after": 3})
    assert [fault["kind"] for fault in control(url, "GET", "faults")] == ["ratelimited"]
    with pytest.raises(Exception, match="ratelimited"):
        client.auth_test()
    client.auth_test()
    assert [call["status"] for call in control(url, "GET", "calls")] == [429, 200]
    assert control(url, "DELETE", "calls") == 2
    assert control(url, "GET", "calls") == []
    control(url, "POST", "faults", {"method": "*", "kind": "reset", "times": None})
    control(url, "DELETE", "faults")
    assert client.auth_test()["ok"]

    before = slack.clock()
    control(url, "POST", "clock/advance", {"seconds": 3600})
    assert slack.clock() - before >= 3600


def test_given_apps_and_deliveries_when_changed_through_the_control_api_then_they_work(slack):
    url = slack.url
    challenges = []

    def application(environ, start_response):
        body = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        challenges.append(body.get("challenge"))
        start_response("200 OK", [])
        return [body.get("challenge", "").encode()]

    with RunningServer(application) as endpoint:
        app = control(url, "POST", "apps", {"name": "second", "commands": [], "events": ["message.channels"]})
        assert control(url, "POST", f"apps/{app['app_id']}/verify") == {"verified": False}
        control(url, "PUT", f"apps/{app['app_id']}", {"request_url": endpoint.url, "scopes": ["channels:history"]})
        assert control(url, "POST", f"apps/{app['app_id']}/verify") == {"verified": True}

        control(url, "POST", "users", {"name": "jane"})
        control(url, "POST", "channels", {"name": "c", "members": ["jane"]})
        control(url, "POST", "people/jane/invite", {"channel": "c", "users": [app["bot_user_id"]]})
        control(url, "POST", "deliveries/disturb", {"how": "drop", "event_type": "message"})
        for text in ("lost", "kept"):
            control(url, "POST", "people/jane/post", {"channel": "c", "text": text})
        assert control(url, "POST", "deliveries/wait", {"timeout": 5.0}) == {"idle": True}

    ours = [entry for entry in control(url, "GET", "deliveries") if entry["app_id"] == app["app_id"]]
    assert [entry["state"] for entry in ours if entry["event_type"] == "message"] == ["dropped", "acknowledged"]
    assert ours[-1]["attempts"][0]["status"] == 200

    renewed = control(url, "POST", f"apps/{app['app_id']}/token", {"token": "xoxb-1-2-three"})
    assert renewed == {"token": "xoxb-1-2-three"}
    control(url, "POST", "tokens/revoke", {"token": app["token"]})
    with pytest.raises(Exception, match="token_revoked"):
        slack.client(app["token"]).auth_test()
    assert slack.client("xoxb-1-2-three").auth_test()["ok"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "nonsense", None, 404),
        ("POST", "people/nobody/post", {"channel": "c", "text": "x"}, 400),
        ("POST", "people/USLACKBOT/shout", {}, 400),
        ("POST", "people/USLACKBOT/post", {"chanel": "c"}, 400),
        ("POST", "users", {"name": 5}, 400),
        ("POST", "faults", {"method": "auth.test", "kind": "explode"}, 400),
        ("POST", "users", [], 400),
        ("PUT", "apps/A404", {}, 400),
        ("PUT", "settings", {"nonsense": 1}, 400),
    ],
)
def test_given_an_invalid_control_request_when_sent_then_rejected(slack, method, path, body, status):
    answer = control(slack.url, method, path, body)
    assert answer["status"] == status
    assert answer["error"]


def test_given_the_control_api_when_its_endpoints_are_listed_then_they_are_named(slack):
    assert "GET /_local/state" in control(slack.url, "GET", "")
    assert control(slack.url, "GET", "ready") == {"ready": True}
    control(slack.url, "PUT", "settings", {"check_file_info": True})
    assert slack.workspace.files.check_file_info is True


def test_given_a_process_of_its_own_when_started_then_ready_on_one_line_and_ended_by_a_signal():
    command = [sys.executable, "-m", "ir_sandbox.slack", "--port", "0", "--team-id", "T12345678"]
    secret = "0123456789abcdef0123456789abcdef"
    command += ["--token", "xoxb-1-2-abc", "--signing-secret", secret]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": "src"})
    assert process.stdout is not None
    try:
        ready = json.loads(process.stdout.readline())
        client = WebClient("xoxb-1-2-abc", base_url=ready["api_base_url"])
        assert client.auth_test()["team_id"] == ready["team_id"] == "T12345678"
        assert (ready["token"], ready["signing_secret"]) == ("xoxb-1-2-abc", secret)
        assert control(ready["url"], "GET", "ready") == {"ready": True}
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0
        process.stdout.close()


def test_given_a_workspace_when_made_and_served_then_it_takes_less_than_50_ms_of_the_processor():
    seconds = []
    for _ in range(5):
        started = time.process_time()
        with SlackWorkspace() as workspace:
            workspace.create_app()
            server = serve(workspace)
            seconds.append(time.process_time() - started)
            threading.Thread(target=server.close).start()
    assert min(seconds) < 0.05


def test_given_twenty_threads_when_posting_then_every_message_is_there_once(slack):
    client = slack.client()
    channel = client.conversations_create(name="c")["channel"]["id"]
    with ThreadPoolExecutor(20) as pool:
        stamps = list(pool.map(lambda n: client.chat_postMessage(channel=channel, text=str(n))["ts"], range(100)))

    messages = slack.workspace.channel_messages(channel)[1:]
    assert len(set(stamps)) == 100
    assert {message["text"] for message in messages} == {str(number) for number in range(100)}
    assert [message["ts"] for message in messages] == sorted(stamps)
    slack.settle()
    assert [event["ts"] for event in slack.received.events("message")][1:] == sorted(stamps)
