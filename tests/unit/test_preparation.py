"""The time that a function's initialisation gives to its preparation, before the first event."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from ir_router import router


def test_given_steps_of_a_preparation_when_they_last_then_all_share_three_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    events: list[Any] = []

    class Thread:
        def __init__(self, *, target: Callable[[], None], daemon: bool) -> None:
            self.target, self.daemon = target, daemon

        def start(self) -> None:
            events.append((self.target.__name__, self.daemon))

        def join(self, seconds: float) -> None:
            events.append(seconds)

    def connect() -> None: ...
    def prepare() -> None: ...

    moments = iter([100.0, 100.0, 101.5, 107.0])
    monkeypatch.setattr(router, "Thread", Thread)
    monkeypatch.setattr(time, "monotonic", lambda: next(moments))

    router._at_once([connect, prepare, prepare])

    assert events == [("connect", True), ("prepare", True), ("prepare", True), 3.0, 1.5, 0.0]
