"""What happened in Slack, as events on our bus for people who watch (rule `SlackNotificationsRule`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ir_router import bus
from ir_router.observability import logger
from ir_router.slack import credentials

SOURCE = "slack"


def announce(detail_type: str, detail: Mapping[str, Any]) -> None:
    """Put an event with ids, and for members the name, on the bus.

    It is a record; nothing waits for it, so what EventBridge does not take is only logged.
    """
    event = bus.Event(SOURCE, detail_type, {"workspaceId": credentials.workspace_id(), **detail})
    for code in bus.put([event]):
        logger.warning("EventBridge did not take an event", extra={"event": detail_type, "code": code})
