"""The texts about principals of member accounts, and each state in which ir-router cannot contain there."""

from __future__ import annotations

from typing import Any

import pytest

from ir_router.ledger import approvals
from ir_router.workflow import sessions
from ir_router.workflow.changes import ChangeRefusedError
from ir_router.workflow.sessions import AccountClosedError
from tests.support.world import ACCOUNT, World
from tests.trials.world import incidents as support
from tests.trials.world import organisation
from tests.trials.world.deployment import CONTAINMENT_ROLE, DENY_POLICY
from tests.trials.world.incidents import IamState, alerts, asked, contain, decide, iam_state
from tests.trials.world.organisation import LAB, SCP, SHOP, Account, Guard, iam_of, moved
from tests.trials.world.state_machine import Execution, StateMachine

CAROL = f"user carol in shop-prod ({SHOP})"


@pytest.fixture(autouse=True)
def members(world: World) -> None:
    organisation.found(world)


def shop(world: World) -> Account:
    return world.organisation.accounts[SHOP]


def deny(*actions: str) -> Guard:
    return Guard(SCP, [{"Effect": "Deny", "Action": list(actions), "Resource": "*"}])


def key_in(world: World, machine: StateMachine, account: str = SHOP, name: str = "carol") -> tuple[Execution, str]:
    (key,) = support.user(name, 1, account)
    by = support.user_identity(f"creator-of-{name}", "AKIACREATOR000000001")
    return machine.start(moved(support.key_created(world, name, key, userIdentity=by), account)), key


def cases(world: World) -> list[dict[str, Any]]:
    listed = world.security_ir.call("ListCases", {"maxResults": 25})["items"]
    return [dict(world.security_ir.call("GetCase", {"caseId": one["caseId"]})) for one in listed]


def unreachable(world: World, machine: StateMachine) -> str:
    """Report a key of a user whose account cannot be reached; return the alert's text."""
    world.expect(sessions.NoRoleError)
    execution, key = key_in(world, machine)
    assert execution.path[-1] == "Done"
    assert iam_state(world, "carol", SHOP) == IamState({key: "Active"}, denied=False)
    (alert,) = alerts(world)
    assert alert["Message"].startswith(f"{CAROL} NOT contained. You must act by hand now.")
    (case,) = cases(world)
    assert f"shop-prod ({SHOP}) cannot be reached" in case["description"]
    assert case["impactedAccounts"] == [SHOP]
    return str(alert["Message"])


def test_given_a_user_of_a_member_when_contained_and_denied_then_every_text_names_its_account(
    world: World, machine: StateMachine
) -> None:
    key_in(world, machine)

    (alert,) = alerts(world)
    assert alert["Subject"] == f"DECIDE within 24 h: {CAROL} contained - HIGH: Access key created"
    assert alert["Message"].startswith(f"{CAROL} contained.")
    assert f"Account shop-prod ({SHOP}), region" in alert["Message"]
    (case,) = cases(world)
    assert case["title"] == f"HIGH: Access key created - {CAROL}"
    assert case["description"].startswith(f"{CAROL} contained.")
    (request,) = asked(world)
    assert CAROL in request["summary"]
    decide(world, request["taskToken"], "deny")
    machine.advance()
    assert CAROL in alerts(world)[-1]["Message"]
    assert sum(call.operation == "DescribeAccount" for call in world.wire.calls) == 1


def test_given_a_user_of_the_hub_when_contained_then_its_account_is_named_too(
    world: World, machine: StateMachine
) -> None:
    contain(world, machine)

    assert f"24 h: user backdoor in security ({ACCOUNT}) contained" in alerts(world)[0]["Subject"]


def test_given_no_permission_to_describe_accounts_when_contained_then_the_id_alone_is_shown(
    world: World, machine: StateMachine
) -> None:
    world.organisation.may_describe = False
    _execution, key = key_in(world, machine)

    assert iam_state(world, "carol", SHOP) == IamState({key: "Inactive"}, denied=True)
    assert f"24 h: user carol in {SHOP} contained - HIGH" in alerts(world)[0]["Subject"]


def test_given_a_member_without_the_role_when_an_event_arrives_then_alert_and_case_give_cause_and_commands(
    world: World, machine: StateMachine
) -> None:
    organisation.remove_role(SHOP)

    message = unreachable(world, machine)

    assert f"AWS denied the role {CONTAINMENT_ROLE}. The role is missing, does not trust ir-router" in message
    assert f"aws iam attach-user-policy --user-name carol --policy-arn {DENY_POLICY};" in message
    assert "aws iam update-access-key --user-name carol --status Inactive" in message
    assert "To fix the role, apply terraform/modules/account in that account, or update its stack" in message


def test_given_a_role_that_trusts_another_hub_when_an_event_arrives_then_the_account_cannot_be_reached(
    world: World, machine: StateMachine
) -> None:
    iam_of(SHOP).update_assume_role_policy(
        RoleName=CONTAINMENT_ROLE,
        PolicyDocument='{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", '
        '"Principal": {"AWS": "arn:aws:iam::999999999999:root"}}]}',
    )

    unreachable(world, machine)


@pytest.mark.parametrize("account", [ACCOUNT, SHOP])
def test_given_a_policy_of_the_organisation_that_denies_the_role_when_an_event_arrives_then_the_alert_names_it(
    world: World, machine: StateMachine, account: str
) -> None:
    world.organisation.accounts[account].guards.append(deny("sts:AssumeRole"))

    if account == SHOP:
        assert f"the role {CONTAINMENT_ROLE} (explicit deny in a service control policy)" in unreachable(world, machine)
    else:
        unreachable(world, machine)


def test_given_an_exposed_key_of_an_account_without_a_role_when_reported_then_the_alert_names_the_account(
    world: World, machine: StateMachine
) -> None:
    world.expect(sessions.NoRoleError)
    organisation.remove_role(SHOP)
    (key,) = support.user("carol", 1, SHOP)

    machine.start(moved(support.exposed(key), SHOP))

    (alert,) = alerts(world)
    assert f"shop-prod ({SHOP}) cannot be reached" in alert["Message"]
    assert f"aws iam get-access-key-last-used --access-key-id {key}" in alert["Message"]


def test_given_a_policy_of_the_organisation_that_denies_the_change_when_contained_then_the_alert_names_it(
    world: World, machine: StateMachine
) -> None:
    shop(world).guards.append(deny("iam:AttachUserPolicy", "iam:UpdateAccessKey"))
    world.expect(ChangeRefusedError)

    execution, key = key_in(world, machine)

    assert execution.status == "FAILED"
    assert iam_state(world, "carol", SHOP) == IamState({key: "Active"}, denied=False)
    (alert,) = alerts(world)
    assert "explicit deny in a service control policy" in alert["Message"]
    assert "A policy of your AWS organisation forbids this change" in alert["Message"]
    assert CAROL in alert["Subject"]


@pytest.mark.parametrize("state", ["SUSPENDED", "PENDING_CLOSURE", "CLOSED"])
def test_given_a_closed_account_when_an_event_arrives_then_a_medium_alert_states_that_nothing_can_be_changed(
    world: World, machine: StateMachine, state: str
) -> None:
    shop(world).status = state

    execution, _key = key_in(world, machine)

    assert execution.path[-1] == "Done"
    (alert,) = alerts(world)
    assert alert["Message"].startswith(f"{CAROL} not contained: its account is closed.")
    assert f"Account shop-prod ({SHOP}) is closed (state {state}), so nothing can be changed in it." in alert["Message"]
    assert alert["MessageAttributes"]["severity"]["Value"] == "MEDIUM"
    assert cases(world) == []


@pytest.mark.parametrize(
    ("hub", "member", "told"),
    [
        ("enforce", "dry_run", f"With containment_mode enforce in shop-prod ({SHOP}), the result would be:"),
        ("enforce", "off", f"because containment_mode is off in shop-prod ({SHOP})."),
        ("dry_run", "enforce", "With containment_mode enforce in the account of ir-router, the result would be:"),
        ("dry_run", "dry_run", "With containment_mode enforce, the result would be:"),
        ("off", "dry_run", "because containment_mode is off in the account of ir-router."),
        ("enforce", "", f"With containment_mode enforce in shop-prod ({SHOP}), the result would be:"),
    ],
)
def test_given_modes_of_hub_and_member_when_they_differ_then_the_more_careful_one_wins_and_the_alert_states_whose(
    world: World, machine: StateMachine, hub: str, member: str, told: str
) -> None:
    world.environment["IR_CONTAINMENT_MODE"] = hub
    client = iam_of(SHOP)
    client.untag_role(RoleName=CONTAINMENT_ROLE, TagKeys=["ir-router-mode"])
    if member:
        client.tag_role(RoleName=CONTAINMENT_ROLE, Tags=[{"Key": "ir-router-mode", "Value": member}])

    _execution, key = key_in(world, machine)

    assert iam_state(world, "carol", SHOP) == IamState({key: "Active"}, denied=False)
    assert told in alerts(world)[0]["Message"]


def test_given_a_role_that_may_not_read_its_tags_when_an_event_arrives_then_the_account_cannot_be_reached(
    world: World, machine: StateMachine
) -> None:
    shop(world).guards.append(deny("iam:ListRoleTags"))

    assert "iam:ListRoleTags is not allowed" in unreachable(world, machine)


def test_given_sts_that_throttles_when_an_event_arrives_then_the_state_is_retried_and_contains(
    world: World, machine: StateMachine
) -> None:
    world.organisation.throttled = 3
    world.unexpected.allow(Exception)

    _execution, key = key_in(world, machine)

    assert iam_state(world, "carol", SHOP) == IamState({key: "Inactive"}, denied=True)


def test_given_many_users_of_one_member_when_its_limit_is_reached_then_only_that_account_waits_for_permission(
    world: World, machine: StateMachine
) -> None:
    world.environment["IR_MAX_CONTAINMENTS_PER_HOUR_PER_ACCOUNT"] = "2"
    for name in ("one", "two"):
        key_in(world, machine, SHOP, name)
    alerts(world)

    execution, key = key_in(world, machine, SHOP, "three")

    assert execution.path[-1] == "Wait for Permission"
    assert iam_state(world, "three", SHOP) == IamState({key: "Inactive"}, denied=False)
    counted = f"2 principals of account shop-prod ({SHOP}) were contained within the last hour"
    assert counted in alerts(world)[0]["Message"]
    key_in(world, machine, LAB, "four")
    contain(world, machine, "five")
    assert iam_state(world, "four", LAB).denied
    assert iam_state(world, "five").denied


def test_given_a_member_beyond_its_limit_when_further_actors_act_there_then_one_case_and_one_request_are_about_all(
    world: World, machine: StateMachine
) -> None:
    world.environment["IR_MAX_CONTAINMENTS_PER_HOUR_PER_ACCOUNT"] = "1"
    key_in(world, machine, SHOP, "one")
    asked(world)

    first, *further = (key_in(world, machine, SHOP, name)[0] for name in ("two", "three", "four"))

    assert first.path[-1] == "Wait for Permission"
    assert {execution.path[-1] for execution in further} == {"Alerted"}
    (request,) = asked(world)
    shown = approvals.get(request["approvalId"]) or {}
    users = [f"user {name} in shop-prod ({SHOP})" for name in ("two", "four", "three")]
    assert shown["listed"] == users
    assert len(cases(world)) == 2
    in_lab, _key = key_in(world, machine, LAB, "five")
    assert in_lab.path[-1] == "Wait for Analyst"

    asked(world)
    decide(world, request["taskToken"], "approve")
    machine.advance()

    assert all(iam_state(world, name, SHOP).denied for name in ("two", "three", "four"))
    (decision,) = asked(world)
    decide(world, decision["taskToken"], "deny")
    machine.advance()
    assert first.status == "SUCCEEDED"
    assert [iam_state(world, name, SHOP).denied for name in ("one", "two", "three", "four")] == [True, *[False] * 3]
    assert all(user in alerts(world)[-1]["Message"] for user in users[:1])


def test_given_a_user_whom_the_member_protects_when_contained_then_the_alert_states_that_it_is_protected(
    world: World, machine: StateMachine
) -> None:
    changes = ["iam:AttachUserPolicy", "iam:UpdateAccessKey"]
    protected = {"Effect": "Deny", "Action": changes, "Resource": f"arn:aws:iam::{SHOP}:user/carol"}
    shop(world).guards.append(Guard("identity-based policy", [protected]))
    world.expect(ChangeRefusedError)

    execution, key = key_in(world, machine)

    assert execution.status == "FAILED"
    assert iam_state(world, "carol", SHOP) == IamState({key: "Active"}, denied=False)
    assert "The principal is protected: a policy of the containment role in its account" in alerts(world)[0]["Message"]


@pytest.mark.parametrize("decision", [None, "approve"])
def test_given_an_account_that_is_closed_after_a_containment_when_verified_then_the_others_are_and_nothing_fails(
    world: World, machine: StateMachine, decision: str | None
) -> None:
    key_in(world, machine)
    contain(world, machine)
    if decision:
        for request in asked(world):
            decide(world, request["taskToken"], decision)
        machine.advance()
    shop(world).status = "SUSPENDED"
    world.advance(3_700)
    iam_of(ACCOUNT).detach_user_policy(UserName="backdoor", PolicyArn=DENY_POLICY)

    for _ in range(2):
        assert world.verify_containments()["failed"] == 0
    assert iam_state(world, "backdoor").denied


def test_given_an_account_that_is_closed_during_the_verification_when_decided_then_only_the_decision_fails(
    world: World, machine: StateMachine
) -> None:
    execution, _key = key_in(world, machine)
    shop(world).status = "CLOSED"
    world.advance(900)

    machine.advance()

    assert execution.path[-1] == "Verified"
    assert alerts(world)[1:] == []
    world.expect(AccountClosedError)
    decide(world, asked(world)[0]["taskToken"], "deny")
    machine.advance()
    assert execution.path[-1] == "Remediation Failed"
    assert f"Account shop-prod ({SHOP}) is closed (state CLOSED)" in alerts(world)[-1]["Message"]


def test_given_a_containment_in_a_member_when_made_then_it_costs_two_calls_more_than_in_the_hub(
    world: World, machine: StateMachine
) -> None:
    contain(world, machine)
    in_hub = len(world.wire.calls)
    key_in(world, machine)

    assert len(world.wire.calls) - in_hub <= in_hub + 2
