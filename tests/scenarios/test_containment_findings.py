"""W1, W2: findings of GuardDuty and AWS Health, and events that only resemble them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.detection_events.makers import health
from tests.support.world import ACCOUNT, World
from tests.trials.world import incidents as support
from tests.trials.world.incidents import (
    IamState,
    alerts,
    asked,
    call,
    decide,
    event,
    iam_state,
    key_created,
    root_call,
)
from tests.trials.world.outages import Outage, struck_by
from tests.trials.world.state_machine import StateMachine

# HIGH


def test_given_a_grave_finding_about_a_role_when_approved_and_released_then_the_denial_stays_until_then(
    world: World, machine: StateMachine
) -> None:
    arn = support.role("app", "/service/")
    execution = machine.start(support.finding("app", 8.0, user_type="AssumedRole"))
    assert support.role_is_denied(world, "app")

    decide(world, asked(world)[0]["taskToken"], "approve")
    machine.advance()
    assert execution.status == "SUCCEEDED"
    assert support.role_is_denied(world, "app")

    task = {"task": "release", "principal": arn, "released_by": "Jane", "reason": "role was rebuilt"}
    assert world.invoke("workflow", task)["status"] == "released"
    assert not support.role_is_denied(world, "app")


def test_given_a_grave_finding_about_a_role_when_denied_then_the_denial_is_lifted(
    world: World, machine: StateMachine
) -> None:
    support.role("app")
    machine.start(support.finding("app", 8.0, user_type="AssumedRole"))

    decide(world, asked(world)[0]["taskToken"], "deny")
    machine.advance()

    assert not support.role_is_denied(world, "app")


def test_given_exposed_keys_of_two_users_when_reported_by_aws_health_then_both_are_contained_and_asked_about(
    world: World, machine: StateMachine
) -> None:
    (first,), (second,) = support.user("alice"), support.user("bob")

    machine.start(support.exposed(first, second))

    assert iam_state(world, "alice") == IamState({first: "Inactive"}, denied=True)
    assert iam_state(world, "bob") == IamState({second: "Inactive"}, denied=True)
    assert len(asked(world)) == 2


def test_given_a_console_that_aws_health_reports_as_compromised_when_alerted_then_people_must_act(
    world: World, machine: StateMachine
) -> None:
    machine.start(
        {**health("AWS_RISK_ACCOUNT_CONSOLE_COMPROMISE", ACCOUNT), "id": "health-1", "time": "2026-01-15T18:05:00Z"}
    )

    (alert,) = alerts(world)
    assert "CRITICAL" in alert["Subject"]
    assert "AWS considers the account at risk." in alert["Message"]
    assert "Check whether this was intended" not in alert["Message"]


def test_given_a_finding_that_becomes_graver_when_sent_again_then_it_is_contained_once(
    world: World, machine: StateMachine
) -> None:
    support.user("backdoor")
    mild = support.finding("backdoor", 3.0)
    graver = mild | {"detail": mild["detail"] | {"severity": 8.0}}
    assert machine.start(mild).path[-1] == "Logged"

    execution = machine.start(graver)

    assert execution.path[-1] == "Wait for Analyst"
    assert iam_state(world, "backdoor").denied
    assert machine.start(graver).path[-1] == "Duplicate"
    # GuardDuty sends an update as a new event. If EventBridge delivers the same event twice, nothing starts.
    assert machine.start(mild | {"id": "update"}).path[-1] == "Duplicate"
    assert not machine.start(mild).path


def test_given_a_finding_of_a_dry_run_when_sent_again_under_enforce_then_it_is_contained(
    world: World, machine: StateMachine
) -> None:
    support.user("backdoor")
    finding = support.finding("backdoor", 8.0)
    world.environment["IR_CONTAINMENT_MODE"] = "dry_run"
    machine.start(finding)
    assert not iam_state(world, "backdoor").denied
    world.environment["IR_CONTAINMENT_MODE"] = "enforce"

    machine.start(finding)

    assert iam_state(world, "backdoor").denied


def test_given_a_forged_event_with_the_id_of_a_real_one_when_the_real_one_comes_then_it_is_no_duplicate(
    world: World, machine: StateMachine
) -> None:
    (key,) = support.user("backdoor")
    created = key_created(world, "backdoor", key)
    forged = machine.start(created | {"source": "com.example.mallory"})
    assert forged.path[-1] == "Logged"

    execution = machine.start(created)

    assert execution.path[-1] == "Wait for Analyst"


@pytest.mark.parametrize("name", ["root", "ListUsers", "denied"])
def test_given_an_event_that_aws_did_not_send_when_started_then_no_detection_matches(
    world: World, machine: StateMachine, name: str
) -> None:
    record = {
        "root": root_call(world, "CreateUser"),
        "ListUsers": event(call(world, "ListUsers")),
        "denied": event(call(world, "GetPasswordData", service="ec2", errorCode="AccessDenied")),
    }[name]

    execution = machine.start(record | {"source": "com.example.mallory"})

    assert execution.path[-1] == "Logged"
    assert alerts(world) == []


def test_given_an_exposed_key_when_decided_or_beyond_the_limit_then_every_alert_names_its_owner(
    world: World, machine: StateMachine
) -> None:
    """AWS Health names only the keys."""
    (key,), (other,) = support.user("alice"), support.user("bob")
    machine.start(support.exposed(key))
    decide(world, asked(world)[0]["taskToken"], "approve")
    machine.advance()
    world.environment["IR_MAX_CONTAINMENTS_PER_HOUR"] = "1"
    machine.start(support.exposed(other))

    told = alerts(world)

    assert len(told) == 3
    for alert in told:
        assert "user alice" in alert["Message"] or "user bob" in alert["Message"]
        assert "unknown principal" not in alert["Subject"] + alert["Message"]


def test_given_a_denied_finding_when_it_continues_then_that_is_reported_once_and_nothing_is_contained(
    world: World, machine: StateMachine
) -> None:
    (key,) = support.user("backdoor")
    found = support.finding("backdoor", 8.0)
    found["detail"]["resource"]["accessKeyDetails"] |= {"accessKeyId": key}
    found["detail"]["resource"]["accessKeyDetails"].pop("principalId")
    machine.start(found)
    decide(world, asked(world)[0]["taskToken"], "deny")
    machine.advance()
    alerts(world)
    world.advance(86_400)
    machine.start(updated(world, found, 1, ago=90_000))
    assert alerts(world) == []

    for count in (57, 58):
        assert machine.start(updated(world, found, count)).path[-1] == "Duplicate"

    (report,) = alerts(world)
    first = report["Message"].splitlines()[0]
    assert first == "The finding about user backdoor continues after its denial: GuardDuty now counts 57 occurrences."
    assert iam_state(world, "backdoor") == IamState({key: "Active"}, denied=False)


def test_given_a_finding_that_continues_when_its_first_alert_fails_then_the_retry_sends_it(
    world: World, machine: StateMachine
) -> None:
    support.user("backdoor")
    found = support.finding("backdoor", 8.0)
    machine.start(found)
    decide(world, asked(world)[0]["taskToken"], "deny")
    machine.advance()
    alerts(world)
    world.advance(86_400)
    world.expect(ClientError)

    outage = Outage("sns", "Publish", "throttling", seconds=10)
    with struck_by(world, outage):
        assert machine.start(updated(world, found, 57)).path[-1] == "Duplicate"

    assert outage.struck
    (report,) = alerts(world)
    assert "GuardDuty now counts 57 occurrences." in report["Message"]


def test_given_a_finding_that_joined_an_incident_when_it_continues_after_the_denial_then_that_is_reported_once(
    world: World, machine: StateMachine
) -> None:
    (key,) = support.user("backdoor")
    machine.start(support.key_created(world, "backdoor", key))
    found = support.finding("backdoor", 8.0)
    found["detail"]["resource"]["accessKeyDetails"] |= {"accessKeyId": key}
    found["detail"]["resource"]["accessKeyDetails"].pop("principalId")
    machine.start(found)
    decide(world, asked(world)[0]["taskToken"], "deny")
    machine.advance()
    alerts(world)
    world.advance(86_400)

    for count in (57, 58, 59):
        machine.start(updated(world, found, count))

    (report,) = alerts(world)
    assert "continues after its denial: GuardDuty now counts 57 occurrences." in report["Message"]
    assert iam_state(world, "backdoor") == IamState({key: "Active"}, denied=False)


def updated(world: World, finding: Any, count: int, ago: float = 0) -> Any:
    """Return an update of the finding, last seen `ago` seconds before now."""
    seen = datetime.fromtimestamp(world.now() - ago, UTC).isoformat()
    detail = finding["detail"]
    return finding | {"detail": detail | {"service": detail["service"] | {"count": count, "eventLastSeen": seen}}}
