"""Signed requests to apps: events with Slack's retries; commands and interactions without retries."""

from __future__ import annotations

import heapq
import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qsl

import urllib3

from ir_sandbox.slack.model import App, Json
from ir_sandbox.slack.signing import signature
from ir_sandbox.slack.store import Store

logger = logging.getLogger(__name__)

Kind = Literal["event", "url_verification", "command", "interaction"]
Disturbance = Literal["drop", "duplicate", "delay"]

REDELIVERY_SECONDS = (0.0, 60.0, 300.0)
"""Slack's delays before it resends an unacknowledged event: none, 1 minute, 5 minutes."""


@dataclass
class Attempt:
    """One request. `reason` is Slack's name of the failure, as in X-Slack-Retry-Reason, or None if acknowledged."""

    number: int
    at: float
    latency_seconds: float
    status: int | None
    reason: str | None
    answer: bytes
    answer_headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Delivery:
    """A request to an app, with every attempt to deliver it. `event_type` is the event's type and subtype."""

    id: int
    app_id: str
    kind: Kind
    body: bytes
    content_type: str
    event_id: str | None = None
    event_type: str | None = None
    attempts: list[Attempt] = field(default_factory=list)
    state: Literal["pending", "acknowledged", "failed", "dropped"] = "pending"

    def to_json(self) -> Json:
        """Return the delivery for the control API, without the body."""
        return {
            "id": self.id,
            "app_id": self.app_id,
            "kind": self.kind,
            "event_id": self.event_id,
            "event_type": self.event_type,
            "state": self.state,
            "attempts": [
                {
                    "number": attempt.number,
                    "at": attempt.at,
                    "latency_seconds": attempt.latency_seconds,
                    "status": attempt.status,
                    "reason": attempt.reason,
                }
                for attempt in self.attempts
            ],
        }


@dataclass
class _Disturb:
    how: Disturbance
    times: int
    seconds: float
    matches: Callable[[Json], bool]


class Deliveries:
    """Sends events from its own threads, or only when `deliver_due` is called if `workers` is 0.

    With one worker, the default, first attempts keep the order of the events.

    Attributes:
        log: Every delivery, in the order of creation.
        time_scale: Factor for the delays between retries; 0 removes the delays.
        acknowledge_seconds: How long an app has to respond.
    """

    def __init__(self, store: Store, *, workers: int, time_scale: float, acknowledge_seconds: float) -> None:
        """Prepare the delivery; the threads start with the first event."""
        self.log: list[Delivery] = []
        self.time_scale = time_scale
        self.acknowledge_seconds = acknowledge_seconds
        self._store = store
        self._workers = workers
        self._pool = urllib3.PoolManager(maxsize=max(workers, 1) + 4, retries=False)
        self._wake = threading.Condition()
        self._queue: list[tuple[float, int, Delivery, str | None]] = []
        self._sequence = 0
        self._in_flight = 0
        self._threads: list[threading.Thread] = []
        self._disturbances: list[_Disturb] = []
        self._closed = False

    def event(self, app: App, envelope: Json) -> None:
        """Queue an Events API request for delivery."""
        event = envelope["event"]
        event_type = ".".join(part for part in (event["type"], event.get("subtype")) if part)
        delivery = Delivery(
            0, app.app_id, "event", json.dumps(envelope).encode(), "application/json", envelope["event_id"], event_type
        )
        disturbance = self._disturbance_for(envelope)
        with self._wake:
            self._log(delivery)
            if disturbance is not None and disturbance.how == "drop":
                delivery.state = "dropped"
                return
            delay = disturbance.seconds if disturbance is not None else 0.0
            self._schedule(delivery, delay, None)
            if disturbance is not None and disturbance.how == "duplicate":
                self._schedule(delivery, delay, None)

    def disturb(
        self,
        how: Disturbance,
        *,
        times: int = 1,
        seconds: float = 0.0,
        matches: Callable[[Json], bool] | None = None,
    ) -> None:
        """Drop, duplicate or delay the next events.

        Args:
            how: The disturbance.
            times: How many events it applies to.
            seconds: The delay of `delay`.
            matches: Selects the events by their envelope; None selects all events.
        """
        self._disturbances.append(_Disturb(how, times, seconds, matches or (lambda _envelope: True)))

    def send(self, app: App, kind: Kind, body: bytes, content_type: str) -> Attempt:
        """Send one request immediately, in the caller's thread (for everything but events)."""
        delivery = Delivery(0, app.app_id, kind, body, content_type)
        with self._wake:
            self._log(delivery)
        attempt = self._attempt(app, delivery, 0, None)
        delivery.state = "acknowledged" if attempt.reason is None else "failed"
        return attempt

    def pending(self) -> list[Delivery]:
        """Return the deliveries with a scheduled attempt, the earliest first."""
        with self._wake:
            return [entry[2] for entry in sorted(self._queue, key=lambda entry: entry[:2])]

    def deliver_due(self, *, everything: bool = False) -> int:
        """Make all attempts that are due on the workspace's clock, in this thread; return their number.

        `everything` also makes later attempts, without waiting. An attempt can schedule further attempts.
        """
        made = 0
        while True:
            with self._wake:
                if not self._queue or (self._queue[0][0] > self._store.now() and not everything):
                    return made
                _, _, delivery, reason = heapq.heappop(self._queue)
            self._deliver(delivery, reason)
            made += 1

    def deliver_one(self, delivery: Delivery) -> Attempt:
        """Make the next attempt of a pending delivery now, before all others (to change the order)."""
        with self._wake:
            entry = next(entry for entry in self._queue if entry[2] is delivery)
            self._queue.remove(entry)
            heapq.heapify(self._queue)
        return self._deliver(delivery, entry[3])

    def wait_until_idle(self, timeout: float = 10.0, *, scheduled: bool = False) -> bool:
        """Wait until no attempt is running or due.

        Args:
            timeout: The longest wait, in seconds.
            scheduled: Also wait for attempts that are due later.

        Returns:
            False if the timeout expired.
        """
        if not self._workers:
            self.deliver_due(everything=scheduled)
            return True
        deadline = time.monotonic() + timeout
        with self._wake:
            while self._in_flight or self._due(scheduled):
                left = deadline - time.monotonic()
                if left <= 0 or self._closed:
                    return False
                self._wake.wait(left)
        return True

    def wake(self) -> None:
        """Read the clock again after it has been moved."""
        with self._wake:
            self._wake.notify_all()

    def close(self) -> None:
        """Stop the threads; unsent requests are not sent."""
        with self._wake:
            self._closed = True
            self._wake.notify_all()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(timeout=self.acknowledge_seconds + 1)
        self._pool.clear()

    def _due(self, scheduled: bool) -> bool:
        return bool(self._queue) and (scheduled or self._queue[0][0] <= self._store.now())

    def _log(self, delivery: Delivery) -> None:
        delivery.id = len(self.log) + 1
        self.log.append(delivery)

    def _disturbance_for(self, envelope: Json) -> _Disturb | None:
        for disturbance in self._disturbances:
            if disturbance.matches(envelope):
                disturbance.times -= 1
                if disturbance.times <= 0:
                    self._disturbances.remove(disturbance)
                return disturbance
        return None

    def _schedule(self, delivery: Delivery, delay: float, reason: str | None) -> None:
        self._sequence += 1
        heapq.heappush(self._queue, (self._store.now() + delay, self._sequence, delivery, reason))
        while len(self._threads) < self._workers:
            thread = threading.Thread(target=self._work, name=f"slack-delivery-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._wake.notify_all()

    def _work(self) -> None:
        while True:
            with self._wake:
                while not self._closed and not self._due(scheduled=False):
                    self._wake.wait(max(self._queue[0][0] - self._store.now(), 0.01) if self._queue else None)
                if self._closed:
                    return
                _, _, delivery, reason = heapq.heappop(self._queue)
                self._in_flight += 1
            try:
                self._deliver(delivery, reason)
            finally:
                with self._wake:
                    self._in_flight -= 1
                    self._wake.notify_all()

    def _deliver(self, delivery: Delivery, reason: str | None) -> Attempt:
        app = self._store.apps[delivery.app_id]
        number = sum(attempt.reason is not None for attempt in delivery.attempts)
        attempt = self._attempt(app, delivery, number, reason)
        with self._wake:
            if attempt.reason is None:
                delivery.state = "acknowledged"
            elif number < len(REDELIVERY_SECONDS) and attempt.answer_headers.get("x-slack-no-retry") != "1":
                self._schedule(delivery, REDELIVERY_SECONDS[number] * self.time_scale, attempt.reason)
            elif delivery.state == "pending":
                delivery.state = "failed"
        return attempt

    def _attempt(self, app: App, delivery: Delivery, number: int, reason: str | None) -> Attempt:
        at = self._store.now()
        timestamp = str(int(at))
        headers = {
            "Accept": "application/json,*/*",
            "Content-Type": delivery.content_type,
            "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
            "X-Slack-Request-Timestamp": timestamp,
            "X-Slack-Signature": signature(app.signing_secret, timestamp, delivery.body),
        }
        if reason is not None:
            headers |= {"X-Slack-Retry-Num": str(number), "X-Slack-Retry-Reason": reason}
        started = time.monotonic()
        status, answer_headers, answer, failure = self._request(app, headers, delivery.body)
        latency = time.monotonic() - started
        if failure is None and latency > self.acknowledge_seconds:
            failure = "http_timeout"
        if failure is None and status is not None and not 200 <= status < 300:
            failure = "http_error"
        attempt = Attempt(number, at, latency, status, failure, answer, answer_headers)
        delivery.attempts.append(attempt)
        return attempt

    def _request(
        self, app: App, headers: Mapping[str, str], body: bytes
    ) -> tuple[int | None, dict[str, str], bytes, str | None]:
        if app.deliver is not None:
            try:
                status, answer_headers, answer = app.deliver(headers, body)
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as error:  # noqa: BLE001 - an app that raises, or that a test crashes, is unreachable
                logger.warning("slack.delivery_failed: the app's deliver function raised %s", type(error).__name__)
                return None, {}, b"", "connection_failed"
            return status, {name.lower(): value for name, value in answer_headers.items()}, answer, None
        if app.request_url is None:
            return None, {}, b"", "connection_failed"
        try:
            response = self._pool.request(
                "POST",
                app.request_url,
                body=body,
                headers=headers,
                redirect=False,
                timeout=urllib3.Timeout(total=self.acknowledge_seconds),
            )
        except urllib3.exceptions.NewConnectionError:
            return None, {}, b"", "connection_failed"
        except urllib3.exceptions.TimeoutError:
            return None, {}, b"", "http_timeout"
        except urllib3.exceptions.HTTPError:
            return None, {}, b"", "connection_failed"
        return response.status, {k.lower(): v for k, v in response.headers.items()}, response.data, None


def decode_body(content_type: str, body: bytes) -> Json:
    """Return the content of a request's body: an event's JSON, a command's form fields, an interaction's payload."""
    if content_type == "application/json":
        value: Json = json.loads(body)
        return value
    fields = dict(parse_qsl(body.decode(), keep_blank_values=True))
    return json.loads(fields["payload"]) if "payload" in fields else fields
