"""The simulator's order of events does not depend on the speed of the thread that delivers them."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.support.commands import case_with_channel, type_command
from tests.trials.world.running import running_world


def _calls(*, delay_seconds: float) -> list[str]:
    with running_world() as world:
        case_id, jane = case_with_channel(world)
        before = len(world.wire.calls)
        events: Any = world.security_ir.events
        publish = events._publish

        def slowly(event: Any) -> None:
            time.sleep(delay_seconds)
            publish(event)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(events, "_publish", slowly)
            jane.post(world.channel_of(case_id), "A message in the same round")
            type_command(world, jane, case_id, "update-status In Progress")
        return [str(call) for call in world.wire.calls[before:]]


def test_given_a_slow_delivery_of_events_when_a_command_changes_the_case_then_the_calls_are_the_same() -> None:
    assert _calls(delay_seconds=0.3) == _calls(delay_seconds=0)
