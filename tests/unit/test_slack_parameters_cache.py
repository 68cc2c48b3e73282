"""The cache of the SSM parameters: a parameter that was unset is not in use any more."""

from __future__ import annotations

from typing import Any

import pytest

from ir_router import clock
from ir_router.errors import NotConfiguredError, RetryLaterError
from ir_router.slack import parameters
from ir_router.slack.parameters import Cache

THROTTLED = RetryLaterError("AWS Systems Manager", "GetParameter", "ThrottlingException", 5.0)


@pytest.fixture
def times(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the present, which a test sets."""
    now = [1_000.0]
    monkeypatch.setattr(clock, "now", lambda: now[0])
    monkeypatch.setattr(Cache, "_failed_at", float("-inf"))
    return now


def cache(*answers: Any) -> Cache[str]:
    left = list(answers)

    def read_now(_name: str) -> str:
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    return Cache(read_now)


def test_given_a_parameter_that_was_unset_when_ssm_fails_afterwards_then_its_old_value_is_not_used(
    times: list[float],
) -> None:
    values = cache("old", NotConfiguredError("not set yet"), THROTTLED, "new")
    assert values.get("name") == "old"

    times[0] += parameters.CACHE_SECONDS + 1
    with pytest.raises(NotConfiguredError):
        values.get("name")
    with pytest.raises(RetryLaterError):
        values.get("name")
    assert values.get("name") == "new"


def test_given_a_value_when_ssm_throttles_after_five_minutes_then_the_value_stays_and_ssm_is_spared_for_a_minute(
    times: list[float],
) -> None:
    values = cache("old", THROTTLED, "new")
    assert values.get("name") == "old"

    for later, value in ((300, "old"), (1, "old"), (59.5, "old"), (0.5, "new")):
        times[0] += later
        assert values.get("name") == value
