"""W2, W4: repeated events about a principal that is not contained: one case, one approval request, the
rest is counted.
"""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from ir_router.errors import UncertainError
from tests.support.world import ACCOUNT, World
from tests.trials.world import incidents as support
from tests.trials.world.incidents import alerts, asked, audit_actions, audit_rows, decide, iam_state
from tests.trials.world.state_machine import Execution, StateMachine


def cases(world: World) -> list[str]:
    return [row["caseId"] for row in world.security_ir.call("ListCases", {"maxResults": 25})["items"]]


def protect(world: World, *names: str) -> None:
    world.environment["IR_PROTECTED_PRINCIPALS"] = json.dumps([f"arn:aws:iam::{ACCOUNT}:user/{name}" for name in names])


def make_and_delete_keys(world: World, machine: StateMachine, name: str, times: int) -> list[Execution]:
    """Create and delete keys in a loop, as an attacker does."""
    executions = []
    for _ in range(times):
        created = support.key_created(world, name)
        executions.append(machine.start(created))
        boto3.client("iam").delete_access_key(UserName=name, AccessKeyId=support.named_key(created))
    return executions


def beyond_the_limit(world: World, machine: StateMachine) -> None:
    """Contain one user, so that no other may be contained within the hour."""
    world.environment["IR_MAX_CONTAINMENTS_PER_HOUR"] = "1"
    (key,) = support.user("one")
    by = support.user_identity("eve", "AKIAEVE0000000000001")  # the limit counts the principals of all callers
    machine.start(support.key_created(world, "one", key, userIdentity=by))
    for seen in (alerts, asked):
        seen(world)
    support.user("two")


def test_given_a_protected_user_when_keys_are_made_in_a_loop_then_there_is_one_case_and_the_rest_is_counted(
    world: World, machine: StateMachine
) -> None:
    support.user("backdoor")
    protect(world, "backdoor")

    first, teller, *others = make_and_delete_keys(world, machine, "backdoor", 5)

    assert (first.status, first.path[-1]) == ("SUCCEEDED", "Done")
    assert teller.path[-1] == "Collect for an Hour"
    assert [(other.status, other.path[-1]) for other in others] == [("SUCCEEDED", "Alerted")] * 3
    (case_id,) = cases(world)
    (alert,) = alerts(world)
    assert "NOT contained. You must act by hand now." in alert["Message"]
    records = audit_rows()
    assert [row["action"] for row in records] == ["ended"] + ["event_counted"] * 4
    assert len({json.loads(row["details"])["access_key_id"] for row in records}) == 5

    world.advance(3_601)
    machine.advance()

    assert (teller.status, teller.path[-1]) == ("SUCCEEDED", "Alerted")
    (count,) = alerts(world)
    assert "5 events within the hour" in count["Message"]
    assert "was not contained" in count["Message"]
    assert f"Case: {case_id}" in count["Message"]
    assert sum("5 events within the hour" in comment for comment in world.comments(case_id)) == 1


def test_given_an_hour_gone_by_when_another_key_is_made_then_it_is_reported_at_once_again(
    world: World, machine: StateMachine
) -> None:
    support.user("backdoor")
    protect(world, "backdoor")
    make_and_delete_keys(world, machine, "backdoor", 2)
    world.advance(3_601)

    (again,) = make_and_delete_keys(world, machine, "backdoor", 1)

    assert (again.status, again.path[-1]) == ("SUCCEEDED", "Done")
    assert len(cases(world)) == 2


def test_given_other_principals_and_other_kinds_of_events_when_refused_then_each_is_reported_at_once(
    world: World, machine: StateMachine
) -> None:
    names = ("backdoor", "other")
    protect(world, *names)
    for name in names:
        support.user(name)
        make_and_delete_keys(world, machine, name, 2)

    machine.start(support.finding("backdoor", 8.0))

    assert len(cases(world)) == 2  # one for the caller, one for the finding
    assert len(alerts(world)) == 3


def test_given_a_user_beyond_the_limit_when_keys_are_made_in_a_loop_then_there_is_one_case_and_one_question(
    world: World, machine: StateMachine
) -> None:
    beyond_the_limit(world, machine)

    first, _teller, *others = make_and_delete_keys(world, machine, "two", 5)

    assert first.path[-1] == "Wait for Permission"
    assert {other.path[-1] for other in others} == {"Alerted"}
    assert len(cases(world)) == 2
    (page,) = alerts(world)
    assert "NOT contained yet" in page["Message"]
    assert "do not send another approval request" in page["Message"]
    (question,) = asked(world)
    decide(world, question["taskToken"], "approve")
    machine.advance(first)
    assert first.path[-1] == "Wait for Analyst"
    assert iam_state(world, "two").denied
    assert audit_actions().count("event_counted") == 4


def test_given_a_permission_that_was_refused_when_the_next_key_is_made_then_it_is_asked_again(
    world: World, machine: StateMachine
) -> None:
    beyond_the_limit(world, machine)
    (first,) = make_and_delete_keys(world, machine, "two", 1)
    decide(world, asked(world)[0]["taskToken"], "deny")
    machine.advance(first)
    assert first.status == "SUCCEEDED"

    (again, later) = make_and_delete_keys(world, machine, "two", 2)

    assert again.path[-1] == "Wait for Permission"
    assert later.path[-1] == "Collect for an Hour"
    assert len(asked(world)) == 1


@pytest.mark.parametrize("after", [False, True])
def test_given_a_lost_answer_when_an_event_is_counted_again_then_it_counts_once(
    world: World, machine: StateMachine, after: bool
) -> None:
    support.user("backdoor")
    protect(world, "backdoor")
    tried: list[Any] = []

    def lose_every_second(task: str, done: bool) -> None:
        if task == "open_case" and done == after:
            tried.append(task)
            if len(tried) % 2:
                raise UncertainError("Lambda", "Invoke", "answer lost")

    machine.fault = lose_every_second
    make_and_delete_keys(world, machine, "backdoor", 3)
    alerts(world)
    world.advance(3_601)
    machine.advance()

    assert len(tried) == 6
    assert len(cases(world)) == 1
    (count,) = alerts(world)
    assert "3 events within the hour" in count["Message"]
    assert audit_actions().count("event_counted") == 2


@pytest.mark.parametrize("case", ["closed", "none"])
def test_given_no_case_that_takes_a_comment_when_the_hour_ends_then_the_count_is_alerted_all_the_same(
    world: World, machine: StateMachine, case: str
) -> None:
    support.user("backdoor")
    protect(world, "backdoor")
    if case == "none":
        (membership,) = world.security_ir.call("ListMemberships", {})["items"]
        world.security_ir.call("CancelMembership", {"membershipId": membership["membershipId"]})
    _first, teller, _other = make_and_delete_keys(world, machine, "backdoor", 3)
    if case == "closed":
        world.security_ir.call("CloseCase", {"caseId": cases(world)[0]})
    alerts(world)

    world.advance(3_601)
    machine.advance()

    assert (teller.status, teller.path[-1]) == ("SUCCEEDED", "Alerted")
    (count,) = alerts(world)
    assert "3 events within the hour" in count["Message"]
    assert ("Case:" in count["Message"]) == (case == "closed")


def test_given_a_counted_event_whose_answer_is_lost_when_the_state_is_tried_again_then_it_counts_once(
    world: World, machine: StateMachine
) -> None:
    first = machine.start(support.event(support.call(world, "ListUsers")))
    # A replay of an event that EventBridge could not deliver starts the workflow without the intake.
    later = machine.start(support.event(support.call(world, "ListUsers")), "replay-1")
    assert later.path[-1] == "Alerted"
    again = [answer.event for answer in world.invocations if answer.event.get("task") == "alert_only"][-1]

    assert world.invoke("workflow", again) == {"alerted": False, "group_opened": False}
    world.advance(3_601)
    machine.advance(first)

    assert "2 events within the hour" in alerts(world)[-1]["Message"]
