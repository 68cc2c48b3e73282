"""W3, W6: a user can be renamed and its name reused. IAM's ids identify the principal of an event."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.iam.models import iam_backends

from ir_router.ledger import approvals
from ir_router.ledger.containments import ContainmentBusyError
from ir_router.workflow.changes import ChangeFailedError
from ir_router.workflow.identity import OwnerNotShownError
from ir_sandbox.slack.people import Person
from tests.support.approvals import make_approver, press
from tests.support.iam_answers import Answers
from tests.support.world import World
from tests.trials.world import ACCOUNT
from tests.trials.world import incidents as support
from tests.trials.world.deployment import DENY_POLICY
from tests.trials.world.incidents import IamState, alerts, asked, contain, decide, iam_state, key_created, user
from tests.trials.world.state_machine import Execution, StateMachine


def rename(name: str, new: str) -> None:
    boto3.client("iam").update_user(UserName=name, NewUserName=new)
    for key in iam_backends[ACCOUNT]["aws"].users[new].access_keys:
        key.user_name = new  # moto still returns the former name of the keys' owner


def test_given_a_user_that_was_renamed_before_the_event_came_when_contained_then_it_is_the_owner_of_the_key(
    world: World, machine: StateMachine
) -> None:
    (key,) = user("backdoor")
    created = key_created(world, "backdoor", key)
    rename("backdoor", "elsewhere")

    execution = machine.start(created)

    assert execution.path[-1] == "Wait for Analyst"
    assert iam_state(world, "elsewhere") == IamState({key: "Inactive"}, denied=True)


def test_given_a_name_that_was_given_to_another_user_when_contained_then_they_are_left_alone(
    world: World, machine: StateMachine
) -> None:
    (key,) = user("backdoor")
    (innocent,) = user("carol")
    created = key_created(world, "backdoor", key)
    rename("backdoor", "elsewhere")
    rename("carol", "backdoor")

    machine.start(created)

    assert iam_state(world, "backdoor") == IamState({innocent: "Active"}, denied=False)
    assert iam_state(world, "elsewhere") == IamState({key: "Inactive"}, denied=True)


@pytest.mark.parametrize("impossible", ["AKIASHORT", "AKIA" + "X" * 200, "AKIA/../users/00001", "AKIAéééééééééééééééé"])
def test_given_a_key_that_iam_cannot_have_when_contained_then_the_user_is_and_both_decisions_succeed(
    world: World, machine: StateMachine, impossible: str
) -> None:
    for number, decision in enumerate(("approve", "deny")):
        name = f"bob-{number}"
        (key,) = user(name)
        by = support.user_identity(f"creator-of-{name}", "AKIACREATOR000000001")
        execution = machine.start(key_created(world, name, impossible, userIdentity=by))

        assert execution.steps[-1] == "Wait for Analyst"
        assert iam_state(world, name) == IamState({key: "Inactive"}, denied=True)
        (request,) = asked(world)
        assert decide(world, request["taskToken"], decision)["status"] in ("approved", "denied")
        machine.advance()
        assert execution.status == "SUCCEEDED"
        assert iam_state(world, name) == IamState(
            {key: "Inactive" if decision == "approve" else "Active"}, denied=decision == "approve"
        )


# The id in the event identifies the actor


def user_id(name: str) -> str:
    """Return the user's id in IAM, which CloudTrail and GuardDuty show as principalId."""
    stored = iam_backends[ACCOUNT]["aws"].users[name]
    if not stored.id.startswith("AIDA"):  # in AWS's format; moto has another
        stored.id = f"AIDA{stored.id[4:].upper()}"
    return str(boto3.client("iam").get_user(UserName=name)["User"]["UserId"])


def own_key_created(world: World, name: str, own: str) -> Any:
    """Let a user create another key for itself and delete it; return the event, which arrives after that."""
    created = key_created(world, name, userIdentity=support.user_identity(name, own) | {"principalId": user_id(name)})
    boto3.client("iam").delete_access_key(UserName=name, AccessKeyId=support.named_key(created))
    return created


def session_found(name: str) -> Any:
    """Return GuardDuty's finding about a user's session, which has no key of its own in IAM."""
    found = support.finding(name, 8.0)
    found["detail"]["resource"]["accessKeyDetails"] |= {
        "accessKeyId": "ASIAGUARDDUTY0000001",
        "principalId": user_id(name),
    }
    return found


def needs_a_person(world: World, execution: Execution, name: str, its_id: str) -> None:
    """Check that the execution contains nothing and the alert names the principal to look for."""
    assert (execution.status, execution.path[-1]) == ("SUCCEEDED", "Done")
    message = alerts(world)[0]["Message"]
    assert f"user {name} NOT contained. You must act by hand now." in message
    assert f"IAM no longer has the user {name} (id {its_id}): the user was deleted or renamed." in message
    assert "aws iam list-users" in message


def test_given_a_user_that_deletes_its_new_key_and_renames_itself_when_reported_then_it_is_contained_by_its_own_key(
    world: World, machine: StateMachine
) -> None:
    (own,) = user("mallory")
    created = own_key_created(world, "mallory", own)
    rename("mallory", "elsewhere")
    (innocent,) = user("mallory")

    execution = machine.start(created)

    assert execution.path[-1] == "Wait for Analyst"
    assert iam_state(world, "elsewhere") == IamState({own: "Inactive"}, denied=True)
    assert iam_state(world, "mallory") == IamState({innocent: "Active"}, denied=False)


def test_given_a_user_whose_keys_are_all_gone_and_whose_name_another_user_has_when_reported_then_a_person_must_look(
    world: World, machine: StateMachine
) -> None:
    (own,) = user("mallory")
    its_id = user_id("mallory")
    created = own_key_created(world, "mallory", own)
    boto3.client("iam").delete_access_key(UserName="mallory", AccessKeyId=own)
    rename("mallory", "elsewhere")
    (innocent,) = user("mallory")

    execution = machine.start(created)

    needs_a_person(world, execution, "mallory", its_id)
    assert iam_state(world, "mallory") == IamState({innocent: "Active"}, denied=False)


@pytest.mark.parametrize("somebody_else", [True, False])
def test_given_a_finding_about_a_session_of_a_user_that_was_renamed_when_reported_then_a_person_must_look(
    world: World, machine: StateMachine, somebody_else: bool
) -> None:
    user("mallory")
    its_id = user_id("mallory")
    found = session_found("mallory")
    rename("mallory", "elsewhere")
    innocent = user("mallory") if somebody_else else []

    execution = machine.start(found)

    needs_a_person(world, execution, "mallory", its_id)
    if somebody_else:
        assert iam_state(world, "mallory") == IamState(dict.fromkeys(innocent, "Active"), denied=False)


def test_given_a_finding_about_a_session_of_a_user_that_has_its_name_when_reported_then_it_is_contained(
    world: World, machine: StateMachine
) -> None:
    (key,) = user("mallory")

    execution = machine.start(session_found("mallory"))

    assert execution.path[-1] == "Wait for Analyst"
    assert iam_state(world, "mallory") == IamState({key: "Inactive"}, denied=True)


def test_given_iam_that_still_returns_the_owners_old_name_when_another_user_has_it_then_they_are_left_alone(
    world: World, machine: StateMachine
) -> None:
    world.expect(OwnerNotShownError)
    (own,) = user("mallory")
    created = own_key_created(world, "mallory", own)
    boto3.client("iam").update_user(UserName="mallory", NewUserName="elsewhere")  # moto still returns the former owner
    (innocent,) = user("mallory")

    execution = machine.start(created)

    assert (execution.status, execution.error) == ("FAILED", "ContainmentFailed")
    (alert,) = alerts(world)
    assert "Principal:" not in alert["Message"]
    assert f"IAM does not yet show who owns the key {own}; it names the user mallory" in alert["Message"]
    assert "may now belong to another user" in alert["Message"]
    assert iam_state(world, "mallory") == IamState({innocent: "Active"}, denied=False)


def test_given_an_actor_that_was_renamed_when_it_is_contained_too_then_it_is_so_under_its_new_name(
    world: World, machine: StateMachine
) -> None:
    world.environment["IR_CONTAIN_ACTOR"] = "true"
    (own,) = user("mallory")
    (key,) = user("backdoor")
    who = support.user_identity("mallory", own) | {"principalId": user_id("mallory")}
    created = key_created(world, "backdoor", key, userIdentity=who)
    rename("mallory", "elsewhere")
    (innocent,) = user("mallory")

    machine.start(created)

    assert iam_state(world, "backdoor") == IamState({key: "Inactive"}, denied=True)
    assert iam_state(world, "elsewhere") == IamState({own: "Inactive"}, denied=True)
    assert iam_state(world, "mallory") == IamState({innocent: "Active"}, denied=False)


def test_given_a_user_that_was_renamed_when_its_containment_fails_then_people_learn_the_name_that_it_has_now(
    world: World, machine: StateMachine
) -> None:
    world.expect(ChangeFailedError)
    Answers(world, "AttachUserPolicy", ("NoSuchEntity", 404, "There is no such policy."), until=float("inf"))
    (key,) = user("backdoor")
    created = key_created(world, "backdoor", key)
    rename("backdoor", "elsewhere")
    user("backdoor")

    machine.start(created)

    (alert,) = alerts(world)
    assert ": user elsewhere" in alert["Subject"]
    assert f"Principal: arn:aws:iam::{ACCOUNT}:user/elsewhere" in alert["Message"]


def test_given_an_actor_that_was_renamed_when_owners_are_asked_for_then_it_is_its_own_owner_who_may_not_decide(
    world: World, machine: StateMachine
) -> None:
    iam = boto3.client("iam")
    (own,), (key,) = user("mallory"), user("backdoor")
    created = key_created(world, "backdoor", key, userIdentity=support.user_identity("mallory", own))
    rename("mallory", "elsewhere")
    user("mallory")
    for name, owner in (("elsewhere", "jane@example.com"), ("mallory", "ann@example.com")):
        iam.tag_user(UserName=name, Tags=[{"Key": "slack-email", "Value": owner}])

    machine.start(created)

    (question,) = asked(world)
    approval = approvals.get(question["approvalId"])
    assert approval is not None
    assert approval["owners"] == ["jane@example.com"]


# Between the containment and its end


@pytest.mark.parametrize("decision", ["approve", "deny"])
def test_given_a_contained_user_that_is_renamed_when_decided_then_it_is_carried_out_under_the_new_name(
    world: World, machine: StateMachine, decision: str
) -> None:
    execution, key = contain(world, machine)
    rename("backdoor", "elsewhere")
    (other,) = user("backdoor")  # another user has the old name now
    (question,) = asked(world)

    decide(world, question["taskToken"], decision)
    machine.advance()

    assert execution.status == "SUCCEEDED"
    assert iam_state(world, "backdoor") == IamState({other: "Active"}, denied=False)
    after = {"approve": IamState({}, denied=True), "deny": IamState({key: "Active"}, denied=False)}
    assert iam_state(world, "elsewhere") == after[decision]


def test_given_a_contained_user_that_is_deleted_when_denied_then_the_report_says_that_nothing_was_changed(
    world: World, machine: StateMachine
) -> None:
    execution, key = contain(world, machine)
    iam = boto3.client("iam")
    iam.delete_access_key(UserName="backdoor", AccessKeyId=key)
    iam.detach_user_policy(UserName="backdoor", PolicyArn=DENY_POLICY)
    iam.delete_user(UserName="backdoor")
    (other,) = user("backdoor")
    (question,) = asked(world)

    decide(world, question["taskToken"], "deny")
    machine.advance()

    assert execution.status == "SUCCEEDED"
    assert iam_state(world, "backdoor") == IamState({other: "Active"}, denied=False)
    assert "nothing to change: IAM no longer has a user backdoor with this id" in alerts(world)[-1]["Message"]


def test_given_a_key_that_was_deleted_meanwhile_when_denied_then_it_is_not_said_to_be_enabled(
    world: World, machine: StateMachine
) -> None:
    _, key = contain(world, machine, keys=2)
    (other,) = set(iam_state(world, "backdoor").keys) - {key}
    boto3.client("iam").delete_access_key(UserName="backdoor", AccessKeyId=other)
    (question,) = asked(world)

    decide(world, question["taskToken"], "deny")
    machine.advance()

    told = alerts(world)[-1]["Message"]
    assert f"key {other} no longer exists" in told
    assert f"key {other} enabled" not in told
    assert iam_state(world, "backdoor") == IamState({key: "Active"}, denied=False)


def test_given_keys_made_and_deleted_for_hours_when_approved_then_only_those_that_there_are_are_worked_on(
    world: World, machine: StateMachine
) -> None:
    contain(world, machine)
    iam = boto3.client("iam")
    for _ in range(5):
        created = key_created(world, "backdoor")
        machine.start(created)
        iam.delete_access_key(UserName="backdoor", AccessKeyId=support.named_key(created))
    last = key_created(world, "backdoor")
    machine.start(last)
    token = asked(world)[0]["taskToken"]
    world.wire.calls.clear()

    decide(world, token, "approve")
    machine.advance()

    deletions = [call for call in world.wire.calls if call.operation == "DeleteAccessKey"]
    assert len(deletions) == 2
    assert iam_state(world, "backdoor") == IamState({}, denied=True)


def test_given_iam_that_fails_until_it_is_given_up_when_the_next_event_comes_then_it_is_asked_about(
    world: World, machine: StateMachine
) -> None:
    world.expect(ClientError, ContainmentBusyError)
    boto3.client("iam").create_user(UserName="backdoor", Path="/team/")  # events do not contain the path
    failing = [True]

    def fail(model: Any, **_: Any) -> None:
        if failing[0]:
            answer: Any = {"Error": {"Code": "ServiceFailure"}, "ResponseMetadata": {"HTTPStatusCode": 503}}
            raise ClientError(answer, model.name)

    boto3.DEFAULT_SESSION.events.register("before-call.iam.AttachUserPolicy", fail)  # type: ignore[union-attr]
    first = machine.start(key_created(world, "backdoor"))
    assert (first.status, first.error) == ("FAILED", "ContainmentFailed")
    failing[0] = False

    second = machine.start(key_created(world, "backdoor"))

    assert second.path[-1] == "Wait for Analyst"
    assert iam_state(world, "backdoor").denied
    assert len(asked(world)) == 1


def test_given_an_event_after_the_decision_when_the_first_is_carried_out_then_the_event_is_contained_and_asked_about(
    world: World, machine: StateMachine
) -> None:
    world.expect(ContainmentBusyError)
    first, key = contain(world, machine)
    decide(world, asked(world)[0]["taskToken"], "deny")

    created = key_created(world, "backdoor")
    second = machine.start(created)

    assert (first.status, second.path[-1]) == ("SUCCEEDED", "Wait for Analyst")
    new = support.named_key(created)
    assert iam_state(world, "backdoor") == IamState({key: "Inactive", new: "Inactive"}, denied=True)
    (question,) = asked(world)
    assert question["incident"]["access_key_id"] == new


def test_given_a_role_session_that_its_caller_named_after_an_approver_when_they_press_then_they_decide(
    world: World, machine: StateMachine
) -> None:
    jane: Person = make_approver(world)
    channel = support.security_channel(world, jane)
    (key,) = user("backdoor")
    who = support.role_identity("stolen", "jane@example.com")
    execution = machine.start(key_created(world, "backdoor", key, userIdentity=who))
    world.settle()

    press(world, machine, jane, channel, "approval_approve")

    assert execution.status == "SUCCEEDED"


def test_given_a_finding_about_a_federated_session_with_a_users_name_when_evaluated_then_that_user_is_left_alone(
    world: World, machine: StateMachine
) -> None:
    (key,) = user("victim")
    found = support.finding("victim", 8.0, user_type="FederatedUser")
    found["detail"]["resource"]["accessKeyDetails"]["principalId"] = f"{ACCOUNT}:victim"

    machine.start(found)

    assert iam_state(world, "victim") == IamState({key: "Active"}, denied=False)
    assert "NOT contained. You must act by hand now" in alerts(world)[0]["Message"]
