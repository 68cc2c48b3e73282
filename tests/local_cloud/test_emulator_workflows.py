"""The emulator's Step Functions; see `ir_sandbox.cloud.ministack_patches.workflows`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local_cloud.emulator_stack import Stack, make_stack, refusal
from tests.support.waiting import wait_for

pytestmark = pytest.mark.local_cloud

Json = dict[str, Any]
DONE: Json = {"Type": "Succeed"}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    yield from make_stack()


@pytest.fixture(scope="module")
def function(stack: Stack) -> str:
    return stack.function()


def invoke(function: str, payload: Json, **fields: Any) -> Json:
    """Return a state that calls the function."""
    parameters = {"FunctionName": function, "Payload": payload}
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": parameters,
        "End": True,
        **fields,
    }


def ask(function: str, **fields: Any) -> Json:
    """Return a state that sends its token to the function and waits for the response."""
    payload = {"do": "show", "token.$": "$$.Task.Token", "state.$": "$$.State.Name"}
    resource = "arn:aws:states:::lambda:invoke.waitForTaskToken"
    return invoke(function, payload, **{"Resource": resource, **fields})


def machine(first: Json, **others: Any) -> Json:
    """Return a state machine that starts with `first`; lower-case keys are fields, all others are states."""
    states = {name: state for name, state in others.items() if not name.startswith("_")}
    fields = {name.removeprefix("_"): value for name, value in others.items() if name.startswith("_")}
    return {"StartAt": "First", "States": {"First": first, **states}, **fields}


def shown_token(stack: Stack, function: str, position: int = 0) -> str:
    """Wait for the token in the function's log and return it."""
    return str(wait_for(lambda: stack.shown(function)[position : position + 1])[0]["token"])


def test_given_a_catch_by_the_name_of_an_exception_when_it_is_raised_then_it_is_caught(
    stack: Stack, function: str
) -> None:
    first = invoke(
        function,
        {"do": "fail", "of": "it"},
        Catch=[
            {"ErrorEquals": ["SomethingElse"], "Next": "Wrong"},
            {"ErrorEquals": ["QuotaUsedUpError"], "Next": "Right"},
        ],
    )

    found = stack.ended(stack.run(machine(first, Wrong={"Type": "Fail"}, Right=DONE)))

    assert (found["status"], found["output"]["Error"]) == ("SUCCEEDED", "QuotaUsedUpError")


def test_given_a_retry_by_the_name_of_an_exception_when_it_is_raised_then_the_state_is_tried_again(
    stack: Stack,
) -> None:
    function = stack.function()
    retry = {"ErrorEquals": ["QuotaUsedUpError"], "IntervalSeconds": 0, "MaxAttempts": 2}

    found = stack.ended(stack.run(machine(invoke(function, {"do": "show", "fail": True}, Retry=[retry]))))

    assert (found["status"], found["error"]) == ("FAILED", "QuotaUsedUpError")
    assert len(stack.shown(function)) == 3


def test_given_a_waiting_task_whose_function_fails_when_run_then_the_task_fails_at_once(
    stack: Stack, function: str
) -> None:
    resource = "arn:aws:states:::lambda:invoke.waitForTaskToken"
    catch = {"ErrorEquals": ["QuotaUsedUpError"], "Next": "Caught"}
    first = invoke(function, {"do": "fail", "of": "it"}, Resource=resource, TimeoutSeconds=3600, Catch=[catch])

    found = stack.ended(stack.run(machine(first, Caught=DONE)))

    assert found["status"] == "SUCCEEDED"


def test_given_no_heartbeat_when_its_seconds_are_over_then_the_task_fails_by_that_name(
    stack: Stack, function: str
) -> None:
    first = ask(function, HeartbeatSeconds=1, TimeoutSeconds=3600)

    assert stack.ended(stack.run(machine(first)))["error"] == "States.HeartbeatTimeout"


def test_given_heartbeats_when_they_keep_coming_then_the_task_waits_on(stack: Stack) -> None:
    function, states = stack.function(), stack.client("stepfunctions")
    execution = stack.run(machine(ask(function, HeartbeatSeconds=8, TimeoutSeconds=3600)))
    token = shown_token(stack, function)

    for _ in range(5):
        time.sleep(2)
        states.send_task_heartbeat(taskToken=token)

    assert states.describe_execution(executionArn=execution)["status"] == "RUNNING"
    assert stack.ended(execution)["error"] == "States.HeartbeatTimeout"


def test_given_a_path_to_the_timeout_when_the_time_is_over_then_the_task_times_out(stack: Stack, function: str) -> None:
    execution = stack.run(machine(ask(function, TimeoutSecondsPath="$.patience")), {"patience": 1})

    assert stack.ended(execution)["error"] == "States.Timeout"


def test_given_a_state_machine_with_a_timeout_when_the_time_is_over_then_the_execution_has_timed_out(
    stack: Stack,
) -> None:
    function = stack.function()

    execution = stack.run(machine(ask(function), _TimeoutSeconds=2))
    token = shown_token(stack, function)

    assert stack.ended(execution)["status"] == "TIMED_OUT"
    success = stack.client("stepfunctions").send_task_success
    assert refusal(lambda: success(taskToken=token, output="{}")) == "TaskTimedOut"


def test_given_tokens_that_nothing_waits_for_when_used_then_each_is_refused_by_its_name(stack: Stack) -> None:
    function, states = stack.function(), stack.client("stepfunctions")
    execution = stack.run(machine(ask(function)))
    token = shown_token(stack, function)
    states.send_task_success(taskToken=token, output='{"decision": "approve"}')

    assert stack.ended(execution)["output"] == {"decision": "approve"}
    assert refusal(lambda: states.send_task_success(taskToken=token, output="{}")) == "TaskTimedOut"
    assert refusal(lambda: states.send_task_failure(taskToken=token)) == "TaskTimedOut"
    assert refusal(lambda: states.send_task_heartbeat(taskToken=token)) == "TaskTimedOut"
    assert refusal(lambda: states.send_task_success(taskToken="made-up", output="{}")) == "InvalidToken"


def test_given_many_answers_at_once_when_sent_then_exactly_one_wins(stack: Stack) -> None:
    function, states = stack.function(), stack.client("stepfunctions")
    execution = stack.run(machine(ask(function)))
    token = shown_token(stack, function)

    def send(number: int) -> int | None:
        try:
            states.send_task_success(taskToken=token, output=str(number))
        except ClientError:
            return None
        return number

    with ThreadPoolExecutor(8) as pool:
        (winner,) = [number for number in pool.map(send, range(16)) if number is not None]

    assert stack.ended(execution)["output"] == winner


def test_given_a_waiting_task_that_is_retried_when_asked_again_then_the_token_is_a_new_one(stack: Stack) -> None:
    function, states = stack.function(), stack.client("stepfunctions")
    retry = {"ErrorEquals": ["Ask.Again"], "IntervalSeconds": 0, "MaxAttempts": 1}
    execution = stack.run(machine(ask(function, Retry=[retry])))
    first = shown_token(stack, function)
    states.send_task_failure(taskToken=first, error="Ask.Again")
    second = shown_token(stack, function, 1)

    assert first != second
    assert refusal(lambda: states.send_task_success(taskToken=first, output="{}")) == "TaskTimedOut"
    states.send_task_success(taskToken=second, output='"again"')
    assert stack.ended(execution)["output"] == "again"


def test_given_a_branch_that_fails_when_another_waits_then_the_wait_is_over_and_its_token_too(stack: Stack) -> None:
    function = stack.function()
    failing = invoke(function, {"do": "fail", "of": "it"}, Next="Never")
    branches = [
        {"StartAt": "Ask", "States": {"Ask": ask(function)}},
        {
            "StartAt": "Pause",
            "States": {"Pause": {"Type": "Wait", "Seconds": 2, "Next": "Fail"}, "Fail": failing, "Never": DONE},
        },
    ]
    execution = stack.run(machine({"Type": "Parallel", "Branches": branches, "End": True}))
    token = shown_token(stack, function)

    assert stack.ended(execution)["error"] == "QuotaUsedUpError"
    success = stack.client("stepfunctions").send_task_success
    assert refusal(lambda: success(taskToken=token, output="{}")) == "TaskTimedOut"


def test_given_branches_at_once_when_run_then_each_sees_its_own_state_and_all_are_in_the_history(stack: Stack) -> None:
    function, states = stack.function(), stack.client("stepfunctions")
    names = ("Alert", "Audit", "Approval")
    branches = [{"StartAt": name, "States": {name: ask(function)}} for name in names]
    execution = stack.run(machine({"Type": "Parallel", "Branches": branches, "End": True}))
    shown = wait_for(lambda: stack.shown(function) if len(stack.shown(function)) == 3 else None)

    for event in shown:
        states.send_task_success(taskToken=event["token"], output=f'"{event["state"]}"')

    assert sorted(event["state"] for event in shown) == sorted(names)
    assert stack.ended(execution)["output"] == list(names)
    events = stack.history(execution)
    for kind, details in (
        ("TaskStateEntered", "stateEnteredEventDetails"),
        ("TaskStateExited", "stateExitedEventDetails"),
    ):
        assert sorted(event[details]["name"] for event in events if event["type"] == kind) == sorted(names)


def test_given_a_waiting_execution_when_stopped_then_it_stays_aborted_and_the_token_is_too_late(stack: Stack) -> None:
    function, states = stack.function(), stack.client("stepfunctions")
    execution = stack.run(machine(ask(function, HeartbeatSeconds=2)))
    token = shown_token(stack, function)

    states.stop_execution(executionArn=execution)
    time.sleep(2.5)

    assert stack.ended(execution)["status"] == "ABORTED"
    assert refusal(lambda: states.send_task_success(taskToken=token, output="{}")) == "TaskTimedOut"
