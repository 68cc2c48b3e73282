"""C3: a containment that someone undoes is re-applied and reported while its decision is pending."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from tests.support.approvals import case_channel, make_approver
from tests.support.detection_events.makers import CONTAINMENT, federated, role
from tests.support.undoing import mentions, reports, undo
from tests.support.world import World
from tests.trials.world import incidents as support
from tests.trials.world.deployment import DENY_POLICY
from tests.trials.world.incidents import IamState, alerts, asked, audit_rows, contain, decide, iam_state, role_is_denied
from tests.trials.world.state_machine import StateMachine


def pass_time(world: World, machine: StateMachine, seconds: float) -> None:
    world.advance(seconds)
    machine.advance()


@pytest.fixture
def contained(world: World, machine: StateMachine) -> Any:
    return contain(world, machine)


def test_given_a_containment_when_undone_within_15_seconds_then_it_is_re_applied_and_reported(
    world: World, machine: StateMachine, contained: Any
) -> None:
    _execution, key = contained
    undo(world, "backdoor", key)

    pass_time(world, machine, 16)

    assert iam_state(world, "backdoor") == IamState({key: "Inactive"}, denied=True)
    (report,) = reports(world)
    first, second = report["Message"].splitlines()[:2]
    assert first == (
        f"user backdoor contained again: the deny policy was no longer attached and key {key} was active again."
    )
    assert second.startswith("Someone undid the containment.")
    assert "containment_reapplied" in [row["action"] for row in audit_rows()]
    (case,) = world.security_ir.call("ListCases", {"maxResults": 25})["items"]
    assert any("user backdoor contained again" in body for body in world.comments(case["caseId"]))


@pytest.mark.parametrize(
    ("caller", "logged"),
    [
        (federated("security-incident-workflow"), False),
        (federated(CONTAINMENT, path="/x:role/"), False),
        (role(CONTAINMENT), True),
    ],
    ids=["user named after the function", "user named after the role", "the role"],
)
def test_given_a_call_that_detaches_the_policy_when_it_arrives_then_only_the_calls_of_the_role_are_left_alone(
    world: World, machine: StateMachine, contained: Any, caller: Any, logged: bool
) -> None:
    boto3.client("iam").detach_user_policy(UserName="backdoor", PolicyArn=DENY_POLICY)
    request = {"userName": "backdoor", "policyArn": DENY_POLICY}
    call = support.call(world, "DetachUserPolicy", requestParameters=request, userIdentity=caller)

    execution = machine.start(support.event(call))

    assert (execution.path[-1] == "Logged") is logged
    assert iam_state(world, "backdoor").denied is not logged


def test_given_a_containment_when_undone_twice_then_each_re_application_mentions_the_approvers_once(
    world: World, machine: StateMachine, security_channel: str
) -> None:
    jane = make_approver(world)
    _execution, key = contain(world, machine)
    world.settle()
    places = (case_channel(world), security_channel)
    assert [mentions(world, place) for place in places] == [[], []]

    undo(world, "backdoor", key)
    pass_time(world, machine, 16)
    world.settle()
    report = f"user backdoor contained again: the deny policy was no longer attached and key {key} was active again."
    first = f"<@{jane.id}> {report}"
    for place in places:
        assert mentions(world, place) == [first]
        shown = json.dumps(world.workspace.channel_messages(place), ensure_ascii=False)
        assert shown.count("Someone undid the containment. Find the caller in CloudTrail") == 1, "one message per fact"

    boto3.client("iam").detach_user_policy(UserName="backdoor", PolicyArn=DENY_POLICY)
    world.advance(600)
    group = world.workspace.create_user_group("deciders", [jane.id])
    boss = world.workspace.create_user("boss", email="boss@example.com", real_name="The Boss")
    world.environment["IR_APPROVERS"] = json.dumps([boss.id, "jane@example.com", group.id])
    world.verify_containments()
    world.live(2)
    policy = "user backdoor contained again: the deny policy was no longer attached."
    second = f"<!subteam^{group.id}> <@{boss.id}> <@{jane.id}> {policy}"
    assert [mentions(world, place) for place in places] == [[first, second]] * 2

    boto3.client("iam").detach_user_policy(UserName="backdoor", PolicyArn=DENY_POLICY)
    decide(world, asked(world)[-1]["taskToken"], "approve")
    machine.advance()
    world.live(2)
    assert [mentions(world, place) for place in places] == [[first, second, second]] * 2
    world.advance(2 * 86_400)
    world.live(2)
    assert [mentions(world, place) for place in places] == [[first, second, second]] * 2


def test_given_no_approver_in_slack_when_a_call_succeeds_after_the_containment_then_active_members_are_notified_once(
    world: World, machine: StateMachine, security_channel: str
) -> None:
    ghosts = [{"name": name, "jobTitle": "Analyst", "email": f"{name}@example.com"} for name in ("ghost", "spirit")]
    world.security_ir.set_response_team(ghosts)
    contain(world, machine)
    world.settle()
    world.advance(60)
    for number in range(2):
        caller = support.user_identity("backdoor", "AKIABACKDOOR00000001")
        record = support.call(world, "CreateUser", userIdentity=caller, eventID=f"event-succeeded-{number}")
        machine.start(support.event(record))
        world.settle()

    (text,) = mentions(world, security_channel)
    assert text.startswith("<!here> A call of the contained user backdoor succeeded: CreateUser.")


def test_given_a_containment_when_undone_twice_within_two_minutes_then_it_is_reported_twice(
    world: World, machine: StateMachine, contained: Any
) -> None:
    _execution, key = contained
    for _ in range(2):
        undo(world, "backdoor", key)
        pass_time(world, machine, 50)

    assert iam_state(world, "backdoor").denied
    assert len(reports(world)) == 2


def test_given_an_untouched_containment_when_two_minutes_pass_then_the_workflow_stops_verifying_silently(
    world: World, machine: StateMachine, contained: Any
) -> None:
    execution, _key = contained
    for _ in range(20):
        pass_time(world, machine, 16)

    assert 7 <= execution.path.count("Verify Containment") <= 9
    assert reports(world) == []


@pytest.mark.parametrize("decision", ["approve", "deny"])
def test_given_a_decision_when_it_comes_within_two_minutes_then_it_is_carried_out_within_15_seconds(
    world: World, machine: StateMachine, contained: Any, decision: str
) -> None:
    execution, _key = contained
    decide(world, asked(world)[-1]["taskToken"], decision)
    before = world.now()

    machine.advance()

    assert execution.status == "SUCCEEDED"
    assert world.now() - before < 20


def test_given_an_open_incident_when_undone_after_two_minutes_then_the_schedule_re_applies_it(
    world: World, machine: StateMachine, contained: Any
) -> None:
    _execution, key = contained
    pass_time(world, machine, 600)
    undo(world, "backdoor", key)

    assert world.verify_containments() == {"verified": 1, "failed": 0}

    assert iam_state(world, "backdoor") == IamState({key: "Inactive"}, denied=True)
    assert len(reports(world)) == 1


def test_given_an_undone_containment_of_a_role_when_verified_then_it_is_re_applied(
    world: World, machine: StateMachine
) -> None:
    support.role("deploy")
    machine.start(support.finding("deploy", 8.0, user_type="AssumedRole"))
    boto3.client("iam").detach_role_policy(RoleName="deploy", PolicyArn=DENY_POLICY)

    world.verify_containments()

    assert role_is_denied(world, "deploy")
    assert len(reports(world)) == 1


def test_given_a_new_key_without_an_event_when_verified_then_it_is_disabled_and_reported_as_new(
    world: World, machine: StateMachine, contained: Any
) -> None:
    new = boto3.client("iam").create_access_key(UserName="backdoor")["AccessKey"]["AccessKeyId"]

    world.verify_containments()

    assert iam_state(world, "backdoor").keys[new] == "Inactive"
    (report,) = reports(world)
    assert f"key {new} was new" in report["Message"]


def test_given_a_denied_incident_when_verified_then_the_restored_state_is_left_alone(
    world: World, machine: StateMachine, contained: Any
) -> None:
    decide(world, asked(world)[-1]["taskToken"], "deny")
    machine.advance()
    restored = iam_state(world, "backdoor")

    assert world.verify_containments() == {"verified": 0, "failed": 0}
    assert iam_state(world, "backdoor") == restored
    assert not restored.denied


def test_given_an_undone_containment_when_denied_after_its_re_application_then_iam_is_as_found(
    world: World, machine: StateMachine, contained: Any
) -> None:
    _execution, key = contained
    undo(world, "backdoor", key)
    pass_time(world, machine, 16)

    decide(world, asked(world)[-1]["taskToken"], "deny")
    machine.advance()

    assert iam_state(world, "backdoor") == IamState({key: "Active"}, denied=False)


def test_given_an_undone_containment_when_an_event_joins_then_it_is_re_applied_and_reported_once(
    world: World, machine: StateMachine, contained: Any
) -> None:
    _execution, key = contained
    undo(world, "backdoor", key)

    joined = machine.start(support.key_created(world, "backdoor"))

    assert joined.status == "SUCCEEDED"
    assert set(iam_state(world, "backdoor").keys.values()) == {"Inactive"}
    assert iam_state(world, "backdoor").denied
    (report,) = reports(world)
    assert "new" not in report["Message"].splitlines()[0]


def changed(world: World, name: str, by: str = "eve", **request: Any) -> Any:
    """Return the event of a call that changes the contained user."""
    caller = support.user_identity(by, "AKIAEVE0000000000001")
    return support.event(
        support.call(world, name, userIdentity=caller, requestParameters={"userName": "backdoor", **request})
    )


def test_given_a_re_enabled_key_when_its_event_arrives_then_that_event_repairs_it(
    world: World, machine: StateMachine, contained: Any
) -> None:
    first, key = contained
    pass_time(world, machine, 600)
    boto3.client("iam").update_access_key(UserName="backdoor", AccessKeyId=key, Status="Active")

    execution = machine.start(changed(world, "UpdateAccessKey", accessKeyId=key, status="Active"))

    assert execution.status == "SUCCEEDED"
    assert iam_state(world, "backdoor") == IamState({key: "Inactive"}, denied=True)
    told = [str(alert["Message"]) for alert in alerts(world)]
    assert any(f"user backdoor contained again: key {key} was active again" in text for text in told)
    assert any(
        "HIGH: Change to a contained principal: Access key re-activated - user backdoor" in text for text in told
    )
    (row,) = world.invoke("approval-handler", {"task": "list_approvals"})["approvals"]
    assert row["joined_events"] == 1
    assert row["execution"] == first.arn


@pytest.mark.parametrize(
    ("name", "request_parameters", "seconds"),
    [
        ("CreateLoginProfile", {}, 0),  # the times of events have no fractions of a second
        ("PutUserPolicy", {"policyName": "all", "policyDocument": "{}"}, 60),
        ("DeleteUserPermissionsBoundary", {}, 60),
        ("EnableMFADevice", {"serialNumber": "arn:aws:iam::123456789012:mfa/eve"}, 60),
        ("CreateServiceSpecificCredential", {"serviceName": "codecommit.amazonaws.com"}, 60),
    ],
)
def test_given_a_change_to_a_contained_user_when_its_event_arrives_then_it_joins_the_incident_with_severity_high(
    world: World, machine: StateMachine, contained: Any, name: str, request_parameters: dict[str, Any], seconds: float
) -> None:
    pass_time(world, machine, seconds)

    execution = machine.start(changed(world, name, **request_parameters))

    assert execution.status == "SUCCEEDED"
    assert "Immediate Containment" in execution.path
    (case,) = world.security_ir.call("ListCases", {"maxResults": 25})["items"]
    assert any(f"{name} for user backdoor by user eve" in body for body in world.comments(case["caseId"]))
    assert any("HIGH: Change to a contained principal" in str(alert["Message"]) for alert in alerts(world))


def test_given_the_same_change_when_it_was_made_before_the_containment_then_it_is_an_alert_of_its_own(
    world: World, machine: StateMachine, contained: Any
) -> None:
    early = changed(world, "CreateLoginProfile")
    early["detail"]["eventTime"] = "2026-01-01T00:00:00Z"

    assert "Alert Only" in machine.start(early).path


def test_given_an_approved_containment_when_a_key_is_created_again_or_enabled_then_a_new_decision_is_asked_for(
    world: World, machine: StateMachine
) -> None:
    first, second = support.user("backdoor", 2)
    machine.start(support.key_created(world, "backdoor", second))
    decide(world, asked(world)[-1]["taskToken"], "approve")
    machine.advance()
    world.advance(60)
    boto3.client("iam").update_access_key(UserName="backdoor", AccessKeyId=first, Status="Active")

    machine.start(changed(world, "UpdateAccessKey", accessKeyId=first, status="Active"))

    assert iam_state(world, "backdoor") == IamState({first: "Inactive"}, denied=True)
    (question,) = asked(world)
    assert question["kind"] == "remediate"
