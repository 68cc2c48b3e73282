"""Principals of member accounts: contained, verified, decided about, restored and released in their own account."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from moto.iam.models import iam_backends

from ir_router.ledger import approvals
from ir_router.workflow import origin
from ir_sandbox import cloud_trail
from tests.support.detection_events.makers import role
from tests.support.world import ACCOUNT, World
from tests.trials.world import incidents as support
from tests.trials.world import organisation
from tests.trials.world.deployment import DENY_POLICY
from tests.trials.world.incidents import IamState, alerts, asked, decide, iam_state
from tests.trials.world.organisation import LAB, MEMBERS, SHOP, iam_of, moved, picture
from tests.trials.world.state_machine import Execution, StateMachine

ACCOUNTS = (ACCOUNT, *MEMBERS)
OUTSIDE = "210987654321"


@pytest.fixture(autouse=True)
def members(world: World) -> None:
    organisation.found(world)


def same_user_everywhere(name: str = "carol", keys: int = 1) -> dict[str, list[str]]:
    return {account: support.user(name, keys, account) for account in ACCOUNTS}


def key_of(world: World, machine: StateMachine, account: str, name: str = "carol") -> tuple[Execution, str]:
    """Create a key for a user of an account, and deliver the event; return the execution and the key."""
    key = iam_of(account).create_access_key(UserName=name)["AccessKey"]["AccessKeyId"]
    by = cloud_trail.user_identity(account, "mallory", "AKIAMALLORY000000001")
    return machine.start(moved(support.key_created(world, name, key, userIdentity=by), account)), key


def only_case(world: World) -> dict[str, Any]:
    (listed,) = world.security_ir.call("ListCases", {"maxResults": 25})["items"]
    return dict(world.security_ir.call("GetCase", {"caseId": listed["caseId"]}))


@pytest.fixture
def others_untouched() -> Iterator[Any]:
    """Compare the IAM of all accounts but SHOP with its state at the call."""
    before: dict[str, str] = {}

    def note() -> None:
        before.update({account: picture(account) for account in (ACCOUNT, LAB)})

    yield note
    assert before
    for account, earlier in before.items():
        assert picture(account) == earlier


@pytest.mark.parametrize("decision", ["approve", "deny"])
def test_given_a_key_in_a_member_when_decided_then_its_user_is_contained_and_restored_there_alone(
    world: World, machine: StateMachine, others_untouched: Any, decision: str
) -> None:
    (old,) = same_user_everywhere()[SHOP]
    others_untouched()

    execution, key = key_of(world, machine, SHOP)

    assert execution.path[-1] == "Wait for Analyst"
    assert iam_state(world, "carol", SHOP) == IamState({old: "Inactive", key: "Inactive"}, denied=True)
    assert only_case(world)["impactedAccounts"] == [SHOP]

    decide(world, asked(world)[0]["taskToken"], decision)
    machine.advance()

    assert execution.status == "SUCCEEDED"
    if decision == "deny":
        assert iam_state(world, "carol", SHOP) == IamState({old: "Active", key: "Active"}, denied=False)
        return
    assert iam_state(world, "carol", SHOP) == IamState({old: "Inactive"}, denied=True)
    arn = f"arn:aws:iam::{SHOP}:user/carol"
    task = {"task": "release", "principal": arn, "released_by": "jane", "reason": "test"}
    assert world.invoke("workflow", task)["status"] == "released"
    assert iam_state(world, "carol", SHOP) == IamState({old: "Active"}, denied=False)


def test_given_a_contained_user_of_a_member_when_undone_there_then_the_verification_contains_it_again(
    world: World, machine: StateMachine, others_untouched: Any
) -> None:
    same_user_everywhere()
    others_untouched()
    key_of(world, machine, SHOP)
    iam_of(SHOP).detach_user_policy(UserName="carol", PolicyArn=DENY_POLICY)

    world.verify_containments()

    assert iam_state(world, "carol", SHOP).denied
    assert any("contained again" in alert["Message"] for alert in alerts(world))


@pytest.mark.parametrize("who", [None, role("security-incident-workflow", account=SHOP)], ids=["user", "role"])
def test_given_a_call_that_detaches_the_policy_in_a_member_when_it_arrives_then_the_user_is_contained_again(
    world: World, machine: StateMachine, others_untouched: Any, who: dict[str, Any] | None
) -> None:
    same_user_everywhere()
    others_untouched()
    key_of(world, machine, SHOP)
    iam_of(SHOP).detach_user_policy(UserName="carol", PolicyArn=DENY_POLICY)
    request = {"userName": "carol", "policyArn": DENY_POLICY}
    caller: Any = {"userIdentity": who} if who else {}
    call = support.call(world, "DetachUserPolicy", requestParameters=request, **caller)

    execution = machine.start(moved(support.event(call), SHOP))

    assert execution.status == "SUCCEEDED"
    assert iam_state(world, "carol", SHOP).denied


def test_given_an_approved_containment_in_a_member_when_undone_then_a_later_verification_contains_it_again(
    world: World, machine: StateMachine, others_untouched: Any
) -> None:
    same_user_everywhere()
    others_untouched()
    key_of(world, machine, SHOP)
    decide(world, asked(world)[0]["taskToken"], "approve")
    machine.advance()
    iam_of(SHOP).detach_user_policy(UserName="carol", PolicyArn=DENY_POLICY)

    world.advance(3_700)
    world.verify_containments()

    assert iam_state(world, "carol", SHOP).denied


def test_given_a_renamed_user_of_a_member_when_denied_then_it_is_restored_under_its_new_name(
    world: World, machine: StateMachine, others_untouched: Any
) -> None:
    same_user_everywhere()
    others_untouched()
    key_of(world, machine, SHOP)
    iam_of(SHOP).update_user(UserName="carol", NewUserName="caroline")
    for key in iam_backends[SHOP]["aws"].users["caroline"].access_keys:
        key.user_name = "caroline"  # moto still returns the former name of the keys' owner

    decide(world, asked(world)[0]["taskToken"], "deny")
    machine.advance()

    assert not iam_state(world, "caroline", SHOP).denied
    assert set(iam_state(world, "caroline", SHOP).keys.values()) == {"Active"}


def test_given_a_finding_about_a_member_that_the_hub_reports_when_grave_then_the_member_is_contained(
    world: World, machine: StateMachine, others_untouched: Any
) -> None:
    (old,) = same_user_everywhere()[SHOP]
    others_untouched()

    execution = machine.start(support.finding("carol", 8.0, accountId=SHOP))

    assert execution.path[-1] == "Wait for Analyst"
    assert iam_state(world, "carol", SHOP) == IamState({old: "Inactive"}, denied=True)


def test_given_an_exposed_key_of_a_member_when_reported_then_its_owner_is_contained(
    world: World, machine: StateMachine, others_untouched: Any
) -> None:
    (old,) = same_user_everywhere()[SHOP]
    others_untouched()

    machine.start(moved(support.exposed(old), SHOP))

    assert iam_state(world, "carol", SHOP) == IamState({old: "Inactive"}, denied=True)


@pytest.mark.parametrize("form", ["name", "id"])
def test_given_a_user_of_a_member_when_aws_health_names_it_then_it_is_contained_there(
    world: World, machine: StateMachine, others_untouched: Any, form: str
) -> None:
    same_user_everywhere()
    stored: Any = iam_backends[SHOP]["aws"].users["carol"]
    stored.id = "AIDACKCEVSQ6C2EXAMPLE"
    others_untouched()

    machine.start(moved(support.exposed("carol" if form == "name" else stored.id), SHOP))

    assert iam_state(world, "carol", SHOP).denied


def test_given_users_of_one_name_in_three_accounts_when_all_have_events_then_each_has_its_own_incident(
    world: World, machine: StateMachine
) -> None:
    same_user_everywhere()
    executions = {account: key_of(world, machine, account)[0] for account in ACCOUNTS}

    assert {execution.path[-1] for execution in executions.values()} == {"Wait for Analyst"}
    assert all(iam_state(world, "carol", account).denied for account in ACCOUNTS)
    tokens = {message["approvalId"]: message["taskToken"] for message in asked(world)}
    decide(world, tokens[approvals.id_of(executions[SHOP].arn, "remediate")], "deny")
    machine.advance()

    assert [iam_state(world, "carol", account).denied for account in ACCOUNTS] == [True, False, True]


@pytest.mark.parametrize("about", [ACCOUNT, LAB])
def test_given_a_forged_event_of_a_member_about_another_account_when_it_arrives_then_no_account_changes(
    world: World, machine: StateMachine, about: str
) -> None:
    world.expect(origin.EventNotBelievedError)
    same_user_everywhere()
    before = [picture(account) for account in ACCOUNTS]

    for forged in (
        support.key_created(world, "carol", "AKIAFORGED0000000001"),
        support.finding("carol", 8.0),
        support.exposed("AKIAFORGED0000000001"),
    ):
        execution = machine.start({**moved(forged, about), "account": SHOP})
        assert execution.path[-1] == "Event Not Believed"

    assert [picture(account) for account in ACCOUNTS] == before


def test_given_an_account_outside_the_organisation_when_its_event_arrives_then_nothing_changes(
    world: World, machine: StateMachine
) -> None:
    same_user_everywhere()
    before = [picture(account) for account in ACCOUNTS]
    world.unexpected.allow(Exception)

    machine.start(moved(support.key_created(world, "carol", "AKIAOUTSIDE000000001"), OUTSIDE))

    assert [picture(account) for account in ACCOUNTS] == before
    assert "NOT contained" in alerts(world)[0]["Message"]


def test_given_no_organisation_when_the_event_of_another_account_arrives_then_it_is_refused_as_before(
    world: World, machine: StateMachine
) -> None:
    del world.environment["IR_ORGANIZATION_ID"]
    same_user_everywhere()
    before = [picture(account) for account in ACCOUNTS]

    machine.start(moved(support.key_created(world, "carol", "AKIAMEMBER0000000001"), SHOP))

    assert [picture(account) for account in ACCOUNTS] == before
    expected = f"It belongs to account {SHOP}, but ir-router contains only principals of account {ACCOUNT}."
    assert expected in alerts(world)[0]["Message"]
