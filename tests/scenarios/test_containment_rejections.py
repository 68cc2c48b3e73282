"""W5: IAM rejects a change for a moment or persistently, with the codes and messages of AWS's documentation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import boto3
import pytest

from ir_router.ledger.unavailable import LedgerUnavailableError
from ir_router.workflow.changes import ChangeFailedError, ChangeRefusedError
from tests.support.iam_answers import Answers
from tests.support.world import World
from tests.trials.world.deployment import DENY_POLICY
from tests.trials.world.encryption import Key
from tests.trials.world.incidents import IamState, alerts, asked, contain, decide, iam_state, key_created, user
from tests.trials.world.state_machine import StateMachine

_DENIED = (
    "User: arn:aws:sts::111122223333:assumed-role/w/w is not authorized to perform: iam:{call} on resource: user x "
)
BY_ORGANISATION = _DENIED + "with an explicit deny in a service control policy"
NOT_YET = _DENIED + "because no identity-based policy allows the iam:{call} action"
TEN_POLICIES = "Cannot exceed quota for PoliciesPerUser: 10"


def forever(world: World, codes: Sequence[tuple[str, str, int, str]]) -> None:
    """Let IAM answer so for each (operation, code, status, message)."""
    for call, code, status, message in codes:
        Answers(world, call, (code, status, message), until=float("inf"))


def test_given_iam_that_is_busy_when_containing_then_it_is_contained_at_once_and_no_failure_is_counted(
    world: World, machine: StateMachine, capsys: pytest.CaptureFixture[str]
) -> None:
    Answers(
        world, "UpdateAccessKey",
        ("EntityTemporarilyUnmodifiable", 409, "being modified"), ("ConcurrentModification", 409, "another request"),
    )  # fmt: skip
    Answers(world, "AttachUserPolicy", ("Throttling", 400, "Rate exceeded"), ("ConcurrentModification", 409, "again"))

    execution, key = contain(world, machine)

    assert execution.path[-1] == "Wait for Analyst"
    assert iam_state(world, "backdoor") == IamState({key: "Inactive"}, denied=True)
    (alert,) = alerts(world)
    assert "user backdoor contained." in alert["Message"]
    assert "ContainmentFailed" not in capsys.readouterr().out


@pytest.mark.parametrize("seconds", [20, 50])
def test_given_a_permission_that_does_not_apply_yet_when_containing_then_it_is_retried_until_it_does(
    world: World, machine: StateMachine, seconds: float
) -> None:
    if seconds > 40:  # longer than one invocation retries
        world.expect(ChangeFailedError)
    Answers(world, "AttachUserPolicy", ("AccessDenied", 403, NOT_YET), until=world.now() + seconds)

    execution, key = contain(world, machine)

    assert execution.path[-1] == "Wait for Analyst"
    assert iam_state(world, "backdoor") == IamState({key: "Inactive"}, denied=True)
    (alert,) = alerts(world)
    assert "user backdoor contained." in alert["Message"]
    assert "AccessDenied" not in alert["Message"]


def test_given_a_permission_that_stays_away_when_containing_then_the_alert_states_call_and_reason(
    world: World, machine: StateMachine
) -> None:
    world.expect(ChangeFailedError)
    forever(world, [("AttachUserPolicy", "AccessDenied", 403, NOT_YET)])

    execution, _key = contain(world, machine)

    assert execution.path[-1] == "Wait for Analyst"
    (alert,) = alerts(world)
    why = "AccessDenied, iam:AttachUserPolicy is not allowed: no identity-based policy allows it"
    assert f"deny policy NOT attached to user backdoor: IAM rejected it ({why})" in alert["Message"]


def test_given_a_service_control_policy_when_containing_then_the_alert_comes_at_once_with_each_call_and_the_policy(
    world: World, machine: StateMachine, security_channel: str
) -> None:
    world.expect(ChangeRefusedError)
    forever(
        world,
        [
            ("AttachUserPolicy", "AccessDenied", 403, BY_ORGANISATION),
            ("UpdateAccessKey", "AccessDenied", 403, BY_ORGANISATION),
        ],
    )
    began = world.now()

    execution, key = contain(world, machine)

    assert (execution.status, execution.error) == ("FAILED", "ContainmentFailed")
    assert world.now() - began < 5
    assert iam_state(world, "backdoor") == IamState({key: "Active"}, denied=False)
    (alert,) = alerts(world)
    told = alert["Message"]
    assert "Containment FAILED or is incomplete" in told
    for call in ("AttachUserPolicy", "UpdateAccessKey"):
        assert f"iam:{call} is not allowed: explicit deny in a service control policy" in told
    assert "also stops you in this account" in told
    world.settle()
    messages = world.workspace.channel_messages(security_channel)
    (shown,) = [str(message["blocks"]) for message in messages if "ACT by" in str(message)]
    assert "Ask the administrators of the organisation to lift it for this principal now" in shown
    assert asked(world) == []


def test_given_a_service_control_policy_against_policies_only_when_containing_then_the_request_states_it(
    world: World, machine: StateMachine
) -> None:
    forever(world, [("AttachUserPolicy", "AccessDenied", 403, BY_ORGANISATION)])

    execution, key = contain(world, machine)

    assert execution.path[-1] == "Wait for Analyst"
    assert iam_state(world, "backdoor") == IamState({key: "Inactive"}, denied=False)
    (alert,) = alerts(world)
    assert "explicit deny in a service control policy" in alert["Message"]
    assert "also stops you in this account" in alert["Message"]


@pytest.mark.parametrize("end", ["deny", "none", "listed", "approve"])
def test_given_iam_that_does_not_list_the_keys_when_contained_then_the_policy_is_attached_and_the_end_is_exact(
    world: World, machine: StateMachine, end: str
) -> None:
    refused = Answers(world, "ListAccessKeys", ("AccessDenied", 403, BY_ORGANISATION), until=float("inf"))
    if end == "approve":
        world.expect(ChangeRefusedError)

    execution, key = contain(world, machine)

    assert execution.path[-1] == "Wait for Analyst"
    (alert,) = alerts(world)
    assert alert["Message"].startswith("user backdoor only PARTLY contained. You must act by hand now.")
    why = "AccessDenied, iam:ListAccessKeys is not allowed: explicit deny in a service control policy"
    assert f"access keys of user backdoor NOT disabled: IAM does not list them ({why})" in alert["Message"]
    (request,) = asked(world)
    assert request["deny"] == "restores user backdoor as found: keys unchanged, no deny policy."
    world.advance(60)
    world.verify_containments()
    assert alerts(world) == []

    if end == "listed":
        refused.end()
        world.verify_containments()
        (alert,) = alerts(world)
        assert f"completely contained: IAM lists the access keys now, and key {key} is disabled." in alert["Message"]
        assert iam_state(world, "backdoor") == IamState({key: "Inactive"}, denied=True)
    if end == "none":
        world.advance(86_401)
    else:
        decide(world, request["taskToken"], "approve" if end == "approve" else "deny")
    machine.advance()
    refused.end()

    told = alerts(world)[-1]["Message"]
    if end == "approve":
        assert execution.error == "RemediationFailed"
        assert why in told
    elif end == "none":
        assert execution.error == "SomethingUndone"
        assert "Missing: disabling the keys of user backdoor" in told
        assert iam_state(world, "backdoor") == IamState({key: "Active"}, denied=True)
    else:
        assert execution.status == "SUCCEEDED"
        assert iam_state(world, "backdoor") == IamState({key: "Active"}, denied=False)


@pytest.mark.parametrize("listed_later", [False, True])
def test_given_iam_that_does_not_list_the_keys_when_contained_without_the_ledger_then_the_policy_is_attached(
    world: World, machine: StateMachine, listed_later: bool
) -> None:
    world.expect(LedgerUnavailableError)
    refused = Answers(world, "ListAccessKeys", ("AccessDenied", 403, BY_ORGANISATION), until=float("inf"))
    ledger = Key(world)
    ledger.disable(3_600)
    detached: list[bool] = []

    def undo(task: str, after: bool) -> None:
        if task == "contain_with_ledger" and not after and not detached:
            boto3.client("iam").detach_user_policy(UserName="backdoor", PolicyArn=DENY_POLICY)
            detached.append(True)
        elif task == "contain_with_ledger" and not after and ledger.is_disabled:
            detached.append(not iam_state(world, "backdoor").denied)
        elif task == "contain_with_ledger" and not after and listed_later:
            refused.end()

    machine.fault = undo

    execution, key = contain(world, machine)

    why = "AccessDenied, iam:ListAccessKeys is not allowed: explicit deny in a service control policy"
    without, regular = alerts(world)
    assert without["Message"].startswith("user backdoor only PARTLY contained.")
    assert f"access keys of user backdoor NOT disabled: IAM does not list them ({why})" in without["Message"]
    state = "access keys unknown, the deny policy was not attached."
    assert f"Before the containment of user backdoor: {state}" in without["Message"]
    assert detached[0]
    assert not any(detached[1:])
    assert execution.path[-1] == "Wait for Analyst"
    partly = "user backdoor only PARTLY contained" in regular["Message"]
    assert partly is not listed_later
    refused.end()
    assert iam_state(world, "backdoor") == IamState({key: "Inactive" if listed_later else "Active"}, denied=True)

    (request,) = asked(world)
    decide(world, request["taskToken"], "deny")
    machine.advance()
    assert execution.status == "SUCCEEDED"
    assert iam_state(world, "backdoor") == IamState({key: "Active"}, denied=False)


def test_given_ten_policies_when_containing_then_the_alert_states_the_quota_and_what_to_do_first(
    world: World, machine: StateMachine
) -> None:
    forever(world, [("AttachUserPolicy", "LimitExceeded", 409, TEN_POLICIES)])

    _execution, _key = contain(world, machine)

    (alert,) = alerts(world)
    assert f"IAM rejected it (LimitExceeded, {TEN_POLICIES})" in alert["Message"]
    assert "you may have to detach another one first" in alert["Message"]


@pytest.mark.parametrize("decision", ["approve", "deny"])
def test_given_iam_that_is_busy_when_a_decision_is_carried_out_then_it_is_done_at_once(
    world: World, machine: StateMachine, decision: str
) -> None:
    execution, _key = contain(world, machine)
    for call in ("DeleteAccessKey", "UpdateAccessKey", "DetachUserPolicy"):
        Answers(world, call, ("EntityTemporarilyUnmodifiable", 409, "being modified"))
    decide(world, asked(world)[0]["taskToken"], decision)
    machine.advance()

    assert execution.status == "SUCCEEDED"


def test_given_a_quarantine_by_aws_when_denied_then_the_result_states_it_and_leaves_it_in_place(
    world: World, machine: StateMachine
) -> None:
    execution, key = contain(world, machine)
    iam = boto3.client("iam")
    statement = {"Effect": "Deny", "Action": "iam:*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    for name in ("AWSCompromisedKeyQuarantineV3", "Backup"):
        arn = iam.create_policy(PolicyName=name, PolicyDocument=document)["Policy"]["Arn"]
        iam.attach_user_policy(UserName="backdoor", PolicyArn=arn)
    other = iam.create_access_key(UserName="backdoor")["AccessKey"]["AccessKeyId"]

    decide(world, asked(world)[0]["taskToken"], "deny")
    machine.advance()

    assert execution.status == "SUCCEEDED"
    told = alerts(world)[-1]["Message"]
    why = "AWS attached AWSCompromisedKeyQuarantineV3 since the containment"
    assert f"key {key} stays disabled, because {why}" in told
    assert "AWS attached AWSCompromisedKeyQuarantineV3, because it found a key exposed; it stays attached" in told
    assert "others attached the policy Backup; it stays attached" in told
    assert f"key {other} was created by others and is Active" in told
    attached = iam.list_attached_user_policies(UserName="backdoor")["AttachedPolicies"]
    assert {policy["PolicyName"] for policy in attached} == {"AWSCompromisedKeyQuarantineV3", "Backup"}


def test_given_an_expired_key_and_a_named_key_that_is_gone_when_contained_and_denied_then_both_stay_and_are_stated(
    world: World, machine: StateMachine
) -> None:
    expired, gone = user("backdoor", keys=2)
    created = key_created(world, "backdoor", gone)
    boto3.client("iam").delete_access_key(UserName="backdoor", AccessKeyId=gone)
    key = boto3.client("iam").create_access_key(UserName="backdoor")["AccessKey"]["AccessKeyId"]

    def expire(parsed: Any, **_: Any) -> None:
        for entry in parsed.get("AccessKeyMetadata", []):
            entry["Status"] = "Expired" if entry["AccessKeyId"] == expired else entry["Status"]

    boto3.DEFAULT_SESSION.events.register("after-call.iam.ListAccessKeys", expire)  # type: ignore[union-attr]

    execution = machine.start(created)

    assert iam_state(world, "backdoor") == IamState({expired: "Expired", key: "Inactive"}, denied=True)
    (alert,) = alerts(world)
    assert f"key {gone} no longer exists" in alert["Message"]
    (request,) = asked(world)
    assert f"permanently deletes key {gone} (IAM does not list it)." in request["approve"]

    decide(world, request["taskToken"], "deny")
    machine.advance()

    assert execution.status == "SUCCEEDED"
    assert iam_state(world, "backdoor") == IamState({expired: "Expired", key: "Active"}, denied=False)
