"""Native events: created by the service and delivered at least once by a separate thread."""

from __future__ import annotations

import heapq
import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TypedDict

import boto3
from botocore.config import Config

from ir_sandbox.security_ir.settings import EventSwitches

logger = logging.getLogger(__name__)

_RETRY_DELAYS_SECONDS = (0.05, 0.2, 0.5, 1, 2, 4)


class Event(TypedDict("_DetailType", {"detail-type": str})):
    """An EventBridge event as a rule's target receives it."""

    version: str
    id: str
    source: str
    account: str
    time: str
    region: str
    resources: list[str]
    detail: dict[str, str]


Publish = Callable[[Event], None]


def make_event(
    event_id: str, detail_type: str, account: str, region: str, arn: str, detail: Mapping[str, str], at: datetime
) -> Event:
    """Return an event with the source `aws.security-ir`, for the resource `arn` and the time `at`."""
    return {
        "version": "0",
        "id": event_id,
        "detail-type": detail_type,
        "source": "aws.security-ir",
        "account": account,
        "time": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": region,
        "resources": [arn],
        "detail": dict(detail),
    }


class PutEventsError(Exception):
    """EventBridge rejected the event."""


class PutEventsPublisher:
    """Puts events on a default bus with EventBridge's PutEvents, which gives each delivered copy a new id."""

    def __init__(self, endpoint_url: str, region: str = "us-east-1") -> None:
        """Use the EventBridge of a local emulator, which does not check credentials."""
        self._client = boto3.client(
            "events",
            endpoint_url=endpoint_url,
            region_name=region,
            aws_access_key_id="security-ir",
            aws_secret_access_key="security-ir",  # noqa: S106 - not a secret: it is not checked
            config=Config(connect_timeout=2, read_timeout=10, retries={"total_max_attempts": 1}),
        )

    def __call__(self, event: Event) -> None:
        """Put one event; raises PutEventsError if it is rejected, botocore's errors if there is no response."""
        answer = self._client.put_events(
            Entries=[
                {
                    "Source": event["source"],
                    "DetailType": event["detail-type"],
                    "Detail": json.dumps(event["detail"]),
                    "Resources": event["resources"],
                    "Time": datetime.fromisoformat(event["time"]),
                }
            ]
        )
        if answer["FailedEntryCount"]:
            entry = answer["Entries"][0]
            raise PutEventsError(f"{entry.get('ErrorCode')}: {entry.get('ErrorMessage')}")


class CollectedEvents:
    """A publisher in this process that keeps events in the order of delivery, so that a test can wait for them."""

    def __init__(self) -> None:
        """Start without events."""
        self._changed = threading.Condition()
        self._events: list[Event] = []

    def __call__(self, event: Event) -> None:
        """Keep one event."""
        with self._changed:
            self._events.append(event)
            self._changed.notify_all()

    def all(self) -> list[Event]:
        """Return the events delivered so far."""
        with self._changed:
            return list(self._events)

    def wait_for(self, count: int, timeout_seconds: float = 120) -> list[Event]:
        """Wait until at least `count` events have arrived; raises TimeoutError with the kinds of the arrived events."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._events) >= count, timeout_seconds):
                kinds = [event["detail-type"] for event in self._events]
                raise TimeoutError(f"waited for {count} events, have {kinds}")
            return list(self._events)


class EventDelivery:
    """Delivers events to `publish` from a thread, which starts with the first event.

    Without `publish`, events are only recorded. If the publisher raises, delivery is retried a few times. Events that
    it never accepts are in `undelivered` and in the log.
    """

    def __init__(self, publish: Publish | None) -> None:
        """Deliver to `publish`, without disturbances until `switch` changes the switches."""
        self._publish = publish
        self._changed = threading.Condition()
        self._switches = EventSwitches()
        self._queue: list[tuple[float, int, Event]] = []
        self._gathered: list[Event] = []
        self._in_flight = False
        self._sequence = 0
        self._closed = False
        self._thread: threading.Thread | None = None
        self._recorded: list[Event] = []
        self._undelivered: list[Event] = []

    @property
    def switches(self) -> EventSwitches:
        """A copy of the switches; change them with `switch`."""
        with self._changed:
            return self._switches.model_copy()

    def switch(self, switches: EventSwitches) -> None:
        """Replace all switches; this does not affect events in transit."""
        with self._changed:
            self._switches = switches.model_copy()

    def recorded(self) -> list[Event]:
        """Return every event that the service created, delivered or not, in order."""
        with self._changed:
            return list(self._recorded)

    def undelivered(self) -> list[Event]:
        """Return the events that the publisher did not accept."""
        with self._changed:
            return list(self._undelivered)

    def emit(self, event: Event) -> None:
        """Record an event and queue it for delivery, without waiting."""
        with self._changed:
            self._recorded.append(event)
            if not self._switches.enabled or self._publish is None:
                return
            if self._switches.drop_next:
                self._switches.drop_next -= 1
                return
            self._gathered.append(event)
            if len(self._gathered) >= self._switches.reverse_batch:
                self._enqueue_gathered()

    def flush(self) -> None:
        """Queue the events of an incomplete batch."""
        with self._changed:
            self._enqueue_gathered()

    def wait_until_idle(self, timeout_seconds: float = 120) -> None:
        """Wait until no event is in transit; raises TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(lambda: not self._queue and not self._in_flight, timeout_seconds):
                raise TimeoutError(f"{len(self._queue)} events are still in transit")

    def close(self) -> None:
        """Stop the thread; events in transit are lost."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _enqueue_gathered(self) -> None:
        due = time.monotonic() + self._switches.delay_seconds
        for event in reversed(self._gathered) if self._switches.reverse_batch > 1 else self._gathered:
            for _ in range(self._switches.copies):
                self._sequence += 1
                heapq.heappush(self._queue, (due, self._sequence, event))
        self._gathered.clear()
        if self._thread is None and not self._closed:
            self._thread = threading.Thread(target=self._run, name="security-ir-events", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _run(self) -> None:
        while (event := self._next()) is not None:
            delivered = self._deliver(event)
            with self._changed:
                if not delivered:
                    self._undelivered.append(event)
                self._in_flight = False
                self._changed.notify_all()

    def _next(self) -> Event | None:
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                if self._queue and self._queue[0][0] <= now:
                    self._in_flight = True
                    return heapq.heappop(self._queue)[2]
                self._changed.wait(self._queue[0][0] - now if self._queue else None)
            return None

    def _deliver(self, event: Event) -> bool:
        if self._publish is None:
            return False
        for delay in (*_RETRY_DELAYS_SECONDS, None):
            try:
                self._publish(event)
            except Exception:
                logger.exception("event.publish_failed: event %s (%s)", event["id"], event["detail-type"])
            else:
                return True
            with self._changed:
                if delay is None or self._changed.wait_for(lambda: self._closed, delay):
                    return False
        return False
