"""The definition of the state machine is valid and complete, and fails wherever work remains."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ir_router.workflow.handler import TASKS
from tests.support.state_machine import ALL, DEFINITION, MACHINE

# The boxes of the specification's diagram.
BOXES = [
    "Extract Event Context",
    "Check Allowlist",
    "Log & Exit",
    "Evaluate Severity",
    "Alert Only",
    "Immediate Containment",
    "Send Alert",
    "Write Audit Log",
    "Wait for Analyst",
    "Delete Key Permanently",
    "Re-enable Key, Remove Deny Policy",
    "Final Alert + Audit Log",
]


TASK_STATES = {name: state for name, state in ALL.items() if state["Type"] == "Task"}


def following(state: dict[str, Any]) -> set[str]:
    found = {state[name] for name in ("Next", "Default") if name in state}
    found |= {rule["Next"] for rule in state.get("Choices", [])}
    return found | {catcher["Next"] for catcher in state.get("Catch", [])}


def reachable(start: str) -> set[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += following(ALL[name])
    return seen


def test_given_the_specification_when_the_states_are_read_then_each_box_is_one() -> None:
    assert [box for box in BOXES if box not in ALL] == []


def test_given_the_definition_when_substitutions_are_read_then_they_stand_inside_strings() -> None:
    text = DEFINITION.read_text("utf-8")

    assert set(re.findall(r"\$\{(\w+)\}", text)) == {"workflow_function_arn"}
    assert text.count('"${workflow_function_arn}"') == text.count("${")


@pytest.mark.parametrize("name", TASK_STATES)
def test_given_a_task_state_when_read_then_the_workflow_knows_the_task_and_it_is_retried(name: str) -> None:
    state = TASK_STATES[name]
    assert state["Parameters"]["Payload"]["task"] in TASKS
    last = state["Retry"][-1]
    assert last["ErrorEquals"] == ["States.ALL"]
    assert last["JitterStrategy"] == "FULL"
    assert last["BackoffRate"] > 1
    assert "TimeoutSeconds" in state


@pytest.mark.parametrize("name", TASK_STATES)
def test_given_a_task_that_keeps_failing_when_caught_then_every_error_has_a_way_on(name: str) -> None:
    assert TASK_STATES[name]["Catch"][-1]["ErrorEquals"] == ["States.ALL"]


@pytest.mark.parametrize("name", [name for name in ALL if name.startswith("Report ") and "Next" in ALL[name]])
def test_given_a_reported_failure_when_it_goes_on_then_the_execution_ends_red(name: str) -> None:
    if name == "Report Failed Permission":
        assert following(ALL[name]) == {"Permitted?", "Failed Permission Not Reported"}
        return
    ends = {state for state in reachable(name) if ALL[state]["Type"] in ("Succeed", "Fail")}
    assert {ALL[state]["Type"] for state in ends} == {"Fail"}


def test_given_the_waits_when_read_then_they_last_a_day_and_the_heartbeat_ends_first() -> None:
    waits = [state for state in TASK_STATES.values() if state["Resource"].endswith(".waitForTaskToken")]

    assert len(waits) == 2
    for state in waits:
        assert state["HeartbeatSeconds"] == 86_400
        # The States Language requires a heartbeat below the timeout.
        assert 86_400 < state["TimeoutSeconds"] <= 86_460
        assert state["Retry"][0] == {"ErrorEquals": ["States.Timeout", "States.HeartbeatTimeout"], "MaxAttempts": 0}


def test_given_the_parallel_state_when_read_then_no_error_leaves_a_branch() -> None:
    (parallel,) = [state for state in ALL.values() if state["Type"] == "Parallel"]

    for branch in parallel["Branches"]:
        for name, state in branch["States"].items():
            assert state["Type"] in ("Pass", "Wait", "Choice") or "Catch" in state, name


def test_given_the_definition_when_walked_then_every_state_is_reached() -> None:
    starts = [MACHINE["StartAt"]]
    starts += [branch["StartAt"] for state in ALL.values() for branch in state.get("Branches", [])]

    assert set().union(*(reachable(start) for start in starts)) == set(ALL)
