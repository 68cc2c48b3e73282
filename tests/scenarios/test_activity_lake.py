"""The calls of contained credentials in CloudTrail Lake: data events and all Regions, next to CloudTrail's history."""

from __future__ import annotations

from typing import Any

import pytest

from ir_router import cloudtrail_lake, trail_search
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
from tests.trials.world import ACCOUNT, incidents
from tests.trials.world.lake import STORE
from tests.trials.world.organisation import SCP, SHOP, Guard
from tests.trials.world.state_machine import Execution, StateMachine
from tests.trials.world.wire import Side

SESSION = "ASIASESSION000000001"


@pytest.fixture(autouse=True)
def lake(world: World) -> None:
    """Give the deployment the event data store."""
    world.environment["IR_CLOUDTRAIL_LAKE_EVENT_DATA_STORE"] = STORE


def read_object(world: World, key: str, **changes: Any) -> dict[str, Any]:
    """Return a data event: the contained user read an object in another Region."""
    return call(
        world,
        key,
        "GetObject",
        service="s3",
        managementEvent=False,
        eventCategory="Data",
        awsRegion="eu-west-1",
        **changes,
    )


def statements(world: World) -> list[str]:
    return [query.statement for query in world.trail.lake.queries.values()]


def test_given_an_event_data_store_when_read_then_data_events_and_other_regions_appear_too(
    world: World, contained: tuple[Execution, str]
) -> None:
    _, key = contained
    world.trail.add(
        call(world, key, "ListUsers"),
        read_object(world, key, ago=30),
        assumed(world, key, SESSION),
        by_session(world, SESSION, "CreateFunction20150331", service="lambda", awsRegion="eu-central-1"),
        read_object(world, "", userIdentity=incidents.user_identity("stranger", "AKIASTRANGER00000001")),
    )
    world.live(4)

    message = shown(world)[-1]
    assert "made 4 calls" in message
    assert "s3, eu-west-1: 1 succeeded" in message
    assert "lambda, eu-central-1: 1 succeeded" in message
    assert "from CloudTrail Lake in all Regions" in message
    assert "Not complete" not in message
    (comment,) = comments(world)
    assert "data events that its event data store collects" in comment
    (rows,) = attachments(world).values()
    assert [row["action"] for row in rows].count("ListUsers") == 1  # both sources have it


def test_given_a_data_event_after_the_containment_when_read_then_it_pages_although_a_query_still_works(
    world: World, contained: tuple[Execution, str]
) -> None:
    _, key = contained
    world.trail.lake.running = 10_000
    incidents.pages(world)
    world.advance(20)
    world.trail.add(call(world, key, "CreateUser", ago=0, requestParameters={"userName": "late"}))
    world.live(3)
    (page,) = incidents.pages(world)
    assert "Calls of contained credentials succeeded" in page["Message"]


def test_given_a_slow_query_when_read_then_it_is_asked_once_and_its_waiting_is_no_page(
    world: World, contained: tuple[Execution, str]
) -> None:
    _, key = contained
    world.trail.lake.running = 150  # more requests than MOST_PAGES
    world.trail.add(read_object(world, key))
    world.live(14)
    assert "made 1 call," in shown(world)[-1]
    assert "Not complete" not in shown(world)[-1]
    assert [len(rows) for rows in attachments(world).values()] == [1]
    assert len(statements(world)) == len(set(statements(world)))


@pytest.mark.parametrize("end", ["FAILED", "CANCELLED", "TIMED_OUT"])
def test_given_a_query_without_a_result_when_read_then_the_history_counts_and_the_gap_is_named(
    world: World, contained: tuple[Execution, str], end: str
) -> None:
    _, key = contained
    world.trail.lake.ends_as = end
    world.trail.add(call(world, key, "ListUsers"), read_object(world, key))
    world.live(3)
    message = shown(world)[-1]
    assert "made 1 call," in message
    assert (
        f"Not complete: the calls in CloudTrail Lake were not all read (CloudTrail Lake rejected the query ({end}))"
        in message
    )
    world.trail.lake.ends_as = "FINISHED"
    world.live(15)
    assert "made 2 calls" in shown(world)[-1]
    assert "Not complete" not in shown(world)[-1]


@pytest.mark.parametrize(
    "code", ["AccessDeniedException", "InactiveEventDataStoreException", "InsufficientEncryptionPolicyException"]
)
def test_given_a_store_that_refuses_when_read_then_the_result_names_it(
    world: World, contained: tuple[Execution, str], code: str
) -> None:
    _, key = contained
    world.trail.lake.refuse_with = code
    world.trail.add(call(world, key, "ListUsers"))
    world.live(3)
    assert "made 1 call," in shown(world)[-1]
    assert f"StartQuery ({code}" in shown(world)[-1]


def test_given_a_store_that_is_never_free_when_ten_minutes_pass_then_the_result_appears_without_it(
    world: World, contained: tuple[Execution, str]
) -> None:
    _, key = contained
    world.trail.lake.refuse_with = "MaxConcurrentQueriesException"
    world.trail.add(call(world, key, "ListUsers"))
    world.live(14)
    assert "made 1 call," in shown(world)[-1]
    assert "were not all read (it took too long)" in shown(world)[-1]


def test_given_a_forgotten_query_when_continued_then_it_is_started_once_more(
    world: World, contained: tuple[Execution, str]
) -> None:
    _, key = contained
    world.trail.lake.running = 90
    world.trail.add(*(read_object(world, key, ago=100 + number) for number in range(120)))
    world.live(2)
    assert world.trail.lake.queries
    world.trail.lake.queries.clear()
    world.trail.lake.running = 2
    world.live(6)
    assert "made 120 calls" in shown(world)[-1]


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("operation", ["StartQuery", "GetQueryResults"])
def test_given_a_crash_at_a_query_when_continued_then_each_result_appears_once(
    world: World, contained: tuple[Execution, str], operation: str, side: Side
) -> None:
    _, key = contained
    world.advance(45)
    world.trail.add(*(read_object(world, key, ago=number / 4) for number in range(120)))
    world.wire.kill_on("cloudtrail", operation, side)
    world.live(12)
    assert world.wire.died_at is not None
    assert len([one for one in shown(world) if "made 120 calls" in one]) == 1
    assert [len(rows) for rows in attachments(world).values()] == [120]
    first = [one for one in statements(world) if one == statements(world)[0]]
    assert len(first) == (2 if (operation, side) == ("StartQuery", "after") else 1)


def test_given_names_with_quotes_when_looked_up_then_no_query_contains_them() -> None:
    progress = trail_search.Progress(end=1.0, since=0.0, pending=[])
    store = cloudtrail_lake.EventDataStore(STORE, ACCOUNT)
    for value in ("x' OR '1'='1", "x\\", "x;", "x\n", "\u2019", "", "x--' ", "{0}"):
        assert not cloudtrail_lake.can_ask(value)
        with pytest.raises(ValueError, match="cannot contain"):
            store.look_up("", "Username", value, 0.0, 1.0, None)
    assert progress.limited == []


def test_given_a_role_with_a_quote_in_its_path_when_contained_then_the_gap_is_named_and_nothing_is_injected(
    world: World, contained: tuple[Execution, str]
) -> None:
    world.environment["IR_CLOUDTRAIL_LAKE_EVENT_DATA_STORE"] = STORE
    arn = f"arn:aws:iam::{ACCOUNT}:role/x' OR '1'='1/worker"
    one = {"arn": arn, "name": "worker", "kind": "role", "account": ACCOUNT, "keys": ["AKIA0000000000000001"]}
    with world.wire.invocation("sync"):
        progress = trail_search.begin([{**one, "whole": True}], 1.0, {})
    assert [lookup.attribute for lookup in progress.pending if lookup.is_in_lake] == ["AccessKeyId"]
    assert [lookup.is_in_lake for lookup in progress.pending] == sorted(one.is_in_lake for one in progress.pending)
    assert "unusual characters" in progress.limited[0]


def test_given_a_role_when_its_sessions_are_found_in_the_lake_then_their_calls_appear(
    world: World, machine: StateMachine, jane: Person, security_channel: str
) -> None:
    incidents.role("worker")
    identity = incidents.role_identity("worker", "session")
    found = incidents.finding("x", 8.0, user_type="AssumedRole")
    found["detail"]["resource"]["accessKeyDetails"] |= {"userName": "worker", "principalId": "AROAEXAMPLE:session"}
    machine.start(found)
    world.settle()
    opened = assumed(world, "AKIACI00000000000001", SESSION, "worker", ago=300)
    used = by_session(world, SESSION, "GetObject", service="s3", managementEvent=False, awsRegion="eu-west-1")
    world.trail.add(
        {**opened, "awsRegion": "eu-west-1"}, {**used, "userIdentity": {**identity, "accessKeyId": SESSION}}
    )
    world.live(5)
    assert "s3, eu-west-1: 1 succeeded" in shown(world)[-1]


def test_given_a_member_when_the_hub_has_the_store_of_the_organisation_then_it_serves_the_member_alone(
    world: World, machine: StateMachine, jane: Person, security_channel: str
) -> None:
    key = contained_in_member(world, machine)
    data = {**read_object(world, key), "eventID": "data-event"}
    world.trail.add(in_account(call(world, key, "CreateUser", requestParameters={"userName": "eve"}), SHOP))
    world.trail.add(in_account(data, SHOP), call(world, key, "ListUsers"))  # the hub's record of the same key
    world.live(6)
    (rows,) = [attachments(world)[name] for name in sorted(attachments(world))[-1:]]
    assert sorted(row["action"] for row in rows) == ["CreateUser", "GetObject"]
    assert all(f"recipientaccountid = '{SHOP}'" in one for one in statements(world))


def test_given_a_member_without_access_when_read_then_the_lake_has_its_calls_and_the_gap_is_named(
    world: World, machine: StateMachine, jane: Person, security_channel: str
) -> None:
    key = contained_in_member(world, machine)
    statement = {"Effect": "Deny", "Action": "sts:AssumeRole", "Resource": "*"}
    world.organisation.accounts[SHOP].guards.append(Guard(SCP, [statement]))
    world.trail.add(in_account(read_object(world, key), SHOP))
    world.live(6)
    message = shown(world)[-1]
    assert "made 1 call," in message
    assert f"the calls in account {SHOP} were not read" in message
