"""The events that the local Slack delivered."""

from __future__ import annotations

from ir_sandbox.slack.model import Json
from ir_sandbox.slack.testing import LocalSlack


def happened(slack: LocalSlack) -> list[Json]:
    """Return the events delivered since the last call."""
    slack.settle()
    events = slack.received.events()
    slack.received.requests.clear()
    return events


def kinds(events: list[Json]) -> list[str]:
    """Return the type and subtype of each event."""
    return [".".join(part for part in (event["type"], event.get("subtype")) if part) for event in events]
