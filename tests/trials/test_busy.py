"""The busy loops of `make busy` end whatever happens."""

from __future__ import annotations

import os

import pytest

from tests.trials.busy import busy_loops


def test_given_busy_loops_when_the_block_fails_then_none_is_left() -> None:
    started: list[int] = []

    def fail() -> None:
        with busy_loops(2) as loops:
            started.extend(loops)
            assert all(os.waitpid(pid, os.WNOHANG) == (0, 0) for pid in loops)
            raise ValueError("a failure")

    with pytest.raises(ValueError, match="a failure"):
        fail()

    assert len(started) == 2
    for pid in started:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
