"""V8: an event that is too large for the workflow is contained and alerted, with its long values cut."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal

import boto3
import pytest

from ir_router.ops import replay
from ir_router.workflow import trimming
from tests.support.operations import Deployed, deployed_in
from tests.support.world import World
from tests.trials.world.incidents import alerts, audit_actions, key_created, user
from tests.trials.world.state_machine import StateMachine

RULE = "security-incident-detect-create-access-key"


@pytest.fixture
def deployed(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    monkeypatch.setattr(replay, "WAIT_SECONDS", 0)  # moto's one server needs no long polling
    with deployed_in(world) as deployed:
        yield deployed


def oversized(world: World) -> tuple[Any, str]:
    (key,) = user("backdoor")
    event = key_created(world, "backdoor", key)
    event["detail"]["requestParameters"]["note"] = "x" * 300_000
    return event, key


@pytest.mark.parametrize("task", ["start_oversized", "replay"])
def test_given_an_event_of_300_kb_when_the_schedule_or_a_replay_runs_then_it_is_contained_and_alerted(
    world: World, deployed: Deployed, machine: StateMachine, task: str
) -> None:
    boto3.client("sqs").set_queue_attributes(QueueUrl=deployed.failures, Attributes={"MaximumMessageSize": "262144"})
    world.invoke("operations", {"task": "start_oversized"})  # the queue accepts large events from now on
    event, key = oversized(world)
    deployed.undelivered(RULE, event)

    world.invoke("operations", {"task": task})

    (execution,) = machine.executions.values()
    assert len(json.dumps(execution.input)) < trimming.LARGEST_INPUT
    machine.advance()
    assert boto3.client("iam").list_access_keys(UserName="backdoor")["AccessKeyMetadata"][0]["Status"] == "Inactive"
    (alert,) = alerts(world)
    assert key in alert["Message"]
    assert "contained" in audit_actions()


def test_given_an_event_that_others_look_at_when_the_schedule_runs_then_it_is_back_in_the_queue_after_a_minute(
    world: World, deployed: Deployed
) -> None:
    (key,) = user("backdoor")
    deployed.undelivered(RULE, key_created(world, "backdoor", key))
    queue = boto3.client("sqs")

    world.invoke("operations", {"task": "start_oversized"})

    world.advance(59)
    assert "Messages" not in queue.receive_message(QueueUrl=deployed.failures)
    world.advance(2)
    assert len(queue.receive_message(QueueUrl=deployed.failures)["Messages"]) == 1


@pytest.mark.parametrize(("size", "failed_in"), [(261_900, "Extract Event Context"), (261_000, "Evaluate Severity")])
def test_given_an_event_just_below_the_limit_when_a_state_fails_for_it_then_it_is_contained(
    world: World, deployed: Deployed, machine: StateMachine, size: int, failed_in: str
) -> None:
    assert deployed
    event, key = oversized(world)
    event["detail"]["requestParameters"]["note"] = ""
    event["detail"]["requestParameters"]["note"] = "x" * (size - len(json.dumps(event)))
    execution = machine.start(event)
    assert (execution.status, execution.error) == ("FAILED", "States.DataLimitExceeded")
    assert execution.path[-1] == failed_in

    for _ in range(2):
        world.invoke("operations", {"task": "start_oversized"})

    assert len(machine.executions) == 2
    machine.advance()
    assert boto3.client("iam").list_access_keys(UserName="backdoor")["AccessKeyMetadata"][0]["Status"] == "Inactive"
    (alert,) = alerts(world)
    assert key in alert["Message"]
    assert "contained" in audit_actions()


@pytest.mark.parametrize("side", ["before", "after"])
def test_given_a_function_that_dies_while_it_starts_an_event_when_the_schedule_runs_again_then_it_started_once(
    world: World,
    deployed: Deployed,
    machine: StateMachine,
    side: Literal["before", "after"],
) -> None:
    world.invoke("operations", {"task": "start_oversized"})  # the queue accepts large events from now on
    deployed.undelivered(RULE, oversized(world)[0])
    world.wire.kill_on("sqs", "DeleteMessage", side)
    world.try_invoke("operations", {"task": "start_oversized"})
    assert world.wire.died_at is not None
    world.wire.spare()

    for _ in range(2):
        world.advance(900)
        world.invoke("operations", {"task": "start_oversized"})

    assert len(machine.executions) == 1
    assert len(alerts(world)) == 1


def test_given_other_entries_when_the_schedule_runs_then_they_wait_for_a_replay(
    world: World, deployed: Deployed, machine: StateMachine
) -> None:
    (key,) = user("backdoor")
    deployed.undelivered(RULE, key_created(world, "backdoor", key))

    assert world.invoke("operations", {"task": "start_oversized"}) == {"started": []}
    assert machine.executions == {}


def test_given_an_event_of_many_short_values_when_it_is_cut_then_it_fits() -> None:
    event = {
        "id": "1",
        "detail": {"eventID": "2", "items": [{"name": "n" * 60} for _ in range(5_000)], "long": "é" * 99},
    }

    fitted = trimming.fitting(event)

    assert len(json.dumps(fitted, ensure_ascii=False).encode()) <= trimming.LARGEST_INPUT
    assert fitted["detail"]["eventID"] == "2"
    assert trimming.fitting({"id": "1"}) == {"id": "1"}
