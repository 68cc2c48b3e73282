"""W1-W9: every path through the state machine, seen from IAM, SNS, SQS, the case and the ledger."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from ir_router.errors import UncertainError
from tests.support.world import ACCOUNT, World
from tests.trials.world import incidents as support
from tests.trials.world.incidents import (
    IamState,
    alerts,
    asked,
    audit_actions,
    audit_rows,
    call,
    contain,
    decide,
    event,
    iam_state,
    key_created,
    root_call,
)
from tests.trials.world.state_machine import StateMachine

# HIGH


def test_given_a_new_key_when_approved_by_the_documented_payload_then_the_key_is_gone(
    world: World, machine: StateMachine
) -> None:
    execution, key = contain(world, machine, keys=2)
    other = next(name for name in iam_state(world, "backdoor").keys if name != key)

    assert iam_state(world, "backdoor") == IamState({key: "Inactive", other: "Inactive"}, denied=True)
    (message,) = asked(world)
    assert message["incident"]["access_key_id"] == key
    answer = decide(world, message["taskToken"], "approve", "your-name")
    assert answer["status"] == "approved"
    machine.advance()

    assert execution.status == "SUCCEEDED"
    assert "Delete Key Permanently" in execution.path
    assert iam_state(world, "backdoor") == IamState({other: "Inactive"}, denied=True)
    contained, ended = alerts(world)
    assert "Approve or deny within 24 hours" in contained["Message"]
    assert "Approved by your-name" in ended["Message"]
    assert f"key {key} deleted (verified)" in ended["Message"]
    assert audit_actions() == ["contained", "decision_asked", "decision_recorded", "decision_received", "ended"]


def test_given_a_contained_user_when_denied_then_exactly_the_former_state_returns(
    world: World, machine: StateMachine
) -> None:
    first, second = support.user("backdoor", 2)
    boto3.client("iam").update_access_key(UserName="backdoor", AccessKeyId=first, Status="Inactive")
    before = iam_state(world, "backdoor")
    execution = machine.start(key_created(world, "backdoor", second))
    assert iam_state(world, "backdoor") == IamState({first: "Inactive", second: "Inactive"}, denied=True)

    (message,) = asked(world)
    notes = "False positive - CI/CD key rotation"
    assert decide(world, message["taskToken"], "deny", "your-name", notes=notes)["status"] == "denied"
    machine.advance()

    assert execution.status == "SUCCEEDED"
    assert iam_state(world, "backdoor") == before
    assert notes in alerts(world)[-1]["Message"]


def test_given_a_new_key_when_contained_then_the_seconds_since_event_and_arrival_are_on_record(
    world: World, machine: StateMachine
) -> None:
    (key,) = support.user("backdoor")
    created = key_created(world, "backdoor", key)
    world.advance(240)

    machine.start(created)

    details = audit_rows()[0]["details"]
    assert '"seconds_from_event": 24' in details
    assert "Contained 4 min after the event." in alerts(world)[0]["Message"]


def test_given_a_contained_user_when_no_one_decides_for_a_day_then_it_stays_and_people_are_notified(
    world: World, machine: StateMachine
) -> None:
    execution, key = contain(world, machine)
    (message,) = asked(world)

    world.advance(86_401)
    machine.advance()

    assert execution.status == "SUCCEEDED"
    assert iam_state(world, "backdoor") == IamState({key: "Inactive"}, denied=True)
    assert "No decision within 24 hours" in alerts(world)[-1]["Message"]
    assert "approval_timed_out" in audit_actions()
    late = decide(world, message["taskToken"], "approve")
    assert late["status"] == "too_late"
    assert "the 24-hour deadline passed" in late["message"]


def test_given_the_same_event_twice_when_started_again_then_the_second_ends_as_duplicate(
    world: World, machine: StateMachine
) -> None:
    (key,) = support.user("backdoor")
    created = key_created(world, "backdoor", key)
    machine.start(created)

    again = machine.start(created)

    assert (again.status, again.path[-1]) == ("SUCCEEDED", "Duplicate")
    assert len(asked(world)) == 1


def test_given_a_lost_answer_when_the_first_state_is_retried_then_it_is_no_duplicate_of_itself(
    world: World, machine: StateMachine
) -> None:
    attempts: list[str] = []

    def lose_first_answer(task: str, after: bool) -> None:
        if task == "extract_event_context" and after:
            attempts.append(task)
            if len(attempts) == 1:
                raise UncertainError("Lambda", "Invoke", "answer lost")

    machine.fault = lose_first_answer
    execution, _key = contain(world, machine)

    assert len(attempts) == 2
    assert execution.path[-1] == "Wait for Analyst"


@pytest.mark.parametrize(
    "malformed",
    [
        "not an object",
        {},
        {"detail": []},
        event({"eventName": "CreateAccessKey"}),
        event({"id": "f", "type": "t"}, source="aws.guardduty"),
    ],
)
def test_given_a_malformed_event_when_started_then_it_fails_visibly_with_alert_and_record(
    world: World, machine: StateMachine, malformed: Any
) -> None:
    execution = machine.start(malformed)

    assert (execution.status, execution.error) == ("FAILED", "EventNotReadable")
    (alert,) = alerts(world)
    assert "The step Extract Event Context failed, and ir-router does not retry it" in alert["Message"]
    assert audit_actions() == ["step_failed"]


@pytest.mark.parametrize(
    ("variable", "value", "why"),
    [
        ("IR_PROTECTED_PRINCIPALS", f'["arn:aws:iam::{ACCOUNT}:user/mallory"]', "It is protected"),
        ("IR_MAX_CONTAINMENTS_PER_HOUR", "1", "1 principals were contained within the last hour"),
    ],
)
@pytest.mark.parametrize("decision", ["approve", "deny"])
def test_given_one_of_two_principals_contained_when_decided_then_the_end_is_red_and_names_the_other(
    world: World, machine: StateMachine, variable: str, value: str, why: str, decision: str
) -> None:
    world.environment["IR_CONTAIN_ACTOR"] = "true"
    world.environment[variable] = value
    (own,) = support.user("mallory")
    (key,) = support.user("backdoor")
    execution = machine.start(key_created(world, "backdoor", key, userIdentity=support.user_identity("mallory", own)))
    assert execution.path[-1] == "Wait for Analyst"

    decide(world, asked(world)[0]["taskToken"], decision)
    machine.advance()

    assert (execution.status, execution.error) == ("FAILED", "SomethingUndone")
    assert not iam_state(world, "mallory").denied
    told = alerts(world)[-1]["Message"]
    assert "Missing: containment of user mallory" in told
    assert why in told


# Other severities


def test_given_reconnaissance_when_it_repeats_then_one_alert_and_the_count_after_an_hour(
    world: World, machine: StateMachine
) -> None:
    first = machine.start(event(call(world, "ListUsers"), source="aws.iam"))
    for _ in range(3):
        later = machine.start(event(call(world, "GetCallerIdentity", service="sts"), source="aws.sts"))
        assert not later.path  # the intake counts it
    (alert,) = alerts(world)
    assert alert["Subject"].startswith("CHECK: ")
    assert " - MEDIUM: Reconnaissance" in alert["Subject"]
    assert first.status == "RUNNING"

    world.advance(3_601)
    machine.advance()

    (count,) = alerts(world)
    assert first.status == "SUCCEEDED"
    assert "4 events within the hour" in count["Message"]


def test_given_a_group_that_ended_when_the_next_event_comes_before_its_count_then_no_count_is_lost(
    world: World, machine: StateMachine
) -> None:
    first = machine.start(event(call(world, "ListUsers")))
    machine.start(event(call(world, "ListUsers")))
    world.advance(3_601)
    machine.start(event(call(world, "ListUsers")))

    machine.advance(first)

    assert any("2 events within the hour" in alert["Message"] for alert in alerts(world))


def test_given_one_reconnaissance_event_when_the_hour_ends_then_nothing_more_is_reported(
    world: World, machine: StateMachine
) -> None:
    execution = machine.start(event(call(world, "ListUsers")))
    world.advance(3_601)
    machine.advance()

    assert execution.status == "SUCCEEDED"
    assert len(alerts(world)) == 1


def test_given_reconnaissance_by_a_role_when_started_then_it_is_only_logged(
    world: World, machine: StateMachine
) -> None:
    execution = machine.start(event(call(world, "ListUsers", userIdentity=support.role_identity("app"))))

    assert execution.path[-2:] == ["Log & Exit", "Logged"]
    assert alerts(world) == []


def test_given_a_denied_call_by_a_role_when_started_then_people_are_alerted(
    world: World, machine: StateMachine
) -> None:
    record = call(world, "GetPasswordData", service="ec2", errorCode="Client.UnauthorizedOperation")
    machine.start(event(record | {"userIdentity": support.role_identity("app")}, source="aws.ec2"))

    (alert,) = alerts(world)
    assert alert["Subject"] == "CHECK: role app - MEDIUM: API call denied"


def test_given_root_at_work_when_it_changes_things_then_every_change_is_alerted_and_reading_is_grouped(
    world: World, machine: StateMachine
) -> None:
    machine.start(root_call(world, "CreateUser"))
    machine.start(root_call(world, "CreateUser"))
    machine.start(root_call(world, "ListUsers", readOnly=True))
    machine.start(root_call(world, "ListRoles", readOnly=True))

    told = alerts(world)
    assert len(told) == 3
    assert all(alert["Subject"].startswith("ACT now: root of account") for alert in told)
    assert all(alert["Subject"].endswith(" - CRITICAL: Root user active") for alert in told)
    assert "Root cannot be contained" in told[0]["Message"]


def test_given_root_when_it_makes_a_key_for_a_user_then_the_user_is_contained_all_the_same(
    world: World, machine: StateMachine
) -> None:
    (key,) = support.user("backdoor")
    identity = {"type": "Root", "arn": f"arn:aws:iam::{ACCOUNT}:root", "accountId": ACCOUNT}
    machine.start(key_created(world, "backdoor", key, userIdentity=identity))

    assert iam_state(world, "backdoor") == IamState({key: "Inactive"}, denied=True)
    assert alerts(world)[0]["Subject"] == "DECIDE within 24 h: user backdoor contained - CRITICAL: Root user active"


def test_given_root_when_it_makes_a_key_for_itself_then_people_are_alerted_at_once(
    world: World, machine: StateMachine
) -> None:
    created = {"accessKey": {"accessKeyId": "AKIAROOT000000000001", "userName": "my-account-alias"}}
    execution = machine.start(root_call(world, "CreateAccessKey", responseElements=created))

    assert execution.path[-1] == "Alerted"
    assert "Root cannot be contained" in alerts(world)[0]["Message"]


def test_given_a_low_finding_when_started_then_it_is_logged_and_not_reported(
    world: World, machine: StateMachine
) -> None:
    execution = machine.start(support.finding("bob", 2.0))

    assert execution.path[-2:] == ["Log & Exit", "Logged"]
    assert alerts(world) == []
    assert audit_actions() == ["event_logged"]


# Records for auditors and investigators


def test_given_a_containment_when_an_auditor_reads_it_then_the_record_has_how_the_call_was_made(
    world: World, machine: StateMachine
) -> None:
    agent = "evil/1.0 " + "x" * 500
    (key,) = support.user("backdoor")
    created = key_created(world, "backdoor", key, userAgent=agent, awsRegion="eu-west-1")
    machine.start(created)

    (details,) = [json.loads(row["details"]) for row in audit_rows() if row["action"] == "contained"]

    assert details["event_id"] == created["detail"]["eventID"]
    assert details["event_source"] == "iam.amazonaws.com"
    assert details["region"] == "eu-west-1"
    assert details["error_code"] is None
    assert details["actor_access_key_id"] == support.ATTACKER["key"]
    assert details["user_agent"].startswith("evil/1.0 x")
    assert len(details["user_agent"]) < 300


def test_given_an_event_that_joined_without_a_case_when_an_auditor_reads_it_then_its_decision_is_found(
    world: World, machine: StateMachine
) -> None:
    contain(world, machine)
    (question,) = asked(world)
    machine.start(key_created(world, "backdoor"))

    (details,) = [json.loads(row["details"]) for row in audit_rows() if row["action"] == "ended"]

    (part,) = details["principals"]
    assert part["joined_execution"] == question["incident"]["execution"]
    assert part["approval_id"] == question["approvalId"]


def test_given_owners_by_tag_when_contained_then_the_audit_has_what_the_tags_said(
    world: World, machine: StateMachine
) -> None:
    (own,), (key,) = support.user("mallory"), support.user("backdoor")
    boto3.client("iam").tag_user(UserName="backdoor", Tags=[{"Key": "slack-email", "Value": "ann@example.com"}])
    who = support.user_identity("mallory", own)
    machine.start(key_created(world, "backdoor", key, userIdentity=who))
    machine.start(key_created(world, "backdoor", userIdentity=who))

    rows = {row["action"]: json.loads(row["details"]) for row in audit_rows()}

    tags = {f"arn:aws:iam::{ACCOUNT}:user/backdoor": "ann@example.com", f"arn:aws:iam::{ACCOUNT}:user/mallory": ""}
    assert rows["contained"]["owner_tags"] == tags
    assert rows["ended"]["principals"][0]["owner_tags"] == tags


_SESSIONS = "Role sessions that a contained user opened earlier keep working"


def test_given_a_contained_user_when_reported_then_alert_and_case_say_once_that_role_sessions_go_on(
    world: World, machine: StateMachine
) -> None:
    contain(world, machine)

    (alert,) = alerts(world)
    (row,) = world.security_ir.call("ListCases", {"maxResults": 25})["items"]
    case = world.security_ir.call("GetCase", {"caseId": row["caseId"]})
    for text in (alert["Message"], case["description"]):
        assert text.count(_SESSIONS) == 1


def test_given_a_contained_role_or_a_dry_run_when_reported_then_nothing_is_said_of_a_users_sessions(
    world: World, machine: StateMachine
) -> None:
    support.role("app")
    machine.start(support.finding("app", 8.0, user_type="AssumedRole"))
    world.environment["IR_CONTAINMENT_MODE"] = "dry_run"
    contain(world, machine)

    assert not any(_SESSIONS in alert["Message"] for alert in alerts(world))
