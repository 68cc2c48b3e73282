"""X2, W7: approval and timeout read the actual state in IAM, repair a missing containment and report it."""

from __future__ import annotations

import contextlib
import io
import json
import shlex
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.support.crashes import Point, Scenario, crash, points, worlds
from tests.support.tasks import die_once_after
from tests.support.world import World
from tests.trials.world import incidents as support
from tests.trials.world.deployment import DENY_POLICY
from tests.trials.world.incidents import IamState, alerts, asked, audit_rows, decide, iam_state, role_is_denied
from tests.trials.world.scenarios.containment import CONTAINMENT
from tests.trials.world.state_machine import Execution, StateMachine
from tests.trials.world.wire import Call

ENDS = pytest.mark.parametrize("end", ["approve", "time-out"])


def contain(world: World, machine: StateMachine, **more: Any) -> tuple[Execution, str]:
    """Contain a user, and let the two minutes pass in which the workflow itself verifies the containment."""
    contained = support.contain(world, machine, **more)
    for _ in range(10):
        world.advance(15)
        machine.advance()
    return contained


def come_to(end: str, world: World, machine: StateMachine) -> None:
    """Approve, or let a day pass without a decision."""
    if end == "approve":
        decide(world, asked(world)[-1]["taskToken"], "approve")
    else:
        world.advance(86_401)
    machine.advance()


def detach_deny_policy(world: World, name: str) -> None:
    boto3.client("iam").detach_user_policy(UserName=name, PolicyArn=DENY_POLICY)


def enable(name: str, key: str) -> None:
    boto3.client("iam").update_access_key(UserName=name, AccessKeyId=key, Status="Active")


def refuse_attaching(*codes: str) -> list[str]:
    """Let IAM refuse the deny policy with these codes, as for a user with 10 managed policies.

    Empty the returned list to end the refusal."""
    refusing = [*codes]

    def refuse(model: Any, **_: Any) -> None:
        if refusing:
            answer: Any = {"Error": {"Code": refusing[0]}, "ResponseMetadata": {"HTTPStatusCode": 409}}
            raise ClientError(answer, model.name)

    boto3.DEFAULT_SESSION.events.register("before-call.iam.AttachUserPolicy", refuse)  # type: ignore[union-attr]
    return refusing


def final_alert(world: World) -> str:
    """Return the final alert. The case comment and the audit record contain the same missing parts."""
    return str(alerts(world)[-1]["Message"])


def test_given_an_untouched_containment_when_approved_then_the_deny_policy_was_read_and_nothing_is_attached_again(
    world: World, machine: StateMachine
) -> None:
    execution, key = contain(world, machine)
    come_to("approve", world, machine)

    assert execution.status == "SUCCEEDED"
    first = final_alert(world).splitlines()[0]
    assert first == (
        f"Approved by jane (name given on the command line): user backdoor - key {key} deleted "
        "(verified); the deny policy stays in place (verified) until you release it"
    )


@ENDS
def test_given_a_deny_policy_that_was_detached_when_it_ends_then_it_is_attached_again_and_reported(
    world: World, machine: StateMachine, end: str
) -> None:
    execution, _key = contain(world, machine)
    detach_deny_policy(world, "backdoor")

    come_to(end, world, machine)

    assert execution.status == "SUCCEEDED"
    assert iam_state(world, "backdoor").denied
    told = final_alert(world)
    assert "deny policy attached (verified)" in told
    assert "the deny policy was no longer attached, so ir-router re-attached it" in told


@ENDS
def test_given_a_detached_deny_policy_when_the_function_dies_after_the_repair_then_the_repetition_reports_the_same(
    world: World, machine: StateMachine, end: str
) -> None:
    deaths = die_once_after(machine, "delete_key_permanently", "keep_containment")
    contain(world, machine)
    detach_deny_policy(world, "backdoor")

    come_to(end, world, machine)

    assert deaths
    assert "the deny policy was no longer attached, so ir-router re-attached it" in final_alert(world)


def test_given_a_role_without_its_deny_policy_when_approved_then_it_is_attached_again(
    world: World, machine: StateMachine
) -> None:
    support.role("deploy")
    machine.start(support.finding("deploy", 8.0, user_type="AssumedRole"))
    boto3.client("iam").detach_role_policy(RoleName="deploy", PolicyArn=DENY_POLICY)

    come_to("approve", world, machine)

    assert role_is_denied(world, "deploy")
    assert "the deny policy was no longer attached, so ir-router re-attached it" in final_alert(world)


@ENDS
def test_given_another_key_that_was_enabled_when_it_ends_then_it_is_disabled_again(
    world: World, machine: StateMachine, end: str
) -> None:
    _execution, key = contain(world, machine, keys=2)
    (other,) = set(iam_state(world, "backdoor").keys) - {key}
    enable("backdoor", other)

    come_to(end, world, machine)

    assert iam_state(world, "backdoor").keys[other] == "Inactive"
    assert f"key {other} disabled (verified)" in final_alert(world)


def test_given_other_keys_that_are_left_active_when_approved_then_they_stay_active(
    world: World, machine: StateMachine
) -> None:
    world.environment["IR_CONTAIN_OTHER_KEYS"] = "false"
    _execution, key = contain(world, machine, keys=2)
    (other,) = set(iam_state(world, "backdoor").keys) - {key}

    come_to("approve", world, machine)

    assert iam_state(world, "backdoor") == IamState({other: "Active"}, denied=True)


@ENDS
def test_given_a_detached_deny_policy_that_iam_refuses_when_it_ends_then_alert_case_and_audit_say_so_and_it_is_red(
    world: World, machine: StateMachine, end: str
) -> None:
    refusing = refuse_attaching()
    execution, _key = contain(world, machine)
    detach_deny_policy(world, "backdoor")
    refusing.append("LimitExceeded")

    come_to(end, world, machine)

    assert (execution.status, execution.error) == ("FAILED", "SomethingUndone")
    told = final_alert(world)
    assert "deny policy NOT attached" in told.splitlines()[0]
    assert "Attach the deny policy by hand now" in told
    assert "the deny policy stays" not in told
    assert "stays contained" not in told
    (case,) = world.security_ir.call("ListCases", {"maxResults": 25})["items"]
    assert any("deny policy NOT attached" in body for body in world.comments(case["caseId"]))
    ended = audit_rows()[-1]
    assert ended["action"] == "ended"
    assert '"missing": ["deny policy of user backdoor"]' in ended["details"]


@ENDS
def test_given_ten_policies_when_asked_and_ended_then_nothing_says_that_the_deny_policy_stays(
    world: World, machine: StateMachine, end: str
) -> None:
    refuse_attaching("LimitExceeded")
    execution, _key = contain(world, machine)
    question = asked(world)[0]
    (first,) = alerts(world)

    assert "retries attaching the deny policy, which is NOT attached" in question["approve"]
    assert "retries attaching the deny policy, which is NOT attached" in first["Message"]
    if end == "approve":
        decide(world, question["taskToken"], "approve")
    else:
        world.advance(86_401)
    machine.advance()

    assert (execution.status, execution.error) == ("FAILED", "SomethingUndone")
    assert "stays" not in question["approve"] + first["Message"] + final_alert(world).splitlines()[0]


@ENDS
def test_given_ten_policies_of_which_one_goes_when_it_ends_then_the_deny_policy_is_attached_and_nothing_is_missing(
    world: World, machine: StateMachine, end: str
) -> None:
    refusing = refuse_attaching("LimitExceeded")
    execution, _key = contain(world, machine)
    refusing.clear()

    come_to(end, world, machine)

    assert execution.status == "SUCCEEDED"
    assert iam_state(world, "backdoor").denied
    told = final_alert(world)
    assert "deny policy attached (verified)" in told
    assert "NOT attached" not in told


def test_given_a_deny_policy_that_was_detached_when_an_event_joins_then_the_question_says_what_is_true(
    world: World, machine: StateMachine
) -> None:
    refusing = refuse_attaching()
    contain(world, machine)
    token = asked(world)[0]["taskToken"]
    detach_deny_policy(world, "backdoor")
    refusing.append("LimitExceeded")
    joined = machine.start(support.key_created(world, "backdoor"))

    assert joined.error == "SomethingUndone"
    assert "NOT attached" in decide(world, token, "approve")["message"]


def test_given_two_principals_of_which_one_is_left_out_when_approved_then_the_first_line_says_who(
    world: World, machine: StateMachine
) -> None:
    world.environment["IR_CONTAIN_ACTOR"] = "true"
    world.environment["IR_PROTECTED_PRINCIPALS"] = '["arn:aws:iam::*:user/mallory"]'
    boto3.client("iam").create_user(UserName="mallory")
    execution, key = contain(world, machine)

    come_to("approve", world, machine)

    assert (execution.status, execution.error) == ("FAILED", "SomethingUndone")
    first = final_alert(world).splitlines()[0]
    assert first.startswith(
        "Approved by jane (name given on the command line). NOT done: containment of user mallory. Do "
        f"these steps by hand now. user backdoor - key {key} deleted (verified)"
    )


# Instructions after a timeout


def command_in(text: str) -> list[str]:
    """Return the words of the command in a text, as a shell parses it."""
    found = text[text.index("aws lambda invoke") :]
    return shlex.split(found[: found.index("response.json") + len("response.json")])


def run_command(world: World, words: list[str]) -> dict[str, Any]:
    """Run the command with the analyst and reason filled in."""
    assert words[:3] == ["aws", "lambda", "invoke"]
    assert words[words.index("--function-name") + 1] == "security-incident-approval-handler"
    payload = json.loads(words[words.index("--payload") + 1])
    return dict(world.invoke("approval-handler", payload | {"analyst": "Jane", "notes": "checked"}))


def test_given_no_answer_when_reported_then_the_alert_holds_the_command_that_releases(
    world: World, machine: StateMachine
) -> None:
    boto3.client("iam").create_user(UserName="backdoor", Path="/teams/red/")
    key = boto3.client("iam").create_access_key(UserName="backdoor")["AccessKey"]["AccessKeyId"]
    machine.start(support.key_created(world, "backdoor", key))

    come_to("time-out", world, machine)

    assert run_command(world, command_in(final_alert(world)))["status"] == "release_started"
    world.settle()
    assert iam_state(world, "backdoor") == IamState({key: "Active"}, denied=False)


@pytest.mark.parametrize("end", ["time-out", "aborted"])
def test_given_a_late_decision_when_answered_then_it_holds_the_command_that_releases(
    world: World, machine: StateMachine, end: str
) -> None:
    execution, key = contain(world, machine)
    token = asked(world)[0]["taskToken"]
    if end == "aborted":
        machine.abort(execution)
    else:
        come_to(end, world, machine)

    answer = decide(world, token, "deny")

    assert answer["status"] == "too_late"
    assert "The containment stays until you release it" in answer["message"]
    assert run_command(world, command_in(answer["message"]))["status"] == "release_started"
    world.settle()
    assert iam_state(world, "backdoor") == IamState({key: "Active"}, denied=False)


def test_given_a_limit_that_was_not_lifted_when_decided_too_late_then_the_answer_says_that_nothing_was_contained(
    world: World, machine: StateMachine
) -> None:
    world.environment["IR_MAX_CONTAINMENTS_PER_HOUR"] = "0"
    contain(world, machine)
    token = asked(world)[0]["taskToken"]
    world.advance(86_401)
    machine.advance()

    answer = decide(world, token, "approve")

    assert answer["status"] == "too_late"
    assert "user backdoor was NOT contained" in answer["message"]
    assert "aws lambda invoke" not in answer["message"]


# Crashes


def detached(scenario: Scenario) -> Scenario:
    """The scenario of an incident with a detached deny policy."""

    def prepare(world: World) -> object:
        there = scenario.prepare(world)
        detach_deny_policy(world, "backdoor")
        return there

    return replace(scenario, prepare=prepare)


@pytest.mark.parametrize(
    ("name", "repair_reported"),
    [
        ("approved by Invoke", "the deny policy was no longer attached, so ir-router re-attached it"),
        ("nobody decides", "user backdoor contained again: the deny policy was no longer attached."),
    ],
)
def test_given_a_detached_deny_policy_when_a_function_dies_during_the_repair_then_the_end_is_as_if_it_had_not(
    name: str, repair_reported: str
) -> None:
    (scenario,) = [detached(one) for one in CONTAINMENT if one.name == f"containment: {name}"]

    def at_the_repair(calls: list[Call]) -> Point:
        operations = [point.call.operation for point in points(calls)]
        return points(calls)[operations.index("AttachUserPolicy")]

    with contextlib.redirect_stdout(io.StringIO()):
        outcome, expected = crash(scenario, worlds, at_the_repair)

    assert repair_reported in str(expected)
    assert (outcome.died, outcome.differences) == (True, ())
