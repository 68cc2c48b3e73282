"""What the local Slack delivered."""

from __future__ import annotations

from ir_local.slack.model import Json
from ir_local.slack.testing import LocalSlack


def happened(slack: LocalSlack) -> list[Json]:
    """The events delivered since the last look."""
    slack.settle()
    events = slack.received.events()
    slack.received.requests.clear()
    return events


def kinds(events: list[Json]) -> list[str]:
    """Type and subtype of each."""
    return [".".join(part for part in (event["type"], event.get("subtype")) if part) for event in events]
