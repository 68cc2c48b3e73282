"""Publish what happened in Slack as events for monitoring (rule `SlackNotificationsRule`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ir_router import bus
from ir_router.observability import logger
from ir_router.slack import credentials

SOURCE = "slack"


def announce(detail_type: str, detail: Mapping[str, Any]) -> None:
    """Publish an event. `detail` contains ids and, for members, the name.

    No function consumes these events, so an event that EventBridge rejects is only logged.
    """
    event = bus.Event(SOURCE, detail_type, {"workspaceId": credentials.workspace_id(), **detail})
    for code in bus.put([event]):
        logger.warning(
            "eventbridge.event_rejected: the event is not on the bus", extra={"event": detail_type, "code": code}
        )
