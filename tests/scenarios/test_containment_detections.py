"""W1, X13: detections that a deployment changes, and events that the kind of their detail-type decides."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import boto3
import pytest

from tests.support.operations import deployed_in
from tests.support.world import ACCOUNT, World
from tests.trials.world import incidents as support
from tests.trials.world.incidents import IamState, alerts, call, event, iam_state, key_created
from tests.trials.world.state_machine import StateMachine

OWN = {
    "id": "bucket_policy_changed",
    "title": "Policy of a bucket changed",
    "severity": "MEDIUM",
    "whom": "nobody",
    "grouped": "all",
    "pattern": {"source": ["aws.s3"], "detail": {"eventName": ["PutBucketPolicy"]}},
}
ROOT = {"type": "Root", "arn": f"arn:aws:iam::{ACCOUNT}:root", "accountId": ACCOUNT}


def sign_in(
    world: World,
    result: str,
    who: Mapping[str, Any],
    address: str = "203.0.113.9",
    mfa: str = "No",
    name: str = "ConsoleLogin",
) -> Any:
    """Return the event of a console sign-in."""
    record = call(
        world,
        name,
        service="signin",
        userIdentity=who,
        sourceIPAddress=address,
        responseElements={name: result},
        additionalEventData={"MFAUsed": mfa},
    )
    return event(record, source="aws.signin", detail_type="AWS Console Sign In via CloudTrail")


def test_given_detections_of_its_own_when_evaluated_and_verified_then_they_are_active(
    world: World, machine: StateMachine
) -> None:
    ledger = boto3.resource("dynamodb").Table("ledger")
    ledger.put_item(Item={"PK": "CONFIG#detections", "SK": "META", "entries": json.dumps([OWN])})
    world.environment |= {"IR_EXTRA_DETECTIONS": "digest", "IR_DETECTIONS_DISABLED": '["denied_call"]'}
    world.environment["IR_SEVERITY_OVERRIDES"] = '{"reconnaissance": "LOW"}'

    machine.start(event(call(world, "PutBucketPolicy", service="s3"), source="aws.s3"))
    denied = machine.start(event(call(world, "PutUser", errorCode="AccessDenied")))
    lowered = machine.start(event(call(world, "ListUsers")))

    assert [alert["Subject"] for alert in alerts(world)] == ["CHECK: user mallory - MEDIUM: Policy of a bucket changed"]
    assert (denied.path[-1], lowered.path[-1]) == ("Logged", "Logged")
    with deployed_in(world) as deployed:
        lines = {line["name"]: line["detail"] for line in deployed.verify()["checks"]}
    assert "disabled: denied_call" in lines["detections"]
    assert "severity changed: reconnaissance LOW" in lines["detections"]
    assert "your own: bucket_policy_changed" in lines["detections"]
    seen, unseen = lines["regions"].split("; API calls in other regions are not seen: ")
    assert seen == "rules in us-east-1"
    assert "eu-north-1" in unseen
    assert "us-east-1" not in unseen


def test_given_a_lowered_detection_when_a_key_is_created_then_it_only_alerts(
    world: World, machine: StateMachine
) -> None:
    world.environment["IR_SEVERITY_OVERRIDES"] = '{"create_access_key": "MEDIUM"}'
    (key,) = support.user("backdoor")

    machine.start(key_created(world, "backdoor", key))

    assert iam_state(world, "backdoor") == IamState({key: "Active"}, denied=False)
    assert [alert["Subject"] for alert in alerts(world)] == ["CHECK: user backdoor - MEDIUM: Access key created"]


@pytest.mark.parametrize("service", ["guardduty", "health"])
def test_given_a_denied_call_to_a_service_of_findings_when_started_then_it_is_alerted_as_a_call(
    world: World, machine: StateMachine, service: str
) -> None:
    record = call(world, "ListThings", service=service, errorCode="AccessDenied")

    execution = machine.start(event(record, source=f"aws.{service}"))

    assert execution.status != "FAILED"
    assert ": user mallory" in alerts(world)[0]["Subject"]


def test_given_the_users_password_set_by_another_when_started_then_nobody_is_contained_and_the_alert_names_both(
    world: World, machine: StateMachine
) -> None:
    (key,) = support.user("backdoor")

    machine.start(event(call(world, "CreateLoginProfile", requestParameters={"userName": "backdoor"})))

    (alert,) = alerts(world)
    assert "userName backdoor" in alert["Message"]
    assert "by user mallory" in alert["Message"]
    assert iam_state(world, "backdoor") == IamState({key: "Active"}, denied=False)


def test_given_failed_sign_ins_when_five_came_from_an_address_then_one_alert_and_a_summary_with_the_names(
    world: World, machine: StateMachine
) -> None:
    for name in ("jane", "bob", "jane", "eve"):
        machine.start(sign_in(world, "Failure", {"type": "IAMUser", "userName": name, "accountId": ACCOUNT}))
    machine.start(sign_in(world, "Failure", {"type": "IAMUser", "userName": "x", "accountId": ACCOUNT}, "192.0.2.1"))
    assert alerts(world) == []

    for name in ("bob", "jane"):
        machine.start(sign_in(world, "Failure", {"type": "IAMUser", "userName": name, "accountId": ACCOUNT}))
    (first,) = alerts(world)
    world.advance(3_601)
    machine.advance()

    (summary,) = alerts(world)
    assert "5 events of this kind arrived within the hour so far" in first["Message"]
    assert "allowlist_add" not in first["Message"] + summary["Message"]
    assert "6 events within the hour" in summary["Message"]
    assert "Callers: bob, eve, jane" in summary["Message"]


def test_given_failed_mfa_checks_of_a_user_when_five_came_then_they_count_as_failed_sign_ins(
    world: World, machine: StateMachine
) -> None:
    for _ in range(4):
        machine.start(sign_in(world, "Failure", {"type": "IAMUser", "userName": "bob", "accountId": ACCOUNT}))
    assert alerts(world) == []

    machine.start(
        sign_in(world, "Failure", {"type": "IAMUser", "userName": "bob", "accountId": ACCOUNT}, name="CheckMfa")
    )

    (alert,) = alerts(world)
    assert "Repeated failed console sign-ins" in alert["Subject"]


def test_given_a_session_of_a_function_when_it_calls_then_the_alert_names_the_function_and_the_source_identity(
    world: World, machine: StateMachine
) -> None:
    identity = support.role_identity("app", "orders")
    identity["sessionContext"]["sourceIdentity"] = "jane@example.com"
    function = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:orders"
    identity["inScopeOf"] = {"issuerType": "AWS::Lambda::Function", "credentialsIssuedTo": function}
    request = {"userName": "backdoor"}

    machine.start(event(call(world, "CreateLoginProfile", requestParameters=request, userIdentity=identity)))

    (alert,) = alerts(world)
    assert f"Credentials issued to: {function}" in alert["Message"]
    assert 'Source identity (chosen when the first role was assumed): "jane@example.com"' in alert["Message"]


def test_given_root_when_signing_in_fails_or_succeeds_then_only_success_is_critical_and_mfa_is_stated(
    world: World, machine: StateMachine
) -> None:
    machine.start(sign_in(world, "Failure", ROOT))
    machine.start(sign_in(world, "Failure", ROOT))
    machine.start(sign_in(world, "Success", ROOT))

    failed, succeeded = alerts(world)
    assert failed["Subject"].endswith(" - MEDIUM: Root sign-in failed")
    assert succeeded["Subject"].endswith(" - CRITICAL: Root user active")
    assert "MFA was NOT used" in succeeded["Message"]


def test_given_root_events_without_authentication_when_started_then_they_are_grouped_and_not_critical(
    world: World, machine: StateMachine
) -> None:
    for result, name in (
        ("Failure", "ConsoleLogin"),
        ("Failure", "CheckMfa"),
        ("Success", "PasswordRecoveryRequested"),
        ("Failure", "PasswordRecoveryRequested"),
        ("Failure", "PasswordRecoveryCompleted"),
        ("Success", "PasswordRecoveryCompleted"),
    ):
        machine.start(sign_in(world, result, ROOT, name=name))

    failed, recovery, recovered = alerts(world)
    assert failed["Subject"].endswith(" - MEDIUM: Root sign-in failed")
    assert recovery["Subject"].endswith(" - MEDIUM: Recovery of the root password requested or failed")
    assert "PasswordRecoveryRequested: Success" in recovery["Message"]
    assert recovered["Subject"].endswith(" - CRITICAL: Root user active")
    assert "PasswordRecoveryCompleted: Success" in recovered["Message"]


def test_given_root_that_deletes_a_detector_when_alerted_then_service_and_second_detection_are_stated(
    world: World, machine: StateMachine
) -> None:
    named = {"detectorId": "0123456789abcdef"}
    deleted = call(world, "DeleteDetector", service="guardduty", userIdentity=ROOT, requestParameters=named)
    machine.start({**event(deleted), "source": "aws.guardduty"})

    (alert,) = alerts(world)
    assert "CRITICAL" in alert["Subject"]
    assert "What: DeleteDetector (guardduty) by root" in alert["Message"]
    assert "Also: Logging or monitoring switched off" in alert["Message"]


def test_given_callers_without_an_arn_when_denied_then_each_has_its_own_alert(
    world: World, machine: StateMachine
) -> None:
    callers = [
        {"type": "IdentityCenterUser", "accountId": ACCOUNT, "onBehalfOf": {"userId": "user-1"}},
        {"type": "WebIdentityUser", "userName": "web-1", "identityProvider": "accounts.example.com"},
        {"type": "SAMLUser", "userName": "alice@example.com"},
    ]
    for who in callers:
        machine.start(event(call(world, "CreateToken", userIdentity=who, errorCode="AccessDenied")))

    told = "".join(alert["Message"] for alert in alerts(world))
    assert all(name in told for name in ("user-1", "web-1", "alice@example.com", "accounts.example[.]com"))


def test_given_two_principals_of_another_account_when_denied_then_each_has_its_own_alert_with_its_id(
    world: World, machine: StateMachine
) -> None:
    calls = [("AIDASTRANGER00000001", "203.0.113.9"), ("AIDASTRANGER00000002", "203.0.113.9")]
    calls += [("AROASTRANGER00000003:one", "203.0.113.9"), ("AROASTRANGER00000003:two", "192.0.2.1")]
    for principal, address in calls:
        who = {"type": "AWSAccount", "accountId": "444455556666", "principalId": principal}
        machine.start(
            event(call(world, "GetObject", userIdentity=who, errorCode="AccessDenied", sourceIPAddress=address))
        )

    told = [alert["Message"] for alert in alerts(world)]
    assert len(told) == 3
    for number, message in enumerate(told, 1):
        assert f"account 444455556666 (principal {calls[number - 1][0].partition(':')[0]})" in message


def test_given_sample_findings_when_started_then_one_alert_an_hour_and_nothing_contained(
    world: World, machine: StateMachine
) -> None:
    (key,) = support.user("backdoor")
    for _ in range(3):
        machine.start(support.finding("backdoor", 8, title="[SAMPLE] Credentials were used from outside."))

    (alert,) = alerts(world)
    assert "SAMPLE" in alert["Subject"]
    assert iam_state(world, "backdoor") == IamState({key: "Active"}, denied=False)


def test_given_an_event_that_aws_closed_when_started_then_nothing_is_contained(
    world: World, machine: StateMachine
) -> None:
    (key,) = support.user("backdoor")
    closed = support.exposed(key)
    closed["detail"]["statusCode"] = "closed"

    machine.start(closed)

    assert iam_state(world, "backdoor") == IamState({key: "Active"}, denied=False)
    assert alerts(world)[0]["Subject"].startswith("NO ACTION: ")
