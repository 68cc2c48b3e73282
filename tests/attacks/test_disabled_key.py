"""The attack on the key of the ledger: with kms:DisableKey, DynamoDB refuses every call while keys are abused."""

from __future__ import annotations

import boto3
import pytest
from botocore.exceptions import ClientError

from ir_router.ledger.unavailable import LedgerUnavailableError
from tests.support.world import World
from tests.trials.world import FunctionDiedError
from tests.trials.world import incidents as support
from tests.trials.world.deployment import DENY_POLICY
from tests.trials.world.encryption import Key
from tests.trials.world.incidents import IamState, alerts, iam_state, pages
from tests.trials.world.state_machine import Execution, StateMachine

HOUR = 3_600


@pytest.fixture
def key(world: World) -> Key:
    world.expect(LedgerUnavailableError)
    return Key(world)


def detach(world: World, name: str) -> None:
    boto3.client("iam").detach_user_policy(UserName=name, PolicyArn=DENY_POLICY)


def test_given_the_disabled_key_when_a_grave_event_arrives_then_it_is_contained_at_once_and_decided_later(
    world: World, machine: StateMachine, key: Key
) -> None:
    """The workflow dies after its changes, and the attacker undoes them. The state of before is kept all the same."""
    old, new = support.user("backdoor", 2)
    boto3.client("iam").update_access_key(UserName="backdoor", AccessKeyId=old, Status="Inactive")
    before = iam_state(world, "backdoor")
    seen: dict[str, IamState] = {}
    sent: list[dict[str, str]] = []

    def watch(task: str, after: bool) -> None:
        if task == "contain_without_ledger" and after and "contained" not in seen:
            assert world.now() < began + 60
            seen["contained"] = iam_state(world, "backdoor")
            raise FunctionDiedError("after its last call")
        if task != "contain_with_ledger" or after or world.now() >= key.disabled_until:
            return
        if "undone" not in seen:
            sent.extend(alerts(world))
            detach(world, "backdoor")
            seen["undone"] = iam_state(world, "backdoor")
        else:
            seen["kept"] = iam_state(world, "backdoor")

    machine.fault = watch
    began = world.now()
    key.disable(6 * HOUR)

    execution = machine.start(support.key_created(world, "backdoor", new))

    contained = IamState({old: "Inactive", new: "Inactive"}, denied=True)
    assert (seen["contained"], seen["undone"].denied, seen["kept"]) == (contained, False, contained)
    (alert,) = sent
    assert alert["TopicArn"].endswith(":security-incident-alarms")
    assert alert["Subject"].startswith("FIX the ledger now: user ")
    assert "user backdoor contained." in alert["Message"]
    assert "KMS key access denied error" in alert["Message"]
    state = f"{old} inactive, {new} active, the deny policy was not attached."
    assert f"Before the containment of user backdoor: {state}" in alert["Message"]
    assert world.now() > began + 6 * HOUR
    assert execution.status == "RUNNING"
    assert support.audit_actions() == ["contained", "decision_asked"]

    (request,) = support.asked(world)
    support.decide(world, request["taskToken"], "deny")
    machine.advance()

    assert execution.status == "SUCCEEDED"
    assert iam_state(world, "backdoor") == before


def test_given_two_events_of_one_user_without_the_ledger_when_the_second_is_recorded_first_then_the_first_state_counts(
    world: World, machine: StateMachine, key: Key
) -> None:
    old, new = support.user("backdoor", 2)
    before = iam_state(world, "backdoor")
    events = [support.key_created(world, "backdoor", one) for one in (old, new)]
    started: list[Execution] = []

    def meanwhile(task: str, after: bool) -> None:
        if task == "contain_with_ledger" and not after and not started:
            machine.fault = lambda _task, _after: None
            started.append(machine.start(events[1]))

    machine.fault = meanwhile
    key.disable(HOUR)
    first = machine.start(events[0])

    assert (first.status, started[0].status) == ("SUCCEEDED", "RUNNING"), "the first joined the second"
    assert "containment_reapplied" not in support.audit_actions(), "nothing was undone"
    (request,) = support.asked(world)
    support.decide(world, request["taskToken"], "deny")
    machine.advance()
    assert started[0].status == "SUCCEEDED"
    assert iam_state(world, "backdoor") == before


def test_given_the_disabled_key_when_root_and_an_expected_caller_act_then_root_is_alerted_at_once_and_the_other_waits(
    world: World, machine: StateMachine, key: Key
) -> None:
    began = world.now()
    key.disable(2 * HOUR)
    machine.start(support.root_call(world, "ListUsers"))

    without, regular = alerts(world)
    title = "root of account 123456789012 - CRITICAL: Root user active"
    subject = f"ACT now: {title}"
    assert (without["TopicArn"].rpartition(":")[2], regular["TopicArn"].rpartition(":")[2]) == (
        "security-incident-alarms",
        "security-incident-alerts",
    )
    assert (without["Subject"], regular["Subject"]) == (f"FIX the ledger now: {title}", subject)
    assert world.now() > began + 2 * HOUR
    (page,) = pages(world)  # the page topic uses the key too, so it waited
    assert subject in page["Subject"]

    before = len(machine.executions)
    key.disable(HOUR)
    back = world.now() + HOUR
    machine.send_to_intake(support.event(support.call(world, "ListUsers", errorCode="AccessDenied")))
    while world.now() < back:
        world.run_intake()
        assert len(machine.executions) == before
        world.advance(361)
    world.run_intake()
    (execution,) = list(machine.executions.values())[before:]
    assert execution.status == "RUNNING"
    assert execution.path[-1] == "Collect for an Hour"


def test_given_dry_run_or_a_protected_user_when_the_key_is_disabled_then_nothing_changes_and_the_alert_states_it(
    world: World, machine: StateMachine, key: Key
) -> None:
    world.environment["IR_CONTAINMENT_MODE"] = "dry_run"
    (new,) = support.user("backdoor")
    key.disable(HOUR)
    execution = machine.start(support.key_created(world, "backdoor", new))

    assert iam_state(world, "backdoor") == IamState({new: "Active"}, denied=False)
    assert execution.status == "SUCCEEDED"
    without, final = alerts(world)
    assert without["Message"].startswith("Dry run: user backdoor would have been contained.")
    assert "Before the containment" not in without["Message"]
    assert final["TopicArn"].endswith(":security-incident-alerts")


def test_given_the_disabled_key_when_a_failed_step_is_reported_then_it_is_alerted_once_and_recorded_if_the_key_is_back(
    world: World, machine: StateMachine
) -> None:
    world.unexpected.allow(ClientError)
    world.environment["IR_SEVERITY_OVERRIDES"] = '{"reconnaissance": "LOW"}'
    key = Key(world)
    after_the_report = {"seconds": HOUR}

    def disable(task: str, after: bool) -> None:
        if task == "log_and_exit":
            key.disable(HOUR)
        if task == "report_failure" and not after:
            key.disable(after_the_report["seconds"])

    machine.fault = disable
    for seconds, recorded in ((HOUR, []), (5, ["step_failed"])):
        after_the_report["seconds"] = seconds
        world.advance(2 * HOUR)
        execution = machine.start(support.event(support.call(world, "ListUsers")))

        assert (execution.status, execution.error) == ("FAILED", "NotLogged")
        (alert,) = alerts(world)
        assert alert["Subject"].startswith("ACT by hand now: ")
        assert support.audit_actions() == recorded
