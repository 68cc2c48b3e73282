"""A run starts no work after its soft deadline and makes no call after its hard deadline."""

from __future__ import annotations

import signal
import time

import pytest

from ir_router import clock
from ir_router.deadline import Deadline, RunEndedError, enforced, of_invocation
from ir_router.errors import OutOfTimeError


class Context:
    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds * 1000)


def test_given_a_slice_when_made_then_it_ends_before_the_function_and_keeps_its_reserve() -> None:
    now = clock.now()
    deadline = of_invocation(Context(900), reserve=12, at_most=60)

    assert deadline.hard == pytest.approx(now + 60, abs=1)
    assert deadline.soft == pytest.approx(now + 48, abs=1)
    assert of_invocation(Context(30), reserve=10, at_most=60).hard == pytest.approx(now + 30, abs=1)
    with pytest.raises(OutOfTimeError):
        deadline.check(49)
    with pytest.raises(OutOfTimeError):
        deadline.wait(60)


def test_given_a_run_that_hangs_when_its_hard_end_comes_then_it_ends_whatever_it_catches() -> None:
    went_on: list[bool] = []

    def careless() -> None:
        with enforced(Deadline(soft=clock.now(), hard=clock.now() + 0.2)):
            try:
                time.sleep(1800)
            except Exception:  # noqa: BLE001 - careless code does this
                went_on.append(True)

    began = time.monotonic()
    with pytest.raises(RunEndedError):
        careless()

    assert time.monotonic() - began < 1800
    assert went_on == []


def test_given_a_run_that_ends_in_time_when_its_hard_end_comes_later_then_nothing_happens() -> None:
    with enforced(Deadline(soft=clock.now(), hard=clock.now() + 0.1)):
        pass
    time.sleep(0.2)


@pytest.mark.parametrize(("left", "timer"), [(5.0, 5.0), (0.0005, 0.001), (-3.0, 0.001)])
def test_given_a_hard_end_when_enforced_then_the_timer_ends_then_or_at_once(
    monkeypatch: pytest.MonkeyPatch, left: float, timer: float
) -> None:
    timers: list[tuple[int, float]] = []
    monkeypatch.setattr(clock, "now", lambda: 1_000.0)
    monkeypatch.setattr(signal, "setitimer", lambda which, seconds: timers.append((which, round(seconds, 4))))

    with enforced(Deadline(soft=0.0, hard=1_000.0 + left)):
        pass

    assert timers == [(signal.ITIMER_REAL, timer), (signal.ITIMER_REAL, 0)]
