"""What every test may use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ir_router import clock
from tests.support.world import World, running_world

_TOGETHER = Path(__file__).parent / "terraform"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep what shares a costly fixture in one worker: a file's tests, and all that plan with Terraform."""
    for item in items:
        together = _TOGETHER if item.path.is_relative_to(_TOGETHER) else item.path
        item.add_marker(pytest.mark.xdist_group(str(together)))


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
