"""What every test may use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ir_router import clock
from tests.support.world import World, running_world


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
