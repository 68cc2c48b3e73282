"""The calls of contained credentials in member accounts, which -workflow reads there."""

from __future__ import annotations

import json

import pytest

from ir_sandbox.slack.people import Person
from tests.support.activity import (
    assumed,
    attachments,
    by_session,
    call,
    comments,
    contained_in_member,
    in_account,
    shown,
)
from tests.support.world import World
from tests.trials.world import incidents
from tests.trials.world.deployment import CONTAINMENT_ROLE
from tests.trials.world.organisation import SCP, SHOP, Guard, iam_of
from tests.trials.world.state_machine import StateMachine
from tests.trials.world.wire import Side


def test_given_a_contained_user_of_a_member_when_two_minutes_pass_then_its_calls_there_are_shown(
    world: World, machine: StateMachine, jane: Person, security_channel: str
) -> None:
    key = contained_in_member(world, machine)
    session = "ASIASESSION000000001"
    world.trail.add(
        call(world, "AKIAHUB0000000000001", "ListUsers", userIdentity=incidents.user_identity("carol", "AKIAHUB")),
        *(
            in_account(one, SHOP)
            for one in (
                call(world, key, "CreateUser", requestParameters={"userName": "eve"}),
                assumed(world, key, session),
                by_session(world, session, "DeleteTrail"),
            )
        ),
    )
    world.live(2)

    (message,) = shown(world)
    assert "made 3 calls" in message
    assert "Not complete" not in message
    (rows,) = attachments(world).values()
    assert [row["action"] for row in rows] == ["CreateUser", "AssumeRole", "DeleteTrail"]
    read = len(world.trail.requests)
    world.trail.add(in_account(call(world, key, "CreateRole", ago=0, errorCode="AccessDenied"), SHOP), after=60)
    world.live(15)
    assert "made 4 calls" in shown(world)[-1]
    assert len(world.trail.requests) > read
    world.live(60)
    before = len(world.trail.requests)
    world.advance(3_600)
    world.live(2)
    assert len(world.trail.requests) == before


@pytest.mark.parametrize("denied", ["cloudtrail:LookupEvents", "sts:AssumeRole"])
def test_given_a_member_that_denies_the_reading_when_read_then_the_result_names_the_account(
    world: World, machine: StateMachine, jane: Person, security_channel: str, denied: str
) -> None:
    contained_in_member(world, machine)
    if denied.startswith("sts"):
        statement = {"Effect": "Deny", "Action": denied, "Resource": "*"}
        world.organisation.accounts[SHOP].guards.append(Guard(SCP, [statement]))
    else:
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iam:*", "Resource": "*"}]}
        iam_of(SHOP).put_role_policy(
            RoleName=CONTAINMENT_ROLE, PolicyName="containment", PolicyDocument=json.dumps(policy)
        )
    world.live(65)
    (message,) = shown(world)
    assert f"Not complete: the calls in account {SHOP} were not read" in message
    assert "apply terraform/modules/account" in message


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize(
    ("service", "operation"), [("cloudtrail", "LookupEvents"), ("events", "PutEvents"), ("dynamodb", "UpdateItem")]
)
def test_given_a_crash_of_the_reading_in_a_member_when_continued_then_each_result_appears_once(
    world: World, machine: StateMachine, jane: Person, security_channel: str, service: str, operation: str, side: Side
) -> None:
    key = contained_in_member(world, machine)
    world.trail.add(*(in_account(call(world, key, "ListUsers", ago=number / 4), SHOP) for number in range(120)))
    world.wire.kill_on(service, operation, side)
    world.try_invoke("workflow", {"task": "read_member_activity"})
    assert world.wire.died_at is not None
    world.live(12)
    assert len([one for one in shown(world) if "made 120 calls" in one]) == 1
    assert len(comments(world)) == 1
    assert [len(rows) for rows in attachments(world).values()] == [120]
