"""What the proof's hostile input found, each through the front door (see `ir_local.proof.hostile`)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ir_local.slack.signing import signature
from tests.support.sync import from_slack, make_jane, settled_case
from tests.support.world import World


def post_event(world: World, event: dict[str, Any]) -> int:
    """An event as Slack signs it; the status of the door's answer, once everything has come to rest."""
    envelope = {
        "type": "event_callback",
        "team_id": world.workspace.team_id,
        "api_app_id": world.app.app_id,
        "event_id": "Ev1",
        "event": event,
    }
    body, at = json.dumps(envelope).encode(), str(int(world.now()))
    headers = {
        "Content-Type": "application/json",
        "X-Slack-Request-Timestamp": at,
        "X-Slack-Signature": signature(world.app.signing_secret, at, body),
    }
    status = world.request(headers, body)[0]
    world.settle()
    return status


@pytest.mark.parametrize("ts", ["now", "1e9.5", "9" * 20 + ".000100", 17])
@pytest.mark.parametrize(
    "event",
    [
        {"type": "message"},
        {"type": "message", "subtype": "message_changed"},
    ],
    ids=lambda event: str(event.get("subtype")),
)
def test_given_a_message_without_slacks_timestamp_when_it_comes_then_it_is_acknowledged_and_nothing_is_tried(
    world: World, event: dict[str, Any], ts: Any
) -> None:
    jane = make_jane(world)
    case_id = settled_case(world)
    said = {"user": jane.id, "text": "hello", "ts": ts, "type": "message"}
    event = {**event, "channel": world.channel_of(case_id), "deleted_ts": ts, "event_ts": ts, "message": said, **said}

    assert post_event(world, event) == 200

    assert [answer.error for answer in world.invocations if answer.error] == []
    assert world.dead_letters("slack-events") == []
    assert from_slack(world, case_id) == []
