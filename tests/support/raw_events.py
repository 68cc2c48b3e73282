"""Send the app events in forms that the local Slack's own actions do not produce."""

from __future__ import annotations

import itertools
import json
from typing import Any

from ir_router.slack.signature import sign
from tests.support.world import World

_numbers = itertools.count(1)


def send_event(world: World, event: dict[str, Any], *, headers: dict[str, str] | None = None) -> int:
    """Send a signed `event_callback` and return the status of the answer."""
    number = next(_numbers)
    payload = {
        "token": "example",
        "team_id": world.workspace.team_id,
        "api_app_id": world.app.app_id,
        "event": event,
        "type": "event_callback",
        "event_id": f"Ev0RAW{number:06d}",
        "event_time": int(world.now()),
    }
    body = json.dumps(payload).encode()
    timestamp = str(int(world.now()))
    signed = {
        "Content-Type": "application/json",
        "X-Slack-Request-Timestamp": timestamp,
        "X-Slack-Signature": sign(world.app.signing_secret, timestamp, body),
    }
    status, _, _ = world.request(signed | (headers or {}), body)
    return status


def message(world: World, channel: str, **fields: Any) -> dict[str, Any]:
    """Return a new `message` event with its own `ts`."""
    ts = f"{int(world.now())}.{next(_numbers):06d}"
    return {"type": "message", "channel": channel, "ts": ts, "event_ts": ts, "channel_type": "group", **fields}


def changed(world: World, before: dict[str, Any] | None, after: dict[str, Any]) -> dict[str, Any]:
    """Return a `message_changed` event; without `before` it has no `previous_message`."""
    channel = after["channel"]
    event = message(world, channel, subtype="message_changed", hidden=True)
    event["message"] = {name: value for name, value in after.items() if name not in ("channel", "channel_type")}
    if before is not None:
        event["previous_message"] = {
            name: value for name, value in before.items() if name not in ("channel", "channel_type")
        }
    return event
