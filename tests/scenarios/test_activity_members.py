"""The calls of contained credentials in member accounts, which -workflow reads there."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ir_router import clock
from ir_router.ledger import member_activity
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
from tests.trials.world import ACCOUNT, incidents, organisation
from tests.trials.world.deployment import CONTAINMENT_ROLE
from tests.trials.world.organisation import LAB, SCP, SHOP, Guard, iam_of
from tests.trials.world.state_machine import Execution, StateMachine
from tests.trials.world.wire import Side

OUTSIDE = "210987654321"


@pytest.fixture
def contained_in_organisation(world: World, machine: StateMachine, jane: Person, security_channel: str) -> str:
    """Contain a user of the hub of an organisation, and return its key."""
    organisation.found(world)
    _, key = incidents.contain(world, machine)
    world.settle()
    return key


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


@pytest.mark.parametrize(
    ("service", "operation"), [("cloudtrail", "LookupEvents"), ("events", "PutEvents"), ("dynamodb", "UpdateItem")]
)
def test_given_a_crash_of_the_reading_in_a_member_when_continued_then_each_result_appears_once(
    world: World, machine: StateMachine, jane: Person, security_channel: str, service: str, operation: str
) -> None:
    key = contained_in_member(world, machine)
    world.trail.add(*(in_account(call(world, key, "ListUsers", ago=number / 4), SHOP) for number in range(120)))
    world.wire.kill_on(service, operation, "after")
    world.try_invoke("workflow", {"task": "read_member_activity"})
    assert world.wire.died_at is not None
    world.live(12)
    assert len([one for one in shown(world) if "made 120 calls" in one]) == 1
    assert len(comments(world)) == 1
    assert [len(rows) for rows in attachments(world).values()] == [120]


@pytest.mark.parametrize("failure", ["row", "AssumeRole"])
def test_given_a_case_that_fails_when_read_then_the_others_are_read_and_it_waits_behind_them(
    world: World, machine: StateMachine, jane: Person, security_channel: str, failure: str
) -> None:
    key = contained_in_member(world, machine)
    world.trail.add(in_account(call(world, key, "ListUsers"), SHOP))
    (contained,) = member_activity.wanted()
    member_activity.save(
        "oldest",
        wanted_at=float(contained["wanted_at"]) - 1,
        credentials=contained["credentials"],
        since=None if failure == "row" else float(contained["since"]),
    )
    if failure == "row":
        world.unexpected.expect(KeyError)
    else:
        world.organisation.throttled = 1
    assert world.invoke("workflow", {"task": "read_member_activity"}) == {"finished": 1, "pending": 1}

    world.live(2)
    assert "made 1 call" in shown(world)[-1]
    member_activity.save(contained["SK"], wanted_at=clock.now())
    waiting = [row["SK"] for row in member_activity.wanted()]
    assert waiting == ["oldest", contained["SK"]] if failure == "row" else [contained["SK"]]


def test_given_an_attempt_that_failed_when_cases_wait_then_the_longest_waiting_is_first(world: World) -> None:
    for name, values in {
        "tried": {"wanted_at": 1.0, "tried_at": 5.0},
        "new": {"wanted_at": 4.0},
        "read": {"wanted_at": 2.0, "done_at": 2.0},
        "rest of an expired row": {"tried_at": 3.0},
    }.items():
        member_activity.save(name, **values)
    assert [row["SK"] for row in member_activity.wanted()] == ["new", "tried"]


def test_given_a_closed_account_when_read_then_the_result_states_it(
    world: World, machine: StateMachine, jane: Person, security_channel: str
) -> None:
    contained_in_member(world, machine)
    world.organisation.accounts[SHOP].status = "SUSPENDED"
    world.live(65)
    (message,) = shown(world)
    assert f"Not complete: the calls in account {SHOP} were not read (the account is closed)." in message
    assert "modules/account" not in message


# Sessions in another account than that of the contained principal

SESSION = "ASIAELSEWHERE0000001"
CHAINED = "ASIACHAINED000000001"


def crossing(world: World, key: str, account: str, session: str, *, ago: float = 50, **changes: Any) -> dict[str, Any]:
    """Return the record of the call with which the user opened a session of a role of another account."""
    record = assumed(world, key, session, ago=ago, **changes)
    arn = f"arn:aws:sts::{account}:assumed-role/admin/evil"
    record["responseElements"]["assumedRoleUser"]["arn"] = arn
    record["requestParameters"]["roleArn"] = f"arn:aws:iam::{account}:role/admin"
    return record


def test_given_a_session_in_a_member_when_three_minutes_pass_then_its_calls_there_are_shown(
    world: World, contained_in_organisation: str
) -> None:
    key = contained_in_organisation
    world.trail.add(
        call(world, key, "ListUsers"),
        crossing(world, key, SHOP, SESSION),
        in_account(by_session(world, SESSION, "CreateUser", requestParameters={"userName": "eve"}), SHOP),
        by_session(world, SESSION, "DeleteTrail"),  # a call of this key that the hub alone would have
    )
    world.live(2)
    assert "made 2 calls so far" in shown(world)[-1]
    world.live(1)

    assert "made 3 calls" in shown(world)[-1]
    assert "user eve" in shown(world)[-1]
    assert "1 sessions" in comments(world)[0]
    (rows,) = attachments(world).values()
    assert [row["action"] for row in rows] == ["ListUsers", "AssumeRole", "CreateUser"]
    world.trail.add(in_account(by_session(world, SESSION, "StopLogging", ago=0), SHOP), after=60)
    world.live(15)
    assert "made 4 calls" in shown(world)[-1]
    assert "1 call SUCCEEDED" in shown(world)[-1]
    assert "Not complete" not in shown(world)[-1]


def test_given_a_chain_of_sessions_when_read_then_it_is_followed_through_members_and_back(
    world: World, machine: StateMachine, jane: Person, security_channel: str
) -> None:
    key = contained_in_member(world, machine)
    world.trail.add(
        in_account(call(world, key, "ListUsers"), SHOP),
        {**crossing(world, key, LAB, SESSION), "recipientAccountId": SHOP},
        {**in_account(by_session(world, SESSION, "AssumeRole", service="sts"), LAB), **opened(ACCOUNT, CHAINED)},
        by_session(world, CHAINED, "CreateRole", requestParameters={"roleName": "late"}),
    )
    world.live(3)

    (rows,) = attachments(world).values()
    assert {row["action"] for row in rows} == {"ListUsers", "AssumeRole", "CreateRole"}
    assert len(rows) == 4
    assert "Not complete" not in shown(world)[-1]


def opened(account: str, session: str) -> dict[str, Any]:
    arn = f"arn:aws:sts::{account}:assumed-role/admin/evil"
    return {"responseElements": {"credentials": {"accessKeyId": session}, "assumedRoleUser": {"arn": arn}}}


@pytest.mark.parametrize("is_member", [True, False])
def test_given_a_session_in_an_account_without_access_when_read_then_the_result_names_the_account(
    world: World, contained_in_organisation: str, is_member: bool
) -> None:
    account = SHOP if is_member else OUTSIDE
    if is_member:
        organisation.remove_role(SHOP)
    key = contained_in_organisation
    world.trail.add(call(world, key, "ListUsers"), crossing(world, key, account, SESSION))
    world.live(3)
    message = shown(world)[-1]
    assert "made 2 calls" in message
    assert f"Not complete: the calls in account {account} were not read (no access" in message
    assert ("If the account belongs to your organisation" in message) == (not is_member)


def test_given_no_organisation_when_a_session_is_in_another_account_then_the_result_names_it(
    world: World, contained: tuple[Execution, str]
) -> None:
    _, key = contained
    world.trail.add(call(world, key, "ListUsers"), crossing(world, key, SHOP, SESSION))
    world.live(2)
    (message,) = shown(world)
    assert f"Not complete: the calls in account {SHOP} were not read (ir-router has no access to it)" in message
    assert f"the calls in account {SHOP} were not read (ir-router has no access to it)" in comments(world)[0]


def test_given_a_root_session_of_a_member_when_read_then_its_calls_there_are_shown(
    world: World, contained_in_organisation: str
) -> None:
    key = contained_in_organisation
    opened_root = call(world, key, "AssumeRoot", ago=50, service="sts")
    opened_root["requestParameters"] = {"targetPrincipal": SHOP}
    opened_root["responseElements"] = {"credentials": {"accessKeyId": SESSION, "sessionToken": "secret"}}
    used = by_session(world, SESSION, "DeleteBucketPolicy", service="s3")
    world.trail.add(opened_root, in_account(used, SHOP))
    world.live(3)
    assert "made 2 calls" in shown(world)[-1]
    assert "Not complete" not in shown(world)[-1]


def test_given_members_that_are_read_late_when_shown_then_their_accounts_are_named_and_a_result_follows(
    world: World, contained_in_organisation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = contained_in_organisation
    world.trail.add(crossing(world, key, SHOP, SESSION), in_account(by_session(world, SESSION, "DeleteTrail"), SHOP))
    world.live(4)
    assert "made 2 calls" in shown(world)[-1]
    world.advance(2_400)  # the next pass is the last but one
    world.live(4)
    world.trail.add(
        crossing(world, key, LAB, CHAINED, ago=0),
        in_account(by_session(world, CHAINED, "StopLogging", ago=0), LAB),
        after=60,
    )
    with monkeypatch.context() as patched:
        patched.setattr("ir_router.workflow.member_activity._SLICE_SECONDS", 0)
        world.live(40)
    message = shown(world)[-1]
    assert "made 3 calls" in message
    assert f"Not complete: the calls in account {LAB} were not read yet" in message
    assert f"Not complete: the newest calls in account {SHOP} were not read yet" in message
    before = len(shown(world))

    world.live(2)
    assert len(shown(world)) == before + 1
    assert "made 4 calls" in shown(world)[-1]
    assert "Not complete" not in shown(world)[-1]
    assert "Not complete" not in comments(world)[0]
    world.live(20)
    assert len(shown(world)) == before + 1


def test_given_a_long_pass_when_a_session_is_handed_over_at_its_end_then_the_result_waits_for_its_calls(
    world: World, contained_in_organisation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = contained_in_organisation
    world.trail.add(crossing(world, key, SHOP, SESSION), in_account(by_session(world, SESSION, "DeleteTrail"), SHOP))
    with monkeypatch.context() as patched:
        patched.setattr("ir_router.sync.activity._SLICE_SECONDS", 0)
        world.live(17)
    assert shown(world) == []
    world.live(3)
    assert "made 2 calls" in shown(world)[-1]
    assert not any("not read yet" in one for one in shown(world))


@pytest.mark.parametrize("side", ["before", "after"])
def test_given_a_crash_before_a_session_is_handed_over_when_continued_then_its_calls_appear_once(
    world: World, contained_in_organisation: str, side: Side
) -> None:
    key = contained_in_organisation
    world.trail.add(crossing(world, key, SHOP, SESSION), in_account(by_session(world, SESSION, "DeleteTrail"), SHOP))
    world.wire.kill_on("cloudtrail", "LookupEvents", side)
    world.live(8)
    assert world.wire.died_at is not None
    assert len([one for one in shown(world) if "made 2 calls" in one]) == 1
    assert [len(rows) for rows in attachments(world).values()] == [2]
