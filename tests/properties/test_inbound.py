"""The webhook and the queue's handler accept every input, including input that Slack never sends."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ir_router import json_text
from ir_router.slack import inbound

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = (
    "type", "subtype", "channel", "user", "text", "ts", "thread_ts", "bot_id", "app_id", "bot_profile", "files",
    "message", "previous_message", "attachments", "blocks", "deleted_ts", "edited", "hidden",
)  # fmt: skip
KINDS = (
    "message",
    "message_changed",
    "message_deleted",
    "file_share",
    "file_shared",
    "member_joined_channel",
    "C1",
    "",
)
parts = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(KINDS) | anything, max_size=8)
events = st.dictionaries(
    st.sampled_from(NAMES), st.sampled_from(KINDS) | anything | parts | st.lists(parts), max_size=10
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(events)
def test_given_an_event_of_any_shape_when_it_is_looked_at_then_nothing_fails_and_only_strings_are_kept(
    event: dict[str, Any],
) -> None:
    wanted = inbound.is_wanted(event, "A1")
    kept = inbound.trimmed(event)

    assert wanted in (True, False)
    assert json.loads(json.dumps(kept)) == kept
    assert isinstance(inbound.channel_of(event), str)


@settings(max_examples=300)
@given(anything)
def test_given_any_value_when_it_is_queued_then_sqs_takes_every_character_and_nothing_changes(value: Any) -> None:
    body = json_text.for_queue(value)

    assert all(c in "\t\n\r" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c >= "\U00010000" for c in body)
    assert json.loads(body) == value
    assert body.encode("utf-8")
