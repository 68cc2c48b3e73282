"""Several principals and several events at once: each is handled by itself, and metrics and answers are exact."""

from __future__ import annotations

import copy
import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from ir_router.errors import UncertainError
from ir_router.ledger import containments
from ir_router.ledger.containments import ContainmentBusyError
from ir_router.workflow import iam, identity, notices
from ir_router.workflow.changes import ChangeFailedError
from tests.support.approvals import as_shown
from tests.support.world import ACCOUNT, World, forget_everything
from tests.trials.world import incidents as support
from tests.trials.world.deployment import DENY_POLICY
from tests.trials.world.incidents import IamState, alerts, asked, audit_rows, contain, decide, iam_state
from tests.trials.world.state_machine import Execution, StateMachine

BACKDOOR, MALLORY = (f"arn:aws:iam::{ACCOUNT}:user/{name}" for name in ("backdoor", "mallory"))


def metrics(capsys: pytest.CaptureFixture[str]) -> dict[str, list[Any]]:
    """The values of each metric that functions emitted since the last call."""
    found: dict[str, list[Any]] = {}
    for line in capsys.readouterr().out.splitlines():
        told = json.loads(line) if line.startswith("{") else {}
        for directive in told.get("_aws", {}).get("CloudWatchMetrics", []):
            assert directive["Namespace"] == "ir-router"
            assert directive["Dimensions"] == [["deployment"]] or "deployment" in str(directive["Dimensions"])
            for metric in directive["Metrics"]:
                found.setdefault(f"{metric['Name']} {metric['Unit']}", []).extend(told[metric["Name"]])
    return found


def refuse(operation: str, name: str, code: str = "AccessDenied") -> None:
    """Make IAM reject each call of an operation about one user."""

    def fail(params: Any, model: Any, **_: Any) -> None:
        if params.get("UserName") == name:
            answer: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": 403}}
            raise ClientError(answer, model.name)

    boto3.DEFAULT_SESSION.events.register(f"before-parameter-build.iam.{operation}", fail)  # type: ignore[union-attr]
    forget_everything()  # clients that were made before do not know the hook


@pytest.fixture
def both(world: World, machine: StateMachine) -> tuple[Execution, str, str, str]:
    """Backdoor and the actor mallory are contained; their keys and the token."""
    world.environment["IR_CONTAIN_ACTOR"] = "true"
    (own,), (key,) = support.user("mallory"), support.user("backdoor")
    execution = machine.start(
        support.key_created(world, "backdoor", key, userIdentity=support.user_identity("mallory", own))
    )
    (question,) = asked(world)
    alerts(world)
    return execution, key, own, question["taskToken"]


def test_given_two_principals_when_restoring_one_is_refused_then_the_other_is_restored_and_the_failure_names_the_first(
    world: World, machine: StateMachine, both: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    execution, key, own, token = both
    refuse("DetachUserPolicy", "backdoor")
    world.expect(ChangeFailedError)
    metrics(capsys)

    decide(world, token, "deny")
    machine.advance()

    assert (execution.status, execution.error) == ("FAILED", "RemediationFailed")
    assert iam_state(world, "mallory") == IamState({own: "Active"}, denied=False)
    assert iam_state(world, "backdoor") == IamState({key: "Active"}, denied=True)
    tries = metrics(capsys)["ContainmentFailed Count"]
    assert tries == [1] * len(tries)
    assert len(tries) > 1  # the state machine retries
    told = "\n".join(alert["Message"] for alert in alerts(world))
    assert "NOT done or not verified: deny policy detached" in told
    assert "backdoor" in told
    failed = [json.loads(row["details"]) for row in audit_rows() if row["action"] == "step_failed"]
    assert [BACKDOOR in str(details) for details in failed] == [True]
    assert containments.get(MALLORY) is None
    assert (containments.get(BACKDOOR) or {})["incident"] == execution.arn


def test_given_two_principals_when_approved_then_each_keeps_the_deny_policy_and_loses_its_named_key(
    world: World, machine: StateMachine, both: Any
) -> None:
    execution, _key, _own, token = both
    decide(world, token, "approve")
    machine.advance()

    assert execution.status == "SUCCEEDED"
    assert iam_state(world, "mallory") == IamState({}, denied=True)
    assert iam_state(world, "backdoor") == IamState({}, denied=True)
    (alert,) = alerts(world)
    assert alert["Message"].count("deleted (verified)") == 2


def test_given_an_incident_when_contained_then_how_long_it_took_is_measured_from_event_and_arrival(
    world: World, machine: StateMachine, capsys: pytest.CaptureFixture[str]
) -> None:
    (key,) = support.user("backdoor")
    created = support.key_created(world, "backdoor", key)
    world.advance(20)
    metrics(capsys)
    machine.start(created)

    found = metrics(capsys)
    (since_event,), (since_arrival,) = found["ContainmentSeconds Seconds"], found["ContainmentReactionSeconds Seconds"]
    assert 20 <= since_event < 60
    assert 0 <= since_arrival <= since_event - 15
    assert "ContainmentFailed Count" not in found


def test_given_an_event_that_joins_when_contained_then_only_the_first_is_measured(
    world: World, machine: StateMachine, waiting: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics(capsys)
    machine.start(support.key_created(world, "backdoor"))
    assert "ContainmentSeconds Seconds" not in metrics(capsys)


def immediate(world: World) -> dict[str, Any]:
    """The last event of the state Immediate Containment."""
    found = [one.event for one in world.invocations if one.event.get("task") == "immediate_containment"]
    return copy.deepcopy(dict(found[-1]))


@pytest.mark.parametrize("decision", ["approve", "deny"])
def test_given_a_decision_being_carried_out_when_another_event_comes_then_the_principal_is_denied_and_it_waits(
    world: World, machine: StateMachine, waiting: Any, decision: str
) -> None:
    execution, _key, token = waiting
    boto3.client("iam").detach_user_policy(UserName="backdoor", PolicyArn=DENY_POLICY)
    decide(world, token, decision)  # the workflow has not gone on yet
    later = immediate(world)
    later["incident"]["execution"]["id"] += "-later"

    with pytest.raises(ContainmentBusyError):
        world.invoke("workflow", later)

    assert iam_state(world, "backdoor").denied
    row = containments.get(BACKDOOR) or {}
    assert row["incident"] == execution.arn
    assert "lock_until" not in row


def test_given_events_that_join_when_shown_then_the_approval_says_how_many_and_what_the_last_was(
    world: World, machine: StateMachine, contained: tuple[Execution, str], security_channel: str
) -> None:
    for number in (1, 2):
        created = support.key_created(world, "backdoor")
        machine.start(created)
        boto3.client("iam").delete_access_key(UserName="backdoor", AccessKeyId=support.named_key(created))
        world.settle()
        messages = world.workspace.channel_messages(security_channel)
        (text,) = [as_shown(one["blocks"]) for one in messages if "actions" in json.dumps(one.get("blocks", []))]
        assert "CreateAccessKey" in text
        row: list[dict[str, Any]] = list(boto3.resource("dynamodb").Table("ledger").scan()["Items"])
        (approval,) = [one for one in row if one.get("kind") == "remediate"]
        assert approval["joined_events"] == number
        assert "CreateAccessKey" in approval["last_joined"]["what"]
        assert "backdoor" in approval["last_joined"]["what"]


def test_given_an_approved_incident_when_the_next_event_is_contained_then_deny_names_only_the_new_key(
    world: World, machine: StateMachine
) -> None:
    _, key = contain(world, machine)
    decide(world, asked(world)[0]["taskToken"], "approve")
    machine.advance()
    later = support.key_created(world, "backdoor")
    machine.start(later)
    new = support.named_key(later)

    (question,) = asked(world)
    result = immediate_result(world)

    assert result["sealed_keys"] == [key]
    assert result["named_keys"][-1] == new
    assert new[-4:] in question["deny"]
    assert key[-4:] not in question["deny"]


def immediate_result(world: World) -> dict[str, Any]:
    found = [one.value for one in world.invocations if one.event.get("task") == "immediate_containment"]
    (part,) = found[-1]["principals"]
    return dict(part)


RELEASE = {"task": "release", "released_by": "Jane", "reason": "rebuilt"}


@pytest.fixture
def approved(world: World, machine: StateMachine, waiting: Any) -> tuple[str, str]:
    """An approved incident of backdoor: case id and key."""
    _execution, key, token = waiting
    decide(world, token, "approve")
    machine.advance()
    alerts(world)
    (case,) = world.security_ir.call("ListCases", {"maxResults": 25})["items"]
    return case["caseId"], key


def test_given_a_release_when_the_case_takes_its_comment_then_the_answer_says_nothing_of_it(
    world: World, approved: tuple[str, str]
) -> None:
    case_id, key = approved
    answer = world.invoke("workflow", {**RELEASE, "principal": BACKDOOR})

    assert set(answer) == {"status", "principal", "actions", "left_behind"}
    assert (answer["status"], answer["principal"]) == ("released", BACKDOOR)
    assert answer["actions"] == ["deny policy detached", f"key {key} no longer exists"]
    assert containments.get(BACKDOOR) is None
    assert sum("Released by Jane" in body and "rebuilt" in body for body in world.comments(case_id)) == 1
    (alert,) = alerts(world)
    assert alert["MessageAttributes"]["severity"]["Value"] == "HIGH"
    assert f"Case: {case_id}" in alert["Message"]
    assert [row["action"] for row in audit_rows()][-2:] == ["release_requested", "released"]


def test_given_a_release_when_the_case_takes_no_comment_then_the_answer_says_so_and_the_release_is_done(
    world: World, approved: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise UncertainError("AWS Security Incident Response", "CreateCaseComment", "ReadTimeout")

    monkeypatch.setattr(notices, "comment", fail)
    answer = world.invoke("workflow", {**RELEASE, "principal": BACKDOOR})

    assert answer["case_comment"] == "failed"
    assert not iam_state(world, "backdoor").denied
    assert containments.get(BACKDOOR) is None


def test_given_actors_that_are_no_user_or_role_when_looked_up_then_iam_is_not_asked_by_their_name(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked_for: list[str] = []
    monkeypatch.setattr(iam, "find", lambda principal: asked_for.append(principal["name"]))
    for kind, name in (("service", "ec2.amazonaws.com"), ("account", ACCOUNT), ("root", "root"), ("user", "")):
        actor = {"kind": kind, "name": name, "arn": "", "account": ACCOUNT, "caller_arn": "", "access_key_id": None}
        incident: Any = {"actor": {**actor, "identity_type": ""}}
        assert identity.actor_of(incident) is None
    assert asked_for == []


def test_given_an_owner_that_iam_does_not_show_yet_when_the_actor_is_looked_up_then_it_is_as_the_event_names_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.become("workflow")
    (key,) = support.user("mallory")
    monkeypatch.setattr(iam, "owner_of", lambda _key, _account: "somebody-else")
    actor = {
        "kind": "user",
        "name": "mallory",
        "arn": MALLORY,
        "account": ACCOUNT,
        "id": "AIDAEXAMPLE0000000001",
        "caller_arn": MALLORY,
        "access_key_id": key,
        "identity_type": "IAMUser",
    }
    incident: Any = {"actor": actor}

    found = identity.actor_of(incident)

    assert found is not None
    assert (found["name"], found["arn"]) == ("mallory", MALLORY)
