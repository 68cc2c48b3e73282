"""Deliveries of the local Slack: retries, disturbances, manual deliveries, deliveries to a URL, verification."""

from __future__ import annotations

import json
import threading
import time

import pytest
from slack_sdk.signature import SignatureVerifier

from ir_sandbox.http import RunningServer
from ir_sandbox.slack.model import Json
from ir_sandbox.slack.testing import local_slack
from tests.support.slack_events import happened

# Redelivery


def test_fact_three_redeliveries_with_the_same_event_id(slack, channel, jane):
    """PLATFORM_FACTS: otherwise three redeliveries with `X-Slack-Retry-Num`/`-Reason`; the same `event_id`."""
    slack.received.answer = (500, {}, b"")
    jane.post(channel, "x")
    slack.settle()

    retries = [
        (headers.get("X-Slack-Retry-Num"), headers.get("X-Slack-Retry-Reason"))
        for headers, _ in slack.received.requests
    ]
    assert retries == [(None, None), ("1", "http_error"), ("2", "http_error"), ("3", "http_error")]
    assert len({body["event_id"] for body in slack.received.bodies()}) == 1
    assert slack.workspace.deliveries.log[-1].state == "failed"


def test_fact_redelivered_at_once_after_1_min_and_5_min():
    """PLATFORM_FACTS: three redeliveries (at once, 1 min, 5 min)."""
    with local_slack(delivery_workers=0, redelivery_time_scale=1.0) as slack:
        slack.received.answer = (503, {}, b"")
        slack.client().conversations_create(name="c")
        deliveries = slack.workspace.deliveries
        delivery = deliveries.log[0]

        deliveries.deliver_due()
        assert len(delivery.attempts) == 2
        slack.clock.advance(59)
        deliveries.deliver_due()
        assert len(delivery.attempts) == 2
        slack.clock.advance(2)
        deliveries.deliver_due()
        assert len(delivery.attempts) == 3
        slack.clock.advance(300)
        slack.received.answer = (200, {}, b"")
        deliveries.deliver_due()
        assert [attempt.reason for attempt in delivery.attempts] == ["http_error"] * 3 + [None]
        assert delivery.state == "acknowledged"


def test_fact_acknowledge_within_3_s():
    """PLATFORM_FACTS: acknowledge within 3 s (here: 2 s)."""
    slow = threading.Event()

    def deliver(headers, body):
        if not slow.is_set():
            slow.set()
            time.sleep(2.5)
        return 200, {}, b""

    with local_slack(deliver=deliver, acknowledge_seconds=2) as slack:
        assert slack.workspace.deliveries.acknowledge_seconds == 2
        slack.client().conversations_create(name="c")
        slack.settle()
        reasons = [attempt.reason for attempt in slack.workspace.deliveries.log[0].attempts]
        assert reasons == ["http_timeout", None]


def test_given_no_retry_asked_for_when_refused_then_not_sent_again(slack, channel, jane):
    slack.received.answer = (500, {"X-Slack-No-Retry": "1"}, b"")
    jane.post(channel, "x")
    slack.settle()
    assert len(slack.received.requests) == 1


class Crash(BaseException):
    """The end of a process, which no `except Exception` handles."""


@pytest.mark.parametrize("crash", [RuntimeError, Crash])
def test_given_an_app_that_breaks_when_delivering_then_connection_failed_and_sent_again(crash):
    calls = []

    def deliver(headers, body):
        calls.append(headers.get("X-Slack-Retry-Reason"))
        if len(calls) == 1:
            raise crash
        return 200, {}, b""

    with local_slack(deliver=deliver, events={"message.channels"}) as slack:
        slack.client().conversations_create(name="c")
        slack.settle()
        assert calls == [None, "connection_failed"]


@pytest.mark.parametrize(("how", "times"), [("drop", 0), ("duplicate", 2), ("delay", 1)])
def test_given_a_disturbance_when_delivering_then_lost_doubled_or_late(slack, channel, jane, how, times):
    slack.workspace.deliveries.disturb(how, seconds=3600, matches=lambda envelope: envelope["event"]["text"] == "a")
    jane.post(channel, "a")
    jane.post(channel, "b")
    first = [event["text"] for event in happened(slack)]
    slack.clock.advance(3601)
    slack.workspace.deliveries.wake()
    later = [event["text"] for event in happened(slack)]
    expected = {"drop": (["b"], []), "duplicate": (["a", "a", "b"], []), "delay": (["b"], ["a"])}
    if how == "duplicate":
        assert sorted(first + later) == ["a", "a", "b"]
    else:
        assert (first, later) == expected[how]
    assert (first + later).count("a") == times


def test_given_deliveries_by_hand_when_chosen_then_in_the_tests_order():
    with local_slack(delivery_workers=0, events={"message.channels"}) as slack:
        client = slack.client()
        channel = client.conversations_create(name="c")["channel"]["id"]
        slack.workspace.deliveries.deliver_due()
        slack.received.requests.clear()
        for text in ("a", "b"):
            client.chat_postMessage(channel=channel, text=text)

        pending = slack.workspace.deliveries.pending()
        slack.workspace.deliveries.deliver_one(pending[1])
        slack.workspace.deliveries.deliver_one(pending[0])

        assert [event["text"] for event in slack.received.events("message")] == ["b", "a"]


# Over HTTP


def test_given_a_request_url_when_events_happen_then_posted_there_and_timed():
    got: list[tuple[Json, bytes]] = []
    answers = iter([(200, 0.0), (500, 0.0), (302, 0.0), (200, 2.5)])

    def application(environ, start_response):
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        headers = {name[5:].replace("_", "-"): value for name, value in environ.items() if name.startswith("HTTP_")}
        got.append((headers, body))
        status, seconds = next(answers, (200, 0.0))
        time.sleep(seconds)
        start_response(f"{status} x", [("Content-Length", "0"), ("Location", "http://127.0.0.1:1/")])
        return [b""]

    with (
        RunningServer(application) as endpoint,
        local_slack(events={"message.channels"}, acknowledge_seconds=2) as slack,
    ):
        slack.app.deliver = None
        slack.app.request_url = f"{endpoint.url}/slack/events"
        channel = slack.client().conversations_create(name="c")["channel"]["id"]
        slack.settle()
        slack.client().chat_postMessage(channel=channel, text="x")
        slack.settle()

        first, second = slack.workspace.deliveries.log
        assert [attempt.reason for attempt in first.attempts] == [None]
        assert [attempt.reason for attempt in second.attempts] == ["http_error", "http_error", "http_timeout", None]
        verifier = SignatureVerifier(slack.app.signing_secret)
        assert all(verifier.is_valid_request(body, headers) for headers, body in got)
        assert 0 < first.attempts[0].latency_seconds < 0.2
        slack.app.request_url = "http://127.0.0.1:9/"
        slack.client().chat_postMessage(channel=channel, text="y")
        slack.settle()
        assert {attempt.reason for attempt in slack.workspace.deliveries.log[-1].attempts} == {"connection_failed"}


@pytest.mark.parametrize("form", ["plain", "json"])
def test_given_the_handshake_when_the_challenge_comes_back_then_verified(form):
    def deliver(headers, body):
        sent = json.loads(body)
        assert sent["type"] == "url_verification"
        challenge = sent["challenge"] if form == "plain" else json.dumps({"challenge": sent["challenge"]})
        return 200, {}, challenge.encode()

    with local_slack(deliver=deliver) as slack:
        assert slack.workspace.verify_request_url(slack.app)


@pytest.mark.parametrize(
    "answer", [(200, {}, b"ok"), (200, {}, b'{"challenge": "x"}'), (401, {}, b""), (200, {}, b"[]")]
)
def test_given_the_handshake_when_the_challenge_does_not_come_back_then_not_verified(slack, answer):
    slack.received.answer = answer
    assert not slack.workspace.verify_request_url(slack.app)
