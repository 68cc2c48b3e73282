"""Cases that cannot be listed: when the verification starts, once for each cause, and the state that is stored."""

from __future__ import annotations

from typing import Any

import pytest

from ir_router import aws, clock
from ir_router.errors import RefusedError, RetryLaterError, UncertainError
from ir_router.sync import availability
from ir_router.sync.availability import Problem
from tests.support.answers import client_error

NOW = 50_000.0
MISSING = availability.NO_MEMBERSHIP


@pytest.mark.parametrize(
    ("before", "problem", "verified", "after"),
    [
        (None, None, 0, None),
        ({"since": 1.0, "reported": "X"}, None, 1, None),
        ({"since": 1.0, "reported": ""}, None, 0, None),
        (None, Problem("X", is_persistent=True), 1, {"since": NOW, "reported": "X"}),
        (None, Problem("X", is_persistent=False), 0, {"since": NOW, "reported": ""}),
        ({"since": 1.0, "reported": "X"}, Problem("X", is_persistent=True), 0, {"since": 1.0, "reported": "X"}),
        ({"since": 1.0, "reported": "X"}, Problem("Y", is_persistent=True), 1, {"since": 1.0, "reported": "Y"}),
        (
            {"since": NOW - 149},
            Problem(availability._UNREACHABLE, is_persistent=True),
            0,
            {"since": NOW - 149, "reported": ""},
        ),
        (
            {"since": NOW - 150},
            Problem(availability._UNREACHABLE, is_persistent=True),
            1,
            {"since": NOW - 150, "reported": availability._UNREACHABLE},
        ),
    ],
)
@pytest.mark.parametrize("accepted", [True, False])
def test_given_a_problem_of_the_list_when_noticed_then_each_cause_is_verified_once(
    monkeypatch: pytest.MonkeyPatch,
    before: dict[str, Any] | None,
    problem: Problem | None,
    verified: int,
    after: dict[str, Any] | None,
    *,
    accepted: bool,
) -> None:
    invoked: list[Any] = []

    def invoke(_name: str, payload: Any) -> None:
        invoked.append(payload)
        if not accepted:
            raise client_error("TooManyRequestsException")

    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr(aws, "invoke_later", invoke)

    state = availability.noticed(before, problem)

    assert invoked == [{"task": "watch", "now": True}] * verified
    if accepted or not verified:
        assert state == after
    else:
        assert (state or {})["reported"] == (before or {}).get("reported", "")


@pytest.mark.parametrize(
    ("error", "problem", "is_known"),
    [
        (
            RefusedError("AWS", "m", "AccessDenied"),
            Problem("AccessDenied", is_persistent=True),
            False,
        ),
        (RefusedError("AWS", "m", MISSING), Problem(MISSING, is_persistent=True), True),
        (RetryLaterError("AWS", "m", "Throttled", 1), Problem("Throttled", is_persistent=False), False),
        (UncertainError("AWS", "m", "timeout"), Problem("timeout", is_persistent=False), False),
        (
            UncertainError("AWS", "m", "EndpointConnectionError"),
            Problem("EndpointConnectionError", is_persistent=True),
            False,
        ),
    ],
)
def test_given_an_error_of_the_list_when_judged_then_rejections_and_a_missing_region_stay(
    error: RefusedError | RetryLaterError | UncertainError, problem: Problem, *, is_known: bool
) -> None:
    assert availability.problem_of(error) == problem
    assert problem.is_known_state is is_known
