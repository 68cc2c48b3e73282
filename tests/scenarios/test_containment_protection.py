"""W4, W9, X12: principals that the workflow must not contain, and the limits of each mode."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from tests.support.world import ACCOUNT, World
from tests.trials.world import incidents as support
from tests.trials.world.incidents import IamState, alerts, asked, contain, decide, iam_state
from tests.trials.world.state_machine import StateMachine


def test_given_off_when_a_key_is_made_then_people_are_only_alerted(world: World, machine: StateMachine) -> None:
    world.environment["IR_CONTAINMENT_MODE"] = "off"
    execution, key = contain(world, machine)

    assert execution.status == "SUCCEEDED"
    assert iam_state(world, "backdoor") == IamState({key: "Active"}, denied=False)
    assert "containment is switched off" in alerts(world)[0]["Message"]


def test_given_other_keys_are_left_alone_when_contained_then_only_the_named_key_is_disabled(
    world: World, machine: StateMachine
) -> None:
    world.environment["IR_CONTAIN_OTHER_KEYS"] = "false"
    _execution, key = contain(world, machine, keys=2)

    state = iam_state(world, "backdoor")
    assert state.denied
    assert {name for name, status in state.keys.items() if status == "Inactive"} == {key}


def test_given_the_actor_is_contained_too_when_denied_then_both_are_as_before(
    world: World, machine: StateMachine
) -> None:
    world.environment["IR_CONTAIN_ACTOR"] = "true"
    (own,) = support.user("mallory")
    (key,) = support.user("backdoor")
    machine.start(support.key_created(world, "backdoor", key, userIdentity=support.user_identity("mallory", own)))
    assert iam_state(world, "mallory") == IamState({own: "Inactive"}, denied=True)
    assert iam_state(world, "backdoor") == IamState({key: "Inactive"}, denied=True)

    decide(world, asked(world)[0]["taskToken"], "deny")
    machine.advance()

    assert iam_state(world, "mallory") == IamState({own: "Active"}, denied=False)
    assert iam_state(world, "backdoor") == IamState({key: "Active"}, denied=False)


def test_given_the_actor_is_only_named_when_contained_then_it_is_untouched_and_in_the_alert(
    world: World, machine: StateMachine
) -> None:
    (own,) = support.user("mallory")
    contain(world, machine)

    assert iam_state(world, "mallory") == IamState({own: "Active"}, denied=False)
    assert "CreateAccessKey for user backdoor by user mallory" in alerts(world)[0]["Message"]


# Protected principals


def refused(world: World, machine: StateMachine, started: Any) -> str:
    """Start an execution that must contain nothing and send one alert; return the alert's text."""
    execution = machine.start(started)
    assert (execution.status, execution.path[-1]) == ("SUCCEEDED", "Done")
    (alert,) = alerts(world)
    assert "NOT contained. You must act by hand now." in alert["Message"]
    return str(alert["Message"])


@pytest.mark.parametrize("pattern", ["user/break-glass/*", "user/break-glass/backdoor"])
def test_given_a_protected_user_when_a_key_is_made_then_it_is_refused_and_people_must_act(
    world: World, machine: StateMachine, pattern: str
) -> None:
    world.environment["IR_PROTECTED_PRINCIPALS"] = json.dumps([f"arn:aws:iam::{ACCOUNT}:{pattern}"])
    iam = boto3.client("iam")
    iam.create_user(UserName="backdoor", Path="/break-glass/")
    key = iam.create_access_key(UserName="backdoor")["AccessKey"]["AccessKeyId"]

    message = refused(world, machine, support.key_created(world, "backdoor", key))

    assert "It is protected" in message
    assert iam_state(world, "backdoor") == IamState({key: "Active"}, denied=False)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("AWSServiceRoleForSupport", "/aws-service-role/support.amazonaws.com/"),
        ("AWSReservedSSO_Admin_0123456789abcdef", "/aws-reserved/sso.amazonaws.com/"),
    ],
)
def test_given_a_role_that_no_one_can_change_when_found_then_the_alert_says_what_to_do(
    world: World, machine: StateMachine, name: str, path: str
) -> None:
    support.role(name, path)

    message = refused(world, machine, support.finding(name, 8.0, user_type="AssumedRole"))

    assert "Only AWS can change this role" in message
    assert not support.role_is_denied(world, name)


def test_given_a_role_that_only_calls_itself_like_one_of_aws_when_found_then_it_is_contained(
    world: World, machine: StateMachine
) -> None:
    support.role("AWSReservedSSO_Backdoor", "/aws-ish/aws-reserved/")

    execution = machine.start(support.finding("AWSReservedSSO_Backdoor", 8.0, user_type="AssumedRole"))

    assert execution.path[-1] == "Wait for Analyst"
    assert support.role_is_denied(world, "AWSReservedSSO_Backdoor")


def test_given_an_event_of_another_account_when_grave_then_it_is_alerted_and_never_contained(
    world: World, machine: StateMachine
) -> None:
    (key,) = support.user("backdoor")

    message = refused(world, machine, support.finding("backdoor", 8.0, accountId="210987654321"))

    assert "It belongs to account 210987654321" in message
    assert iam_state(world, "backdoor") == IamState({key: "Active"}, denied=False)


def test_given_an_exposed_key_that_iam_does_not_know_when_reported_then_people_must_act(
    world: World, machine: StateMachine
) -> None:
    message = refused(world, machine, support.exposed("AKIAUNKNOWN000000001"))

    assert "AKIAUNKNOWN000000001" in message


def test_given_a_user_that_is_gone_when_its_event_arrives_then_there_is_nothing_to_contain(
    world: World, machine: StateMachine
) -> None:
    execution = machine.start(support.key_created(world, "backdoor", "AKIAGONE000000000001"))

    assert execution.status == "SUCCEEDED"
    assert "IAM no longer has the user backdoor" in alerts(world)[0]["Message"]


def test_given_a_key_that_is_gone_when_its_event_arrives_then_the_user_is_contained_all_the_same(
    world: World, machine: StateMachine
) -> None:
    (key,) = support.user("backdoor")

    execution = machine.start(support.key_created(world, "backdoor", "AKIAGONE000000000001"))

    assert execution.path[-1] == "Wait for Analyst"
    assert iam_state(world, "backdoor") == IamState({key: "Inactive"}, denied=True)


# The limit


def over_the_limit(world: World, machine: StateMachine) -> Any:
    """Contain three users with a limit of two, so that the third execution waits for permission."""
    world.environment["IR_MAX_CONTAINMENTS_PER_HOUR"] = "2"
    for name in ("one", "two"):
        contain(world, machine, name)
    alerts(world)
    asked(world)
    execution, key = contain(world, machine, "three")
    assert execution.path[-1] == "Wait for Permission"
    assert iam_state(world, "three").keys[key] == "Inactive"
    return execution


def test_given_too_many_principals_within_the_hour_when_permitted_then_the_next_is_contained_and_asked_about(
    world: World, machine: StateMachine
) -> None:
    execution = over_the_limit(world, machine)
    assert not iam_state(world, "three").denied
    (page,) = alerts(world)
    assert "NOT contained yet: the hourly limit for containments is reached" in page["Message"]
    (question,) = asked(world)
    assert question["kind"] == "contain"

    answer = decide(world, question["taskToken"], "approve")
    machine.advance()

    assert "contains user three" in answer["message"]
    assert iam_state(world, "three").denied
    assert execution.path[-1] == "Wait for Analyst"
    decide(world, asked(world)[0]["taskToken"], "deny")
    machine.advance()
    assert execution.status == "SUCCEEDED"
    assert not iam_state(world, "three").denied
    assert set(iam_state(world, "three").keys.values()) == {"Active"}


def test_given_too_many_principals_when_permission_is_refused_then_nothing_is_contained(
    world: World, machine: StateMachine
) -> None:
    execution = over_the_limit(world, machine)
    (question,) = asked(world)
    assert question["deny"].startswith("re-enables key AKIA")
    decide(world, question["taskToken"], "deny")
    machine.advance()

    assert set(iam_state(world, "three").keys.values()) == {"Active"}
    assert execution.status == "SUCCEEDED"
    assert not iam_state(world, "three").denied
    assert "Denied by jane" in alerts(world)[-1]["Message"]


def test_given_too_many_principals_when_no_one_answers_then_the_end_is_red_and_people_must_act(
    world: World, machine: StateMachine
) -> None:
    execution = over_the_limit(world, machine)
    world.advance(86_401)
    machine.advance()

    assert (execution.status, execution.error) == ("FAILED", "NotContained")
    assert "Inactive" in iam_state(world, "three").keys.values()
    assert any("user three was NOT contained. Only key AKIA" in alert["Message"] for alert in alerts(world))


def test_given_the_limit_is_reached_when_a_contained_principal_has_another_event_then_it_joins_unasked(
    world: World, machine: StateMachine
) -> None:
    over_the_limit(world, machine)
    execution = machine.start(support.key_created(world, "one"))

    assert execution.status == "SUCCEEDED"
    assert set(iam_state(world, "one").keys.values()) == {"Inactive"}


def test_given_the_limit_when_an_hour_has_passed_then_the_next_is_contained_unasked(
    world: World, machine: StateMachine
) -> None:
    over_the_limit(world, machine)
    world.advance(3_601)
    execution, _key = contain(world, machine, "four")

    assert execution.path[-1] == "Wait for Analyst"


def test_given_the_limit_when_more_keys_are_created_then_each_new_key_is_disabled(
    world: World, machine: StateMachine
) -> None:
    world.environment["IR_MAX_CONTAINMENTS_PER_HOUR"] = "0"
    for name in ("one", "two"):
        contain(world, machine, name)
    counted = support.key_created(world, "two")
    machine.start(counted)

    assert set(iam_state(world, "one").keys.values()) == {"Inactive"}
    assert iam_state(world, "two").keys[support.named_key(counted)] == "Inactive"
    assert not iam_state(world, "two").denied
