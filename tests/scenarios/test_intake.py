"""MEDIUM and LOW events come in batches from the intake queue; HIGH and CRITICAL ones never wait there."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from ir_router.ledger import allowlisted_hours, containments
from ir_router.ops import replay as replay_task
from tests.support.operations import deployed_in
from tests.support.world import ACCOUNT, World
from tests.trials.world import FunctionDiedError, incidents, queues
from tests.trials.world.incidents import alerts, audit_rows
from tests.trials.world.state_machine import StateMachine

EXPECTED = f"arn:aws:iam::{ACCOUNT}:user/deploy"


def denied(world: World, name: str = "mallory", **changes: Any) -> Any:
    """Return the event of a denied call by a user."""
    by = incidents.user_identity(name, "AKIACALLER0000000001")
    return incidents.event(incidents.call(world, "PutUser", errorCode="AccessDenied", userIdentity=by, **changes))


def send(machine: StateMachine, *events: Any) -> list[str]:
    """Send events to the queue without a delivery. Return the ids of the calls."""
    for event in events:
        machine.send_to_intake(event)
    return [event["detail"]["eventID"] for event in events]


def summaries(world: World) -> list[str]:
    return [alert["Subject"] for alert in alerts(world) if "times in an hour" in alert["Subject"]]


def allowlisted(world: World) -> list[Any]:
    """Let the schedule write the records of the past hours. Return their details."""
    world.advance(2 * 3600)
    world.invoke("workflow", {"task": "check_allowlist_entries"})
    return [json.loads(row["details"]) for row in audit_rows() if row["action"] == "events_allowlisted"]


def test_given_many_repeated_and_allowlisted_events_when_they_arrive_then_one_execution_and_the_counts(
    world: World, machine: StateMachine
) -> None:
    world.environment["IR_ALLOWED_PRINCIPALS"] = json.dumps([EXPECTED])
    send(machine, *(denied(world) for _ in range(130)))
    expected = send(machine, *(denied(world, "deploy") for _ in range(70)))

    contained, _key = incidents.contain(world, machine)  # a grave event does not wait for the queue
    assert contained.path[-1] == "Wait for Analyst"
    before = len(machine.executions)
    world.settle()

    (started,) = list(machine.executions.values())[before:]
    assert started.path[-1] == "Collect for an Hour"
    takes = [
        one.event["Records"] for one in world.invocations if one.deployment == "workflow" and "Records" in one.event
    ]
    assert [len(records) for records in takes] == [100, 100]
    alerts(world)
    world.advance(3661)
    machine.advance(started)
    assert summaries(world) == ["CHECK: user mallory, 130 times in an hour - MEDIUM: API call denied"]
    (record,) = allowlisted(world)
    assert (record["entry"], record["events"], record["callers"]) == (EXPECTED, 70, ["deploy"])
    assert record["ids_digest"] == allowlisted_hours.digest(reversed(expected))
    assert allowlisted(world) == [record]


def test_given_a_batch_that_dies_at_any_call_when_it_is_delivered_again_then_each_event_counts_once(
    world: World, machine: StateMachine
) -> None:
    world.unexpected.allow(FunctionDiedError)
    world.environment["IR_ALLOWED_PRINCIPALS"] = json.dumps([EXPECTED])
    world.carriers.append(machine.carry)
    incidents.contain(world, machine)
    batches, died = 0, True
    while died:
        batches += 1
        world.advance(1)
        machine.start(denied(world, f"old-{batches}"))
        send(machine, denied(world, f"old-{batches}"), denied(world, "deploy"), denied(world, f"new-{batches}"))
        send(machine, denied(world, "deploy"), denied(world, f"new-{batches}"), denied(world, "backdoor"))
        # An end before the next call leaves the same rows.
        world.wire.kill_at(batches, "after")
        world.run_intake()
        died = world.wire.died_at is not None
        world.wire.spare()
        world.settle()
    assert batches > 20

    world.advance(3661)
    machine.advance()
    told = summaries(world)
    wanted = [
        f"CHECK: user {kind}-{number}, 2 times in an hour - MEDIUM: API call denied"
        for kind in ("old", "new")
        for number in range(1, batches + 1)
    ]
    assert sorted(told) == sorted(wanted)
    assert sum(record["events"] for record in allowlisted(world)) == 2 * batches
    assert (containments.get(f"arn:aws:iam::{ACCOUNT}:user/backdoor") or {})["attempts"] == batches


def test_given_messages_that_fail_when_given_up_and_replayed_then_events_return_and_others_stay(
    world: World, machine: StateMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.expect(json.JSONDecodeError)
    monkeypatch.setattr(replay_task, "WAIT_SECONDS", 0)
    with deployed_in(world):
        send(machine, denied(world))
        queues.give_up(queues.INTAKE)
        url = world.environment["INTAKE_QUEUE_URL"]
        boto3.client("sqs").send_message(QueueUrl=url, MessageBody="no JSON")
        send(machine, denied(world, "eve"))
        for _ in range(queues.MAX_RECEIVE_COUNT + 1):
            world.run_intake()
            world.advance(361)
        (first,) = machine.executions.values()

        entries = world.invoke("operations", {"task": "replay"})["entries"]
        assert sorted((one["outcome"], one["to"]) for one in entries) == [("kept", ""), ("moved", "queue intake")]
        world.run_intake()

        _, second = machine.executions.values()
        assert [one.path[-1] for one in (first, second)] == ["Collect for an Hour"] * 2


def test_given_an_event_with_much_text_that_is_not_ascii_when_it_arrives_then_it_is_alerted(
    world: World, machine: StateMachine
) -> None:
    """An emoji has 4 bytes in UTF-8. Its escape in JSON has 12, and 97 KB would exceed the limit of 256 KB."""
    event = denied(world, requestParameters={"note": "\U0001f600" * 24_000})
    url = world.environment["INTAKE_QUEUE_URL"]
    boto3.client("sqs").send_message(QueueUrl=url, MessageBody=json.dumps(event, ensure_ascii=False))
    world.run_intake()

    (started,) = machine.executions.values()
    assert started.path[-1] == "Collect for an Hour"


def test_given_a_large_message_that_the_intake_gave_up_on_when_the_schedule_runs_then_it_is_alerted(
    world: World, machine: StateMachine
) -> None:
    event = denied(world, requestParameters={"note": "\U0001f600" * 60_000})
    url = world.environment["INTAKE_QUEUE_URL"]
    boto3.client("sqs").send_message(QueueUrl=url, MessageBody=json.dumps(event, ensure_ascii=False))
    with deployed_in(world):
        queues.give_up(queues.INTAKE)

        (what,) = world.invoke("operations", {"task": "start_oversized"})["started"]
        assert what.endswith(f"{event['detail']['eventID']} of the intake")
        world.run_intake()

    (started,) = machine.executions.values()
    assert started.path[-1] == "Collect for an Hour"
    assert len(json.dumps(started.input)) < 200_000


def test_given_a_large_event_that_cannot_be_cut_when_given_up_then_it_waits_for_a_person(
    world: World, machine: StateMachine
) -> None:
    event = denied(world)
    event["detail"]["requestParameters"] = {f"key-{number:030d}": 1 for number in range(7_000)}
    url = world.environment["INTAKE_QUEUE_URL"]
    boto3.client("sqs").send_message(QueueUrl=url, MessageBody=json.dumps(event))
    with deployed_in(world):
        queues.give_up(queues.INTAKE)

        assert world.invoke("operations", {"task": "start_oversized"}) == {"started": []}
    assert machine.executions == {}


def test_given_a_message_nested_too_deeply_when_its_batch_arrives_then_only_this_message_fails(
    world: World, machine: StateMachine
) -> None:
    world.expect(ValueError, RecursionError)
    url = world.environment["INTAKE_QUEUE_URL"]
    for depth in (100_000, 2_000, 900):
        nested = "[" * depth + "]" * depth
        for body in (nested, json.dumps({**denied(world, "eve"), "id": str(depth)})[:-1] + f', "deep": {nested}}}'):
            boto3.client("sqs").send_message(QueueUrl=url, MessageBody=body)
    send(machine, denied(world))
    world.run_intake()

    assert "Collect for an Hour" in [one.path[-1] for one in machine.executions.values()]
