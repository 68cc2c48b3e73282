"""The opener of a group of alerts can fail, be stopped or never start: no event of the group is silenced for it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

import boto3
import pytest

from ir_router.errors import UncertainError
from ir_router.workflow import alert_groups
from tests.scenarios.test_intake import denied, send
from tests.support.operations import deployed_in
from tests.support.world import World
from tests.trials.world import FunctionDiedError, HttpAnswer, queues
from tests.trials.world.incidents import alerts
from tests.trials.world.state_machine import StateMachine

FIRST = "CHECK: user mallory - MEDIUM: API call denied"


def count(number: int) -> str:
    return f"CHECK: user mallory, {number} times in an hour - MEDIUM: API call denied"


def large(world: World, size: int = 261_500) -> Any:
    """Return a denied call just below the limit of Step Functions: a state of its execution exceeds it."""
    event = denied(world)
    event["detail"]["requestParameters"] = {"note": ""}
    event["detail"]["requestParameters"] = {"note": "x" * (size - len(json.dumps(event)))}
    return event


def subjects(world: World) -> list[str]:
    found = [alert["Subject"] for alert in alerts(world)]
    return [subject for subject in found if not subject.startswith("KEEP this e-mail")]


def after_an_hour(world: World, machine: StateMachine) -> list[str]:
    world.advance(3661)
    machine.advance()
    world.settle()
    return subjects(world)


def fails(machine: StateMachine, failing: str) -> Callable[[], None]:
    """Make a task fail until the returned function is called."""
    before = machine.fault

    def fault(task: str, _after: bool) -> None:
        if task == failing:
            raise UncertainError("AWS", task, "no answer")

    def mend() -> None:
        machine.fault = before

    machine.fault = fault
    return mend


def test_given_an_event_too_large_for_its_states_when_others_follow_then_they_are_alerted_and_all_count(
    world: World, machine: StateMachine
) -> None:
    with deployed_in(world) as deployment:
        send(machine, large(world))
        world.run_intake()
        send(machine, *(denied(world) for _ in range(5)))
        world.run_intake()
        assert subjects(world) == [FIRST]

        world.advance(600)
        deployment.upkeep()  # starts the large event with its long values cut
        machine.advance()
        send(machine, *(denied(world) for _ in range(5)))
        world.run_intake()

        assert after_an_hour(world, machine) == [count(11)]


def test_given_an_event_too_large_for_its_states_alone_when_it_starts_again_then_it_is_alerted(
    world: World, machine: StateMachine
) -> None:
    with deployed_in(world) as deployment:
        send(machine, large(world))
        world.run_intake()
        world.advance(600)
        deployment.upkeep()
        machine.advance()
        assert subjects(world) == [FIRST]
        send(machine, denied(world))
        world.run_intake()

        assert after_an_hour(world, machine) == [count(2)]


@pytest.mark.parametrize("failing", ["extract_event_context", "evaluate_severity", "alert_only"])
def test_given_an_opener_that_fails_when_others_follow_then_they_are_alerted(
    world: World, machine: StateMachine, failing: str
) -> None:
    world.expect(UncertainError)
    mend = fails(machine, failing)
    send(machine, denied(world))
    world.run_intake()
    mend()
    (failed,) = machine.executions.values()
    assert failed.status == "FAILED"
    (report,) = alerts(world)
    assert "FAILED" in report["Subject"]

    for _ in range(10):
        world.advance(60)
        send(machine, denied(world))
        world.run_intake()

    told = [*subjects(world), *after_an_hour(world, machine)]
    assert told == [FIRST, count(10)]


def test_given_events_counted_before_the_opener_fails_when_it_is_reported_then_the_report_has_their_number(
    world: World, machine: StateMachine
) -> None:
    world.expect(UncertainError)
    mend = fails(machine, "alert_only")
    failing = machine.fault
    more = [queues.record(queues.INTAKE, json.dumps(denied(world)), f"m{n}", f"handle {n}", {}) for n in range(2)]

    def fault(task: str, after: bool) -> None:
        machine.fault = failing
        world.invoke("workflow", {"Records": more})
        failing(task, after)

    machine.fault = fault
    send(machine, denied(world))
    world.run_intake()
    mend()
    (report,) = alerts(world)
    assert "ir-router counted 2 more events of this kind, and no other alert reports them: mallory" in report["Message"]

    send(machine, denied(world))
    world.run_intake()
    assert [*subjects(world), *after_an_hour(world, machine)] == [FIRST]


def test_given_an_opener_that_an_operator_stops_when_others_follow_then_the_count_has_all_events(
    world: World, machine: StateMachine
) -> None:
    send(machine, denied(world), denied(world), denied(world))
    world.run_intake()
    assert subjects(world) == [FIRST]
    (stopped,) = machine.executions.values()
    machine.abort(stopped)

    world.advance(31)  # the state of an opener is kept for half a minute
    send(machine, denied(world), denied(world))
    world.run_intake()
    (alert,) = alerts(world)
    assert alert["Subject"] == FIRST
    assert "3 events of this kind arrived within the hour so far." in alert["Message"]
    world.advance(3661)
    machine.advance()
    (summary,) = alerts(world)
    # The first event had an alert of its own.
    assert summary["Subject"] == count(4)
    assert "counted for an earlier execution, which ended too early" in summary["Message"]


def test_given_an_opener_that_was_stopped_when_the_next_event_comes_after_the_hour_then_its_count_is_not_lost(
    world: World, machine: StateMachine
) -> None:
    send(machine, denied(world), denied(world), denied(world))
    world.run_intake()
    (stopped,) = machine.executions.values()
    machine.abort(stopped)
    alerts(world)
    world.advance(3 * 3600)
    machine.start(denied(world))

    assert [*subjects(world), *after_an_hour(world, machine)] == [FIRST, count(3)]


def refuse(operation: str, **parameters: str) -> Callable[[], None]:
    """Refuse the calls of Step Functions with these parameters until the returned function is called."""
    refusing = True

    def answer(params: Mapping[str, Any], **_: Any) -> Any:
        if not refusing or not parameters.items() <= json.loads(params["body"]).items():
            return None
        error = {"Code": "ThrottlingException", "Message": "Rate exceeded"}
        return HttpAnswer(400), {"Error": error, "ResponseMetadata": {"HTTPStatusCode": 400}}

    def mend() -> None:
        nonlocal refusing
        refusing = False

    boto3.DEFAULT_SESSION.events.register_first(f"before-call.stepfunctions.{operation}", answer)  # type: ignore[union-attr]
    return mend


def name_of(event: Any) -> str:
    return f"event-{hashlib.sha256(event['id'].encode()).hexdigest()[:32]}"


@pytest.mark.parametrize("together", [True, False])
def test_given_a_start_that_is_refused_when_others_follow_then_they_are_alerted_and_the_first_counts_later(
    world: World, machine: StateMachine, together: bool
) -> None:
    refused, *others = (denied(world) for _ in range(4))
    mend = refuse("StartExecution", name=name_of(refused))
    send(machine, refused)
    if not together:
        world.run_intake()
    send(machine, *others)
    world.run_intake()
    assert subjects(world) == [FIRST]

    mend()
    world.advance(361)
    world.run_intake()  # SQS delivers the first event again
    assert after_an_hour(world, machine) == [count(4)]


def test_given_a_start_that_is_refused_alone_when_it_is_delivered_again_then_it_is_alerted_once(
    world: World, machine: StateMachine
) -> None:
    refused = denied(world)
    mend = refuse("StartExecution", name=name_of(refused))
    send(machine, refused)
    world.run_intake()
    mend()
    world.advance(361)
    world.run_intake()
    send(machine, denied(world))
    world.run_intake()

    assert [*subjects(world), *after_an_hour(world, machine)] == [FIRST, count(2)]


def test_given_an_unknown_opener_when_others_follow_then_sqs_delivers_them_again(
    world: World, machine: StateMachine
) -> None:
    send(machine, denied(world))
    world.run_intake()
    mend = refuse("DescribeExecution")
    send(machine, denied(world), denied(world))
    world.run_intake()
    mend()
    world.advance(361)
    world.run_intake()

    assert [*subjects(world), *after_an_hour(world, machine)] == [FIRST, count(3)]


def test_given_many_batches_of_a_group_when_counted_then_the_state_of_its_opener_is_read_twice_a_minute(
    world: World, machine: StateMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    status = alert_groups.status

    def counted(execution: str) -> str | None:
        read.append(execution)
        return status(execution)

    monkeypatch.setattr(alert_groups, "status", counted)
    send(machine, denied(world))
    world.run_intake()
    read.clear()
    for _ in range(12):
        world.advance(5)
        send(machine, denied(world), denied(world))
        world.run_intake()

    assert 1 <= len(read) <= 3
    assert [*subjects(world), *after_an_hour(world, machine)] == [FIRST, count(25)]


def test_given_an_opener_that_ran_a_moment_ago_when_stopped_then_the_next_alert_has_the_events_counted_for_it(
    world: World, machine: StateMachine
) -> None:
    send(machine, denied(world), denied(world))
    world.run_intake()
    send(machine, denied(world))
    world.run_intake()
    (opener,) = machine.executions.values()
    machine.abort(opener)
    send(machine, denied(world))
    world.run_intake()
    assert subjects(world) == [FIRST]

    world.advance(31)
    send(machine, denied(world))
    world.run_intake()

    (alert,) = alerts(world)
    assert "4 events of this kind arrived" in alert["Message"]


def test_given_a_count_of_a_version_that_did_not_mark_it_when_events_follow_then_it_is_not_reported_again(
    world: World, machine: StateMachine
) -> None:
    send(machine, denied(world), denied(world), denied(world))
    world.run_intake()
    assert [*subjects(world), *after_an_hour(world, machine)] == [FIRST, count(3)]
    for row in boto3.resource("dynamodb").Table("ledger").scan()["Items"]:
        if "reported" in row:
            values = {name: value for name, value in row.items() if name not in ("reported", "reported_by")}
            boto3.resource("dynamodb").Table("ledger").put_item(Item=values)

    send(machine, denied(world), denied(world))
    world.run_intake()
    assert [*subjects(world), *after_an_hour(world, machine)] == [FIRST, count(2)]


def test_given_an_opener_that_is_about_to_start_when_another_function_has_an_event_then_it_waits_for_it(
    world: World, machine: StateMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DescribeExecution is eventually consistent, and the group is opened before its execution starts."""
    send(machine, denied(world))
    world.run_intake()
    alert_groups.forget()
    status = alert_groups.status
    monkeypatch.setattr(alert_groups, "status", lambda _execution: None)
    send(machine, denied(world))
    world.run_intake()
    monkeypatch.setattr(alert_groups, "status", status)

    assert [*subjects(world), *after_an_hour(world, machine)] == [FIRST, count(2)]


def test_given_one_group_whose_opener_is_unknown_when_a_batch_arrives_then_the_other_events_are_handled(
    world: World, machine: StateMachine
) -> None:
    send(machine, denied(world))
    world.run_intake()
    alert_groups.forget()
    mend = refuse("DescribeExecution")
    send(machine, denied(world), denied(world, "eve"))
    world.run_intake()
    mend()

    assert subjects(world) == [FIRST, FIRST.replace("mallory", "eve")]


def test_given_a_batch_that_dies_at_any_call_when_it_takes_over_a_group_then_each_event_counts_once(
    world: World, machine: StateMachine
) -> None:
    world.unexpected.allow(FunctionDiedError)
    rounds, died = 0, True
    while died:
        rounds += 1
        name = f"caller-{rounds}"
        send(machine, denied(world, name), denied(world, name))
        world.run_intake()
        machine.abort(list(machine.executions.values())[-1])
        world.advance(31)
        send(machine, denied(world, name), denied(world, name))
        # An end before the next call leaves the same rows.
        world.wire.kill_at(rounds, "after")
        world.run_intake()
        died = world.wire.died_at is not None
        world.wire.spare()
        world.settle()
    assert rounds > 5

    world.advance(3661)
    machine.advance()
    names = [f"caller-{number}" for number in range(1, rounds + 1)]
    found = subjects(world)
    assert sorted(one for one in found if "times" in one) == sorted(count(3).replace("mallory", name) for name in names)
    # The group's first event, and the one that took its place, have alerts of their own. An alert is repeated if its
    # function dies before the alert is marked as sent.
    assert {found.count(FIRST.replace("mallory", name)) for name in names} == {2, 3}
