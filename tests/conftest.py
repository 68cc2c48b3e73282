"""What every test may use."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from ir_router import clock
from tests.support.world import World, running_world

# A commit's tests say the same each time; to look for what no example has shown yet is the other profile's work.
settings.register_profile("short", derandomize=True, stateful_step_count=14)
settings.register_profile("long", max_examples=300, stateful_step_count=40)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "short"))


def _set_clock(monkeypatch: pytest.MonkeyPatch):
    def set_clock(now, sleep) -> None:
        monkeypatch.setattr(clock, "now", now)
        monkeypatch.setattr(clock, "sleep", sleep)

    return set_clock


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The whole system in one process, with a clock that tests move."""
    with running_world(_set_clock(monkeypatch)) as running:
        yield running


@pytest.fixture
def paced_world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The same, with a Slack that holds every method to its rate limit."""
    with running_world(_set_clock(monkeypatch), enforce_rate_limits=True) as running:
        yield running
