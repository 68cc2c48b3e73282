"""What every test may use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ir_router import clock
from tests.support.world import World, running_world


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The whole system in one process, with a clock that tests move."""

    def set_clock(now, sleep) -> None:
        monkeypatch.setattr(clock, "now", now)
        monkeypatch.setattr(clock, "sleep", sleep)

    with running_world(set_clock) as running:
        yield running
