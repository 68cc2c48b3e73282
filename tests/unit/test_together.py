"""Two reads run at the same time, and an error of either reaches the caller after both have ended."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from ir_router import together


def test_given_two_reads_that_wait_for_each_other_when_run_together_then_both_answer() -> None:
    met = threading.Barrier(2, timeout=10)

    def read(answer: str) -> str:
        met.wait()
        return answer

    assert together.both(lambda: read("first"), lambda: read("second")) == ("first", "second")


@pytest.mark.parametrize("failing", ["first", "second", "both"])
def test_given_a_read_that_fails_when_run_together_then_its_error_is_raised_after_both_ended(failing: str) -> None:
    ended: list[str] = []

    def read(name: str) -> str:
        if failing in (name, "both"):
            raise LookupError(name)
        ended.append(name)
        return name

    with pytest.raises(LookupError, match="second" if failing == "second" else "first"):
        together.both(lambda: read("first"), lambda: read("second"))

    assert ended == {"first": ["second"], "second": ["first"], "both": []}[failing]


def test_given_a_first_read_that_fails_when_run_together_then_the_second_is_waited_for_before_the_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[str] = []

    def later() -> None:
        done.append("waited")
        raise LookupError("second")

    def first() -> None:
        done.append("first")
        raise KeyboardInterrupt("first")

    def started(work: str) -> Any:
        done.append(work)
        return later

    monkeypatch.setattr(together, "started", started)

    with pytest.raises(KeyboardInterrupt, match="first"):
        together.both(first, "second")  # type: ignore[arg-type]

    assert done == ["second", "first", "waited"]


def test_given_a_read_that_was_started_when_its_result_is_needed_then_it_ran_meanwhile() -> None:
    met = threading.Barrier(2, timeout=10)

    def read() -> str:
        met.wait()
        return "read"

    result = together.started(read)
    met.wait()

    assert (result(), result()) == ("read", "read")


def test_given_a_started_read_that_fails_when_its_result_is_needed_then_its_error_is_raised_then() -> None:
    def read() -> None:
        raise LookupError("read")

    result = together.started(read)

    with pytest.raises(LookupError, match="read"):
        result()
