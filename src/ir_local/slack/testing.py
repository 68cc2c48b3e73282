"""For tests: a workspace, its app and address, and a real client, in one line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.web import SlackResponse

from ir_local.slack.clock import AdjustableClock
from ir_local.slack.delivery import decode_body
from ir_local.slack.model import ALL_EVENTS, ALL_SCOPES, App, Deliver, Json
from ir_local.slack.server import serve
from ir_local.slack.workspace import SlackWorkspace


@dataclass
class Received:
    """Requests that an app got, answered with `answer` (200 and nothing, unless set)."""

    requests: list[tuple[Mapping[str, str], bytes]] = field(default_factory=list)
    answer: tuple[int, dict[str, str], bytes] = (200, {}, b"")

    def __call__(self, headers: Mapping[str, str], body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        """Take a request."""
        self.requests.append((headers, body))
        return self.answer

    def bodies(self) -> list[Json]:
        """The requests' bodies, decoded: an event's JSON, a command's fields, an interaction's payload."""
        return [decode_body(headers["Content-Type"], body) for headers, body in self.requests]

    def events(self, event_type: str | None = None) -> list[Json]:
        """The inner events (of that type)."""
        events = [body["event"] for body in self.bodies() if "event" in body]
        return [event for event in events if event_type in {None, event["type"]}]


@dataclass(frozen=True)
class LocalSlack:
    """A served workspace with one app; `received` has what the app was sent, `clock` moves the time."""

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
        """A client of slack_sdk that retries nothing, by default with the app's token."""
        return WebClient(token or self.app.token, base_url=self.api_url, timeout=timeout, retry_handlers=[])

    def settle(self) -> None:
        """Wait until every event that is due was delivered; AssertionError if that takes too long."""
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
    """Serve a workspace for the length of a `with` block; the arguments are those of SlackWorkspace and its app."""
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
    """The body of the `ok: false` answer that this call of slack_sdk meets; AssertionError if it is answered well."""
    try:
        response = call(**arguments)
    except SlackApiError as error:
        body: Json = error.response.data
        return body
    raise AssertionError(f"no error but {response.data!r}")
