"""The emulator's Lambda; see `ir_sandbox.cloud.ministack_patches.functions`."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.local_cloud.emulator_stack import Stack, make_stack
from tests.support.waiting import wait_for

pytestmark = pytest.mark.local_cloud


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    yield from make_stack()


def test_given_a_handler_that_raises_when_invoked_then_the_error_has_its_python_name_and_trace(stack: Stack) -> None:
    answer, error = stack.invoke(stack.function(), {"do": "fail", "of": "the budget"})

    assert error is not None
    assert answer["errorType"] == "QuotaUsedUpError"
    assert answer["errorMessage"] == "nothing left of the budget"
    assert any("in handle" in line for line in answer["stackTrace"])
    assert answer["requestId"]


def test_given_a_handler_that_raised_when_invoked_again_then_its_process_is_warm(stack: Stack) -> None:
    function = stack.function()
    before, _ = stack.invoke(function, {})

    stack.invoke(function, {"do": "fail", "of": "it"})
    after, _ = stack.invoke(function, {})

    assert (after["pid"], after["calls"]) == (before["pid"], 3)


def test_given_a_line_of_the_root_logger_when_written_then_it_is_in_the_log_as_lambda_writes_it(stack: Stack) -> None:
    function = stack.function()

    answer, _ = stack.invoke(function, {"do": "log"})

    line = wait_for(lambda: [line for line in stack.log_lines(f"/aws/lambda/{function}") if "root logger" in line])[0]
    level, time, request_id, text = line.split("\t")
    assert (level, request_id, text) == ("[INFO]", answer["request_id"], "a line of the root logger")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", time)


def test_given_a_function_when_it_runs_then_neither_packages_nor_variables_of_the_emulator_reach_it(
    stack: Stack,
) -> None:
    function = stack.function(Environment={"Variables": {"IR_ROUTES": "webhook"}})

    answer, _ = stack.invoke(function, {"do": "environment"})

    assert answer["modules"] == []
    variables = answer["variables"]
    assert not {name for name in variables if name.startswith(("MINISTACK", "PYTHON", "GATEWAY", "STATE", "LOCAL_"))}
    assert variables["IR_ROUTES"] == "webhook"
    assert variables["AWS_ENDPOINT_URL"] == stack.emulator.url
    assert variables["AWS_LAMBDA_FUNCTION_NAME"] == function
    assert variables["AWS_EXECUTION_ENV"] == "AWS_Lambda_python3.13"
