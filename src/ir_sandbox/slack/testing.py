"""For tests: a served workspace with one app and a slack_sdk client."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.web import SlackResponse

from ir_sandbox.slack.clock import AdjustableClock
from ir_sandbox.slack.delivery import decode_body
from ir_sandbox.slack.model import ALL_EVENTS, ALL_SCOPES, App, Deliver, Json
from ir_sandbox.slack.server import serve
from ir_sandbox.slack.workspace import SlackWorkspace


@dataclass
class Received:
    """The requests that an app received. It responds with `answer` (default: 200 with an empty body)."""

    requests: list[tuple[Mapping[str, str], bytes]] = field(default_factory=list)
    answer: tuple[int, dict[str, str], bytes] = (200, {}, b"")

    def __call__(self, headers: Mapping[str, str], body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        """Receive a request."""
        self.requests.append((headers, body))
        return self.answer

    def bodies(self) -> list[Json]:
        """Return the decoded bodies: an event's JSON, a command's fields, an interaction's payload."""
        return [decode_body(headers["Content-Type"], body) for headers, body in self.requests]

    def events(self, event_type: str | None = None) -> list[Json]:
        """Return the inner events, optionally of one type."""
        events = [body["event"] for body in self.bodies() if "event" in body]
        return [event for event in events if event_type in {None, event["type"]}]


@dataclass(frozen=True)
class LocalSlack:
    """A served workspace with one app. `received` holds the app's requests; `clock` moves the time."""

    workspace: SlackWorkspace
    app: App
    url: str
    clock: AdjustableClock
    received: Received

    @property
    def api_url(self) -> str:
        """The `base_url` for slack_sdk."""
        return f"{self.url}/api/"

    def client(self, token: str | None = None, *, timeout: int = 10) -> WebClient:
        """Return a slack_sdk client without retries, by default with the app's token; `timeout` is in seconds."""
        return WebClient(token or self.app.token, base_url=self.api_url, timeout=timeout, retry_handlers=[])

    def settle(self) -> None:
        """Wait until all due events are delivered; raises AssertionError on timeout."""
        assert self.workspace.deliveries.wait_until_idle()  # noqa: S101 - for tests


@contextmanager
def local_slack(
    *,
    scopes: Iterable[str] = ALL_SCOPES,
    events: Iterable[str] = ALL_EVENTS,
    enterprise_id: str | None = None,
    enforce_rate_limits: bool = False,
    delivery_workers: int = 1,
    redelivery_time_scale: float = 0.0,
    acknowledge_seconds: float = 3.0,
    deliver: Deliver | None = None,
) -> Iterator[LocalSlack]:
    """Serve a workspace for a `with` block. See SlackWorkspace and its `create_app` for the arguments."""
    clock, received = AdjustableClock(), Received()
    workspace = SlackWorkspace(
        clock=clock,
        enterprise_id=enterprise_id,
        enforce_rate_limits=enforce_rate_limits,
        delivery_workers=delivery_workers,
        redelivery_time_scale=redelivery_time_scale,
        acknowledge_seconds=acknowledge_seconds,
    )
    with workspace:
        app = workspace.create_app(scopes=scopes, events=events, deliver=deliver or received)
        server = serve(workspace)
        try:
            yield LocalSlack(workspace, app, server.url, clock, received)
        finally:
            server.close()


def error_of(call: Callable[..., SlackResponse], **arguments: object) -> Json:
    """Return the `ok: false` body of a failing slack_sdk call; raises AssertionError if the call succeeds."""
    try:
        response = call(**arguments)
    except SlackApiError as error:
        body: Json = error.response.data
        return body
    raise AssertionError(f"the call succeeded: {response.data!r}")
