"""Attacks by another account: events that reach this deployment, but are about principals of this account."""

from __future__ import annotations

import copy
import itertools
import json
from typing import Any

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ir_router.workflow import origin, reading
from tests.support.detection_events import EVENTS
from tests.support.world import ACCOUNT, World
from tests.trials.world import incidents as support
from tests.trials.world.incidents import alerts, audit_actions
from tests.trials.world.state_machine import StateMachine

OTHER = "210987654321"
USERS = ("bob", "mallory", "eve")
ROLES = ("app", "deploy", "admin")
SAMPLES = list(itertools.chain.from_iterable(itertools.chain(*found) for found in EVENTS.values()))


def iam_of_the_account() -> str:
    """Return everything that IAM stores, without the times of its answers."""
    details = boto3.client("iam").get_account_authorization_details()
    users = [user["UserName"] for user in details["UserDetailList"]]
    keys = [boto3.client("iam").list_access_keys(UserName=user)["AccessKeyMetadata"] for user in users]
    return json.dumps([{**details, "ResponseMetadata": None}, keys], default=str, sort_keys=True)


def test_given_all_sample_events_with_the_envelope_of_another_account_when_started_then_no_principal_changes(
    world: World, machine: StateMachine
) -> None:
    world.expect(origin.EventNotBelievedError)
    for name in USERS:
        support.user(name)
    for name in ROLES:
        support.role(name)
    before = iam_of_the_account()

    ends = {
        machine.start({**copy.deepcopy(sample), "id": str(number), "account": OTHER}).path[-1]
        for number, sample in enumerate(SAMPLES)
    }

    assert ends == {"Event Not Believed"}
    assert iam_of_the_account() == before
    while world.run_intake():
        pass
    # An event has two executions if a direct rule and one of the intake match it.
    assert len(machine.executions) > len(SAMPLES)
    assert audit_actions() == ["event_not_believed"] * len(machine.executions)
    (alert,) = alerts(world)
    assert alert["Subject"] == f"CHECK account {OTHER}: ir-router does not believe its event about account {ACCOUNT}"
    assert "What: CreateAccessKey for user bob by user mallory" in alert["Message"]
    world.advance(3601)
    machine.start({**support.key_created(world, "bob", "AKIAFORGED0000000001"), "account": OTHER})
    assert len(alerts(world)) == 1


@pytest.mark.parametrize("field", ["envelope and recipient", "recipient"])
def test_given_a_true_call_in_another_account_by_a_user_of_this_one_when_it_arrives_then_the_user_is_unchanged(
    world: World, machine: StateMachine, field: str
) -> None:
    world.unexpected.allow(origin.EventNotBelievedError)
    (key,) = support.user("bob")
    by = support.user_identity("bob", key)
    event = support.event(support.call(world, "CreateAccessKey", userIdentity=by, recipientAccountId=OTHER))
    if field == "envelope and recipient":
        event["account"] = OTHER
    before = iam_of_the_account()

    execution = machine.start(event)

    assert iam_of_the_account() == before
    expected = "Done" if field == "envelope and recipient" else "Event Not Believed"
    assert execution.path[-1] == expected
    if expected == "Done":
        assert f"The event is about account {OTHER}" in alerts(world)[0]["Message"]


def test_given_a_root_session_that_another_account_takes_of_this_one_when_its_event_arrives_then_it_is_alerted(
    world: World, machine: StateMachine
) -> None:
    request = {"targetPrincipal": ACCOUNT, "taskPolicyArn": {"arn": "arn:aws:iam::aws:policy/root-task/x"}}
    call = support.call(world, "AssumeRoot", service="sts", requestParameters=request, recipientAccountId=OTHER)

    execution = machine.start(support.event(call, source="aws.sts"))

    assert "Alert Only" in execution.path
    (alert,) = alerts(world)
    assert "MEDIUM: Root session of an account taken (AssumeRoot)" in alert["Subject"]


def test_given_an_event_with_the_id_of_a_call_in_another_account_when_both_arrive_then_none_is_a_duplicate(
    world: World, machine: StateMachine
) -> None:
    (key,) = support.user("bob")
    created = support.key_created(world, "bob", key)
    forged = copy.deepcopy(created) | {"account": OTHER}
    forged["detail"]["recipientAccountId"] = OTHER
    forged["detail"]["userIdentity"] = created["detail"]["userIdentity"] | {"accountId": OTHER}

    assert machine.start(forged).path[-1] == "Done"
    assert machine.start(created).path[-1] == "Wait for Analyst"
    assert "event_conflict" not in audit_actions()


accounts = st.sampled_from(["", ACCOUNT, OTHER])


@given(sample=st.sampled_from(SAMPLES), envelope=accounts, named=accounts)
def test_given_any_accounts_when_checked_then_only_this_account_reports_about_others_and_only_findings(
    sample: Any, envelope: str, named: str
) -> None:
    event = copy.deepcopy(sample) | {"account": envelope}
    for name in ("recipientAccountId", "accountId", "affectedAccount"):
        if name in event["detail"]:
            event["detail"][name] = named
    facts = reading.read(event)
    source = envelope or ACCOUNT
    is_finding = reading.kind_of(event) != "cloudtrail"

    if named in ("", source) or (is_finding and source == ACCOUNT):
        origin.check(event, facts, ACCOUNT)
    else:
        with pytest.raises(
            origin.EventNotBelievedError, match=f"account {source}, but its detail names account {named}"
        ):
            origin.check(event, facts, ACCOUNT)
